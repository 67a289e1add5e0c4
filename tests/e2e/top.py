"""`longhaul top` in a pseudo-terminal: drawn, resized, steered by keys, given back however it ends; and as JSON,
with its stalls.

Usage: top.py LONGHAUL LONGHAUL-STREAMER TRAINER_STAND_IN. Exit code 0: all held.
"""
import fcntl
import json
import os
import pathlib
import pty
import re
import select
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import termios
import time

from live_run import Run
from push_pull import World

EVIL = "\x1b[31mevil\x07\x1b]0;owned\x07"
ENTER, LEAVE = b"\x1b[?1049h", b"\x1b[?1049l"


class Screen:
    """A program whose terminal is ours."""

    def __init__(self, world, *arguments, columns=80, rows=24, **environment):
        command, own = world.command(*arguments)
        own.update({"TERM": "xterm", "LC_ALL": "C.UTF-8"}, **environment)
        self.master, slave = pty.openpty()
        self.resize(columns, rows)
        self.before = termios.tcgetattr(slave)
        self.slave = slave
        self.process = subprocess.Popen(
            command, env=own, stdin=slave, stdout=slave, stderr=slave, start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0))
        self.bytes = b""

    def resize(self, columns, rows):
        fcntl.ioctl(self.master, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def until(self, text, seconds=20):
        end = time.monotonic() + seconds
        while text not in self.bytes:
            assert time.monotonic() < end, (text, self.bytes[-2000:])
            if select.select([self.master], [], [], 0.1)[0]:
                self.bytes += os.read(self.master, 65536)
        return self

    def redrawn(self, text, seconds=20):
        """Whole frames, by changing its size, until one has this text."""
        end, rows = time.monotonic() + seconds, 24
        while text not in self.bytes:
            assert time.monotonic() < end, (text, self.bytes)
            self.forget()
            rows = 49 - rows
            self.resize(80, rows)
            until = time.monotonic() + 0.5
            while time.monotonic() < until and text not in self.bytes:
                if select.select([self.master], [], [], 0.1)[0]:
                    self.bytes += os.read(self.master, 65536)

    def forget(self):
        while select.select([self.master], [], [], 0)[0]:
            os.read(self.master, 65536)
        self.bytes = b""

    def press(self, keys):
        self.forget()
        os.write(self.master, keys)
        return self

    def ended(self, code):
        self.until(LEAVE)
        assert self.process.wait(60) == code, self.process.returncode
        assert termios.tcgetattr(self.slave) == self.before, "the terminal is as it was"
        os.close(self.slave)
        os.close(self.master)


def drawn(world):
    """Frames, keys, sizes; nothing of a peer's text is a sequence."""
    screen = Screen(world, "top", "here/first")
    screen.until(ENTER).until("train/loss".encode()).until("\u28ff".encode()[:1]).until(b"live at step")
    assert b"\\x1b[31mevil\\x07" in screen.bytes and b"owned\x07" not in screen.bytes
    assert not re.search(rb"\x1b\[31m|\x07|\x1b\]", screen.bytes)
    screen.press(b"?").until(b"the run goes on")
    screen.press(b"x/gra").until(b"show only: ").until(b"gra_")
    screen.press(b"\r1").until(b"q quit")
    screen.press(b"0\x1b")
    screen.redrawn(b"page 1/2")
    for key, page in ((b"\x1b[6~", 2), (b"\x1b[5~", 1), (b"\x1b[B", 2), (b"\x1b[A", 1), (b"\x1b[C", 2),
                      (b"\x1b[D", 1), (b"\x1bOB", 2), (b"\x1bOA", 1)):  # PgDn, PgUp, arrows in both modes
        screen.press(key)
        screen.redrawn(b"page %d/2" % page)
        assert (b"another/one" in screen.bytes) == (page == 1), screen.bytes
    screen.press(b"++")
    screen.redrawn(b"last 1/4")
    screen.press(b"-")
    screen.redrawn(b"last 1/2")
    screen.press(b"-")
    screen.redrawn(b"page 1/2")
    assert b"last 1/" not in screen.bytes
    screen.forget()
    screen.resize(160, 50)
    screen.until(b"\x1b[2J").until(b"\x1b[50;").until(b"PgUp PgDn")
    screen.press(b"q").ended(0)


def given_back(world, run):
    """By Ctrl-C, SIGTERM, a crash, and when the run's site goes away and comes back before."""
    screen = Screen(world, "top", "here/first", NO_COLOR="1")
    screen.until(b"live at step")
    assert b"38;5" not in screen.bytes
    screen.press(b"\x03").ended(0)
    screen = Screen(world, "top", "here/first")
    screen.until(b"live at step")
    screen.process.send_signal(signal.SIGTERM)
    screen.ended(0)
    screen = Screen(world, "top", "here/first")
    screen.until(b"live at step")
    screen.process.send_signal(signal.SIGABRT)
    screen.ended(-signal.SIGABRT)
    screen = Screen(world, "top", "here/first")
    screen.until(b"running")
    world.stop(kill=True)
    screen.redrawn(b"the link waits")
    world.start()
    screen.redrawn(b"the link waited")
    run.process.kill()
    screen.press(b"q").ended(0)


def said(world):
    """Once, as text and as an object; without a terminal the same."""
    shown = world.run("top", "here/first", "--once", "--columns", "100", "--rows", "30").stdout
    assert shown.startswith(" here/first") and len(shown.splitlines()) == 29 and "\x1b" not in shown, shown
    assert world.run("top", "here/first").stdout.count("\n") == 23
    line = world.result("top", "here/first", "--once")
    assert line["event"] == "top" and line["run"] == "here/first" and line["attempt"] == 1, line
    assert line["recorded"] == line["here"] > 0 and line["dropped"] == line["lost"] == 0, line
    (loss,) = [one for one in line["series"] if one["name"] == "train/loss"]
    assert loss["step"] == line["complete_step"] == line["live_step"] and loss["points"] == loss["step"] + 1, line
    assert any(one["name"] == EVIL for one in line["series"])
    assert set(line["link"]) >= {"path", "why", "wait", "loss_ppm", "sent", "received_per_second"}, line["link"]
    world.run("top", "here/none", "--once", code=3)


def stalled(world):
    """Waits as entries of the object: one that goes on and is over, with a line a second and with --once."""
    command, environment = world.command("top", "here/first", "--json")
    watching = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)

    def until(holds):
        for text in watching.stdout:
            line = json.loads(text)
            if holds(line):
                return line["stalls"]
        raise AssertionError("it ended before")

    assert until(lambda line: line["complete_step"] > 0) == []
    world.stop(kill=True)
    (waits,) = until(lambda line: line["stalls"])
    assert waits["of"] == "link" and waits["over"] is False and waits["why"], waits
    world.start()
    (waited,) = until(lambda line: line["stalls"] and line["stalls"][-1]["over"])[:1]
    assert waited["began_ns"] == waits["began_ns"] and waited["why"] == waits["why"], (waits, waited)
    assert waited["seconds"] > waits["seconds"], (waits, waited)
    assert 0 < time.time() - waited["began_ns"] / 1e9 < 600, waited
    watching.terminate()
    watching.communicate()
    assert watching.returncode == 0, watching.returncode
    for patience in (1, 3, 6):  # it may take its time to begin
        world.process.send_signal(signal.SIGSTOP)
        command, environment = world.command("top", "here/first", "--once", "--json")
        once = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)
        time.sleep(patience)
        world.process.send_signal(signal.SIGCONT)
        (line,) = map(json.loads, once.communicate(timeout=120)[0].splitlines())
        if line["stalls"]:
            break
    (wait,) = line["stalls"]
    assert wait.keys() == {"of", "began_ns", "seconds", "why", "over"}, wait
    assert wait["why"] == "connecting" and wait["over"] and 0.5 <= wait["seconds"] < 120, wait


def main():
    folder = pathlib.Path(tempfile.mkdtemp(prefix="longhaul-e2e-"))
    world = World(sys.argv[1], sys.argv[2], folder)
    try:
        world.start()
        world.run("init")
        world.run("join", "here", stdin=world.invite())
        run = Run(world, sys.argv[3], "first")
        command = [sys.argv[3], run.folder, run.shared, str(10**9), "5", "0", EVIL, "grad/norm", "another/one",
                   "zeta"]
        run.process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        while not list(run.folder.glob("log/*.run")):
            time.sleep(0.02)
        time.sleep(0.3)
        drawn(world)
        stalled(world)
        given_back(world, run)
        said(world)
        assert world.stop() == 0
        print("all held")
    finally:
        for process in (world.process, run.process):
            if process and process.poll() is None:
                process.kill()
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
