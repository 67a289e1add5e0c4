"""The promises of the README and the tests named after them. docs/promises.md is written from both.

tools/promises.txt has a line each: `P3 shipped | sentence | number`, or `P4 planned by tools/bench/x | ..` where
a bench measures it. A test belongs to a promise when its suite or its name begins a word with it:
TEST(P3_Resume, ..), TEST(Push, P3SendsNothingTwice). A shipped promise has a test or a bench. The README lists
each on a line of its own, `- P3 ..`, and says "not yet" of exactly those that are planned."""
import re
from dataclasses import dataclass

from .source import Finding, line_of

TABLE = "tools/promises.txt"
PAGE = "docs/promises.md"
README = "README.md"
_TEST = re.compile(r"\b(?:TEST|TEST_F|TEST_P|TYPED_TEST|RC_GTEST_PROP|RC_GTEST_FIXTURE_PROP)\s*\(\s*(\w+)\s*,"
                   r"\s*(\w+)")
_NUMBER = re.compile(r"(?:^|_)P(\d{1,2})(?=_|[A-Z]|$)")
_ROW = re.compile(r"(P\d+) (shipped|planned)(?: by (\S+))? \| ([^|]+) \| ([^|]+)")


@dataclass(frozen=True)
class Promise:
    name: str
    shipped: bool
    bench: str  # "": none
    sentence: str
    number: str
    line: int


def promises(tree):
    found = []
    for number, line in enumerate(tree.text(TABLE).splitlines(), 1):
        if not line.strip() or line.startswith("#"):
            continue
        row = _ROW.fullmatch(line.strip())
        if not row:
            raise ValueError(f"{TABLE}:{number}: not `P1 planned | sentence | number`")
        found.append(Promise(row[1], row[2] == "shipped", row[3] or "", row[4], row[5], number))
    return found


def tests_of(tree):
    """Promise name -> [(path, line, Suite.Name)]."""
    found = {}
    for path in tree.cxx("tests"):
        code = tree.code(path)
        for match in _TEST.finditer(code):
            numbers = {n for part in match.groups() for n in _NUMBER.findall(part)}
            for number in numbers:
                found.setdefault(f"P{number}", []).append(
                    (path, line_of(code, match.start()), ".".join(match.groups())))
    return found


def page(tree):
    """The text of docs/promises.md."""
    tests = tests_of(tree)
    lines = ["# Promises and the tests that hold them", "",
             "Written by `tools/promises` from `tools/promises.txt` and the names of the tests; do not edit.", ""]
    for promise in promises(tree):
        lines += [f"## {promise.name}. {promise.sentence}", "", f"{promise.number}.", ""]
        rows = tests.get(promise.name, [])
        borne = [f"- `{name}` ([{path}](../{path}))" for path, _, name in rows]
        if promise.bench:
            borne.append(f"- measured by [{promise.bench}](../{promise.bench}): [performance.md](performance.md)")
        if borne and not promise.shipped:
            lines += ["Not yet kept as a whole.", ""]
        lines += borne or ["Not yet tested."]
        lines.append("")
    return "\n".join(lines)


def told(tree):
    """Whether the README says of each promise what the table says."""
    if README not in tree.files:
        return
    lines = tree.text(README).splitlines()
    for promise in promises(tree):
        rows = [(n, line) for n, line in enumerate(lines, 1) if re.match(rf"- \**{promise.name}\b", line)]
        if len(rows) != 1:
            yield Finding(README, 1, "promise", f"lists {promise.name} {len(rows)} times, not once")
        elif ("not yet" in rows[0][1].lower()) == promise.shipped:
            yield Finding(README, rows[0][0], "promise",
                          f"{promise.name} is {'shipped' if promise.shipped else 'planned'} in {TABLE}: "
                          f"{'drop' if promise.shipped else 'add'} the words \"not yet\"")


def kept(tree):
    if TABLE not in tree.files:
        return
    tests = tests_of(tree)
    known = {promise.name for promise in promises(tree)}
    for promise in promises(tree):
        if promise.bench and promise.bench not in tree.files:
            yield Finding(TABLE, promise.line, "promise", f"there is no {promise.bench}")
        if promise.shipped and promise.name not in tests and not promise.bench:
            yield Finding(TABLE, promise.line, "promise",
                          f"{promise.name} is claimed as shipped and no test is named after it: write one, or "
                          "call it planned")
    yield from told(tree)
    for name, rows in sorted(tests.items()):
        if name not in known:
            yield Finding(rows[0][0], rows[0][1], "promise", f"there is no promise {name}: rename the test")
    if PAGE not in tree.files or tree.text(PAGE) != page(tree):
        yield Finding(PAGE, 1, "promise", "is not what the tests say: run tools/promises")
