#!/usr/bin/env python3
"""Two attempts of one run at once, as requeued jobs have them: the older one neither writes nor deletes
what the newer one reads, wherever in a checkpoint it is, and ends. Both are held where the test wants
them (full_disk.c), so nothing depends on who is faster.

  overlap_check.py LONGHAUL_TRAIN FULL_DISK.SO"""
import shutil
import sys
import tempfile
from pathlib import Path

from small_run import Trainer, checkpoints, tokenize

BUSY = 1  # its exit code


def start(program, shards, folder, shim, name, *more):
    """(a trainer of the run, the file that holds it)."""
    hold = folder / f"hold-{name}"
    trainer = Trainer(program, shards, folder / "run", folder / f"{name}.log", "--checkpoint-every", 20,
                      "--keep", 1, "--resume", "auto", *more, LD_PRELOAD=shim, FULL_WHILE=str(hold))
    return trainer, hold


def whole(run):
    return [name for name in checkpoints(run) if name.startswith("step-")]


def overlap(program, folder, shards, shim):
    run = folder / "run"
    older, hold_older = start(program, shards, folder, shim, "older")
    newer = None
    try:
        older.until(lambda: run.exists() and whole(run), "a checkpoint")
        hold_older.write_text("notes")
        older.until(lambda: any((run / "checkpoints").glob(".step-*.1/checkpoint.json*")), "one that is held")
        [kept] = whole(run)
        hold_newer = folder / "hold-newer"
        hold_newer.write_text("weights")
        newer, hold_newer = start(program, shards, folder, shim, "newer")
        newer.until(lambda: (run / "log/000002.run").exists(), "its claim, before it reads")
        hold_older.unlink()
        older.process.communicate(timeout=120)
        assert older.process.returncode == BUSY, (older.process.returncode, older.said()[-500:])
        assert "a newer attempt of " in older.said(), older.said()[-500:]
        assert checkpoints(run) == [kept], (checkpoints(run), kept)
        hold_newer.unlink()
        newer.until_said(f"resumes at step {int(kept.removeprefix('step-'))}\n")
        assert "passed over" not in newer.said(), newer.said()
        newer.until(lambda: whole(run) and whole(run) != [kept], "a checkpoint of the newer one")
        newer.stop(130)
    finally:
        older.kill()
        if newer:
            newer.kill()


def main():
    program, shim = (str(Path(word).resolve()) for word in sys.argv[1:3])
    folder = Path(tempfile.mkdtemp(prefix="longhaul-overlap-"))
    try:
        overlap(program, folder, tokenize(program, b"the quick brown fox " * 5000, folder / "shards"), shim)
        print("all held")
        return 0
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
