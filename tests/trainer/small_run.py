"""A trainer of a small model on a small text, as the checks beside this file start it."""
import json
import os
import subprocess
import time


def tokenize(program, text, folder):
    source = folder.with_suffix(".txt")
    source.write_bytes(text)
    subprocess.run([program, "tokenize", "--input", source, "--out", folder], check=True,
                   stdout=subprocess.DEVNULL)
    return folder


def command(program, shards, run, *more):
    return list(map(str, [program, "train", "--data", shards, "--run", run, "--hidden", 128, "--layers", 1,
                          "--batch", 2, "--sequence", 32, "--say-every", 1, "--json", *more]))


class Trainer:
    """One that goes on until it is told to stop; what it says is in the file `log`."""

    def __init__(self, program, shards, run, log, *more, **variables):
        self.log = log
        self.process = subprocess.Popen(command(program, shards, run, "--steps", 1_000_000, *more),
                                        env=dict(os.environ, LONGHAUL_SHM=str(log.parent), **variables),
                                        text=True, stdout=subprocess.PIPE, stderr=open(log, "w"))

    def said(self):
        return self.log.read_text()

    def until(self, holds, what, seconds=120):
        end = time.monotonic() + seconds
        while not holds():
            assert self.process.poll() is None and time.monotonic() < end, (what, self.said()[-1000:])
            time.sleep(0.02)

    def until_said(self, words, more_than=0):
        self.until(lambda: self.said().count(words) > more_than, words)

    def until_steps(self, more):
        """So many steps from now on."""
        steps = self.said().count("\nstep ")
        self.until(lambda: self.said().count("\nstep ") > steps + more, "steps")

    def stop(self, code):
        """SIGTERM; returns the summary, where there is one."""
        self.process.terminate()
        out, _ = self.process.communicate(timeout=120)
        assert self.process.returncode == code, (self.process.returncode, self.said()[-1000:])
        return json.loads(out) if out else None

    def kill(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.communicate()


def checkpoints(run):
    return sorted(path.name for path in (run / "checkpoints").glob("*"))
