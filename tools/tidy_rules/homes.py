"""STYLE rule 23: heavy headers have one home. Others see Task<T> and ports."""
import fnmatch
import re

from .source import Finding

# (header, who may include it, what others do)
HOMES = (
    (r"boost/beast(/|\.hpp)", ("proxy/web/*.cpp", "cmake/*.cpp"), "go through the proxy's web port"),
    (r"boost/asio(/|\.hpp)",
     ("lib/io/*", "cmake/*.cpp", "netsim/asio_*", "netsim/virtual_*", "netsim/emulator/*", "netsim/relay/*",
      "netsim/relay*", "tests/io/*", "tests/sim/*", "tests/netsim/*", "proxy/web/*.cpp"),
     "use Env and Task<T> of lib/io"),
    (r"(sys/socket|netinet/\w+|arpa/inet|netdb|sys/un)\.h$",
     ("lib/io/*.cpp", "netsim/*", "tests/io/*", "tests/e2e/*", "tests/netsim/*", "tools/*",
      "lib/gateway/*.cpp", "trainer/asking/*.cpp", "trainer/ranks/*.cpp",
      "tests/trainer/rank*"), "use Env of lib/io"),
    (r"gloo/", ("trainer/ranks/gloo_collectives.cpp",), "use the Collectives port"),
    (r"nccl\.h$", ("trainer/ranks/nccl_collectives.cpp", "tests/trainer/nccl_stand_in.cpp"),
     "use the Collectives port"),
    (r"(cuda_runtime(_api)?|cuda)\.h$",
     ("trainer/cuda/*.c*", "trainer/ranks/nccl_collectives.cpp", "tests/trainer/*gpu*",
      "tests/trainer/nccl_stand_in.cpp", "tools/bench/cuda_*"),
     "use the works of trainer/cuda"),
    (r"CLI/", ("tools/*",), "take parsed options; CLI11 stays in mains"),
    (r"nlohmann/", ("lib/cli/*", "netsim/*", "tests/*", "tools/*"), "go through lib/cli's JSON"),
    (r"toml\+\+/", ("lib/cli/*.cpp", "tests/cli/*", "streamer/static/toml_functions.cpp"),
     "go through lib/cli's config"),
    (r"openssl/", ("lib/crypto/*", "tests/crypto/*", "tools/bench/*"), "use lib/crypto"),
    (r"(zstd|zdict|zstd_errors)\.h$", ("compression/*.cpp", "tests/compression/*"), "use compression/"),
    (r"sqlite3\.h$", ("lib/io/sqlite_*.cpp", "tests/io/*"), "use the ChunkIndex port"),
    (r"zmq(_addon)?\.(h|hpp)$", ("lib/gateway/*", "tests/gateway/*", "tests/e2e/static_zmq.cpp"),
     "use lib/gateway"),
    (r"(torch|ATen|c10)/", ("trainer/engine/*", "tests/trainer/*"),
     "keep Torch behind the trainer's ports; trainer/cuda has none, so that it compiles everywhere"),
    (r"regex$", (), "write the few lines of parsing: std::regex is slow and recurses on its input"),
    (r"iostream$", ("tests/*", "tools/*", "netsim/testing/*"), "use the Console port or a Log"),
)


def heavy_headers(tree):
    for path in tree.cxx():
        for line, name, quoted in tree.includes(path):
            if quoted:
                continue
            for pattern, allowed, instead in HOMES:
                if re.match(pattern, name) and not any(fnmatch.fnmatch(path, glob) for glob in allowed):
                    yield Finding(path, line, "heavy-header", f"<{name}> has its home elsewhere: {instead}")
