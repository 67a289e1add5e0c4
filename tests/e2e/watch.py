"""`push --watch`: follows a folder through edits, lost links, a killed site and Ctrl-C.

Usage: watch.py LONGHAUL LONGHAUL-STREAMER. Exit code 0: all held.
"""
import json
import os
import queue
import random
import select
import signal
import socket
import subprocess
import sys
import threading

from reach_world import Laptop, free_port, in_folder, make_tree, same, wait_for


class Wire:
    """A TCP relay that can be cut: open connections die, new ones are refused."""

    def __init__(self, to):
        self.to, self.port, self.open, self.whole = to, free_port(), [], True
        self.listener = socket.create_server(("127.0.0.1", self.port))
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            near, _ = self.listener.accept()
            if not self.whole:
                near.close()
                continue
            try:
                far = socket.create_connection(("127.0.0.1", self.to), 5)
            except OSError:
                near.close()
                continue
            self.open += [near, far]
            threading.Thread(target=self.carry, args=(near, far), daemon=True).start()

    def carry(self, near, far):
        try:
            while True:
                for ready in select.select([near, far], [], [])[0]:
                    data = ready.recv(1 << 16)
                    if not data:
                        raise OSError
                    (far if ready is near else near).sendall(data)
        except (OSError, ValueError):
            near.close()
            far.close()

    def cut(self):
        self.whole = False
        for one in self.open:
            try:
                one.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
        self.open.clear()

    def mend(self):
        self.whole = True


