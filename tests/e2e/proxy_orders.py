"""What becomes of orders when a daemon stops, a site falls silent, or no daemon runs; a hostile list of runs.

Usage: proxy_orders.py LONGHAUL LONGHAUL-STREAMER TRAINER_STAND_IN. Exit code 0: all held.
"""
import contextlib
import fcntl
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import time

from live_run import Follow, Run, lines_of
from push_pull import World
from reach_world import wait_for


def of(world, event, **fields):
    told = lines_of(world.run("proxy", "status", "--json"))
    return [line for line in told if line["event"] == event
            and all(line.get(name) == value for name, value in fields.items())]


def ended(world):
    """The orders that have ended, as they stand on the disk."""
    return [json.loads(file.read_text()) for file in sorted((world.home / "state/queue/done").glob("*.json"))]


class Daemon:
    """`longhaul proxy run`, so that what it ends with is seen."""

    def __init__(self, world):
        command, environment = world.command("proxy", "run")
        self.log = open(world.folder / "daemon.log", "a")
        self.process = subprocess.Popen(command, env=environment, stdout=self.log, stderr=self.log)
        wait_for(lambda: subprocess.run(world.command("proxy", "status")[0], env=environment,
                                        capture_output=True).returncode == 0)
        wait_for(lambda: of(world, "site")[0]["link"] == "up")

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(60)

    def end(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        self.log.close()


@contextlib.contextmanager
def daemon(world):
    running = Daemon(world)
    try:
        yield running
    finally:
        running.end()


@contextlib.contextmanager
def run_of(world, program, name, steps=10**9, pause=5):
    run = Run(world, program, name)
    run.start(steps, pause)
    try:
        yield run
    finally:
        if run.process.poll() is None:
            run.process.send_signal(signal.SIGCONT)
            run.process.kill()
            run.process.wait()


def hostile_list(world):
    """Names in a site's list of runs lead nowhere else: of a list that was kept, too."""
    lists = world.home / "state/proxy"
    lists.mkdir(parents=True, mode=0o700)
    line = {"event": "run", "name": "../../../../outside/x", "state": "running", "attempts": 1, "last_step": 1,
            "began_ns": 1, "wrote_ns": 10**18, "host": "h", "why": "", "config": ""}
    honest = dict(line, name="kept")
    (lists / "here.runs").write_text("".join(json.dumps(one) + "\n" for one in
                                             ({"event": "heard", "heard_ns": 1}, line, honest)))
    world.stop()
    command, environment = world.command("proxy", "run")
    process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        wait_for(lambda: (world.home / "state/runs/here/kept/mirror").exists())  # the list was taken
        assert not (world.folder / "outside").exists()
    finally:
        process.kill()
        process.wait()
    world.start()
    shutil.rmtree(world.home / "state/runs")
    shutil.rmtree(lists)


def command_with(word):
    """The command line of a push that names it; empty: there is none."""
    for place in pathlib.Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = place.read_bytes().decode(errors="replace").split("\0")
        except OSError:
            continue
        if "push" in words and word in words and "--queue" not in words:
            return words
    return []


def push_goes_on(world):
    """A push that is cut short by the daemon's end is begun again by the next one."""
    source = world.folder / "source"
    source.mkdir()
    (source / "blob").write_bytes(os.urandom(12_000_000))
    with daemon(world) as first:
        world.run("push", source, "here:pushed", "--queue", "--limit-rate", "1MB/s", "--mode",
                  "background")
        wait_for(lambda: of(world, "order", kind="push", state="running", mode="background"))
        wait_for(lambda: "--mode=background" in command_with(str(source)))
        wait_for(lambda: sum(file.stat().st_size for file in world.root.rglob("*") if file.is_file()) > 1_000_000)
        assert first.stop() == 0
    waiting = [json.loads(file.read_text()) for file in (world.home / "state/queue/waiting").glob("*.json")]
    assert [order["state"] for order in waiting] == ["queued"], (waiting, ended(world))
    assert "no mode" in world.run("push", source, "here:pushed", "--queue", "--mode", "fast", code=2).stderr
    with daemon(world) as second:
        wait_for(lambda: of(world, "order", kind="push", state="applied"), 60)
        assert second.stop() == 0


def ends_in_peace(world, program):
    """An order that waits, on a run whose mirror another process keeps: SIGTERM ends it with 0."""
    with run_of(world, program, "ended", 50, 0) as run:
        run.wait()
        follow = Follow(world, "here/ended")
        follow.until(lambda: follow.of("point"), "history")
        try:
            with daemon(world) as running:
                world.run("ctl", "here/ended", "set", "lr=0.1", "--queue", "--expires", "1h")
                wait_for(lambda: of(world, "order", command="lr=0.1", state="received"))
                code = running.stop()
                assert code == 0, (code, (world.folder / "daemon.log").read_text()[-2000:])
        finally:
            follow.stop()
    shutil.rmtree(world.home / "state/queue")


def marks(world, run, kind):
    told = lines_of(world.run("metrics", f"here/{run}", "--json"))
    return [line["text"] for line in told if line["event"] == "mark" and line["kind"] == kind]


def step(world, run):
    return next(line["last_step"] for line in lines_of(world.run("runs", "here", "--json")) if line["name"] == run)


def disk_first(world, program):
    """A command leaves once the disk says that it may have; a disk that fails for a while delays it."""
    with run_of(world, program, "disk"), daemon(world) as running:
        world.stop()
        wait_for(lambda: of(world, "site")[0]["link"] != "up")
        world.run("ctl", "here/disk", "set", "lr=0.5", "--queue", "--expires", "1h")
        wait_for(lambda: of(world, "order", command="lr=0.5", state="queued"))
        waiting = world.home / "state/queue/waiting"
        waiting.rename(waiting.parent / "aside")
        waiting.write_text("no folder")
        world.start()
        wait_for(lambda: "an order is not kept" in (world.folder / "daemon.log").read_text())
        seen = step(world, "disk")
        wait_for(lambda: step(world, "disk") > seen + 100)  # time enough for it
        assert marks(world, "disk", "applied") == []
        waiting.unlink()
        (waiting.parent / "aside").rename(waiting)
        wait_for(lambda: of(world, "order", command="lr=0.5", state="applied"))
        assert running.stop() == 0
    assert [order["state"] for order in ended(world) if order.get("command") == "lr=0.5"] == ["applied"]


def silent_site(world, program):
    """Of a site that fell silent nobody says that nothing was done there."""
    with run_of(world, program, "silent") as run, daemon(world) as running:
        world.run("ctl", "here/silent", "set", "lr=0.5")
        run.process.send_signal(signal.SIGSTOP)
        command, environment = world.command("ctl", "here/silent", "set", "lr=0.25", "--expires", "6s")
        ctl = subprocess.Popen(command, env=environment, text=True, stdout=subprocess.PIPE,
                               stderr=subprocess.STDOUT)
        wait_for(lambda: of(world, "order", command="lr=0.25", state="received"))
        world.process.send_signal(signal.SIGSTOP)
        run.process.send_signal(signal.SIGCONT)  # it takes the command in time
        code = ctl.wait(90)
        said = ctl.stdout.read()
        world.process.send_signal(signal.SIGCONT)
        assert code == 8 and "nothing was done" not in said, (code, said)
        wait_for(lambda: of(world, "order", command="lr=0.25", state="applied"))
        assert running.stop() == 0


def without(world, program):
    """Without a daemon: what is too late is not sent again, and nothing overtakes what waits."""
    with run_of(world, program, "alone"):
        world.run("ctl", "here/alone", "set", "lr=0.5", "--queue")
        waiting = world.home / "state/queue/waiting"
        [file] = waiting.glob("*.json")
        late = dict(json.loads(file.read_text()), state="sent")
        late["expires_ns"] = late["made_ns"] + 1
        file.write_text(json.dumps(late))
        assert "applied" in world.run("ctl", "here/alone", "set", "lr=0.25").stdout
        assert ended(world)[-1]["state"] == "unknown", ended(world)
        assert marks(world, "alone", "applied") == ["lr=0.25"]

        world.stop()
        world.run("ctl", "here/alone", "set", "lr=0.2", "--queue")
        said = world.run("ctl", "here/alone", "set", "lr=0.1", code=8).stderr
        assert "behind what was queued" in said, said
        commands = [json.loads(file.read_text())["command"] for file in sorted(waiting.glob("*.json"))]
        assert commands == ["lr=0.2", "lr=0.1"], commands
        world.start()
        assert "applied" in world.run("ctl", "here/alone", "set", "lr=0.05").stdout
        assert marks(world, "alone", "applied") == ["lr=0.25", "lr=0.2", "lr=0.1", "lr=0.05"]
        assert [order["state"] for order in ended(world)[-2:]] == ["applied", "applied"], ended(world)


def lock(world):
    """`proxy stop` says so when it cannot tell whether one runs, and its look at the lock is in nobody's way."""
    file = world.home / "state/proxy.lock"
    file.unlink()
    file.mkdir()
    assert "no proxy daemon runs" not in world.run("proxy", "stop", code=1).stderr
    file.rmdir()
    command, environment = world.command("proxy", "run", "--json")
    with open(file, "w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        process = subprocess.Popen(command, env=environment, text=True, stdout=subprocess.PIPE,
                                   stderr=subprocess.PIPE)
        time.sleep(0.1)
    try:
        assert "running" in process.stdout.readline(), process.stderr.read()
        assert world.run("proxy", "stop").stderr == "stopped\n"
        assert process.wait(60) == 0
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()


def main():
    folder = pathlib.Path(tempfile.mkdtemp(prefix="lh-"))
    longhaul, streamer, program = sys.argv[1:]
    world = World(longhaul, streamer, folder)
    try:
        world.start()
        world.run("init")
        world.run("join", "here", stdin=world.invite())
        hostile_list(world)
        push_goes_on(world)
        ends_in_peace(world, program)
        disk_first(world, program)
        silent_site(world, program)
        without(world, program)
        lock(world)
        assert world.stop() == 0
        print("all held")
    finally:
        if world.process and world.process.poll() is None:
            world.process.send_signal(signal.SIGCONT)
            world.process.kill()
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
