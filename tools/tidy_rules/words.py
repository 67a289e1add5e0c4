"""Banned words and calls, each with what to write instead and the places where it is right."""
import fnmatch
import re
from dataclasses import dataclass, field

from .size import functions
from .source import Finding, line_of


@dataclass(frozen=True)
class Ban:
    pattern: str
    instead: str
    allowed: tuple = field(default=())  # globs of files where it is right
    within: tuple = field(default=("*",))  # globs of files that it is about
    functions: tuple = field(default=())  # (file, function) where it is right: not elsewhere in it


# netsim's trap stops a test that asks the machine for time or chance: it has to name what it catches.
TRAP = ("netsim/testing/*", "tests/netsim/trap_test.cpp")
CLOCK_HOMES = (*TRAP, "lib/io/*", "tests/io/*", "tests/e2e/*", "tools/*", "netsim/emulator/*", "netsim/relay/*",
               "netsim/real_*", "tests/netsim/*emulator*", "tests/netsim/*relay*", "trainer/*",
               "lib/gateway/*", "lib/client/*")
THREAD_HOMES = ("lib/io/*", "tests/io/*", "tests/e2e/*", "tools/*", "netsim/emulator/*", "netsim/relay/*",
                "tests/netsim/*emulator*", "tests/netsim/*relay*", "trainer/*", "lib/gateway/*",
                "lib/client/*", "tests/client/*", "tests/trainer/*", "tests/base/slice_test.cpp")

CODE = (
    Ban(r"\bstd::endl\b", "'\\n': endl flushes"),
    Ban(r"\busing\s+namespace\s+std\s*;", "the std:: prefix"),
    Ban(r"(?<![\w:.>])assert\s*\(", "ASSERT, which stays on in release"),
    Ban(r"\b(?:std::)?s?rand\s*\(", "Rng (lib/base/rng.hpp), seeded and named"),
    Ban(r"\bstd::(?:mt19937(?:_64)?|minstd_rand0?|default_random_engine|\w+_distribution)\b",
        "Rng (lib/base/rng.hpp): the library's differ between compilers"),
    Ban(r"\bstd::random_device\b", "Env::entropy, handed down by main", ("lib/io/*", "tools/*", *TRAP)),
    Ban(r"\b(?:system|steady|high_resolution)_clock\b",
        "the argument `now`; only the shell reads a clock", CLOCK_HOMES),
    Ban(r"\b(?:clock_gettime|gettimeofday)\s*\(", "the argument `now`", CLOCK_HOMES),
    Ban(r"\bthis_thread::sleep_(?:for|until)\s*\(|(?<![\w.:>])u?sleep\s*\(",
        "Env::sleep, or virtual time in a test", ("lib/io/*", "tests/e2e/*", "tests/io/*", "tools/*", *TRAP)),
    Ban(r"\bstd::j?thread\b(?!::(?:hardware_concurrency|id))|\bpthread_create\s*\(",
        "a Job on the work pool; owners of threads stand in docs/threads.md", THREAD_HOMES),
    Ban(r"\bstd::async\b", "a Job on the work pool"),
    Ban(r"\bdetached\b|\.detach\s*\(", "a TaskGroup that joins it (STYLE rule 18)",
        ("tests/netsim/asio_executor_test.cpp",)),  # strangers' coroutines
    Ban(r"\bResult<bool>", "an enum: `if (r)` is true for false"),
    Ban(r"\bstd::(?:cout|cerr|clog)\b", "the Console port of lib/cli, or fmt::print in a tool",
        ("tools/*", "tests/*", "netsim/testing/*")),
    Ban(r"\b(?:strcpy|strcat|sprintf|vsprintf|strtok|gets)\s*\(", "std::string or fmt::format"),
    Ban(r"\b(?:std::)?(?:atoi|atol|atoll|atof)\s*\(|\bstd::sto(?:i|l|ll|ul|ull|f|d)\s*\(",
        "std::from_chars, which says what is wrong", ("tools/bench/*",)),
    # Jobs of the store and of transfers share what several of them touch, and the shells, proxy and
    # streamer, make it for them; elsewhere it hides an owner.
    Ban(r"\bstd::shared_ptr\b", "Slice for bytes, unique_ptr or a member for the rest (STYLE rule 12)",
        ("lib/store/*", "lib/transfer/*", "lib/checkpoint/*", "lib/io/*", "proxy/*", "streamer/*",
         "trainer/*", "tests/*", "tools/*", "netsim/asio_*", "netsim/relay/*", "netsim/emulator/*")),
    Ban(r"\bgoto\b", "a function with a return"),
    # It waits until the device has done all that it was asked for, which then has nothing to do.
    # By function: take_loss() shares its file with the step. The other is a bench, on the CPU.
    Ban(r"(?:\.|->)\s*(?:template\s+)?item\s*[(<]",
        "a tensor that stays on the device; DeviceModel::take_loss() is where its number is read",
        within=("trainer/*",), functions=(("trainer/engine/device_model.cpp", "take_loss"),
                                          ("trainer/engine/memory_rate.cpp", "host_memory_rate"))),
    # A child of fork() has one thread, the locks that others held, and CUDA in no state to be used.
    Ban(r"(?<![\w.>])(?:v?fork|system|popen)\s*\(",
        "posix_spawn: threads and CUDA may have been started, and not by us",
        within=("trainer/*", "lib/client/*", "tools/longhaul-train/*")),
    # LONGHAUL_TRY is TRY's own: __COUNTER__ becomes a number only on its way through further macros.
    Ban(r"^[ \t]*#[ \t]*define\s+(?!(?:ASSERT|TRY|LOG|LONGHAUL_TRY|LONGHAUL_TRY_NAMED)\b)\w+",
        "a constant, an enum or a function: ASSERT, TRY and LOG are the only macros",
        ("lib/client/*", "trainer/*")),
    Ban(r"^[ \t]*#[ \t]*pragma\s+(?:GCC|clang)\s+diagnostic", "code without the warning"),
)
TEXT = (  # comments count too
    Ban(r"\b(?:TODO|FIXME|XXX)\b(?!\(#\d+\))", "an issue, cited as TODO(#12), or the work itself"),
    Ban(r"(?i)\bsimplified for\b|\bnot implemented\b|\bplaceholder\b", "what holds, or an issue"),
)
BUILD = (
    Ban(r"-march=native|-mtune=native", "runtime dispatch: binaries travel"),
    Ban(r"(?<!no-)fast-math|-Ofast", "plain -O2: traces must agree bit by bit"),
    Ban(r"^\s*file\s*\(\s*GLOB(?!.*fuzz)", "explicit sources", ("cmake/layers.cmake",)),
)
PROSE = (
    Ban(r"(?i)\b(?:blazing(?:ly)?|seamless(?:ly)?|cutting[- ]edge|world[- ]class|state[- ]of[- ]the[- ]art"
        r"|revolutionary|effortless(?:ly)?|game[- ]chang\w+|leverag(?:e|es|ing)|best[- ]in[- ]class)\b",
        "the number that shows it"),
)


