#!/usr/bin/env python3
"""Shards that go bad under a run end it with one clear word and cost nothing: its checkpoints stay
good, and once the data is mended it ends as a run that nothing happened to, bit for bit.

  bad_data_check.py LONGHAUL_TRAIN FULL_DISK.SO

One shard shrinks, or gets an id that the model has no row for, while the run is at work and long
before it reads there; of one process, of two ranks, and by a GPU's code. While it is bad no new
start goes on or takes a number, nor does one begin on a shard that is empty."""
import os
import random
import shutil
import struct
import subprocess
import sys
import tempfile
from pathlib import Path

from killing import expect_the_same, losses
from small_run import Trainer, checkpoints, command

SEQUENCE, BATCH, EVERY = 32, 2, 8   # as small_run has them; EVERY: steps between checkpoints
SHARD_STEPS, SHARDS = 40, 3         # batches are read 16 steps ahead: at step 16 not yet shard 1
STEPS = SHARD_STEPS * SHARDS
BAD = 1                             # this shard's steps: 40 to 79
HEADER_BYTES, MAGIC, VERSION = 1024, 20240520, 1   # llm.c's, of ids of 16 bits
ERROR, USAGE = 1, 2                 # exit codes
# Of shards this small each is a block: one after the other, their samples shuffled.
TRAIN = ("--hidden", 64, "--steps", STEPS, "--order", "upload", "--shuffle-window", 1,
         "--checkpoint-every", EVERY, "--keep", STEPS, "--jsonl")


def shard(tokens):
    header = struct.pack("<3i", MAGIC, VERSION, len(tokens)).ljust(HEADER_BYTES, b"\0")
    return header + struct.pack(f"<{len(tokens)}H", *tokens)


def write_shards(folder):
    folder.mkdir()
    rng = random.Random(1)
    for number in range(SHARDS):
        tokens = rng.choices(b"the quick brown fox ", k=SHARD_STEPS * BATCH * SEQUENCE + 1)
        (folder / f"{number:03}.bin").write_bytes(shard(tokens))
    return folder


