"""Pages for people: a link leads to a file or folder of the tree, an anchor to a heading, and a test that
docs/faults.md names exists: `Suite.Name` or `Suite.*`, `e2e.name` with the functions in brackets behind it."""
import posixpath
import re

from .source import Finding, line_of

FAULTS = "docs/faults.md"
_LINK = re.compile(r"\[[^\]\n]*\]\(([^)\s]+)\)")
_FENCE = re.compile(r"^```.*?^```", re.M | re.S)
_TEST = re.compile(r"\b(?:TEST|TEST_F|TEST_P|TYPED_TEST|TYPED_TEST_P|RC_GTEST_PROP)\s*\(\s*(\w+)\s*,\s*(\w+)")
_NAMED = re.compile(r"`([A-Z]\w*)\.(\w+|\*)`")
_SCRIPT = re.compile(r"`(e2e|wire)\.(\w+)`(?: \(((?:`\w+`(?:, )?)+)\))?")


def slug(heading):
    """As code hosts make it of a heading."""
    text = re.sub(r"[`*]|\[|\]\([^)]*\)", "", heading.strip().lower())
    return re.sub(r"[^\w\- ]", "", text).replace(" ", "-")


def anchors(text):
    return {slug(m.group(1)) for m in re.finditer(r"^#{1,6} (.+)$", _FENCE.sub("", text), re.M)}


def without_code(text):
    """Fenced code blanked, lines kept."""
    return _FENCE.sub(lambda m: re.sub(r"[^\n]", " ", m.group()), text)


def links(tree):
    folders = {posixpath.dirname(f) for f in tree.files}
    folders |= {posixpath.dirname(f) for f in folders}
    for path in [f for f in tree.files if f.endswith(".md")]:
        text = without_code(tree.text(path))
        for match in _LINK.finditer(text):
            target, _, anchor = match.group(1).partition("#")
            if re.match(r"[a-z]+:", target):
                continue
            place = posixpath.normpath(posixpath.join(posixpath.dirname(path), target)) if target else path
            if place not in tree.files and place not in folders:
                yield Finding(path, line_of(text, match.start()), "link", f"there is no {place}")
            elif anchor and place.endswith(".md") and anchor not in anchors(tree.text(place)):
                yield Finding(path, line_of(text, match.start()), "link", f"{place} has no heading #{anchor}")


def _scripts(tree):
    """Tests that CMake names itself: `e2e.x`, `wire.x`."""
    found = set()
    for path in tree.named("CMakeLists.txt"):
        text = tree.text(path)
        found |= set(re.findall(r"NAME ((?:e2e|wire)\.\w+)", text))
        found |= {f"e2e.{name}" for name in re.findall(r"add_reach_test\((\w+)", text)}
        for names in re.findall(r"foreach\(name ([\w ]+)\)", text):
            found |= {f"e2e.{name}" for name in names.split()}
    return found


def named_tests(tree):
    if FAULTS not in tree.files:
        return
    text = tree.text(FAULTS)
    tests = {match.groups() for path in tree.cxx("tests") for match in _TEST.finditer(tree.code(path))}
    suites = {suite for suite, _ in tests}
    scripts = _scripts(tree)
    for match in _NAMED.finditer(text):
        suite, name = match.groups()
        if (name == "*" and suite not in suites) or (name != "*" and (suite, name) not in tests):
            yield Finding(FAULTS, line_of(text, match.start()), "fault-test", f"there is no test {suite}.{name}")
    for match in _SCRIPT.finditer(text):
        group, name, functions = match.groups()
        if f"{group}.{name}" not in scripts:
            yield Finding(FAULTS, line_of(text, match.start()), "fault-test", f"there is no test {group}.{name}")
        source = f"tests/e2e/{name}.py"
        for function in re.findall(r"\w+", functions or ""):
            if source not in tree.files or f"def {function}(" not in tree.text(source):
                yield Finding(FAULTS, line_of(text, match.start()), "fault-test", f"{source} has no {function}()")