def _is_one_of(path, globs):
    return any(fnmatch.fnmatch(path, glob) for glob in globs)


def _lines_allowed(path, text, ban):
    """Those of the functions of this file where it is right."""
    names = [name for file, name in ban.functions if file == path]
    lines = text.splitlines()
    for first, last in functions(text) if names else ():
        head = "\n".join(lines[first - 1:last]).partition("{")[0]
        if any(re.search(rf"\b{name}\s*\(", head) for name in names):
            yield from range(first, last + 1)


def _search(path, text, bans, rule):
    for ban in bans:
        if _is_one_of(path, ban.allowed) or not _is_one_of(path, ban.within):
            continue
        right = set(_lines_allowed(path, text, ban))
        for match in re.finditer(ban.pattern, text, re.M):
            word = " ".join(match.group(0).split())
            line = line_of(text, match.start() + len(match.group(0)) - len(match.group(0).lstrip()))
            if line not in right:
                yield Finding(path, line, rule, f"`{word}` is banned: write {ban.instead}")


# Layers whose outputs must not depend on a hash table's order.
ORDERED = ("lib/base", "lib/crypto", "lib/wire", "lib/datagram", "lib/session", "lib/store",
           "lib/auth", "lib/transfer", "lib/outer", "lib/run", "lib/feed", "compression", "netsim")
_UNORDERED = re.compile(r"\bunordered_(?:map|set|multimap|multiset)\s*<[^;(){}]*>\s*&?\s*(\w+)")


def unordered_walks(tree):
    """STYLE rule 16: an unordered container may be looked up in a core, never walked."""
    for path in tree.cxx(*ORDERED):
        code = tree.code(path)
        header = path.removesuffix(".cpp") + ".hpp"
        declared = code + (tree.code(header) if header in tree.files and header != path else "")
        for name in sorted(set(_UNORDERED.findall(declared))):
            for match in re.finditer(rf":\s*(?:\w+(?:\.|->))*{name}\s*\)|\b{name}\s*\.\s*c?begin\s*\(", code):
                yield Finding(path, line_of(code, match.start()), "unordered-walk",
                              f"walks {name}, whose order differs between libraries: use std::map or a sorted "
                              "vector")


def banned(tree):
    for path in tree.cxx():
        yield from _search(path, tree.code(path), CODE, "banned-call")
        yield from _search(path, tree.text(path), TEXT, "banned-word")
    for path in tree.named("CMakeLists.txt") + [f for f in tree.files if f.endswith((".cmake", ".json"))
                                                and "/" not in f.replace("cmake/", "")]:
        yield from _search(path, tree.text(path), BUILD, "banned-flag")
    for path in tree.files:
        if path.endswith(".md"):
            yield from _search(path, tree.text(path), PROSE, "banned-word")
