"""What of a tree is pushed: --exclude, --exclude-from, --files-from, .longhaulignore, the same in --dry-run, and
what a dry run tells. Usage: options.py LONGHAUL LONGHAUL-STREAMER. Exit code 0: all held.
"""
import json
import random
import re
import sys
import time

from errors import Site
from reach_world import Laptop, in_folder

RACY = 3  # seconds; a file that changed within 2 s of the walk is read again by the next
FILES = {  # name to size
    "keep.txt": 3_000, "notes.log": 100_000, "build/out": 60_000, "cache/x": 9_000, "cache/keep.me": 5_000,
    "data/a.bin": 300_000, "data/b.bin": 200_000, "data/skip.tmp": 70_000, "data/deep/c.bin": 40_000,
    "data/deep/c.bak": 40_000}


def make_source(folder):
    rng = random.Random(5)
    for name, size in FILES.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(rng.randbytes(size))  # nothing is there twice, nothing shrinks


def listed(laptop, place):
    """Files of a version as `ls` tells them: name to size. Folders have none, and no file of ours is empty."""
    lines = [json.loads(line) for line in laptop.run("ls", f"{place}@v000001", "--json").stdout.splitlines()]
    return {line["name"]: line["bytes"] for line in lines if line["bytes"] > 0}


def pulled(laptop, place, folder):
    laptop.run("pull", place, folder)
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*")
            if p.is_file() and ".longhaul" not in p.relative_to(folder).parts}


def told_in_words(text):
    """Files of the tree and files to send, of a dry run without --json."""
    tree = re.search(r"^(\S+): (\d+) files, ", text, re.M)
    sent = re.search(r"^would send (.*) of (\d+) files, about (.*) on the wire$", text, re.M)
    assert tree and sent, text
    return int(tree[2]), int(sent[2])


def pushes(laptop, source, folder, name, options, wanted):
    """A dry run sends nothing and tells what the push then sends: exactly `wanted`."""
    place = f"lab:{name}"
    plan = laptop.result("push", source, place, *options, "--dry-run")
    size = sum((source / file).stat().st_size for file in wanted)
    assert plan["event"] == "plan" and plan["dataset"] == name, plan
    assert (plan["files"], plan["bytes"]) == (len(wanted), size), plan
    done = laptop.run("push", source, place, *options, "--dry-run")
    assert done.stdout == "" and told_in_words(done.stderr)[0] == len(wanted), done
    laptop.run("ls", place, code=3)  # none of that sent a byte
    done = laptop.result("push", source, place, *options)
    assert done["files"] == plan["files"] and done["bytes"] == plan["bytes"], (plan, done)
    assert done["bytes_raw"] == plan["bytes_to_send"], (plan, done)
    found = listed(laptop, place)
    assert found == {file: (source / file).stat().st_size for file in wanted}, (name, found)
    assert pulled(laptop, place, folder / name) == {file: (source / file).read_bytes() for file in wanted}, name
    again = laptop.run("push", source, place, *options, "--dry-run")
    assert "unchanged, nothing would be sent" in again.stderr, again
    plan = laptop.result("push", source, place, *options, "--dry-run")
    assert plan["bytes_to_send"] == 0 and plan["files_to_send"] == 0 and plan["bytes_to_read"] == 0, plan


def story(folder):
    source = folder / "source"
    make_source(source)
    time.sleep(RACY)
    every = set(FILES)
    laptop = Laptop(sys.argv[1], folder / "home")
    laptop.run("init")
    site = Site(sys.argv[2], folder / "site")
    try:
        laptop.run("join", "lab", stdin=site.invite())
        pushes(laptop, source, folder, "exclude", ("--exclude", "*.log", "--exclude", "/build/"),
               every - {"notes.log", "build/out"})
        rules = folder / "rules"
        rules.write_text("# by hand\n*.bak\ncache/*\n!cache/keep.me\n")
        pushes(laptop, source, folder, "from", ("--exclude-from", rules), every - {"data/deep/c.bak", "cache/x"})
        names = folder / "names"
        names.write_text("keep.txt\ndata/deep\n\ndata/a.bin\n")
        only = {"keep.txt", "data/deep/c.bin", "data/deep/c.bak", "data/a.bin"}
        pushes(laptop, source, folder, "files", ("--files-from", names), only)
        pushes(laptop, source, folder, "both", ("--files-from", names, "--exclude", "*.bak"),
               only - {"data/deep/c.bak"})
        (source / ".longhaulignore").write_text("build/\n*.log\n")
        (source / "data/.longhaulignore").write_text("*.tmp\n")
        time.sleep(RACY)
        ignoring = every - {"build/out", "notes.log", "data/skip.tmp"}
        ignoring |= {".longhaulignore", "data/.longhaulignore"}
        pushes(laptop, source, folder, "ignore", (), ignoring)
        pushes(laptop, source, folder, "all", ("--exclude", "cache/", "--exclude-from", rules),
               ignoring - {"cache/x", "cache/keep.me", "data/deep/c.bak"})
    finally:
        site.stop()


if __name__ == "__main__":
    in_folder(story)
