"""`longhaul top` where people look at it: in a tmux of 80x24, by its keys, resized, left; nothing of it stays.

Usage: top_in_tmux.py LONGHAUL LONGHAUL-STREAMER TRAINER_STAND_IN. Exit code 0: all held, 77: no tmux here.
"""
import os
import pathlib
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import time

from live_run import Run
from push_pull import World


class Tmux:
    """A tmux server of our own, with one window, as a terminal that somebody looks at."""

    def __init__(self, folder):
        self.socket = folder / "tmux"
        self.call("-f", "/dev/null", "new-session", "-d", "-x", "80", "-y", "24", "env -i PS1='$ ' TERM=screen "
                  "LC_ALL=C.UTF-8 sh")

    def call(self, *arguments):
        return subprocess.run(["tmux", "-u", "-S", self.socket, *arguments], check=True, text=True,
                              capture_output=True, env=dict(os.environ, LC_ALL="C.UTF-8"), timeout=60).stdout

    def press(self, *keys):
        self.call("send-keys", *keys)

    def shows(self, *wanted, without=(), seconds=60):
        """What is on the screen, line by line, once all of `wanted` is."""
        end = time.monotonic() + seconds
        while True:
            screen = self.call("capture-pane", "-p")
            if all(text in screen for text in wanted) and not any(text in screen for text in without):
                return screen.rstrip("\n").split("\n")
            assert time.monotonic() < end, (wanted, screen)
            time.sleep(0.1)

    def end(self):
        subprocess.run(["tmux", "-S", self.socket, "kill-server"], capture_output=True)


def looked_at(world, tmux):
    command, environment = world.command("top", "here/first")
    tmux.press("-l", f"LONGHAUL_HOME={shlex.quote(environment['LONGHAUL_HOME'])} {shlex.join(command)}")
    tmux.press("Enter")
    lines = tmux.shows("live at step", "link    ", "q quit", "RTT", "page 1/2")
    assert len(lines) == 24, lines
    assert lines[0].startswith(" here/first") and "attempt 1" in lines[0], lines[0]
    charts = "\n".join(lines[2:18])
    assert "train/loss" in charts and len(re.findall("[\u2801-\u28ff]", charts)) > 20, lines
    assert lines[-1].startswith(" q quit  ? help") and lines[-1].endswith("page 1/2"), lines[-1]
    assert lines[-2].startswith(" stalls  none seen"), lines[-2]
    tmux.press("NPage")
    tmux.shows("page 2/2", "train/lr", "zeta", without=["train/loss"])
    tmux.press("Up")
    tmux.shows("page 1/2", "train/loss", without=["zeta"])
    tmux.press("?")
    tmux.shows("q, Ctrl-C     leave; the run goes on")
    tmux.press("x")
    tmux.press("1")
    tmux.shows("train/loss", without=["grad/norm", "leave; the run"])
    tmux.call("resize-window", "-x", "132", "-y", "43")
    lines = tmux.shows("l log  m link  PgUp PgDn")
    assert len(lines) == 43, len(lines)
    tmux.press("q")
    lines = tmux.shows("$ ", without=["live at step"])  # what stood there before, and the prompt
    assert lines[-1].startswith("$") and "top here/first" in "".join(lines), lines


def main():
    if shutil.which("tmux") is None:
        print("skipped: no tmux: tools/setup --tests installs it")
        sys.exit(77)
    folder = pathlib.Path(tempfile.mkdtemp(prefix="lh-"))
    world = World(sys.argv[1], sys.argv[2], folder)
    run = tmux = None
    try:
        world.start()
        world.run("init")
        world.run("join", "here", stdin=world.invite())
        run = Run(world, sys.argv[3], "first")
        series = ["a", "another/one", "grad/norm", "zeta"]
        command = [sys.argv[3], run.folder, run.shared, str(10**9), "5", "0", *series]
        run.process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        tmux = Tmux(folder)
        looked_at(world, tmux)
        assert world.stop() == 0
        print("all held")
    finally:
        if tmux:
            tmux.end()
        for process in (world.process, run and run.process):
            if process and process.poll() is None:
                process.kill()
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
