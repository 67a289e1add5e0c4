"""The proxy daemon with the real programs: it mirrors, answers while the site is away, keeps orders
and pushes through an outage and a kill of its own, and applies each order once.

Usage: proxy_daemon.py LONGHAUL LONGHAUL-STREAMER TRAINER_STAND_IN NETSIM. Exit code 0: all held.
"""
import json
import os
import pathlib
import shutil
import signal
import socket
import stat
import subprocess
import sys
import tempfile

from blocked_udp import Relay
from live_run import STEPS, Follow, Run, lines_of, points_of
from push_pull import World
from reach_world import make_tree, same, wait_for


RUNS = []


def begin(world, program, name, steps, pause):
    RUNS.append(Run(world, program, name))
    RUNS[-1].start(steps, pause)
    return RUNS[-1]


def status(world):
    return lines_of(world.run("proxy", "status", "--json"))


def of(world, event, **fields):
    return [line for line in status(world) if line["event"] == event
            and all(line.get(name) == value for name, value in fields.items())]


def link(world):
    return of(world, "site")[0]["link"]


def pid_of(world):
    return of(world, "proxy")[0]["pid"]


def begins(world):
    """start detaches and answers, twice is once, status says where it is, a second one is refused."""
    assert world.run("proxy", "status", code=3).stdout == "no proxy daemon runs\n"
    assert world.result("proxy", "start")["started"] is True
    assert world.result("proxy", "start")["started"] is False
    path = pathlib.Path(of(world, "proxy")[0]["socket"])
    assert stat.S_IMODE(path.stat().st_mode) == 0o600 and stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    said = world.run("proxy", "run", code=1).stderr
    assert "one runs already" in said, said
    assert "`longhaul proxy status` shows it, `longhaul proxy stop` ends it" in said, said
    wait_for(lambda: link(world) == "up")
    return path


def hostile(world, path):
    """A local peer that sends nonsense is told so; the daemon goes on."""
    for sent in (b"\n", b"{}\n", b"x" * 5000, b'{"longhaul_proxy":9,"ask":"status"}\n', b"\xff\x00\n",
                 b"[" * 4000 + b"\n"):
        with socket.socket(socket.AF_UNIX) as peer:
            peer.settimeout(10)
            peer.connect(str(path))
            peer.sendall(sent)
            heard = b""
            while part := peer.recv(4096):
                heard += part
            assert json.loads(heard)["event"] == "error", (sent[:20], heard)
    halves = [socket.socket(socket.AF_UNIX) for _ in range(20)]
    for half in halves:
        half.connect(str(path))
        half.sendall(b'{"longhaul_proxy":1,')
    assert link(world) == "up"
    for half in halves:
        half.close()
    if os.geteuid() == 0 and shutil.which("setpriv"):
        stranger(world, path)


def stranger(world, path):
    """Another user is hung up on, even where the modes would let it in."""
    ask = ("import socket, sys; s = socket.socket(socket.AF_UNIX); s.settimeout(10); s.connect(sys.argv[1])\n"
           "try: s.sendall(b'{\"longhaul_proxy\":1,\"ask\":\"status\"}\\n'); print(s.recv(99))\n"
           "except OSError: print(b'')")
    command = ["setpriv", "--reuid=65534", "--clear-groups", sys.executable, "-c", ask, str(path)]
    assert "PermissionError" in subprocess.run(command, capture_output=True, text=True).stderr
    folders = [path.parent, *path.parent.parents]
    opened = [path, *folders[:folders.index(world.folder) + 1]]
    modes = [(place, stat.S_IMODE(place.stat().st_mode)) for place in opened]
    for place, mode in modes:
        place.chmod(mode | 0o077)
    assert subprocess.run(command, capture_output=True, text=True).stdout == "b''\n"
    for place, mode in modes:
        place.chmod(mode)


def mirrors(world, program):
    """A finished run is mirrored without anybody having asked for it; runs and metrics answer."""
    run = begin(world, program, "group/first", STEPS, 0)
    run.wait()
    assert world.result("runs", "here")["state"] == "ended"
    wait_for(lambda: any(line["here"] == line["recorded"] > 0
                         for line in of(world, "mirror", run="group/first")))
    points = points_of(lines_of(world.run("metrics", "here/group/first", "--json")))
    assert len(points) == len(set(points)) == 2 * STEPS, len(points)
    return points


