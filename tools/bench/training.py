"""A trainer that a bench looks into: small steps on a core of its own, and its ledger, step by step."""
import json
import os
import pathlib
import subprocess
import time

COLUMNS = ("compute", "data", "report", "checkpoint", "sync", "control", "other")
STEP_TOKENS = 8 * 128
WAIT_SECONDS = 0.001


def figures(steps, used):
    """Of steps, each its ledger's columns in seconds, and the processor time that their thread used in them."""
    waits = [step[COLUMNS.index("data")] for step in steps]
    other = [step[COLUMNS.index("other")] for step in steps]
    return {"steps": len(steps), "mean_ms": sum(map(sum, steps)) * 1e3 / len(steps),
            "other_percent": 100 * sum(other) / sum(map(sum, steps)), "longest_other_ms": max(other) * 1e3,
            "processor_ms": used * 1e3 / len(steps), "waits": sum(wait > WAIT_SECONDS for wait in waits),
            "longest_wait_ms": max(waits) * 1e3}


class Trainer:
    """Steps of some milliseconds, on a core of its own, as its --jsonl tells them."""

    def __init__(self, options, pair, folder, *more):
        self.run, self.log = pair.root / "runs/bench", folder / "trainer.log"
        environment = dict(os.environ, OMP_NUM_THREADS="1", LONGHAUL_SHM=str(folder))
        program = pathlib.Path(options.bin) / "longhaul-train/longhaul-train"
        self.process = subprocess.Popen(
            ["taskset", "-c", str(options.core), program, "train", "--dataset", "bench", "--store", pair.root,
             "--run", self.run, "--model", "tiny", "--hidden", "64", "--layers", "1", "--batch", "8",
             "--sequence", "128", "--steps", "100000000", "--shuffle-window", "1", "--threads", "1",
             "--say-every", "0", "--jsonl", *more],
            env=environment, stdout=subprocess.DEVNULL, stderr=open(self.log, "w"))
        self.read, self.rest, self.steps = 0, b"", {}

    def look(self):
        """The number of the last step that it told; -1: none yet."""
        path = self.run / "metrics.jsonl"
        if path.exists():
            with open(path, "rb") as told:
                told.seek(self.read)
                new = told.read()
            self.read += len(new)
            *lines, self.rest = (self.rest + new).split(b"\n")
            for point in map(json.loads, lines):
                columns = [point[f"ledger/{column}"] for column in COLUMNS if f"ledger/{column}" in point]
                if len(columns) == len(COLUMNS):
                    self.steps[point["step"]] = columns
        return max(self.steps, default=-1)

    def until_first_step(self):
        end = time.monotonic() + 300
        while self.look() < 0:
            if time.monotonic() > end or self.process.poll() is not None:
                raise SystemExit(f"no step: {self.log.read_text()[-500:]}")
            time.sleep(0.1)

    def processor_seconds(self):
        """Of the thread that trains."""
        told = pathlib.Path(f"/proc/{self.process.pid}/task/{self.process.pid}/schedstat").read_text()
        return int(told.split()[0]) / 1e9

    def stretch(self, seconds):
        first, used = self.look() + 1, self.processor_seconds()
        time.sleep(seconds)
        last, used = self.look(), self.processor_seconds() - used
        if self.process.poll() is not None:
            raise SystemExit(f"the trainer ended: {self.log.read_text()[-500:]}")
        return figures([self.steps[step] for step in range(first, last + 1) if step in self.steps], used)

    def stop(self):
        self.process.terminate()
        self.process.wait()
