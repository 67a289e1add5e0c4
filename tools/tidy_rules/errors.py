"""What people read when something failed: each reason and each advice that the product's code writes into an
Error stands in a test, or in tests/error_texts.txt with why it needs none.

A text counts as tested if its longest fixed part (at least 6 characters, without placeholders) stands in a
string of a test. A line there that nothing needs any more is a finding: the list only shrinks.

  proxy/x.cpp: it hung up # the daemon is killed in between; there is nothing to do but ask again
  lib/y.cpp: * # only a broken peer causes these"""
import re

from .source import Finding, line_of

FILE = "tests/error_texts.txt"
FOLDERS = ("proxy", "streamer", "lib", "compression", "trainer", "tools/longhaul", "tools/longhaul-streamer",
           "tools/longhaul-train")
_CALL = re.compile(r"\b(?:fail|Error|broken|refuse|advise)\(")
_STRING = re.compile(r'"((?:[^"\\\n]|\\.)*)"')
_JOINED = re.compile(r'"[ \t]*\\?\n\s*[a-zA-Z]{0,2}"')
_ROW = re.compile(r"(?P<path>[\w/.-]+): (?P<text>.+?) # (?P<reason>.{10,})")
SHORTEST = 6


def _arguments(text, at):
    """Those of the call whose bracket is open before `at`, as written."""
    found, start, depth = [], at, 0
    while at < len(text):
        char = text[at]
        if char == '"':
            at = _STRING.match(text, at).end() - 1 if _STRING.match(text, at) else at
        elif char == "'":
            at += 3 if text[at + 1] == "\\" else 2
        elif char in "([{":
            depth += 1
        elif char in ")]}" and depth:
            depth -= 1
        elif char == ")":
            return [*found, text[start:at]]
        elif char == "," and not depth:
            found.append(text[start:at])
            start = at + 1
        at += 1
    return found


def _fixed_part(argument):
    """The longest run of characters in its strings that stands in the text whatever happens."""
    strings = _STRING.findall(_JOINED.sub("", argument))
    parts = [part for text in strings for part in re.split(r"\{[^{}]*\}|\\n", text)]
    return max(parts, key=len, default="").strip().replace('\\"', '"').replace("\\\\", "\\")


def texts(code):
    """(place, fixed part) of each reason and each advice."""
    for call in _CALL.finditer(code):
        arguments = _arguments(code, call.end())
        if call.group() in ("fail(", "Error("):
            arguments = arguments[2:3]  # kind, attempt, why
        part = _fixed_part(arguments[0]) if arguments else ""
        if len(part) >= SHORTEST:
            yield call.start(), part


def _read(tree):
    rows = {}
    for number, line in enumerate(tree.text(FILE).splitlines(), 1):
        if not line.strip() or line.startswith("#"):
            continue
        row = _ROW.fullmatch(line.strip())
        if not row:
            raise ValueError(f"{FILE}:{number}: not `path: text # reason`")
        rows[row["path"], row["text"]] = number
    return rows


def error_texts(tree):
    if FILE not in tree.files:
        return
    tests = "\n".join(tree.text(path) for path in tree.files
                      if path.startswith("tests/") and path.endswith((".cpp", ".hpp", ".py")))
    tests = _JOINED.sub("", tests).replace('\\"', '"').replace("\\\\", "\\")
    rows = _read(tree)
    needed = set()
    for path in tree.cxx(*FOLDERS):
        for at, part in texts(tree.text(path)):
            if part in tests:
                continue
            row = (path, part) if (path, part) in rows else (path, "*")
            if row in rows:
                needed.add(row)
            else:
                yield Finding(path, line_of(tree.text(path), at), "error-text",
                              f"no test has \"{part}\": test what people read, or say in {FILE} why not")
    for row in rows.keys() - needed:
        yield Finding(FILE, rows[row], "error-text", f"{row[0]}: {row[1]} is not needed any more: drop it")