# In place, as the run holds the file open: a new one under its name would change nothing for it.
def shrink(path):
    os.truncate(path, HEADER_BYTES + (path.stat().st_size - HEADER_BYTES) // 4 * 2)


def spoil(path, token=1280):
    with open(path, "r+b") as file:
        file.seek(HEADER_BYTES + 2 * token)
        file.write(struct.pack("<H", 60000))


def spoil_of_rank_1(path):
    """The sample of that token falls to rank 1, where the other's falls to rank 0."""
    spoil(path, 1317)


WHY = {shrink: "it ends earlier than it did at the start",
       spoil: "token 1280 is id 60000, the model's vocabulary ends at 256",
       spoil_of_rank_1: "token 1317 is id 60000, the model's vocabulary ends at 256"}


def mend(path, whole):
    with open(path, "r+b") as file:
        file.write(whole)


def train(program, shards, run, *more, code=0):
    done = subprocess.run(command(program, shards, run, *TRAIN, *more), check=False,
                          capture_output=True, text=True, timeout=300)
    assert done.returncode == code, (done.returncode, done.stderr[-2000:])
    return done.stderr


def one_word(said, name):
    """Of what went wrong: its line, which names the shard, and why."""
    lines = said.splitlines()
    wrong = [at for at, line in enumerate(lines) if line.startswith("longhaul-train: cannot ")]
    assert len(wrong) == 1 and name in lines[wrong[0]], said[-2000:]
    why, todo = lines[wrong[0] + 1:wrong[0] + 3]
    assert why.startswith("  why: ") and todo.startswith("  do:  "), said[-2000:]
    for trace in ("Traceback", "terminate called", "longhaul: bug", "signal", "what()"):
        assert trace not in said, said[-2000:]
    return why


def attempts(run):
    return sorted(path.name for path in (run / "log").glob("*.run"))


def steps_of(run):
    return [int(name.removeprefix("step-")) for name in checkpoints(run)]


def same_checkpoints(run, whole):
    """Those that both have, whole to the byte; a cut-off one has left nothing beside them."""
    both = set(checkpoints(run)) & set(checkpoints(whole))
    assert len(both) >= SHARD_STEPS // EVERY, checkpoints(run)
    for name in both:
        for file in ("model.safetensors", "state.safetensors"):
            one, other = ((of / "checkpoints" / name / file).read_bytes() for of in (run, whole))
            assert one == other, (name, file)


def ends_by_it(said, name, why, bad, ranks):
    if ranks == 1:
        assert one_word(said, name) == f"  why: {why}", said[-2000:]
        return
    # The rank that reads there says it, the other one that it ends by that.
    other = "rank 1" if bad is spoil_of_rank_1 else "rank 0 has ended the run"
    for words in (why, f"{other}: read {name}: {why}"):
        assert f"  why: {words}\n" in said, said[-2000:]
    assert said.count("longhaul-train: cannot ") == 2 and "signal" not in said, said[-2000:]


def goes_bad(program, shards, run, whole, shim, bad, *way):
    """Held at its second checkpoint, as the first is still written: so the moment is known."""
    path, hold, log = shards / f"{BAD:03}.bin", run.with_suffix(".hold"), run.with_suffix(".log")
    good = path.read_bytes()
    hold.write_text("notes")
    trainer = Trainer(program, shards, run, log, *TRAIN, *way, LD_PRELOAD=shim,
                      FULL_WHILE=str(hold))
    try:
        trainer.until_said(f"\nstep {2 * EVERY - 2:>6} ")   # a device's last step is not heard yet
        bad(path)
        hold.unlink()
        trainer.process.communicate(timeout=300)
    finally:
        hold.unlink(missing_ok=True)
        trainer.kill()
    said = trainer.said()
    assert trainer.process.returncode == ERROR, (trainer.process.returncode, said[-2000:])
    ends_by_it(said, path.name, WHY[bad], bad, 2 if "--ranks" in way else 1)
    # All steps that could be done are, and the last one is saved.
    last = steps_of(run)[-1]
    assert BAD * SHARD_STEPS <= last < (BAD + 1) * SHARD_STEPS, (last, said[-2000:])
    assert sorted(losses(run)) == list(range(last)), sorted(losses(run))
    same_checkpoints(run, whole)

    before = attempts(run), checkpoints(run)
    code = ERROR if bad is shrink else USAGE   # the latter: it is no longer the data of that run
    refused = train(program, shards, run, "--resume", "auto", *way, code=code)
    assert "resumes at" not in refused and (attempts(run), checkpoints(run)) == before, refused

    mend(path, good)
    said = train(program, shards, run, "--resume", "auto", *way)
    assert f"resumes at step {last}\n" in said and "passed over" not in said, said[:1000]
    assert "differs in" not in said and len(attempts(run)) == len(before[0]) + 1, said[:1000]
    expect_the_same(whole, run, STEPS)


def empty(program, folder):
    """Found before a number is taken; with or without a header, first or last."""
    shards = write_shards(folder / "empty")
    for name, data in (("000.bin", b""), ("002.bin", shard([])), ("001.u16", b"")):
        path, run = shards / name, folder / f"empty-{name}"
        good = path.read_bytes() if path.exists() else None
        path.write_bytes(data)
        said = train(program, shards, run, code=ERROR)
        assert "it holds no token" in one_word(said, name) and not run.exists(), said
        if not data:
            said = train(program, shards, run, "--ranks", 2, code=ERROR)
            assert name in said and not run.exists(), said
        if good is None:
            path.unlink()
        else:
            mend(path, good)
        said = train(program, shards, run, "--steps", EVERY)
        assert checkpoints(run) == [f"step-{EVERY:08}"] and len(attempts(run)) == 1, said


def main():
    program, shim = (str(Path(word).resolve()) for word in sys.argv[1:3])
    folder = Path(tempfile.mkdtemp(prefix="longhaul-bad-data-"))
    try:
        shards = write_shards(folder / "shards")
        ways = (("one", (shrink, spoil)), ("two", (spoil, spoil_of_rank_1), "--ranks", 2),
                ("device", (shrink,), "--device", "cpu-device"))
        for name, bads, *way in ways:
            whole = folder / f"{name}-whole"
            train(program, shards, whole, *way)
            for bad in bads:
                run = folder / f"{name}-{bad.__name__}"
                goes_bad(program, shards, run, whole, shim, bad, *way)
        empty(program, folder)
        print("all held")
        return 0
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
