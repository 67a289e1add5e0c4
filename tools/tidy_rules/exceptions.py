"""tools/tidy-exceptions.txt: where a rule makes code worse. A line each: `rule path [limit] # reason`.

Without a limit the rule does not hold for that file; with one, at most that many lines. An entry that nothing
needs any more, or whose limit is over 20 lines too generous, is a finding: the list only shrinks."""
import re

from .source import Finding

FILE = "tools/tidy-exceptions.txt"
SLACK_LINES = 20
_ROW = re.compile(r"(?P<rule>[\w-]+) (?P<path>\S+)(?: (?P<limit>\d+))? # (?P<reason>.{10,})")


def read(tree):
    if FILE not in tree.files:
        return []
    rows = []
    for number, line in enumerate(tree.text(FILE).splitlines(), 1):
        if not line.strip() or line.startswith("#"):
            continue
        row = _ROW.fullmatch(line.strip())
        if not row:
            raise ValueError(f"{FILE}:{number}: not `rule path [limit] # reason`")
        rows.append((number, row["rule"], row["path"], int(row["limit"]) if row["limit"] else None))
    return rows


def apply(rows, findings, skipped_rules=()):
    left = set(findings)
    extra = []
    for number, rule, path, limit in rows:
        if rule in skipped_rules:
            continue
        matching = {f for f in left if f.rule == rule and f.path == path}
        if not matching:
            extra.append(Finding(FILE, number, "exceptions", f"{rule} {path} is not needed any more: drop it"))
            continue
        if limit is not None:
            lines = max(int(re.match(r"(\d+) lines", f.message)[1]) for f in matching)
            if lines > limit:
                continue
            if limit - lines > SLACK_LINES:
                extra.append(Finding(FILE, number, "exceptions", f"{path} is down to {lines}: lower the limit"))
        left -= matching
    return sorted(left) + extra
