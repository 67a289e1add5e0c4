"""A trainer beside what is measured: a small model that reads a dataset while it is pushed."""
import json
import os
import pathlib
import subprocess
import time

COLUMNS = ("compute", "data", "report", "checkpoint", "sync", "control", "other")
WAIT_SECONDS = 0.001  # a step that waits longer for data has waited


class Trainer:
    """One thread on a core of its own, its steps as its --jsonl tells them; `shape`: of its model and batch."""

    def __init__(self, options, pair, folder, *shape):
        self.run, self.log = pair.root / "runs/bench", folder / "trainer.log"
        environment = dict(os.environ, OMP_NUM_THREADS="1", LONGHAUL_SHM=str(folder))
        program = pathlib.Path(options.bin) / "longhaul-train/longhaul-train"
        self.process = subprocess.Popen(
            ["taskset", "-c", str(options.core), program, "train", "--dataset", "bench", "--store", pair.root,
             "--run", self.run, "--model", "tiny", *map(str, shape), "--steps", "100000000",
             "--shuffle-window", "1", "--threads", "1", "--say-every", "0", "--jsonl"],
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
        self.until(1, seconds=300)

    def until(self, count, seconds):
        """The columns of its first `count` steps, when they are made."""
        end = time.monotonic() + seconds
        while self.look() < count - 1:
            if time.monotonic() > end or self.process.poll() is not None:
                raise SystemExit(f"{max(self.steps, default=-1) + 1} steps: {self.log.read_text()[-500:]}")
            time.sleep(0.1)
        return [self.steps[step] for step in range(count)]

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
        return self.figures([self.steps[step] for step in range(first, last + 1) if step in self.steps], used)

    @staticmethod
    def figures(steps, used):
        waits = [step[COLUMNS.index("data")] for step in steps]
        other = [step[COLUMNS.index("other")] for step in steps]
        return {"steps": len(steps), "mean_ms": sum(map(sum, steps)) * 1e3 / len(steps),
                "other_percent": 100 * sum(other) / sum(map(sum, steps)), "longest_other_ms": max(other) * 1e3,
                "processor_ms": used * 1e3 / len(steps), "waits": sum(wait > WAIT_SECONDS for wait in waits),
                "longest_wait_ms": max(waits) * 1e3}

    def stop(self):
        self.process.terminate()
        self.process.wait()
