"""--state DIR: index and locks away from the root; lost, shared, or on a root without locks.

Usage: state.py LONGHAUL LONGHAUL-STREAMER. Exit code 0: all held.
"""
import json
import os
import re
import shutil
import subprocess
import sys

from reach_world import Laptop, free_port, in_folder, make_tree

# flock(2) as a Lustre mounted without -o flock answers it, below one folder.
NO_LOCKS = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
int flock(int fd, int operation) {
  char link[64], path[4096];
  snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
  ssize_t count = readlink(link, path, sizeof path - 1);
  path[count > 0 ? count : 0] = 0;
  const char* folder = getenv("NO_LOCKS_BELOW");
  if (folder && strncmp(path, folder, strlen(folder)) == 0) {
    errno = ENOSYS;
    return -1;
  }
  return ((int (*)(int, int))dlsym(RTLD_NEXT, "flock"))(fd, operation);
}
"""


class Site:
    def __init__(self, streamer, root):
        self.streamer, self.root, self.port = streamer, root, free_port()
        self.environment = dict(os.environ)

    def run(self, *words, code=0):
        done = subprocess.run([self.streamer, *map(str, words), "--root", self.root], text=True,
                              capture_output=True, timeout=60, env=self.environment)
        assert done.returncode == code, (words, done.returncode, done.stdout, done.stderr)
        return done

    def start(self, *words, code=0):
        return self.run("start", "--listen", f"127.0.0.1:{self.port}", *words, code=code)

    def log(self):
        return (self.root / ".longhaul/streamer.log").read_text()

    def doctor(self):
        lines = self.run("doctor", "--json").stdout.splitlines()
        return {line["check"]: line for line in map(json.loads, lines)}


def kept_apart(site, laptop, source, state):
    site.start("--state", state)
    laptop.run("join", "lab", stdin=site.run("invite", "--address", f"127.0.0.1:{site.port}").stdout)
    laptop.run("push", source, "lab:corpus")
    assert len(list(state.glob("longhaul-*/index.sqlite"))) == 1
    assert not (site.root / ".longhaul/index.sqlite").exists()
    found = site.doctor()
    assert found["state"]["level"] == "ok" and str(state) in found["state"]["found"], found["state"]
    assert found["state: locks"]["level"] == "ok"
    second = site.run("run", "--listen", "127.0.0.1:0", code=1).stderr
    assert "another longhaul-streamer runs there" in second, second
    running = site.root / ".longhaul/running.toml"
    text = running.read_text()
    running.write_text(re.sub("^host = .*$", 'host = "login2"', text, flags=re.M))
    said = site.run("stop", code=2).stderr
    assert "it runs on login2" in said and "run the same command there" in said, said
    running.unlink()
    said = site.run("stop", code=1).stderr
    assert "one holds this root, but does not say where it listens" in said, said
    assert "it may just be starting: try again; else stop it and start it anew" in said, said
    running.write_text(text)
    site.run("stop")
    site.start()  # where its state is, is remembered
    assert not (site.root / ".longhaul/index.sqlite").exists()
    assert json.loads(site.run("status", "--json").stdout)["running"]
    site.run("stop")


def lost(site, laptop, source, state):
    """The disk of the state was wiped: nothing is lost but time."""
    shutil.rmtree(state)
    found = site.doctor()["state"]
    assert found["level"] == "warn" and "is not there" in found["found"], found
    assert "nothing is lost" in found["fix"], found
    site.start()
    assert "the index of chunks was lost; it is rebuilt from 1 versions" in site.log()
    (source / "large.bin").rename(source / "renamed.bin")
    done = laptop.result("push", source, "lab:corpus")
    assert done["bytes_wire"] == 0 and done["version"] == "v000002", done
    site.run("stop")
    # The disk is gone altogether.
    shutil.rmtree(state)
    state.write_text("a file stands where the folder was")
    said = site.start(code=3).stderr
    assert f"cannot make the state folder {state}" in said, said
    assert "name another with --state DIR, on a disk of this host: the state holds nothing that cannot be " \
           "made again" in said, said
    pointer = site.root / ".longhaul/state.toml"
    text = pointer.read_text()
    pointer.write_text("[state]\n")
    said = site.run("run", "--listen", "127.0.0.1:0", code=1).stderr
    assert "it names no folder" in said and "give --state DIR once more; nothing is lost" in said, said
    pointer.write_text(text)
    site.start("--state", state.parent / "another")
    assert laptop.result("push", source, "lab:corpus")["bytes_wire"] == 0
    site.run("stop")


def without_locks(site, folder):
    if shutil.which("cc") is None:
        print("no C compiler: a root without locks is not tried")
        return
    (folder / "no_locks.c").write_text(NO_LOCKS)
    library = folder / "no_locks.so"
    subprocess.run(["cc", "-shared", "-fPIC", "-o", library, folder / "no_locks.c", "-ldl"], check=True)
    site.environment.update(LD_PRELOAD=str(library), NO_LOCKS_BELOW=str(site.root))
    said = site.run("run", "--listen", "127.0.0.1:0", code=1).stderr
    assert "its file system has no locks: two streamers could share it unseen" in said, said
    assert "give --state DIR, on a disk of this host; or mount it with locks" in said, said
    site.environment["NO_LOCKS_BELOW"] = str(folder)
    said = site.run("run", "--listen", "127.0.0.1:0", "--state", folder / "lockless", code=1).stderr
    assert "its file system has no locks either" in said, said
    assert "give --state DIR, on a disk of this host" in said, said
    site.environment["NO_LOCKS_BELOW"] = str(site.root)
    site.start("--state", folder / "local")
    said = site.run("run", "--listen", "127.0.0.1:0", "--state", folder / "local", code=1).stderr
    assert "another longhaul-streamer runs there" in said, said
    assert "stop it first, or give another --root" in said, said
    said = site.run("run", "--listen", "127.0.0.1:0", "--state", folder / "other", code=1).stderr
    assert "its file system has no locks, and process " in said and " serves it" in said, said
    todo = "stop it there; if it cannot be running any more, remove .longhaul/running.toml in the root"
    assert todo in said, said
    running = site.root / ".longhaul/running.toml"
    site.run("stop")
    text = running.read_text()
    assert re.search("^ended = .yes.$", text, re.M), text
    elsewhere = re.sub("^host = .*$", 'host = "login2"', text, flags=re.M)
    elsewhere = re.sub("^ended = .*$", 'ended = "no"', elsewhere, flags=re.M)
    running.write_text(elsewhere)
    said = site.run("run", "--listen", "127.0.0.1:0", code=1).stderr
    assert "the streamer of login2 did not end as it should" in said, said
    running.write_text(elsewhere.replace('ended = "no"', 'ended = "yes"'))
    site.start()
    site.run("stop")


def story(folder):
    source = folder / "source"
    make_tree(source)
    site, bare = Site(sys.argv[2], folder / "site"), Site(sys.argv[2], folder / "bare")
    laptop = Laptop(sys.argv[1], folder / "home")
    laptop.run("init")
    try:
        kept_apart(site, laptop, source, folder / "scratch/state")
        lost(site, laptop, source, folder / "scratch/state")
        without_locks(bare, folder)
    finally:
        for each in (site, bare):
            if each.root.exists():
                each.run("stop")


if __name__ == "__main__":
    in_folder(story)
