#!/usr/bin/env python3
"""A run that is told to stop knows how long it has: by --grace or by Slurm, here a scontrol that
says what the test wants. A last checkpoint that cannot fit is not begun, and the words say so.

  ending_check.py LONGHAUL_TRAIN

And one whose words nobody reads goes on to its end, with all of its time on the books, the pipe
closed or full; and a rank that hangs ends the run of all after --rank-wait, with a checkpoint of the
last whole step."""
import fcntl
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from killing import children, kill
from small_run import Trainer, checkpoints, command, tokenize

EVERY = 20      # steps
STEP = ("--batch", 16, "--sequence", 64)   # some tens of milliseconds, so that a checkpoint is written in a few
PIPE = 4096     # bytes
JOB = """case "$*" in
  "show job -o 42") echo "JobId=42 JobState={state} EndTime={end} Deadline=N/A"; {then} ;;
  "show config") echo "KillWait                = {wait} sec" ;;
  *) exit 1 ;;
esac
[ "$SLURM_TIME_FORMAT" = %s ]
"""


class Slurm:
    def __init__(self, folder):
        self.tool = folder / "bin/scontrol"
        self.tool.parent.mkdir()
        self.variables = {"PATH": f"{self.tool.parent}:{os.environ['PATH']}", "SLURM_JOB_ID": "42",
                          "SLURM_TIME_FORMAT": "relative"}

    def says(self, state="RUNNING", end="Unknown", wait=0, then=":"):
        self.tool.write_text("#!/bin/sh\n" + JOB.format(state=state, end=end, wait=wait, then=then))
        self.tool.chmod(0o755)


def steps_of(said):
    return [int(line.split()[1]) for line in said.splitlines() if line.startswith("step ")]


def ended(program, folder, shards, name, codes, *more, every=EVERY, **variables):
    """Of a run stopped between two checkpoints, its first one written: (its log, whether its last
    step is saved)."""
    run = folder / name
    trainer = Trainer(program, shards, run, run.with_suffix(".log"), "--checkpoint-every", every,
                      *STEP, *more, **variables)
    try:
        trainer.until_said(f"\nstep {every:>6} ")
        trainer.until(lambda: checkpoints(run), "its first checkpoint")
        trainer.process.terminate()
        trainer.process.communicate(timeout=120)
    finally:
        trainer.kill()
    assert trainer.process.returncode in codes, (trainer.process.returncode, trainer.said()[-500:])
    steps = steps_of(trainer.said())
    assert every == 1 or every < steps[-1] + 1 < 2 * every, steps[-1]
    return trainer.said(), f"step-{steps[-1] + 1:08}" in checkpoints(run)


def due_but_late(program, folder, shards, refused, **variables):
    """The same in the midst of a step that a checkpoint was due after. The signal may find a run between two: then
    the step before is saved, and it is tried again."""
    for attempt in range(4):
        log, saved = ended(program, folder, shards, f"due{attempt}", (8, 130), every=1, **variables)
        if not saved:
            assert refused in log, log[-500:]
            return
    raise AssertionError("a checkpoint is begun after a signal")


def stories_of_grace(program, folder, shards):
    slurm = Slurm(folder)
    refused = "its last checkpoint was not begun: the last one took "
    for state, end in (("RUNNING", "Unknown"), ("COMPLETING", "1700000000")):
        slurm.says(state, end)
        log, saved = ended(program, folder, shards, state.lower(), (8,), **slurm.variables)
        assert refused in log and "0.0 s are left until this job is killed" in log and not saved, log[-500:]
    due_but_late(program, folder, shards, refused, **slurm.variables)
    # Time enough: left of a preemption or time limit, of a KillWait, or by --grace, which goes before.
    for name, says, more in (("limit", {"end": "4000000000"}, ()), ("wait", {"wait": 600}, ()),
                             ("grace", {}, ("--grace", 600))):
        slurm.says(**says)
        log, saved = ended(program, folder, shards, name, (130,), *more, **slurm.variables)
        assert saved and refused not in log, log[-500:]
    # No word from Slurm: one that fails, one that hangs, none at all.
    for name, then in (("fails", "exit 1"), ("hangs", "exec sleep 600")):
        slurm.says(then=then)
        _, saved = ended(program, folder, shards, name, (130,), **slurm.variables)
        assert saved, name
    slurm.tool.unlink()
    _, saved = ended(program, folder, shards, "none", (130,), **slurm.variables)
    assert saved


