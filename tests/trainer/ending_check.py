#!/usr/bin/env python3
"""A run that is told to stop knows how long it has: by --grace or by Slurm, here a scontrol that
says what the test wants. A last checkpoint that cannot fit is not begun, and the words say so.

  ending_check.py LONGHAUL_TRAIN

And one whose words nobody reads goes on to its end, with all of its time on the books; and a rank that hangs
ends the run of all after --rank-wait, with a checkpoint of the last whole step."""
import fcntl
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from killing import children, kill
from small_run import Trainer, checkpoints, command, tokenize

EVERY = 80      # steps: more than the pipe holds lines of
PIPE = 4096     # bytes
WRITE = {"x86_64": 1, "aarch64": 64}[os.uname().machine]   # the system call's number
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


def is_held(pid):
    """Whether its training thread waits in a write to stderr."""
    try:
        return Path(f"/proc/{pid}/task/{pid}/syscall").read_text().split()[:2] == [str(WRITE), "0x2"]
    except OSError:
        return False


def ended(program, folder, shards, name, code, *more, every=EVERY, **variables):
    """Of a run stopped between two checkpoints, or, with every=1, in the midst of a step that one was due
    after: (its log, whether its last step is saved). Its words go to a pipe that holds a few: once nobody
    reads, it waits with a step's line in its hand."""
    run = folder / name
    words = command(program, shards, run, "--steps", 1_000_000, "--checkpoint-every", every, "--hidden", 32, *more)
    read, write = os.pipe()
    fcntl.fcntl(write, fcntl.F_SETPIPE_SZ, PIPE)
    child = subprocess.Popen(words, env=dict(os.environ, LONGHAUL_SHM=str(folder), **variables),
                             stdout=subprocess.DEVNULL, stderr=write)
    os.close(write)
    try:
        with open(read, encoding="utf-8") as lines:
            said = ""
            while f"\nstep {every:>6} " not in said:
                said += next(lines)
            end = time.monotonic() + 120
            while not (is_held(child.pid) and any(name.startswith("step-") for name in checkpoints(run))):
                assert child.poll() is None and time.monotonic() < end, said[-500:]
                time.sleep(0.02)
            child.terminate()
            said += lines.read()
        child.wait(timeout=120)
        steps = steps_of(said)
        assert every == 1 or every < steps[-1] + 1 < 2 * every, steps[-1]
        assert child.returncode == code, (child.returncode, said[-500:])
        return said, f"step-{steps[-1] + 1:08}" in checkpoints(run)
    finally:
        if child.poll() is None:
            child.kill()
        child.wait()


def stories_of_grace(program, folder, shards):
    slurm = Slurm(folder)
    refused = "its last checkpoint was not begun: the last one took "
    for state, end in (("RUNNING", "Unknown"), ("COMPLETING", "1700000000")):
        slurm.says(state, end)
        log, saved = ended(program, folder, shards, state.lower(), 8, **slurm.variables)
        assert refused in log and "0.0 s are left until this job is killed" in log and not saved, log[-500:]
    # The same in the midst of a step that a checkpoint was due after.
    log, saved = ended(program, folder, shards, "due", 8, every=1, **slurm.variables)
    assert refused in log and not saved, log[-500:]
    # Time enough: left of a preemption or time limit, of a KillWait, or by --grace, which goes before.
    for name, says, more in (("limit", {"end": "4000000000"}, ()), ("wait", {"wait": 600}, ()),
                             ("grace", {}, ("--grace", 600))):
        slurm.says(**says)
        log, saved = ended(program, folder, shards, name, 130, *more, **slurm.variables)
        assert saved and refused not in log, log[-500:]
    # No word from Slurm: one that fails, one that hangs, none at all.
    for name, then in (("fails", "exit 1"), ("hangs", "exec sleep 600")):
        slurm.says(then=then)
        _, saved = ended(program, folder, shards, name, 130, **slurm.variables)
        assert saved, name
    slurm.tool.unlink()
    _, saved = ended(program, folder, shards, "none", 130, **slurm.variables)
    assert saved


def unread(program, folder, shards):
    words = command(program, shards, folder / "unread", "--steps", 300, "--checkpoint-every", 100, "--jsonl")
    with open(folder / "summary", "w") as out:
        with subprocess.Popen(words, stdout=out, stderr=subprocess.PIPE, text=True) as child:
            assert child.stderr.readline().startswith("longhaul-train: stderr is a pipe: a reader that ")
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
    with open(folder / "words", "w") as err:
        subprocess.run(command(program, shards, folder / "read", "--steps", 1), check=True, stdout=err, stderr=err)
    assert "is a pipe" not in (folder / "words").read_text()


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
        hung_rank(program, folder, shards)
        early_death(program, folder, shards)
        print("all held")
        return 0
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
