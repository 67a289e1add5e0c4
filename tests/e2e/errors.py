"""Every error a user can meet says what failed, why, and what to do.

Usage: errors.py LONGHAUL LONGHAUL-STREAMER. Exit code 0: all held.
"""
import json
import os
import random
import shutil
import subprocess
import sys
import threading
import time

from reach_world import Laptop, free_port, in_folder, make_tree


class Site:
    def __init__(self, streamer, root, before=()):
        self.streamer, self.root, self.port, self.before = streamer, root, free_port(), before
        self.start()

    def start(self):
        self.process = subprocess.Popen(
            [*self.before, self.streamer, "run", "--root", self.root, "--json",
             "--listen", f"127.0.0.1:{self.port}"],
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        self.pin = json.loads(self.process.stdout.readline())["pin"]

    def stop(self):
        self.process.terminate()
        self.process.wait(60)

    def invite(self, role="owner"):
        done = subprocess.run([*self.before, self.streamer, "invite", "--root", self.root, "--role", role,
                               "--address", f"127.0.0.1:{self.port}"],
                              text=True, capture_output=True, check=True)
        return done.stdout


def tells(done, what, why, todo):
    """The three lines, whatever else was said."""
    lines = done.stderr.splitlines()
    at = next((i for i, line in enumerate(lines) if line.startswith("longhaul: ")), None)
    assert at is not None and len(lines) >= at + 3, done
    beginnings = ("longhaul: cannot ", "  why: ", "  do:  ")
    for line, beginning, words in zip(lines[at:], beginnings, (what, why, todo)):
        assert line.startswith(beginning) and words in line, (line, beginning, words, lines)


def names(laptop, source):
    for name, why in (("../up", "starts with '.'"), ("a/b", "a character that no name may have"),
                      (".hidden", "starts with '.'"), ("new\nline", "a character that no name may have"),
                      ("spa ce", "a character"), ("\x1b[31mred", "a character")):
        done = laptop.run("push", source, f"lab:{name}", code=2)
        tells(done, "as the name of a dataset", why, "use letters, digits, '.', '_' and '-'")
        assert "\x1b" not in done.stderr and "new\nline" not in done.stderr, done
    for words, code, what, why, todo in (
            (("push", source, "lab"), 2, "push to lab", "SITE:DATASET", "write it like lab:NAME"),
            (("push", source, "nowhere:x"), 3, "nowhere", "", "longhaul"),
            (("push", source / "none", "lab:x"), 3, "push ", "No such file", "check its path"),
            (("pull", "lab:none", source.parent / "x"), 3, "open none at lab", "no such dataset", "longhaul ls"),
            (("verify", "lab:none"), 3, "open none at lab", "no such dataset", "longhaul ls"),
            (("ls", "lab:none"), 3, "list none at lab", "no such dataset", "longhaul ls"),
            (("rm", "lab:corpus"), 2, "remove lab:corpus", "names no version", "@v000001"),
            (("rm", "lab:corpus@v9"), 2, "use lab:corpus@v9", "is no version", "v000001"),
            (("push", source, "lab:x", "--limit-rate", "fast"), 2, "fast", "", ""),
            (("push", source, "lab:x", "--files-from", source / "none"), 3, "read ", "cannot be opened", "")):
        tells(laptop.run(*words, code=code), what, why, todo)


def steering(laptop):
    """A setting or a mistyped word where an action must stand: what to type instead."""
    for words, why, todo in (
            (("lr=1",), "'lr=1' is no action", "write `longhaul ctl lab/run set lr=1`"),
            (("lr*=0.5", "--queue"), "'lr*=0.5' is no action", "write `longhaul ctl lab/run set lr*=0.5`"),
            (("pasue",), "'pasue' is no action", "did you mean 'pause'? write `set lr=1e-3`"),
            (("lr", "1"), "'lr' is no action", "write `set lr=1e-3`"),
            (("set",), "it says not what to set", "write `set lr=1e-3`")):
        done = laptop.run("ctl", "lab/run", *words, code=2)
        tells(done, "steer lab/run", why, todo)
        assert "--help" not in done.stderr, done


def unreadable(laptop, source):
    """Root may read all; in a user namespace of its own it may not."""
    outside = ["unshare", "-U"]
    if subprocess.run([*outside, "true"], capture_output=True).returncode != 0:
        print("no user namespaces here: an unreadable folder is not tried")
        return
    def push(folder, name):
        return subprocess.run([*outside, laptop.longhaul, "push", folder, name], env=laptop.environment,
                              text=True, capture_output=True, timeout=120)
    closed = source / "closed"
    closed.mkdir()
    (closed / "inside").write_text("cannot be seen\n")
    (source / "secret").write_text("cannot be read\n")
    closed.chmod(0)
    (source / "secret").chmod(0)
    done = push(source, "lab:closed")
    assert done.returncode == 8, done
    for name in ("closed", "secret"):
        line = next(x for x in done.stderr.splitlines() if x.startswith(f"left out: {name}: "))
        assert "Permission denied" in line, done
    done = push(closed, "lab:none")
    assert done.returncode == 1, done
    tells(done, "", "Permission denied", "change the permissions")
    closed.chmod(0o755)
    shutil.rmtree(closed)
    (source / "secret").unlink()


def changes(laptop, folder):
    """A file that never stops changing is named; one that vanishes does not stop the rest."""
    source = folder / "busy"
    source.mkdir()
    (source / "steady").write_bytes(random.Random(1).randbytes(1 << 20))
    busy, stop = source / "log", threading.Event()
    busy.write_bytes(random.Random(2).randbytes(16 << 20))

    def write():
        while not stop.is_set():
            with open(busy, "r+b") as file:
                file.seek(random.randrange(16 << 20))
                file.write(b"now")
            time.sleep(0.001)
    writer = threading.Thread(target=write)
    writer.start()
    try:
        done = laptop.run("push", source, "lab:busy", code=1)
        tells(done, "read log", "chang", "when nothing writes there")
    finally:
        stop.set()
        writer.join()
    assert laptop.result("push", source, "lab:busy")["version"] == "v000001"

    vanishing = folder / "vanishing"
    make_tree(vanishing, 5, 64)  # of which 32 MiB are read ahead
    push = laptop.start("push", vanishing, "lab:vanishing", "--limit-rate", "16MB/s", "--json")
    while json.loads(push.stdout.readline()).get("bytes_done", 0) == 0:
        pass
    (vanishing / "large.bin").unlink()
    out, err = push.communicate(timeout=120)
    tells(subprocess.CompletedProcess(push.args, push.returncode, out, err), "read large.bin",
          "it vanished while it was sent",
          "run the same command again; the others are sent, what has arrived is not sent twice")
    assert push.returncode == 3


def full_disk(laptop, folder, streamer):
    if os.geteuid() != 0:
        print("not root: a full disk is not tried")
        return
    root = folder / "small"
    root.mkdir()
    mounted = ["unshare", "-m", "sh", "-c",
               f'mount -t tmpfs -o size=32m none "{root}" && echo mounted && exec sleep 600']
    source = folder / "too-large"
    source.mkdir()
    (source / "blob").write_bytes(random.Random(4).randbytes(64 << 20))
    inside = subprocess.Popen(mounted, stdout=subprocess.PIPE, text=True)
    try:
        if inside.stdout.readline() != "mounted\n":
            print("no mounts here: a full disk is not tried")
            return
        enter = ["nsenter", "-m", "-t", str(inside.pid)]
        site = Site(streamer, root, enter)
        laptop.run("join", "small", stdin=site.invite())
        done = laptop.run("push", source, "small:large", code=1)
        tells(done, "receive the tree", "", "free some space there")
        assert laptop.run("ls", "small").stdout == "", "nothing is half-published"
        (source / "blob").write_bytes(random.Random(4).randbytes(2 << 20))
        assert laptop.result("push", source, "small:large")["version"] == "v000001"
        site.stop()
    finally:
        inside.kill()
        inside.wait()


def another_key(laptop, site, source):  # A6
    old = site.pin
    site.stop()
    (site.root / ".longhaul/identity.pem").unlink()
    site.start()
    assert site.pin != old
    for words in (("push", source, "lab:corpus"), ("push", "--watch", source, "lab:corpus"),
                  ("ls", "lab"), ("pull", "lab:corpus", source.parent / "never")):
        done = laptop.run(*words, code=4)
        tells(done, "open a session with lab", "another key answers there", "`longhaul sites --forget lab`")
        assert old in done.stderr and site.pin in done.stderr, done  # both fingerprints
        assert "somebody else answers at its address" in done.stderr, done
    assert not list((site.root / "datasets/corpus").glob("v000002"))
    laptop.run("sites", "--forget", "lab")
    laptop.run("join", "lab", stdin=site.invite())
    assert laptop.result("push", source, "lab:corpus")["existed"]


def not_there(laptop, site, folder):
    """A push to a stopped streamer says why it waits, and goes on once it is back."""
    site.stop()
    source = folder / "waits"
    source.mkdir()
    (source / "file").write_text("so that there is something to send")
    push = laptop.start("push", source, "lab:waits", "--json")
    try:
        said = ""
        while "doctor" not in said:
            line = push.stderr.readline()
            assert line, (said, push.wait(20))
            said += line
        assert "waiting: connecting" in said and "Connection refused" in said, said
        assert "`longhaul doctor lab` looks why" in said, said
        site.start()
        out, _ = push.communicate(timeout=60)
        assert push.returncode == 0, out
        events = [json.loads(line) for line in out.splitlines()]
        waits = [event["limit"] for event in events if event["event"] == "progress"]
        assert any(wait.startswith("waiting: connecting, ") and "refused" in wait for wait in waits), waits
    finally:
        push.kill()
        push.wait(20)


def story(folder):
    source = folder / "source"
    make_tree(source)
    laptop = Laptop(sys.argv[1], folder / "home")
    done = laptop.run("push", source, "lab:corpus", code=3)
    tells(done, "", "", "longhaul")
    laptop.run("init")
    site = Site(sys.argv[2], folder / "site")
    try:
        laptop.run("join", "lab", stdin=site.invite())
        laptop.run("push", source, "lab:corpus")
        names(laptop, source)
        steering(laptop)
        unreadable(laptop, source)
        changes(laptop, folder)
        not_there(laptop, site, folder)
        full_disk(laptop, folder, os.path.abspath(sys.argv[2]))
        another_key(laptop, site, source)
    finally:
        site.process.kill()
        site.process.wait(60)


if __name__ == "__main__":
    in_folder(story)
