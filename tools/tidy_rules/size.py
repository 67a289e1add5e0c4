"""STYLE rules 3 and 25: files of at most 400 lines (tests 600), functions of 60, 100 columns, headers that say
what they are."""
import re

from .source import Finding, line_of

FILE_LINES = 400
TEST_FILE_LINES = 600
FUNCTION_LINES = 60
COLUMNS = 100
MEASURED = (".hpp", ".cpp", ".cu", ".cuh", ".py", ".js", ".css", ".cmake")


def file_size(tree):
    for path in tree.files:
        if not path.endswith(MEASURED):
            continue
        limit = TEST_FILE_LINES if path.startswith("tests/") else FILE_LINES
        lines = tree.text(path).count("\n")
        if lines > limit:
            yield Finding(path, lines, "file-size",
                          f"{lines} lines, the limit is {limit}: cut it along its nouns")


_SCOPE = re.compile(r"(?:^|[\s;}])(?:namespace|class|struct|union|enum|extern)\b"
                    r"(?![^{]*\)\s*(?:const|noexcept|override|\s)*$)")
_SIGNATURE_END = re.compile(r"[)\]](?:\s|const\b|noexcept\b|override\b|final\b|mutable\b|&|->[\w:<>,*&\s]+"
                            r"|requires\b.*)*$|\)\s*:\s.*$|\btry\s*$", re.S)


def functions(code):
    """(first line, last line) of each function that is not within another."""
    # Per open brace: (is it a function outside any other, line its declaration begins on), or None for the
    # braces of an initialiser, `a_{1}`, which clang-format writes without a blank.
    stack = []
    begin = 0   # where the declaration under way begins
    for match in re.finditer(r"[;{}]", code):
        at, char = match.start(), match.group(0)
        head = code[begin:at]
        if char == "{" and head[-1:].isidentifier() or char == "{" and head[-1:] == ">":
            stack.append(None)
            continue
        if char == "}" and stack and stack[-1] is None:
            stack.pop()
            continue
        if char == "{":
            within = any(entry[0] for entry in stack if entry)
            is_scope = _SCOPE.search(head) is not None and "(" not in head.split("<")[0]
            is_function = (not within and not is_scope and "(" in head and "=" not in head.split("(")[0]
                           and _SIGNATURE_END.search(head.rstrip()) is not None)
            lead = len(head) - len(head.lstrip())
            stack.append((is_function, line_of(code, begin + lead)))
        elif char == "}" and stack:
            is_function, first = stack.pop()
            if is_function:
                yield first, line_of(code, at)
        begin = at + 1


def function_size(tree):
    for path in tree.cxx():
        code = re.sub(r"^[ \t]*#[^\n]*(?:\\\n[^\n]*)*", lambda m: re.sub(r"[^\n]", " ", m.group(0)),
                      tree.code(path), flags=re.M)
        for first, last in functions(code):
            if last - first + 1 > FUNCTION_LINES:
                yield Finding(path, first, "function-size",
                              f"{last - first + 1} lines, the limit is {FUNCTION_LINES}: "
                              "name the steps and make them functions")


def columns(tree):
    """clang-format holds C++ to 100; a little more is left to strings and to Python."""
    for path in tree.cxx() + [f for f in tree.files if f.endswith(".py")]:
        for number, line in enumerate(tree.text(path).splitlines(), 1):
            if len(line) > COLUMNS + 15:
                yield Finding(path, number, "columns", f"{len(line)} columns: break it at {COLUMNS}")


def header_opening(tree):
    for path in tree.cxx():
        if not path.endswith(".hpp"):
            continue
        text = tree.text(path)
        if not text.startswith("//"):
            yield Finding(path, 1, "header-opening",
                          "begin with what it models, its invariant and its thread rule")
        if "\n#pragma once\n" not in text:
            yield Finding(path, 1, "header-opening", "has no #pragma once")
