"""STYLE rules 1, 2, 33: a folder includes what its add_layer() declares under USES, no less and no more."""
import re
from dataclasses import dataclass

from .source import Finding, line_of

FORBIDDEN_FOLDERS = {"common", "util", "utils", "misc", "helper", "helpers", "types"}
README_LINES = 5


@dataclass(frozen=True)
class Layer:
    name: str
    folder: str
    uses: tuple
    line: int


def layers(tree):
    found = []
    for path in tree.named("CMakeLists.txt"):
        folder = path.rpartition("/")[0]
        text = re.sub(r"#[^\n]*", "", tree.text(path))
        for match in re.finditer(r"\badd_layer\s*\(\s*(\w+)([^)]*)\)", text):
            uses = re.search(r"\bUSES\b([\w\s]*?)(?=\b(?:SOURCES|LINK|ALONE)\b|$)", match.group(2))
            found.append(Layer(match.group(1), folder, tuple(uses.group(1).split()) if uses else (),
                               line_of(text, match.start())))
    return found


def _home(path, by_folder):
    """The layer whose folder holds the file most closely."""
    folder = path.rpartition("/")[0]
    while folder and folder not in by_folder:
        folder = folder.rpartition("/")[0]
    return by_folder.get(folder)


def includes_match_uses(tree):
    all_layers = layers(tree)
    by_folder = {layer.folder: layer for layer in all_layers}
    used = {layer.name: set() for layer in all_layers}
    for path in tree.cxx():
        layer = _home(path, by_folder)
        for line, name, quoted in tree.includes(path):
            if not quoted:
                continue
            if not (tree.root / name).is_file() and not (tree.root / f"{name}.in").is_file():
                yield Finding(path, line, "include-path",
                              f'"{name}" is no file: include from the repository root')
                continue
            other = _home(name, by_folder)
            if layer is None or other is None or other == layer:
                continue
            used[layer.name].add(other.name)
            if other.name not in layer.uses:
                yield Finding(path, line, "layer-uses",
                              f"{layer.name} includes {other.name}, which is not in its USES: declare it, or "
                              "move the code to where it may be used")
    for layer in all_layers:
        sources = [f for f in tree.cxx(layer.folder) if _home(f, by_folder) == layer]
        for name in sorted(set(layer.uses) - used[layer.name]):
            if sources:
                yield Finding(f"{layer.folder}/CMakeLists.txt", layer.line, "layer-uses",
                              f"{layer.name} declares USES {name} and includes nothing of it: drop it")


def folder_names(tree):
    seen = set()
    for path in tree.files:
        parts = path.split("/")[:-1]
        for depth, part in enumerate(parts, 1):
            folder = "/".join(parts[:depth])
            if part in FORBIDDEN_FOLDERS and folder not in seen:
                seen.add(folder)
                yield Finding(folder, 1, "folder-name", f"`{part}` is no noun: name it after what it holds")


def readmes(tree):
    for folder in sorted({layer.folder for layer in layers(tree)}):
        path = f"{folder}/README.md"
        if path not in tree.files:
            yield Finding(path, 1, "readme", "write at most 5 lines: what it is, what it must never do")
        elif tree.text(path).count("\n") > README_LINES:
            yield Finding(path, 1, "readme", f"over {README_LINES} lines: the rest belongs into docs/")
