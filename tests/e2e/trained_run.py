"""A run of the real trainer, watched and steered from a laptop, through kill -9 of either program.

Usage: trained_run.py LONGHAUL LONGHAUL-STREAMER [LONGHAUL-TRAIN] [RANKS] [DEVICE].
Exit code 0: all held; 77: there is no trainer. With several ranks a setting must reach all at the same
step: they compare their weights at each.
"""
import json
import os
import pathlib
import random
import shutil
import subprocess
import sys
import tempfile

from live_run import Follow, lines_of, points_of
from push_pull import World

NAME = "group/tiny"


class Trainer:
    """longhaul-train on a few kilobytes, a step every few milliseconds."""

    def __init__(self, world, program, ranks, device):
        self.world, self.program, self.ranks, self.device = world, program, ranks, device
        self.run = world.root / "runs" / NAME
        self.environment = dict(os.environ, LONGHAUL_SHM=str(world.folder / "shm"))
        (world.folder / "shm").mkdir()
        rng = random.Random(1)
        text = world.folder / "text"
        text.write_bytes(bytes(rng.choice(b"the quick brown fox ") for _ in range(100_000)))
        subprocess.run([program, "tokenize", "--input", text, "--out", world.folder / "shards"], check=True,
                       stdout=subprocess.DEVNULL)

    def start(self, *more):
        command = [self.program, "train", "--data", self.world.folder / "shards", "--run", self.run,
                   "--hidden", "64", "--layers", "1", "--steps", "1000000", "--batch", "2",
                   "--sequence", "32", "--schedule", "constant", "--warmup", "0",
                   "--rate", "0.01", "--say-every", "1", "--json", "--ranks", self.ranks,
                   "--device", self.device, *more]
        return subprocess.Popen(list(map(str, command)), env=self.environment, stdout=subprocess.PIPE,
                                stderr=open(self.world.folder / "trainer.log", "w"), text=True)

    def kill(self, process):
        ranks = pathlib.Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
        for pid in [process.pid, *map(int, ranks)]:
            os.kill(pid, 9)
        process.wait()

    def told(self):
        """The last step that it wrote about itself."""
        lines = (self.world.folder / "trainer.log").read_text().splitlines()
        return max(int(line.split()[1]) for line in lines if line.startswith("step "))


def column(lines, series, attempt):
    return {step: value for a, name, step, value in points_of(lines) if name == series and a == attempt}


def steer(world, *words, code=0):
    done = lines_of(world.run("ctl", f"here/{NAME}", *words, "--json", code=code))
    assert code != 0 or [line["state"] for line in done] == ["received", "applied"], done
    return done[-1]


def steered(world, follow, process):
    """Each command holds from the step that its answer names."""
    follow.until(lambda: len(column(follow.lines, "train/loss", 1)) > 20, "history")
    pinned = steer(world, "set", "lr=0.002")["step"]
    scaled = steer(world, "set", "lr*=0.5")["step"]
    steer(world, "set", "speed=1", code=2)
    steer(world, "set", "kappa=1", code=2)  # Muon extrapolates nothing
    follow.until(lambda: max(column(follow.lines, "train/lr", 1)) > scaled + 5, "its effect")
    rates = column(follow.lines, "train/lr", 1)
    assert all(rates[step] == 0.01 for step in range(pinned)), pinned
    assert all(rates[step] == 0.002 for step in range(pinned, scaled)), (pinned, scaled)
    assert all(rates[step] == 0.005 for step in rates if step >= scaled), scaled

    paused = steer(world, "pause")["step"]
    saved = steer(world, "checkpoint")
    assert saved["step"] == paused, (saved, paused)
    follow.until(lambda: follow.of("mark", kind="checkpoint", step=paused), "the checkpoint, made in the pause")
    steer(world, "resume")
    world.stop(kill=True)
    seen = max(column(follow.lines, "train/loss", 1))
    assert process.poll() is None
    world.start()
    follow.until(lambda: max(column(follow.lines, "train/loss", 1)) > seen + 20, "news after the streamer's death")
    return paused


