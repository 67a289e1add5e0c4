"""The tree that is checked: which files there are, their text, and C++ with comments and strings blanked."""
import functools
import os
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

CXX = (".hpp", ".cpp", ".cu", ".cuh")
SKIPPED_FOLDERS = {".git", "build", "__pycache__", "node_modules"}


@dataclass(frozen=True, order=True)
class Finding:
    path: str
    line: int
    rule: str
    message: str  # what is wrong, then what to do instead

    def __str__(self):
        return f"{self.path}:{self.line}: [{self.rule}] {self.message}"


def _listed_by_git(root):
    command = ["git", "-C", str(root), "ls-files", "-co", "--exclude-standard"]
    listed = subprocess.run(command, capture_output=True, text=True, check=False)
    return listed.stdout.splitlines() if listed.returncode == 0 else None


def _walked(root):
    for folder, folders, files in os.walk(root):
        folders[:] = [f for f in folders if f not in SKIPPED_FOLDERS]
        for name in files:
            yield str((Path(folder) / name).relative_to(root))


class Tree:
    def __init__(self, root, use_git=True):
        self.root = Path(root)
        listed = _listed_by_git(self.root) if use_git else None
        names = listed if listed is not None else _walked(self.root)
        self.files = sorted(n for n in names if (self.root / n).is_file())

    def cxx(self, *folders):
        """C++ files, of these folders or of all."""
        return [f for f in self.files
                if f.endswith(CXX) and (not folders or f.startswith(tuple(d + "/" for d in folders)))]

    def named(self, name):
        return [f for f in self.files if f == name or f.endswith("/" + name)]

    @functools.lru_cache(maxsize=None)
    def text(self, path):
        return (self.root / path).read_text(encoding="utf-8", errors="replace")

    @functools.lru_cache(maxsize=None)
    def code(self, path):
        """The text with comments and the insides of strings as blanks; same lines and columns."""
        return blank_comments_and_strings(self.text(path))

    @functools.lru_cache(maxsize=None)
    def includes(self, path):
        """(line, name, quoted) of each #include."""
        found = re.finditer(r'^[ \t]*#[ \t]*include[ \t]+([<"])([^>"\n]+)[>"]', self.text(path), re.M)
        return [(line_of(self.text(path), m.start(1)), m.group(2), m.group(1) == '"') for m in found]


def line_of(text, offset):
    return text.count("\n", 0, offset) + 1


_TOKEN = re.compile(
    r'//[^\n]*'                                   # line comment
    r'|/\*.*?\*/'                                 # block comment
    r'|R"(?P<mark>[^()\\\s]{0,16})\(.*?\)(?P=mark)"'  # raw string
    r'|"(?:\\.|[^"\\\n])*"'                       # string
    r"|(?<![0-9a-fA-F])'(?:\\.|[^'\\\n])+'",      # character; not the digit separator of 1'000
    re.S)


def blank_comments_and_strings(text):
    def blank(match):
        found = match.group(0)
        inside = re.sub(r"[^\n]", " ", found)
        return found if len(found) < 2 else (
            inside if found.startswith("/") else found[0] + inside[1:-1] + found[-1])
    return _TOKEN.sub(blank, text)
