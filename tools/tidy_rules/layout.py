"""clang-format 14, and no other: versions disagree."""
import re
import shutil
import subprocess

from .source import Finding


def clang_format():
    for name in ("clang-format-14", "clang-format"):
        path = shutil.which(name)
        if path:
            version = subprocess.run([path, "--version"], capture_output=True, text=True, check=False).stdout
            if re.search(r"version 14\.", version):
                return path
    return None


def layout(tree):
    tool = clang_format()
    if tool is None:
        yield Finding(".clang-format", 1, "layout", "clang-format 14 is not here: run tools/setup --tests")
        return
    files = [str(tree.root / f) for f in tree.cxx()]
    if not files:
        return
    report = subprocess.run([tool, "--dry-run", "--ferror-limit=1", *files], capture_output=True, text=True,
                            check=False).stderr
    for match in re.finditer(r"^(.+?):(\d+):\d+: (?:warning|error): code should be clang-formatted", report,
                             re.M):
        path = match.group(1).removeprefix(f"{tree.root}/")
        yield Finding(path, int(match.group(2)), "layout", f"not formatted: run clang-format-14 -i {path}")
