"""STYLE rule 23: heavy headers have one home. Others see Task<T> and ports. So have some
headers of ours: of lib/client, which strangers' programs link, others see what those see."""
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
# The trainer is such a stranger, and so are its main and the benches: what they need and longhaul.h
# lacks, everyone lacks. The streamer is none: `drain` reads the rings that dead programs left, and
# its test leaves some.
PRIVATE = (
    (r"lib/client/(?!longhaul\.h$)",
     ("lib/client/*", "tests/client/*", "streamer/drain.cpp", "tests/streamer/drain_test.cpp"),
     "use lib/client/longhaul.h, as anyone's program does"),
)


def heavy_headers(tree):
    for path in tree.cxx():
        for line, name, quoted in tree.includes(path):
            shown = f'"{name}"' if quoted else f"<{name}>"
            rows = [("private-header", row) for row in PRIVATE]  # however it is included
            if not quoted:
                rows += [("heavy-header", row) for row in HOMES]
            for rule, (pattern, allowed, instead) in rows:
                if re.match(pattern, name) and not any(fnmatch.fnmatch(path, glob) for glob in allowed):
                    yield Finding(path, line, rule, f"{shown} has its home elsewhere: {instead}")