def unread(program, folder, shards):
    words = command(program, shards, folder / "unread", "--steps", 300, "--checkpoint-every", 100, "--jsonl")
    with open(folder / "summary", "w") as out:
        with subprocess.Popen(words, stdout=out, stderr=subprocess.PIPE, text=True) as child:
            child.stderr.readline()
            # It has begun again with what libgomp and OpenBLAS read when they are loaded.
            began_with = Path(f"/proc/{child.pid}/environ").read_bytes().split(b"\0")
            assert {b"OMP_WAIT_POLICY=PASSIVE", b"OPENBLAS_NUM_THREADS=1"} <= set(began_with), began_with
            child.stderr.close()
    assert child.returncode == 0, child.returncode
    summary = json.loads((folder / "summary").read_text())
    columns, wall = summary["columns"], summary["wall"]
    assert summary["steps"] == 300 and abs(sum(columns.values()) - wall) < 1e-3 * wall, summary
    # Of a step in the middle: where the machine is busy with others, any column may be long once.
    ledgers = [{name: value for name, value in json.loads(line).items() if name.startswith("ledger/")}
               for line in (folder / "unread/metrics.jsonl").read_text().splitlines() if "ledger/other" in line]
    assert len(ledgers) == 300, len(ledgers)
    shares = sorted(ledger["ledger/other"] / sum(ledger.values()) for ledger in ledgers)
    assert shares[150] < 0.02, (shares[150], columns)


def never_read(program, folder, shards):
    """A pipe that is full soon, as a terminal's is whose link is dead, holds up no step."""
    read, write = os.pipe()
    fcntl.fcntl(write, fcntl.F_SETPIPE_SZ, PIPE)
    words = command(program, shards, folder / "never", "--steps", 300, "--checkpoint-every", 100)
    try:
        done = subprocess.run(words, stdout=subprocess.PIPE, stderr=write, text=True, timeout=300)
    finally:
        os.close(write)
    with open(read, encoding="utf-8") as lines:
        said = lines.read()
    assert done.returncode == 0 and "step-00000300" in checkpoints(folder / "never"), (done.returncode, said)
    assert json.loads(done.stdout)["steps"] == 300, done.stdout  # stdout does not stand
    assert len(said) <= PIPE and "\nstep    299 " not in said, said[-500:]
    # The ledger, live.
    assert re.search(r"^step +\d+ .* tok/s  waited for data \d+\.\d\d %", said, re.M), said[:500]


def hung_rank(program, folder, shards):
    """It lives, and its connections are open: inside a sum or before one, as the moment has it."""
    run, log = folder / "hung", folder / "hung.log"
    trainer = Trainer(program, shards, run, log, "--ranks", 2, "--rank-wait", 5)
    ranks = []
    try:
        trainer.until_said("\nstep ", 3)
        ranks = children(trainer.process.pid)
        assert len(ranks) == 2, ranks
        os.kill(ranks[1], signal.SIGSTOP)
        trainer.process.communicate(timeout=300)
    finally:
        if trainer.process.poll() is None:  # else their numbers may be others' by now
            for pid in ranks:
                kill(pid)
        trainer.kill()
    said = trainer.said()
    assert trainer.process.returncode == 5, (trainer.process.returncode, said[-1000:])
    assert "a rank does not come" in said or "rank 1 does not answer" in said, said[-1000:]
    assert f"rank 1 (process {ranks[1]}) was ended by signal 9" in said, said[-1000:]
    last = steps_of(said)[-1]
    assert checkpoints(run) == [f"step-{last + 1:08}"], (last, checkpoints(run), said[-1000:])
    again = Trainer(program, shards, run, folder / "again.log", "--ranks", 2, "--resume", "auto")
    try:
        again.until_said("\nstep ", 1)
        again.stop(130)
        assert steps_of(again.said())[0] == last + 1, again.said()[:1000]
    finally:
        again.kill()


def early_death(program, folder, shards):
    """A rank that dies before it has joined: the other waits for --rank-wait, and cannot know."""
    for victim in (0, 1):
        run = folder / f"early{victim}"
        trainer = Trainer(program, shards, run, run.with_suffix(".log"), "--ranks", 2)
        try:
            trainer.until(lambda: len(children(trainer.process.pid)) == 2, "two ranks")
            ranks = children(trainer.process.pid)
            kill(ranks[victim])
            trainer.process.communicate(timeout=300)
        finally:
            trainer.kill()
        said = trainer.said()
        assert trainer.process.returncode == 5, (trainer.process.returncode, said)
        assert f"rank {victim} (process {ranks[victim]}) was ended by signal 9" in said, said
        assert "step " not in said, said


def main():
    program = str(Path(sys.argv[1]).resolve())
    folder = Path(tempfile.mkdtemp(prefix="longhaul-ending-"))
    try:
        shards = tokenize(program, b"the quick brown fox " * 5000, folder / "shards")
        stories_of_grace(program, folder, shards)
        unread(program, folder, shards)
        never_read(program, folder, shards)
        hung_rank(program, folder, shards)
        early_death(program, folder, shards)
        print("all held")
        return 0
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