def killed(world, follow, trainer, process, saved):
    """kill -9: nothing that was logged is lost; the next attempt goes on with what was set."""
    trainer.kill(process)
    told = trainer.told()
    process = trainer.start("--resume", "auto")
    follow.until(lambda: max(column(follow.lines, "train/loss", 1)) >= told, f"all up to step {told}")
    follow.until(lambda: len(column(follow.lines, "train/loss", 2)) > 20, "the second attempt")
    losses = column(follow.lines, "train/loss", 1)
    assert sorted(losses) == list(range(len(losses)))
    (resumed,) = follow.of("mark", attempt=2, kind="resumed")
    assert resumed["step"] == saved and resumed["text"].endswith(f"step-{saved:08}"), resumed
    again = column(follow.lines, "train/loss", 2)
    both = set(losses) & set(again)
    assert both and all(losses[step] == again[step] for step in both), "the same bits"
    assert set(column(follow.lines, "train/lr", 2).values()) == {0.005}
    stop = steer(world, "stop")["step"]
    out, _ = process.communicate(timeout=60)
    assert process.returncode == 130, process.returncode
    summary = json.loads(out)
    assert summary["attempt"] == 2 and summary["steps"] == stop and summary["stopped"], (summary, stop)
    assert abs(sum(summary["columns"].values()) - summary["wall"]) < 1e-3 * summary["wall"], summary

    follow.until(lambda: stop - 1 in column(follow.lines, "train/loss", 2), "its last step")
    # The last checkpoint comes after the last step's report, and takes as long as the disk takes.
    ledger = [line["value"] for line in follow.of("point", attempt=2)
              if line["series"].startswith("ledger/") and line["series"] != "ledger/checkpoint"]
    wall = summary["wall"] - summary["columns"]["checkpoint"]
    assert abs(sum(ledger) / wall - 1) < 0.05, (sum(ledger), wall)
    listed = world.result("runs", "here")
    assert listed["name"] == NAME and listed["state"] == "ended" and listed["attempts"] == 2, listed
    assert listed["config"]["rate"] == "0.01" and listed["why"] == "stopped", listed

    process = trainer.start("--resume", "auto", "--forget-controls")
    follow.until(lambda: column(follow.lines, "train/lr", 3), "the third attempt")
    assert set(column(follow.lines, "train/lr", 3).values()) == {0.01}
    process.terminate()
    assert process.wait(60) == 130
    checkpoints = sorted(path.name for path in (trainer.run / "checkpoints").iterdir())
    assert f"step-{stop:08}" in checkpoints, (checkpoints, stop)
    assert not list((world.folder / "shm").iterdir()), "no ring is left"


def main():
    if len(sys.argv) < 4 or not sys.argv[3]:
        print("skipped: there is no longhaul-train: LibTorch is not installed (tools/setup --trainer)")
        return 77
    folder = pathlib.Path(tempfile.mkdtemp(prefix="longhaul-e2e-"))
    world = World(sys.argv[1], sys.argv[2], folder)
    process = follow = None
    try:
        world.start()
        world.run("init")
        world.run("join", "here", stdin=world.invite())
        ranks, device = (*sys.argv[4:6], *("1", "cpu")[len(sys.argv) - 4:])
        trainer = Trainer(world, sys.argv[3], ranks, device)
        process = trainer.start()
        while not list((trainer.run / "log").glob("*.run")):
            assert process.poll() is None, (folder / "trainer.log").read_text()
        follow = Follow(world, f"here/{NAME}")
        saved = steered(world, follow, process)
        killed(world, follow, trainer, process, saved)
        follow.stop()
        assert world.stop() == 0
        print("all held")
        return 0
    finally:
        for child in (process, follow and follow.process, world.process):
            if child and child.poll() is None:
                child.kill()
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
