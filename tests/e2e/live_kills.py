"""kill -9 of everything that a run is watched and steered with, at random moments: the training program, the
streamer, the daemon, `metrics --follow`, `top`. Each point that was logged is on the laptop once, each command
took effect once.

Usage: live_kills.py LONGHAUL LONGHAUL-STREAMER TRAINER_STAND_IN [SEED]. Exit code 0: all held.
"""
import os
import pathlib
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time

from live_run import Follow, Run, lines_of, loss, points_of
from push_pull import World
from reach_world import wait_for

KILLS = 12
RUN = "here/killed"
BACK = 50  # steps that an attempt does again


def daemon_pid(world):
    told = subprocess.run(world.command("proxy", "status", "--json")[0], env=world.command()[1], text=True,
                          capture_output=True)
    return next(line["pid"] for line in lines_of(told) if line["event"] == "proxy" and "pid" in line)


class Story:
    def __init__(self, world, program, rng):
        self.world, self.rng = world, rng
        self.run = Run(world, program, "killed")
        self.first = [0]  # step of each attempt
        self.commands = 0
        self.run.start(10**9, 5)
        world.run("proxy", "start")
        self.follow, self.top = Follow(world, RUN), self.start_top()

    def start_top(self):
        command, environment = self.world.command("top", RUN, "--json")
        return subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def seen(self):
        """The newest step that the site tells of."""
        return self.world.result("runs", "here")["last_step"]

    def steer(self):
        """Given, and not waited for: what follows may kill whoever is at it."""
        self.commands += 1
        self.world.run("ctl", RUN, "set", f"lr={1 / (self.commands + 1)}", "--queue", "--expires", "1h")

    def kill(self, victim):
        if victim == "trainer":
            begins = max(0, self.seen() - BACK)
            self.run.process.kill()
            self.run.process.wait()
            self.first.append(begins)
            self.run.start(10**9, 5, first=begins)
        elif victim == "streamer":
            self.world.stop(kill=True)
            self.world.start()
        elif victim == "daemon":
            os.kill(daemon_pid(self.world), signal.SIGKILL)
            wait_for(lambda: self.world.result("proxy", "start")["started"], 60)
        elif victim == "follow":
            self.follow.process.kill()
            self.follow.process.wait()
            self.follow = Follow(self.world, RUN)
        else:
            self.top.kill()
            self.top.wait()
            self.top = self.start_top()

    def applied(self):
        marks = [line for line in lines_of(self.world.run("metrics", RUN, "--json")) if line["event"] == "mark"]
        # Settings in force are carried out again by each attempt, under the id they had.
        return {(mark["attempt"], mark["id"]): mark for mark in marks if mark["kind"] == "applied"}, marks

    def check(self):
        wait_for(lambda: len({key for _, key in self.applied()[0]}) == self.commands, 60)
        self.world.run("ctl", RUN, "stop")
        self.run.wait()
        self.follow.until(lambda: any(line["attempt"] == len(self.first) and line["here"] == line["recorded"]
                                      and line["complete_step"] == line["live_step"]
                                      for line in self.follow.of("watermarks")[-1:]), "the end", 60)
        lines = lines_of(self.world.run("metrics", RUN, "--json"))
        points = points_of(lines)
        assert len(points) == len(set(points)), "a point came twice"
        for number, first in enumerate(self.first, 1):
            steps = [step for attempt, name, step, _ in points if attempt == number and name == "train/loss"]
            assert steps == list(range(first, first + len(steps))), (number, first, steps[:3], len(steps))
            assert number == len(self.first) or first + len(steps) >= self.first[number], (number, len(steps))
            rates = [step for attempt, name, step, _ in points if attempt == number and name == "train/lr"]
            assert steps[:-1] == rates[:len(steps) - 1] and len(rates) in (len(steps), len(steps) - 1), number
        assert all(value == loss(step) for _, name, step, value in points if name == "train/loss")
        assert lines[-1]["lost"] == lines[-1]["dropped"] == 0, lines[-1]
        told, marks = self.applied()
        once = [mark for mark in marks if mark["kind"] == "applied"]
        assert len(once) == len(told), "a command took effect twice in one attempt"
        return len(points), len(self.first)

    def end(self):
        for process in (self.run.process, self.follow.process, self.top):
            if process.poll() is None:
                process.kill()
                process.wait()


def main():
    seed = int(sys.argv[4]) if len(sys.argv) > 4 else random.SystemRandom().randrange(10**6)
    print("seed", seed, flush=True)
    rng = random.Random(seed)
    folder = pathlib.Path(tempfile.mkdtemp(prefix="lh-"))
    world = World(*sys.argv[1:3], folder)
    story = None
    try:
        world.start()
        world.run("init")
        world.run("join", "here", stdin=world.invite())
        story = Story(world, sys.argv[3], rng)
        victims = ["trainer", "streamer", "daemon", "follow", "top"]
        order = victims + [rng.choice(victims) for _ in range(KILLS - len(victims))]
        rng.shuffle(order)
        for victim in order:
            time.sleep(rng.uniform(0, 1.5))
            if rng.random() < 0.5:
                story.steer()
                time.sleep(rng.uniform(0, 0.4))
            story.kill(victim)
        points, attempts = story.check()
        assert world.stop() == 0
        print(f"all held: {points} points of {attempts} attempts, {story.commands} commands, {order}")
    finally:
        subprocess.run(world.command("proxy", "stop")[0], env=world.command()[1], capture_output=True)
        if story:
            story.end()
        if world.process and world.process.poll() is None:
            world.process.kill()
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
