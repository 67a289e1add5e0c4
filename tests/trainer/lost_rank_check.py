#!/usr/bin/env python3
"""Of three ranks one is lost: the others end, and each says which it was and why.

  lost_rank_check.py LONGHAUL_TRAIN FULL_DISK.SO"""
import shutil
import sys
import tempfile
from pathlib import Path

from killing import children, kill
from small_run import Trainer, checkpoints, tokenize

RANKS = ("--ranks", 3, "--batch", 6)
LOST = 5  # exit code: a start may help
GONE = "rank 2 is gone: its process or its host has died"
TOLD = f"train as rank 1 of 3: rank 0 has ended the run: train with 3 ranks: {GONE}"


def finished(trainer, code):
    trainer.process.communicate(timeout=300)
    said = trainer.said()
    assert trainer.process.returncode == code, (trainer.process.returncode, said[-2000:])
    return said


def while_it_trains(program, folder, shards):
    """Inside a sum or before a step, as the moment has it."""
    run = folder / "trains"
    trainer = Trainer(program, shards, run, folder / "trains.log", *RANKS)
    try:
        trainer.until_said("\nstep ", 3)
        ranks = children(trainer.process.pid)
        kill(ranks[2])
        said = finished(trainer, LOST)
    finally:
        trainer.kill()
    assert f"rank 2 (process {ranks[2]}) was ended by signal 9" in said, said[-2000:]
    assert f"train with 3 ranks: {GONE}" in said and "this is rank 0 of 3" in said, said[-2000:]
    assert TOLD in said and "this is rank 1 of 3" in said, said[-2000:]
    assert len(checkpoints(run)) == 1, checkpoints(run)


def main():
    program, shim = (str(Path(word).resolve()) for word in sys.argv[1:3])
    folder = Path(tempfile.mkdtemp(prefix="longhaul-lost-rank-"))
    try:
        shards = tokenize(program, b"the quick brown fox " * 5000, folder / "shards")
        while_it_trains(program, folder, shards)
        print("all held")
        return 0
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