def away(world, program, relay_to, points):
    """Out of reach: what is here answers, an order waits, and is applied once the link is back."""
    run = begin(world, program, "second", 10**9, 5)
    assert "applied at step" in world.run("ctl", "here/second", "set", "lr=0.5").stdout
    relay_to(None)
    wait_for(lambda: link(world) == "down")
    listed = world.run("runs", "here", "--json")
    assert {line["name"] for line in lines_of(listed)} == {
        "again", "group/first", "second"}, listed.stdout
    assert "out of reach" in listed.stderr, listed.stderr
    assert points_of(lines_of(world.run("metrics", "here/group/first", "--json"))) == points
    queued = lines_of(world.run("ctl", "here/second", "set", "lr=0.25", "--json", code=8))[-1]
    assert queued["state"] == "queued", queued
    world.run("ctl", "here/second", "pause", "--expires", "1s", "--queue")
    waiting = [line for line in of(world, "order") if line["state"] == "queued"]
    assert [line["command"] for line in waiting] == ["lr=0.25", "pause"], waiting
    os.kill(pid_of(world), signal.SIGKILL)  # orders are on the disk
    wait_for(lambda: "no proxy daemon" in subprocess.run(
        world.command("proxy", "status")[0], env=world.command()[1], capture_output=True, text=True).stdout)
    source = world.folder / "source"
    make_tree(source, 3, 8)
    world.run("push", source, "here:queued", "--queue", "--exclude", "*-01.txt")
    world.run("proxy", "start")
    wait_for(lambda: of(world, "order", command="pause", state="expired"))
    relay_to(world.address)
    wait_for(lambda: of(world, "order", command="lr=0.25", state="applied"))
    wait_for(lambda: of(world, "order", kind="push", state="applied"))
    world.run("pull", "here:queued", world.folder / "back")
    (source / "small-01.txt").unlink()
    same(source, world.folder / "back")
    versions = lines_of(world.run("ls", "here:queued", "--json"))
    assert len(versions) == 1, versions
    run.process.kill()
    run.process.wait()
    told = lines_of(world.run("metrics", "here/second", "--json"))
    marks = [line for line in told if line["event"] == "mark"]
    applied = [mark["text"] for mark in marks if mark["kind"] == "applied"]
    assert applied == ["lr=0.5", "lr=0.25"], applied


def replaced(world, program):
    """A run that is removed, and another begun under its name, twice: what was kept is put aside."""
    for steps in (300, 100):
        shutil.rmtree(world.root / "runs/again", ignore_errors=True)
        for _ in range(1 if steps == 300 else 2):
            begin(world, program, "again", steps, 0).wait()
        world.run("runs", "here")
        aside = world.home / "state/runs/here/again"
        told = {"run": "again", "attempt": 1 if steps == 300 else 2}
        wait_for(lambda: any(line["here"] == line["recorded"] > 0 for line in of(world, "mirror", **told))
                 and (steps == 300 or list(aside.glob("mirror-*"))))
        points = points_of(lines_of(world.run("metrics", "here/again", "--json")))
        assert len(points) == (2 * 300 if steps == 300 else 4 * 100), len(points)
    assert len(list((world.home / "state/runs/here/again").glob("mirror-*/history"))) == 1


def nobody(world):
    """An order to a run that is not there ends as without a daemon, and leaves no mirror behind."""
    said = world.run("ctl", "here/nobody", "pause", code=3).stderr
    assert "steer here/nobody" in said and "`longhaul runs here` lists them" in said, said
    wait_for(lambda: not (world.home / "state/runs/here/nobody").exists())


def without(world, program):
    """SIGTERM and stop end it, and it has not run in circles; without one commands work as ever,
    and what was queued goes first."""
    turns = of(world, "site")[0]["turns"]
    assert turns < 20_000, turns  # of its loop, one for each thing that happened; in circles: millions
    os.kill(pid_of(world), signal.SIGTERM)
    wait_for(lambda: world.run("proxy", "stop").stderr == "no proxy daemon runs\n")
    world.run("proxy", "start")
    assert world.run("proxy", "stop").stderr == "stopped\n"
    assert world.run("proxy", "stop").stderr == "no proxy daemon runs\n"
    run = begin(world, program, "third", 10**9, 5)
    world.run("ctl", "here/third", "set", "lr=0.125", "--queue")
    assert "applied at step" in world.run("ctl", "here/third", "set", "lr=0.0625").stdout
    follow = Follow(world, "here/third")
    follow.until(lambda: len(follow.of("mark", kind="applied")) == 2, "both marks")
    assert [mark["text"] for mark in follow.of("mark", kind="applied")] == ["lr=0.125", "lr=0.0625"]
    follow.stop()
    # A factor is held, however often it is said; the trainer does the same.
    for _ in range(2):
        assert "applied at step" in world.run("ctl", "here/third", "set", "lr*=0.5").stdout
    wait_for(lambda: [line["values"]["train/lr"]["value"]
                      for line in lines_of(world.run("runs", "here", "--json"))
                      if line["name"] == "third"] == [0.005])
    run.process.kill()
    run.process.wait()


def main():
    folder = pathlib.Path(tempfile.mkdtemp(prefix="lh-"))
    longhaul, streamer, program, netsim = sys.argv[1:]
    world = World(longhaul, streamer, folder)
    relays = []

    def relay_to(address):
        """The outage: nothing listens where the laptop looks for the site."""
        if address is None:
            relays.pop().stop()
            return
        port = relays_port[0] if relays_port else None
        relays.append(Relay(netsim, int(address.rpartition(":")[2]), udp=True, port=port))
        relays_port.append(relays[-1].port)

    relays_port = []
    try:
        world.start()
        world.run("init")
        world.run("join", "here", stdin=world.invite())
        relay_to(world.address)
        sites = world.home / "config/sites.toml"
        sites.write_text(sites.read_text().replace(world.address, f"127.0.0.1:{relays[0].port}"))
        path = begins(world)
        hostile(world, path)
        points = mirrors(world, program)
        replaced(world, program)
        nobody(world)
        away(world, program, relay_to, points)
        without(world, program)
        assert world.stop() == 0
        print("all held")
    finally:
        subprocess.run(world.command("proxy", "stop")[0], env=world.command()[1], capture_output=True)
        for relay in relays:
            relay.stop()
        for run in RUNS:
            if run.process and run.process.poll() is None:
                run.process.kill()
        if world.process and world.process.poll() is None:
            world.process.kill()
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
