#!/usr/bin/env python3
"""A run killed again and again must end as one that nothing happened to: the same weights and
optimizer buffers, bit for bit, and at every step the same loss, however often the step was done.

  resume_check.py LONGHAUL_TRAIN [--ranks N] [--kills K] [--device D]
                                     K: 5; with LONGHAUL_LONG set 200, if N > 1

With several ranks a kill -9 takes one of them, whose fellows must then end by themselves with a clear
word, or all of them and their launcher. A new folder begins after every five kills."""
import argparse
import json
import os
import random
import subprocess
import tempfile
from pathlib import Path

from killing import expect_the_same, kill_at_random

STEPS, KILLS_EACH = 24, 5
DEVICE = "cpu"


def command(program, folder, run, ranks, *more):
    # On a device a step's outcome is heard when the next one has been asked for, unless spikes are looked for.
    guard = ["--spike", "50"] if DEVICE == "cpu" else ["--device", DEVICE]
    return [program, "train", "--data", str(folder / "shards"), "--run", str(folder / run),
            "--hidden", "64", "--layers", "2", "--steps", str(STEPS), "--batch", "4", "--micro", "2",
            "--sequence", "64", "--optimizer", "transported", *guard, "--clip", "1",
            "--noise", "1e-5", "--eval-data", str(folder / "shards"), "--eval-every", "6",
            "--eval-batches", "2", "--checkpoint-every", "3", "--resume", "auto", "--json", "--jsonl",
            "--ranks", str(ranks), *more]


def stopped(program, folder, ranks, name):
    """Asked to stop, it saves first and says so by its exit code."""
    with subprocess.Popen(command(program, folder, name, ranks, "--say-every", "1"),
                          stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as child:
        next(line for line in child.stderr if line.startswith(b"step "))
        child.terminate()
        child.stderr.read()
    assert child.returncode in (0, 130), f"stopped with {child.returncode}"


def round_of_kills(program, folder, ranks, kills, rng, name):
    run = folder / name
    stopped(program, folder, ranks, name)   # first: kills may leave no step to stop at
    for _ in range(kills):
        with subprocess.Popen(command(program, folder, name, ranks, "--say-every", "1"),
                              stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as child:
            kill_at_random(child, ranks, rng, STEPS - 1)
    done = subprocess.run(command(program, folder, name, ranks), check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["steps"] == STEPS, done.stdout

    reported = expect_the_same(folder / "whole", run, STEPS)
    attempts = len(list((run / "log").glob("*.run")))
    assert attempts <= kills + 2, attempts
    return reported


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("program")
    parser.add_argument("--ranks", type=int, default=1)
    parser.add_argument("--kills", type=int)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--device", default=DEVICE)
    asked = parser.parse_args()
    globals()["DEVICE"] = asked.device
    program = str(Path(asked.program).resolve())
    many = 200 if os.environ.get("LONGHAUL_LONG") and asked.ranks > 1 else KILLS_EACH
    kills = asked.kills or many
    rng = random.Random(asked.seed)
    with tempfile.TemporaryDirectory(prefix="longhaul-resume-") as name:
        folder = Path(name)
        (folder / "text").write_bytes(bytes(rng.choice(b"the quick brown fox ") for _ in range(200_000)))
        subprocess.run([program, "tokenize", "--input", str(folder / "text"), "--out",
                        str(folder / "shards")], check=True, stdout=subprocess.DEVNULL)
        subprocess.run(command(program, folder, "whole", asked.ranks), check=True, capture_output=True)
        left, reported, rounds = kills, 0, 0
        while left > 0:
            now = min(left, KILLS_EACH)
            reported += round_of_kills(program, folder, asked.ranks, now, rng, f"killed-{rounds}")
            left, rounds = left - now, rounds + 1
        print(f"{asked.ranks} ranks, {kills} kills in {rounds} runs, {reported} steps reported: the same bits")


if __name__ == "__main__":
    main()
