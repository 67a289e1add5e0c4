"""STYLE rule 15: pure layers ask the operating system for nothing. Read off their archives by nm."""
import re
import subprocess

from .layers import layers
from .source import Finding

PURE = ("base", "crypto", "wire", "datagram", "compression", "session", "store", "outer", "run",
        "feed", "auth", "transfer", "checkpoint")
# Demangled names of what only lib/io and its like may call. assertion_failed() may write to stderr.
FORBIDDEN = (
    (r"(clock_gettime|gettimeofday|time|clock|std::chrono::_V2::\w+::now\(\))", "`now` as an argument"),
    (r"(socket|connect|bind|listen|accept4?|send|sendto|sendmsg|sendmmsg|recv|recvfrom|recvmsg|recvmmsg"
     r"|getaddrinfo|poll|epoll_\w+|select)", "an output that asks the shell for it"),
    (r"(open|open64|openat|openat64|fopen|fopen64|read|pread|pread64|write|pwrite|pwrite64|fsync|fdatasync"
     r"|syncfs|rename|renameat2?|unlink|unlinkat|mkdir|mkdirat|opendir|mmap|mmap64|stat|fstat|lstat"
     r"|std::(?:__cxx11::)?basic_[io]?f(?:stream|ilebuf).*|std::filesystem::.*)", "the port Files"),
    (r"(getrandom|getentropy|arc4random\w*|RAND_bytes|RAND_priv_bytes|std::random_device::.*)",
     "entropy as an argument"),
    (r"(pthread_create|std::thread::_M_start_thread.*|fork|vfork|execve|execvp|posix_spawnp?|system|popen"
     r"|nanosleep|clock_nanosleep|usleep|sleep)", "a Job, or an output that asks the shell for it"),
    (r"(getenv|secure_getenv)", "configuration as an argument"),
)


def undefined_symbols(archive):
    """(object file, demangled name) of what the archive wants from outside."""
    out = subprocess.run(["nm", "--undefined-only", "--demangle", str(archive)], capture_output=True,
                         text=True, check=True).stdout
    member = str(archive.name)
    for line in out.splitlines():
        if line.endswith(":"):
            member = line[:-1]
        elif line.split():
            yield member, re.sub(r"^\s*[UuwvWV]\s+", "", line).split("@")[0]


def judged(symbol):
    for pattern, instead in FORBIDDEN:
        if re.fullmatch(pattern, symbol):
            return instead
    return None


def purity(tree, build):
    """Archives that were not built are passed over: the test that runs this depends on them."""
    for layer in layers(tree):
        archive = build / layer.folder / f"liblonghaul_{layer.name}.a"
        if layer.name not in PURE or not archive.is_file():
            continue
        for member, symbol in sorted(set(undefined_symbols(archive))):
            instead = judged(symbol)
            if instead:
                yield Finding(f"{layer.folder}/{member.removesuffix('.o')}", 1, "purity",
                              f"calls {symbol}; {layer.name} is a pure layer: take {instead}")
