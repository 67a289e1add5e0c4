"""The story that tools/demo tells, against real programs behind a simulated link. Exit code 0: every step held."""
import argparse
import hashlib
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time

import demo_live
import demo_training

PORT = 7700
EDIT_MOST = 2 * 256 * 1024  # of two chunks, should it lie across their border


class Failed(Exception):
    pass


class NoOcean(Failed):
    """This machine does not allow the packet emulator."""


def say(text=""):
    print(text, flush=True)


class Ocean:
    """Two hosts, a (laptop) and b (site), joined by `netsim link`."""
    site_address = "198.18.0.2"

    def __init__(self, netsim, profile):
        self.netsim = netsim
        self.name = f"demo-{os.getpid()}"
        done = subprocess.run([netsim, "link", "--name", self.name, "--profile", profile, "--detach"],
                              text=True, capture_output=True)
        if done.returncode != 0:
            raise NoOcean(done.stderr.strip() or "netsim link did not start")
        self.link = self.stats()["link"]

    def rate(self, direction):
        """Bytes a second that the bottleneck lets through; None when there is none."""
        rate = re.fullmatch(r"([0-9.]+)(kbit|mbit|gbit|unlimited).*", self.link[direction]["rate"])
        number, unit = rate.groups()
        return float(number) * {"kbit": 1e3, "mbit": 1e6, "gbit": 1e9}[unit] / 8

    def on(self, side, *command, **options):
        return subprocess.Popen([self.netsim, "exec", self.name, side, "--", *command], text=True, **options)

    def stats(self):
        done = subprocess.run([self.netsim, "ctl", self.name, "stats"], text=True, capture_output=True, check=True)
        return json.loads(done.stdout)

    def wire_bytes(self, direction):
        """IP bytes that have come out of the link at the far side."""
        return self.stats()[direction]["bytes_out"]

    def close(self):
        subprocess.run([self.netsim, "ctl", self.name, "down"], capture_output=True)


