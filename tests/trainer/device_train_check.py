#!/usr/bin/env python3
"""`train --device`: a run by the code of a GPU, on the CPU, beside one of the CPU's own code.

  device_train_check.py LONGHAUL_TRAIN [DEVICE]      exit code 77: there is no such device

The same losses nearly, in fp32 and bf16; checkpoints that either goes on from; two ranks as one; a
ledger that adds up, with the device's own time beside it; and what it says where there is no such
device."""
import json
import random
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from small_run import checkpoints, command, tokenize

STEPS, HALF = 8, 4
NAME = sys.argv[2] if len(sys.argv) > 2 else "cpu-device"
DEVICE = ("--device", NAME)
NEAR = {"fp32": 1e-3, "bf16": 2e-2}  # device_test's tolerances, eight steps later


class Runs:
    def __init__(self, program, folder):
        self.program, self.folder = program, folder
        rng = random.Random(1)
        text = bytes(rng.choice(b"the quick brown fox ") for _ in range(100_000))
        self.shards = tokenize(program, text, folder / "shards")

    def train(self, name, *more, code=0):
        words = command(self.program, self.shards, self.folder / name, "--steps", STEPS, "--jsonl", "--batch", 4,
                        "--optimizer", "transported", "--clip", 1, "--keep", 9, *more)
        done = subprocess.run(words, check=False, capture_output=True, text=True, timeout=600)
        assert done.returncode == code, (name, done.returncode, done.stderr[-1000:])
        return done

    def has(self, device):
        probe = subprocess.run([self.program, "bench-device", "--layers", "1", "--steps", "1", "--batch", "1",
                                "--device", device.removesuffix("-device")],
                               check=False, capture_output=True, text=True)
        assert probe.returncode == 0 or "cannot compute" in probe.stderr, probe.stderr
        return probe.returncode == 0

    def points(self, name):
        found = {}
        for line in (self.folder / name / "metrics.jsonl").read_text().splitlines():
            point = json.loads(line)
            for series, value in point.items():
                if "/" in series:
                    found.setdefault(series, {})[point["step"]] = value
        return found


def near(got, want, share):
    assert sorted(got) == sorted(want), (sorted(got), sorted(want))
    for step, value in want.items():
        assert abs(got[step] - value) < share * abs(value), (step, got[step], value)


def beside_the_cpu(runs):
    evaluated = ("--eval-data", runs.shards, "--eval-every", 3, "--eval-batches", 2, "--micro", 2, "--noise", 1e-5)
    for dtype, share in NEAR.items():
        told = {}
        for name, device in (("cpu", ()), ("device", DEVICE)):
            run = f"{name}-{dtype}"
            done = runs.train(run, "--dtype", dtype, *evaluated, *device)
            summary = json.loads(done.stdout)
            assert ("device idle " in done.stderr) == bool(device), done.stderr
            assert summary["steps"] == STEPS and checkpoints(runs.folder / run) == [f"step-{STEPS:08}"], summary
            told[name] = runs.points(run), summary
        (cpu, _), (device, summary) = told["cpu"], told["device"]
        for series in ("train/loss", "eval/loss", "train/lr"):
            near(device[series], cpu[series], share)
        assert sorted(cpu["train/loss"]) == list(range(STEPS)) and len(cpu["eval/loss"]) == 3, cpu
        # The columns are the host's time and sum to it; beside them what the device did of it.
        columns, wall = summary["columns"], summary["wall"]
        assert abs(sum(columns.values()) - wall) < 1e-3 * wall, summary
        busy, idle = summary["device_busy"], summary["device_idle"]
        assert 0 < busy and 0 < idle and busy + idle < wall, summary
        assert sorted(device["device/busy"]) == list(range(STEPS)), device["device/busy"]
        assert abs(sum(device["device/busy"].values()) - busy) < 1e-3 * busy, (device["device/busy"], busy)
        assert "device/busy" not in cpu and told["cpu"][1]["device_busy"] == 0, told["cpu"]


def across(runs):
    """From a checkpoint of either the other goes on, and says what differs."""
    ways = {"cpu": (), "device": DEVICE}
    for name, device in ways.items():
        runs.train(f"{name}-whole", "--checkpoint-every", HALF, *device)
    want = runs.points("cpu-whole")["train/loss"]
    for first, then in (("cpu", "device"), ("device", "cpu"), ("device", "device")):
        name = f"{first}-{then}"
        whole = runs.folder / f"{first}-whole"
        half = whole / f"checkpoints/step-{HALF:08}"
        shutil.copytree(half, runs.folder / name / "checkpoints" / half.name)
        done = runs.train(name, "--resume", "auto", *ways[then])
        told = [line for line in done.stderr.splitlines() if "differs in" in line]
        words = "longhaul-train: the same run, not the same bits: differs in device"
        assert told == ([words] if first != then else []), done.stderr
        assert f"resumes at step {HALF}" in done.stderr, done.stderr
        near(runs.points(name)["train/loss"], {step: want[step] for step in range(HALF, STEPS)}, NEAR["fp32"])
        if first != then or NAME != "cpu-device":  # on a GPU attention's way back adds up in any order
            continue
        for file in ("model.safetensors", "state.safetensors"):  # the same bits
            last = f"checkpoints/step-{STEPS:08}/{file}"
            assert (whole / last).read_bytes() == (runs.folder / name / last).read_bytes(), file


def two_ranks(runs):
    """At the same samples: sums in another order, no more. By plain momentum rules it stays small."""
    losses = []
    for ranks in (1, 2):
        name = f"ranks-{ranks}"
        done = runs.train(name, "--ranks", ranks, "--optimizer", "muon", *DEVICE)
        losses.append(runs.points(name)["train/loss"])
        assert json.loads(done.stdout)["steps"] == STEPS, done.stdout
    near(losses[1], losses[0], 1e-4)


def refused(runs):
    here = runs.train("none", "--device", "cuda:9", code=1)  # no machine of ours has ten
    lines = here.stderr.splitlines()
    assert lines[0].startswith("longhaul-train: cannot compute on cuda:9"), lines
    for words, why in ((("--device", "gpu"), "a device is cpu, cuda or cuda:N"),
                       ((*DEVICE, "--consume", "--clip", 0), "--consume goes with --device cpu"),
                       (("--device", "cuda:1", "--ranks", 2), "each takes its own GPU: --device cuda")):
        done = runs.train("none", *words, code=2)
        assert why in done.stderr, done.stderr
    assert not (runs.folder / "none").exists(), "nothing was begun"


def main():
    program = str(Path(sys.argv[1]).resolve())
    folder = Path(tempfile.mkdtemp(prefix="longhaul-device-"))
    try:
        runs = Runs(program, folder)
        if not runs.has(NAME):
            print(f"skipped: there is no {NAME} here")
            return 77
        for story in (refused, beside_the_cpu, across, two_ranks):
            if story == two_ranks and NAME == "cuda" and not runs.has("cuda:1"):
                print("two_ranks: left out, there is one GPU")
                continue
            story(runs)
            print(f"{story.__name__}: ok")
        return 0
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
