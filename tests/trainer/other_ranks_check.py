#!/usr/bin/env python3
"""A run of two ranks goes on with one, or with three: it says what differs, takes the same samples,
and its losses stay those of a run that nothing happened to but for the rounding of its sums.

  other_ranks_check.py LONGHAUL_TRAIN"""
import json
import random
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from killing import losses
from small_run import checkpoints, command, tokenize

STEPS, STOP_AT = 60, 10
# With --micro 1 the sums are cut alike, and nothing but the ranks is another.
TRAIN = ("--steps", STEPS, "--layers", 2, "--sequence", 64, "--batch", 6, "--micro", 1,
         "--optimizer", "muon", "--clip", 1, "--jsonl")
NEAR = 1e-5   # relative; 50 steps later sums of another order made 3e-8
REFUSED, STOPPED = 2, 130   # exit codes


def train(program, shards, run, ranks, *more, code=0):
    words = command(program, shards, run, *TRAIN, "--ranks", ranks, *more)
    done = subprocess.run(words, check=False, capture_output=True, text=True, timeout=300)
    assert done.returncode == code, (done.returncode, done.stderr[-2000:])
    return done.stderr


def stopped(program, shards, run):
    """Told to stop after some steps, it saves the last one; returns that."""
    words = command(program, shards, run, *TRAIN, "--ranks", 2)
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen(words, text=True, **pipes) as child:
        next(line for line in child.stderr if line.startswith(f"step {STOP_AT:>6} "))
        child.terminate()
        said = child.stderr.read()
        summary = child.stdout.read()
    assert child.returncode == STOPPED, (child.returncode, said[-2000:])
    step = json.loads(summary)["steps"]
    assert STOP_AT < step < STEPS, step
    assert checkpoints(run) == [f"step-{step:08}"], (step, checkpoints(run))
    return step


def only_loss(run):
    found = losses(run)
    assert sorted(found) == list(range(STEPS)), sorted(found)
    assert all(len(values) == 1 for values in found.values()), found
    return [found[step].pop() for step in range(STEPS)]


def far_off(one, other):
    return abs(one - other) / other


def main():
    program = str(Path(sys.argv[1]).resolve())
    folder = Path(tempfile.mkdtemp(prefix="longhaul-other-ranks-"))
    try:
        rng = random.Random(1)
        text = bytes(rng.choice(b"the quick brown fox ") for _ in range(50_000))
        shards = tokenize(program, text, folder / "shards")
        train(program, shards, folder / "whole", 2)
        whole = only_loss(folder / "whole")
        # So near are no two steps' samples: other samples would be seen.
        apart = [far_off(one, behind) for one, behind in zip(whole, whole[1:])]
        assert sum(one > 10 * NEAR for one in apart) > STEPS * 2 // 3, apart

        step = stopped(program, shards, folder / "stopped")
        for ranks in (1, 2, 3):
            run = shutil.copytree(folder / "stopped", folder / f"goes-on-{ranks}")
            said = train(program, shards, run, ranks, "--resume", "auto")
            differs = "longhaul-train: the same run, not the same bits: differs in "
            assert f"resumes at step {step}\n" in said and "other rules" not in said, said[:1000]
            told = [line.removeprefix(differs) for line in said.splitlines()
                    if line.startswith(differs)]
            assert told == ([] if ranks == 2 else ["ranks"]), (told, said[:1000])
            mine = only_loss(run)
            assert mine[:step] == whole[:step], (mine[:step], whole[:step])
            furthest = max(map(far_off, mine, whole))
            assert furthest < NEAR and (ranks != 2 or mine == whole), (ranks, furthest)
            print(f"{ranks} ranks from step {step}: within {furthest:.1e}")
        # Four make no equal slices of six samples: refused, and the run is as it was.
        before = sorted(path.name for path in (folder / "stopped").rglob("*"))
        said = train(program, shards, folder / "stopped", 4, "--resume", "auto", code=REFUSED)
        assert "--batch 6 is no multiple of 4 ranks" in said, said
        assert sorted(path.name for path in (folder / "stopped").rglob("*")) == before
        print("all held")
        return 0
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
