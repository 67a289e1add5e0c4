"""Each stored bug of tests/mutants still finds the lines that it changes: else `tools/mutants`
would only tell in a long run that the code has moved on."""
import re

from .source import Finding

_HUNK = re.compile(r"^@@ .*?\n(.*?)(?=^@@ |\Z)", re.M | re.S)


def stored_bugs(tree):
    for path in tree.files:
        if not (path.startswith("tests/mutants/") and path.endswith(".patch")):
            continue
        for part in re.split(r"^--- a/", tree.text(path), flags=re.M)[1:]:
            target = part.split("\n", 1)[0]
            text = tree.text(target) if target in tree.files else ""
            for hunk in _HUNK.findall(part):
                before = "".join(line[1:] for line in hunk.splitlines(keepends=True) if line[:1] in (" ", "-"))
                if before not in text:
                    yield Finding(path, 1, "mutant", f"{target} has not the lines that it changes: store it anew")
