"""Two ranks train on a corpus while it is uploaded, and are killed -9 at random moments; with
--resume auto they end with the weights, the optimizer and the losses of a run that nothing happened
to, bit for bit.

Usage: killed_ranks.py LONGHAUL LONGHAUL-STREAMER [LONGHAUL-TRAIN]. 5 kills; 200 with LONGHAUL_LONG
set. 0: all held; 77: no trainer. After five kills the push is killed, too, and a new corpus begins.
"""
import os
import pathlib
import random
import shutil
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "trainer"))

from early_start import make_shards
from killing import expect_the_same, kill_at_random
from push_pull import World

RANKS, STEPS, KILLS_EACH = 2, 128, 5
# The steps read the first two shards, which take 4 s, or 10, so that most steps wait for them;
# the rest keeps the upload going for minutes.
SHARDS, TOKENS, RATES = 240, 65_536, ("30kB/s", "13kB/s")


class Run:
    def __init__(self, world, program, name, *data):
        self.folder = world.root / "runs" / name
        self.environment = dict(os.environ, LONGHAUL_SHM=str(world.folder))
        self.command = [program, "train", *data, "--run", self.folder, "--hidden", "64",
                        "--layers", "1", "--steps", STEPS, "--batch", "8", "--sequence", "128",
                        "--shuffle-window", "1", "--order", "upload", "--checkpoint-every", "5",
                        "--say-every", "1", "--resume", "auto", "--jsonl", "--ranks", RANKS]

    def start(self):
        return subprocess.Popen(list(map(str, self.command)), env=self.environment, stdout=subprocess.DEVNULL,
                                stderr=subprocess.PIPE)

    def end(self):
        with self.start() as child:
            said = child.stderr.read().decode()
        assert child.returncode == 0, said


def push(world, source, dataset, *more):
    command, environment = world.command("push", source, f"here:{dataset}", *more)
    return subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def story(world, program, number, kills, rng):
    dataset, source = f"words{number}", world.folder / f"shards{number}"
    make_shards(source, 100 + number, SHARDS, TOKENS)
    run = Run(world, program, f"killed{number}", "--dataset", dataset, "--store", world.root)
    sending = push(world, source, dataset, "--limit-rate", rng.choice(RATES))
    try:
        for _ in range(kills):
            with run.start() as child:
                kill_at_random(child, RANKS, rng, STEPS - 1)
            assert sending.poll() is None, "the corpus still uploads"
    finally:
        sending.kill()
        sending.wait()
    sending = push(world, source, dataset)
    run.end()
    assert sending.wait(120) == 0
    whole = Run(world, program, f"whole{number}", "--data", world.root / f"datasets/{dataset}/v000001")
    whole.end()
    reported = expect_the_same(whole.folder, run.folder, STEPS)
    assert reported > STEPS // 2, reported  # kill -9 may cost a tenth of a second of them
    shutil.rmtree(source)


def main():
    if len(sys.argv) < 4 or not sys.argv[3]:
        print("skipped: there is no longhaul-train: LibTorch is not installed (tools/setup --trainer)")
        return 77
    left, number, rng = 200 if os.environ.get("LONGHAUL_LONG") else KILLS_EACH, 0, random.Random(1)
    kills = left
    folder = pathlib.Path(tempfile.mkdtemp(prefix="longhaul-e2e-"))
    world = World(sys.argv[1], sys.argv[2], folder)
    try:
        world.start()
        world.run("init")
        world.run("join", "here", stdin=world.invite())
        while left > 0:
            story(world, sys.argv[3], number, min(left, KILLS_EACH), rng)
            left, number = left - KILLS_EACH, number + 1
        assert world.stop() == 0
        print(f"{kills} kills in {number} uploads: the same bits")
        return 0
    finally:
        if world.process and world.process.poll() is None:
            world.process.kill()
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
