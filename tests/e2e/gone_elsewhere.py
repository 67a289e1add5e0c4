"""A job killed on one node goes on at another; the first has points in memory that the second cannot see. `drain`
there, by hand or as an epilog, brings them into the log while the run goes on, and the laptop gets them.

Usage: gone_elsewhere.py LONGHAUL LONGHAUL-STREAMER TRAINER_STAND_IN. Exit code 0: all held.
"""
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import time

from live_run import Follow, Run, points_of
from push_pull import World

EPILOG = pathlib.Path(__file__).parents[2] / "tools/deploy/slurm-epilog.sh"
JOBS_MOST = 50  # a job may be killed when nothing waited


class Node:
    """Whose memory no other node sees."""

    def __init__(self, world, name):
        self.world, self.shared = world, world.folder / name
        self.shared.mkdir()

    def drain(self, *arguments, code=0):
        done = subprocess.run([self.world.streamer, "drain", "--shared", self.shared, *arguments], text=True,
                              capture_output=True, timeout=120)
        assert done.returncode == code, (done.returncode, done.stdout, done.stderr)
        return done

    def drained(self, *arguments, code=0):
        return [json.loads(line) for line in self.drain("--json", *arguments, code=code).stdout.splitlines()]

    def epilog(self):
        environment = dict(os.environ, LONGHAUL_STREAMER=self.world.streamer, LONGHAUL_SHM=str(self.shared),
                           SLURM_JOB_USER="root", SLURM_JOB_ID="7")
        subprocess.run([EPILOG], env=environment, check=True, timeout=120)


def killed(run):
    run.process.kill()
    run.process.wait()


def goes_on(world, run, first, second):
    follow = Follow(world, "here/moved")
    attempt, brought = 0, 0
    while brought == 0:
        assert attempt < JOBS_MOST, "nothing was ever left in memory"
        run.shared = first.shared
        run.start(10**9, 1)
        attempt += 1
        follow.until(lambda: follow.of("live", attempt=attempt), "its beginning")
        (at_work,) = first.drained()
        assert (at_work["state"], at_work["records"]) == ("at work", 0), at_work
        assert f"at work, process {run.process.pid}" in first.drain().stdout
        killed(run)
        run.shared = second.shared
        run.start(10**9, 1)
        attempt += 1
        follow.until(lambda: follow.of("live", attempt=attempt), "the run goes on")
        (left,) = first.drained("--wait", "60s")
        assert left["state"] == "drained" and left["run"] == str(run.folder.resolve()), left
        assert left["attempt"] == attempt - 1 and left["records"] >= 0, left
        brought = left["records"]
        assert first.drain().stdout == "nothing is left here\n"
        killed(run)
        assert all(line["state"] == "drained" for line in second.drained("--wait", "60s", run.folder))
    assert not list(first.shared.iterdir()) and not list(second.shared.iterdir())
    return follow, attempt


def each_once(world, follow, attempts):
    """What the logs of all attempts hold is at the follower, once, and what came late of older ones, too."""
    lines = [json.loads(line) for line in world.run("metrics", "here/moved", "--json").stdout.splitlines()]
    whole = sorted(points_of(lines))
    follow.until(lambda: len(points_of(follow.lines)) >= len(whole), "late points of older attempts", 60)
    follow.stop()
    assert sorted(points_of(follow.lines)) == whole and len(set(whole)) == len(whole)
    assert lines[-1]["lost"] == lines[-1]["dropped"] == 0, lines[-1]
    for attempt in range(1, attempts + 1):
        steps = [step for number, name, step, _ in whole if (number, name) == (attempt, "train/loss")]
        assert steps == list(range(len(steps))) and steps, attempt


def by_epilog(world, run, node):
    if os.geteuid() != 0:
        print("skipped: the epilog, which runs as root")
        return
    run.shared = node.shared
    run.start(10**9, 1)
    time.sleep(0.2)
    killed(run)
    assert list(node.shared.iterdir())
    node.epilog()
    assert not list(node.shared.iterdir())
    world_streamer, world.streamer = world.streamer, "/none"
    node.epilog()  # ends well whatever happens, or the node is taken out of service
    world.streamer = world_streamer


def main():
    folder = pathlib.Path(tempfile.mkdtemp(prefix="lh-"))
    world = World(*sys.argv[1:3], folder)
    run = None
    try:
        world.start()
        world.run("init")
        world.run("join", "here", stdin=world.invite())
        first, second = Node(world, "first"), Node(world, "second")
        assert first.drain().stdout == "nothing is left here\n"
        said = first.drain("--wait", "soon", code=2).stderr
        assert "soon" in said, said
        run = Run(world, sys.argv[3], "moved")
        follow, attempts = goes_on(world, run, first, second)
        each_once(world, follow, attempts)
        by_epilog(world, run, first)
        assert world.stop() == 0
        print(f"all held: {attempts} attempts")
    finally:
        for process in (world.process, run and run.process):
            if process and process.poll() is None:
                process.kill()
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