class Laptop:
    def __init__(self, ocean, longhaul, home):
        self.ocean, self.longhaul = ocean, longhaul
        self.environment = dict(os.environ, LONGHAUL_HOME=str(home))
        self.home = f"LONGHAUL_HOME={home}".encode()

    def start(self, *arguments, **options):
        return self.ocean.on("a", self.longhaul, *arguments, env=self.environment, **options)

    def run(self, *arguments, stdin=None):
        process = self.start(*arguments, stdin=subprocess.PIPE if stdin else subprocess.DEVNULL,
                             stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        out, err = process.communicate(stdin, timeout=600)
        if process.returncode != 0:
            raise Failed(f"longhaul {' '.join(arguments)} ended with {process.returncode}:\n{err.strip()}")
        return out

    def kill_all(self):
        """kill -9 of the longhaul of ours that runs now, by its own process id."""
        for folder in pathlib.Path("/proc").glob("[0-9]*"):
            try:
                if os.readlink(folder / "exe") == self.longhaul and self.home in (folder / "environ").read_bytes():
                    os.kill(int(folder.name), signal.SIGKILL)
            except OSError:
                continue

    def lines(self, *arguments):
        """What a command run with --json says, a line each."""
        return [json.loads(line) for line in self.run(*arguments, "--json").strip().splitlines()]

    def result(self, *arguments):
        return self.lines(*arguments)[-1]


def tree_digest(root):
    """One hash over names, types, link targets and bytes below `root`; and the bytes on disk and files counted."""
    digest, size, count = hashlib.sha256(), 0, 0
    for folder, folders, files in os.walk(root):  # folders are pruned and sorted on the way
        folders[:] = sorted(f for f in folders if f != ".longhaul")  # longhaul's own, in a pulled folder
        for name in sorted(files + [f for f in folders if os.path.islink(os.path.join(folder, f))]):
            path = os.path.join(folder, name)
            digest.update(os.path.relpath(path, root).encode(errors="surrogateescape") + b"\0")
            if os.path.islink(path):
                digest.update(b"link " + os.readlink(path).encode(errors="surrogateescape"))
                continue
            with open(path, "rb") as file:
                content = file.read()
            digest.update(b"file %d " % len(content) + hashlib.sha256(content).digest())
            size, count = size + len(content), count + 1
    return digest.hexdigest(), size, count


def make_tree(target, limit=160_000_000, sources=("/usr/include", "/usr/share/doc")):
    """A real tree: what this machine has under these folders, up to `limit` bytes."""
    total = 0
    for source in sources:
        for folder, folders, files in os.walk(source):
            folders.sort()
            for name in sorted(files):
                path = pathlib.Path(folder) / name
                if path.is_symlink() or not path.is_file() or not os.access(path, os.R_OK):
                    continue
                if total + path.stat().st_size > limit:
                    return
                total += path.stat().st_size
                goal = target / path.relative_to("/usr")
                goal.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(path, goal)


class Table:
    def __init__(self):
        self.rows = []

    def add(self, step, disk, wire, seconds, link_rate):
        share = f"{wire / seconds / link_rate * 100:.0f} %" if link_rate and seconds > 0 else "-"
        self.rows.append((step, mb(disk), mb(wire), f"{seconds:.1f} s", share))

    def show(self):
        head = ("step", "on disk", "on the wire", "time", "of the link")
        widths = [max(len(r[i]) for r in [head, *self.rows]) for i in range(5)]
        for row in [head, *self.rows]:
            say("  " + row[0].ljust(widths[0]) + "".join("  " + c.rjust(w) for c, w in zip(row[1:], widths[1:])))


def mb(count):
    return f"{count / 1e6:.2f} MB"


def start_site(ocean, streamer, root, folder):
    log = open(folder / "streamer.log", "w")
    process = ocean.on("b", streamer, "run", "--root", str(root), "--listen", f"0.0.0.0:{PORT}",
                       stdout=log, stderr=log)
    for _ in range(100):
        if "listening" in (folder / "streamer.log").read_text():
            return process
        if process.poll() is not None:
            break
        time.sleep(0.1)
    raise Failed("the streamer did not start:\n" + (folder / "streamer.log").read_text())


def staged_bytes(root):
    """Content of a push under way that the site has written down."""
    total = 0
    for folder, _, files in os.walk(root / ".longhaul/staging"):
        for name in files if "tree" in pathlib.Path(folder).relative_to(root).parts else ():
            try:
                status = os.stat(os.path.join(folder, name))
            except FileNotFoundError:  # just published
                continue
            total += min(status.st_size, status.st_blocks * 512)  # of a large file only parts may be there
    return total


def settled_bytes(root):
    """The same, once the site has written what had arrived before the kill."""
    before, now = -1, staged_bytes(root)
    while now != before:
        time.sleep(1)
        before, now = now, staged_bytes(root)
    return now


def pushed_until_killed(laptop, ocean, source, place, enough, arrived):
    """Starts a push, kills it (SIGKILL) once `enough` bytes have crossed and the site has arrived() some of them;
    returns how many had crossed."""
    before = ocean.wire_bytes("up")
    process = laptop.start("push", str(source), place, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while process.poll() is None:
        if ocean.wire_bytes("up") - before >= enough and arrived():
            laptop.kill_all()
            if process.wait() == 0:
                break
            return ocean.wire_bytes("up") - before
        time.sleep(0.02)
    raise Failed("the push ended before it could be killed")


def tell(options, folder):
    tools = pathlib.Path(options.bin).resolve()
    ocean = Ocean(str(tools / "netsim/netsim"), options.profile)
    site = None
    try:
        up, down = ocean.rate("up"), ocean.rate("down")
        table = Table()
        ways = ", ".join("{}: {rate}, {delay} one way, loss {loss}".format(way, **ocean.link[way])
                         for way in ("up", "down"))
        say(f"demo: laptop and site, {options.profile} between them ({ways})")
        site = start_site(ocean, str(tools / "longhaul-streamer/longhaul-streamer"), folder / "site", folder)
        laptop = Laptop(ocean, str(tools / "longhaul/longhaul"), folder / "laptop")
        laptop.run("init")
        invite = subprocess.run(
            [str(tools / "longhaul-streamer/longhaul-streamer"), "invite", "--root", str(folder / "site"),
             "--role", "owner", "--address", f"{ocean.site_address}:{PORT}"],
            text=True, capture_output=True, check=True).stdout
        laptop.run("join", "asuncion", stdin=invite)
        say("demo: paired; " + laptop.run("sites").strip().splitlines()[-1])

        source = folder / "corpus"
        make_tree(source)
        digest, size, count = tree_digest(source)
        say(f"demo: a tree of {count} files, {mb(size)}")

        plan = laptop.result("push", str(source), "asuncion:corpus", "--dry-run")
        say(f"demo: --dry-run expects {mb(plan['bytes_wire'])} on the wire; the push is killed at half of that")
        started = time.monotonic()
        part = pushed_until_killed(laptop, ocean, source, "asuncion:corpus", plan["bytes_wire"] // 2,
                                   lambda: staged_bytes(folder / "site") > size // 20)
        table.add("push, killed -9 half-way", size, part, time.monotonic() - started, up)
        held = settled_bytes(folder / "site")
        started, before = time.monotonic(), ocean.wire_bytes("up")
        told = laptop.lines("push", str(source), "asuncion:corpus")
        second = told[-1]
        table.add("push again: goes on", size, ocean.wire_bytes("up") - before, time.monotonic() - started, up)
        if second["bytes_raw"] > size - held:
            raise Failed(f"{mb(held)} were there, and {mb(second['bytes_raw'])} of {mb(size)} were sent again")
        path = [line["path"] for line in told if line.get("path")][-1]
        say(f"demo: it went over {path}")
        if not path.startswith("UDP"):
            raise Failed(f"the fast path was not used by itself, but {path}")
        say(f"demo: published {second['version']}; of {mb(size)}, {mb(held)} were there and are not sent twice")

        started, before = time.monotonic(), ocean.wire_bytes("down")
        laptop.run("pull", "asuncion:corpus", str(folder / "back"))
        table.add("pull it back", size, ocean.wire_bytes("down") - before, time.monotonic() - started, down)
        if tree_digest(folder / "back")[0] != digest:
            raise Failed("what came back is not what was sent")
        say("demo: every byte is the same")

        edited = max((p for p in source.rglob("*") if p.is_file()), key=lambda p: p.stat().st_size)
        with open(edited, "r+b") as file:
            file.seek(edited.stat().st_size // 2)
            file.write(b"one line was edited here\n")
        started, before = time.monotonic(), ocean.wire_bytes("up")
        third = laptop.result("push", str(source), "asuncion:corpus")
        table.add("edit one file, push", size, ocean.wire_bytes("up") - before, time.monotonic() - started, up)
        if third["existed"] or third["bytes_raw"] > EDIT_MOST:
            raise Failed(f"an edit of 25 bytes sent {third['bytes_raw']} bytes of content")
        say(f"demo: published {third['version']}; `longhaul verify` re-reads it there")
        laptop.run("verify", "asuncion:corpus")
        say()
        table.show()
        if not options.no_train:
            trainer = tools / "longhaul-train/longhaul-train"
            if not trainer.exists():
                raise Failed("no trainer was built; without one: tools/demo --no-train")
            demo_training.train(laptop, ocean, str(trainer), folder, say, Failed)
        demo_live.live(laptop, ocean, tools, folder, say, Failed)
    finally:
        if site is not None and site.poll() is None:
            site.terminate()
            site.wait(10)
        ocean.close()


def main():
    parser = argparse.ArgumentParser(prog="tools/demo")
    parser.add_argument("--bin", required=True)
    parser.add_argument("--profile", default="nyc-asuncion")
    parser.add_argument("--keep", action="store_true")
    parser.add_argument("--no-train", action="store_true")
    options = parser.parse_args()
    folder = pathlib.Path(tempfile.mkdtemp(prefix="longhaul-demo-"))
    try:
        tell(options, folder)
        say("\ndemo: done")
        return 0
    except NoOcean as failure:
        print(f"demo: no simulated link here: {failure}", file=sys.stderr)
        return 77  # ctest's word for skipped
    except Failed as failure:
        print(f"demo: failed: {failure}", file=sys.stderr)
        return 1
    finally:
        if options.keep:
            say(f"demo: kept {folder}")
        else:
            shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