class Site:
    def __init__(self, streamer, folder):
        self.streamer, self.root, self.port = streamer, folder, free_port()
        self.start()

    def start(self):
        self.process = subprocess.Popen(
            [self.streamer, "run", "--root", self.root, "--listen", f"127.0.0.1:{self.port}", "--json"],
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        self.process.stdout.readline()

    def kill(self):
        self.process.kill()
        self.process.wait(60)

    def invite(self, port):
        return subprocess.run([self.streamer, "invite", "--root", self.root, "--address", f"127.0.0.1:{port}"],
                              text=True, capture_output=True, check=True).stdout


class Watch:
    """A running `push --watch --json`; its lines, read as they come."""

    def __init__(self, laptop, *arguments, before=()):
        command = [*before, laptop.longhaul, "push", "--watch", "--json", *map(str, arguments)]
        self.process = subprocess.Popen(command, env=laptop.environment, text=True,
                                        stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self.lines, self.seen = queue.Queue(), []
        threading.Thread(target=self.read, daemon=True).start()

    def read(self):
        for line in self.process.stdout:
            self.lines.put(json.loads(line))
        self.lines.put({"event": "end"})

    def next(self, *events):
        while True:
            line = self.lines.get(timeout=100)
            self.seen.append(line)
            if line["event"] in events:
                return line
            assert line["event"] not in ("end", "error"), (self.seen, self.process.stderr.read())

    def pushed_until(self, condition):
        """Rounds until the condition holds; the last one's line."""
        while True:
            done = self.next("done")
            if condition():
                return done

    def stop(self):
        self.process.send_signal(signal.SIGINT)
        last = self.next("stopped")
        assert self.process.wait(60) == 130
        return last


def edits(site, wire, laptop, source):
    watch = Watch(laptop, source, "lab:live")
    assert watch.next("done")["version"] == "v000001"
    assert watch.next("watching") == {"event": "watching", "polling": False, "why": ""}
    current = site.root / "datasets/live/current"

    def arrived():
        try:
            same(source, current)
            return True
        except (AssertionError, OSError):
            return False

    (source / "small-00.txt").write_text("edited\n")
    done = watch.pushed_until(arrived)
    assert done["bytes_wire"] < 100_000, done
    for i in range(20):
        deep = source / f"new-{i}/deep/er"
        deep.mkdir(parents=True)
        (deep / "file").write_text(f"{i}\n")
    watch.pushed_until(arrived)
    (source / "new-3/deep/er/file").write_text("edited in a folder that is new\n")
    watch.pushed_until(arrived)
    (source / "new-4").rename(source / "moved")
    (source / "small-01.txt").unlink()
    watch.pushed_until(arrived)
    (source / "moved/deep/er/file").write_text("edited in a folder that moved\n")
    watch.pushed_until(arrived)
    (source / "ignored.log").write_text("x")
    (source / ".longhaulignore").write_text("*.log\n")
    watch.pushed_until(lambda: (current / ".longhaulignore").exists() and not (current / "ignored.log").exists())

    wire.cut()
    (source / "while-cut").write_text("the link was down\n")
    watch.process.poll()
    wait_for(lambda: watch.process.poll() is None)
    wire.mend()
    watch.pushed_until(lambda: (current / "while-cut").exists())

    site.kill()
    (source / "while-dead").write_text("the site was down\n")
    site.start()
    watch.pushed_until(lambda: (current / "while-dead").exists())

    last = watch.stop()
    assert last["whole"] and last["version"] == os.readlink(current), last
    versions = sorted(p.name for p in (site.root / "datasets/live").iterdir() if p.name.startswith("v"))
    told = [line["version"] for line in watch.seen if line["event"] == "done"]
    assert told == versions, (told, versions)  # a line a round, a version a round, none for nothing


def stopped_in_the_middle(site, laptop, folder):
    source = folder / "large"
    source.mkdir()
    (source / "blob").write_bytes(random.Random(3).randbytes(24 << 20))
    watch = Watch(laptop, source, "lab:large", "--limit-rate", "4MB/s")
    while watch.next("progress")["bytes_done"] < 4 << 20:
        pass
    last = watch.stop()
    assert last == {"event": "stopped", "dataset": "large", "version": "", "whole": False, "exit_code": 130}, last
    done = laptop.result("push", source, "lab:large")
    assert done["bytes_wire"] < 22 << 20, done
    words = laptop.start("push", "--watch", source, "lab:large")
    said = ""
    while "Ctrl-C" not in said:
        said += words.stderr.readline()
    assert "large is unchanged: v000001 has it" in said and f"watching {source}" in said, said
    words.send_signal(signal.SIGINT)
    said = words.communicate(timeout=60)[1]
    assert words.returncode == 130 and "lab:large@v000001 has every change seen until now" in said, said


def refusals(laptop, source):
    """What no wait can mend ends it at once."""
    assert "cannot push" in laptop.run("push", "--watch", source / "nowhere", "lab:x", code=3).stderr
    both = laptop.run("push", "--watch", "--dry-run", source, "lab:x", code=2)
    assert "--dry-run excludes --watch" in both.stderr, both


def too_many_watches(site, laptop, source):
    """Where the kernel will not watch, it is looked at every two seconds, and said."""
    for limit, reason in (("max_inotify_watches", "this user may not watch that many folders"),
                          ("max_inotify_instances", "too many programs of this user watch folders")):
        before = ["unshare", "-U", "-r", "sh", "-c", f'echo 1 > /proc/sys/user/{limit}; exec "$@"', "sh"]
        if subprocess.run([*before, "true"], capture_output=True).returncode != 0:
            print("no user namespaces here: too few watches are not tried")
            return
        if limit == "max_inotify_instances":
            before[5] = f'echo 0 > /proc/sys/user/{limit}; exec "$@"'
        watch = Watch(laptop, source, "lab:polled", before=before)
        watch.next("done")
        assert watch.next("watching") == {"event": "watching", "polling": True, "why": reason}
        name = f"polled-{limit}"
        (source / "new-5/deep" / name).write_text("seen by looking\n")
        watch.pushed_until(lambda: (site.root / "datasets/polled/current/new-5/deep" / name).exists())
        watch.stop()


def story(folder):
    source = folder / "source"
    make_tree(source)
    site = Site(sys.argv[2], folder / "site")
    try:
        wire = Wire(site.port)
        laptop = Laptop(sys.argv[1], folder / "home")
        laptop.run("init")
        laptop.run("join", "lab", stdin=site.invite(wire.port))
        edits(site, wire, laptop, source)
        stopped_in_the_middle(site, laptop, folder)
        refusals(laptop, source)
        too_many_watches(site, laptop, source)
    finally:
        site.kill()


if __name__ == "__main__":
    in_folder(story)
