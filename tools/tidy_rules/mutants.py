"""Each stored bug of tests/mutants still finds the lines that it changes: else `tools/mutants`
would only tell in a long run that the code has moved on. For the same reason each file that syncs has a row
in syncs.txt."""
import re

from .source import Finding

SYNCING = ("lib", "proxy", "streamer", "trainer")  # where files are written
# A call, told from a declaration by what stands before it.
SYNC = re.compile(r"(?:(?:\w+(?:\(\))?(?:\.|->))?\bsync(?:_folder|_all|_each)?|::(?:fsync|fdatasync|syncfs))\(")
BEFORE_SYNC = re.compile(r"(?:TRY\(|if \(|return |[=?!] ?| : |&& |\(void\))$")

SYNC_ROWS = "tests/mutants/syncs.txt"
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


def syncs_of(text):
    """Where each sync of a source begins and ends."""
    for call in SYNC.finditer(text):
        before = text[text.rfind("\n", 0, call.start()) + 1:call.start()]
        if "//" in before or not BEFORE_SYNC.search(before):
            continue
        end, depth = call.end(), 1
        while depth > 0:
            depth += {"(": 1, ")": -1}.get(text[end], 0)
            end += 1
        yield call.start(), end


def sync_rows(text):
    return [line.split() for line in text.splitlines() if not line.startswith("#")]


def syncs(tree):
    listed = {row[0] for row in sync_rows(tree.text(SYNC_ROWS))} if SYNC_ROWS in tree.files else set()
    folders = tuple(f"{folder}/" for folder in SYNCING)
    sources = {path for path in tree.files if path.startswith(folders) and re.search(r"\.[ch]pp$", path)}
    syncing = {path for path in sources if any(syncs_of(tree.text(path)))}
    for path in sorted(syncing - listed):
        yield Finding(path, 1, "sync", f"{SYNC_ROWS} does not say whose tests notice when it is left out")
    for path in sorted(listed - syncing):
        yield Finding(SYNC_ROWS, 1, "sync", f"{path} has no sync")
