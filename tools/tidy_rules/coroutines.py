"""STYLE rule 19: co_await is its own statement, with nothing braced behind it. g++ 12 miscompiles the rest."""
import re

from .source import Finding, line_of

_BEFORE = re.compile(
    r"^(?:else\b\s*)?"
    r"(?:co_return\s+"                                     # co_return co_await f(a);
    r"|(?:(?:static\s+)?(?:const\s+)?[\w:]+(?:<[^;=]*>)?[\s*&]+)?(?:\[[\w\s,]+\]|[\w.:>\-]+)\s*=\s*"  # x = ..
    r")?$")
_CONDITION = re.compile(r"^(?:else\s+)?(?:if|while|for)\s*(?:constexpr\s*)?\(")


def _without_condition(head):
    """`if (a) co_await ..` is a statement of its own behind a condition without co_await."""
    while True:
        match = _CONDITION.match(head)
        if not match:
            return head
        depth = 0
        for at in range(match.end() - 1, len(head)):
            depth += {"(": 1, ")": -1}.get(head[at], 0)
            if depth == 0:
                head = head[at + 1:].lstrip()
                break
        else:
            return head  # the co_await lies within the condition


def _statement(code, at):
    """Where the statement around `at` begins, and whether `at` lies within parentheses that open before it."""
    begin = None
    depth = 0
    place = at
    while place > 0 and code[place - 1] not in "{}":
        char = code[place - 1]
        depth += {")": 1, "(": -1}.get(char, 0)
        if char == ";" and depth == 0 and begin is None:
            begin = place
        if depth < 0:
            return place, True
        place -= 1
    return (place if begin is None else begin), False


def co_awaits(code):
    """(offset, what is wrong) of each co_await that breaks the rule."""
    for match in re.finditer(r"\bco_await\b", code):
        at = match.start()
        begin, within = _statement(code, at)
        if within:
            yield at, "co_await inside an expression"
            continue
        head = _without_condition(code[begin:at].strip())
        head = re.sub(r"^(?:case\s[^:]*|default)\s*:\s*", "", head)
        if not _BEFORE.match(head + " " if head.endswith("co_return") else head):
            yield at, "co_await inside an expression"
            continue
        end = code.find(";", at)
        rest = code[at:end if end >= 0 else len(code)]
        if "{" in rest or "[" in rest:
            yield at, "a brace or bracket behind co_await"


def rule_19(tree):
    for path in tree.cxx():
        code = tree.code(path)
        for offset, what in co_awaits(code):
            yield Finding(path, line_of(code, offset), "rule-19",
                          f"{what}: g++ 12 miscompiles that; name options, lambdas and results on lines of "
                          "their own")
