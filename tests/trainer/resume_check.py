#!/usr/bin/env python3
"""A run killed again and again must end as one that nothing happened to: the same weights and
optimizer buffers, bit for bit, and at every step the same loss, however often the step was done.

  resume_check.py LONGHAUL_TRAIN [kills]"""
import json
import random
import subprocess
import sys
import tempfile
from pathlib import Path

STEPS = 24


def command(program, folder, run, *more):
    return [program, "train", "--data", str(folder / "shards"), "--run", str(folder / run),
            "--hidden", "64", "--layers", "2", "--steps", str(STEPS), "--batch", "4", "--micro", "2",
            "--sequence", "64", "--optimizer", "transported", "--spike", "50", "--clip", "1",
            "--noise", "1e-5", "--eval-data", str(folder / "shards"), "--eval-every", "6",
            "--eval-batches", "2", "--checkpoint-every", "3", "--resume", "auto", "--json", "--jsonl", *more]


def losses(run):
    found = {}
    for line in (run / "metrics.jsonl").read_text().splitlines():
        try:
            point = json.loads(line)
        except ValueError:
            continue   # what kill -9 cut short
        if "train/loss" in point:
            found.setdefault(point["step"], set()).add(point["train/loss"])
    return found


def main():
    program = str(Path(sys.argv[1]).resolve())
    kills = int(sys.argv[2]) if len(sys.argv) > 2 else 5
    rng = random.Random(1)
    with tempfile.TemporaryDirectory(prefix="longhaul-resume-") as name:
        folder = Path(name)
        (folder / "text").write_bytes(bytes(rng.choice(b"the quick brown fox ") for _ in range(200_000)))
        subprocess.run([program, "tokenize", "--input", str(folder / "text"), "--out",
                        str(folder / "shards")], check=True, stdout=subprocess.DEVNULL)
        subprocess.run(command(program, folder, "whole"), check=True, capture_output=True)

        for _ in range(kills):  # at a random step: its line on stderr is the moment
            last = rng.randrange(1, 12)
            with subprocess.Popen(command(program, folder, "killed", "--say-every", "1"),
                                  stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as child:
                for count, _line in enumerate(child.stderr):
                    if count == last:
                        break
                child.kill()
        # And once asked to stop, which saves first and says so by its exit code.
        with subprocess.Popen(command(program, folder, "killed", "--say-every", "1"),
                              stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as child:
            child.stderr.readline()
            child.terminate()
            child.stderr.read()
        assert child.returncode in (0, 130), f"stopped with {child.returncode}"
        done = subprocess.run(command(program, folder, "killed"), check=True, capture_output=True, text=True)
        assert json.loads(done.stdout)["steps"] == STEPS, done.stdout

        last = f"checkpoints/step-{STEPS:08}"
        for file in ("model.safetensors", "state.safetensors"):
            whole, killed = ((folder / run / last / file).read_bytes() for run in ("whole", "killed"))
            assert whole == killed, f"{file} differs"
        whole, killed = losses(folder / "whole"), losses(folder / "killed")
        assert sorted(whole) == list(range(STEPS)), sorted(whole)
        for step, values in killed.items():
            assert values == whole[step], f"step {step}: {values} against {whole[step]}"
        attempts = len(list((folder / "killed/log").glob("*.run")))
        assert attempts == kills + 2, attempts
        print(f"{kills} kills, {attempts} attempts, {len(killed)} steps reported: the same bits")


if __name__ == "__main__":
    main()
