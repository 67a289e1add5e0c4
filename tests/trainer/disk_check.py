#!/usr/bin/env python3
"""A disk that is full, or whose quota is, costs checkpoints and nothing else: training goes on, the
older checkpoints stay good, and the next one that fits is written.

  disk_check.py LONGHAUL_TRAIN FULL_DISK.SO      77: no file system of its own can be mounted here"""
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from small_run import Trainer, checkpoints, command, tokenize

SMALL_DISK = 24 << 20  # bytes; a checkpoint takes 2.5 MB
INSIDE = "LONGHAUL_DISK_CHECK"  # its value: where the small disk is


def own_mounts():
    """Runs this again where it may mount, and where nobody else sees what it mounts."""
    rights = [] if os.geteuid() == 0 else ["--user", "--map-root-user"]
    words = ["unshare", *rights, "--mount", "--propagation", "private"]
    probe = [*words, "mount", "-t", "tmpfs", "none", "/mnt"]
    if subprocess.run(probe, check=False, capture_output=True).returncode != 0:
        print("skipped: no tmpfs can be mounted here")
        return 77
    return subprocess.run([*words, sys.executable, *sys.argv], env=dict(os.environ, **{INSIDE: "1"}),
                          check=False).returncode


def newest(run):
    return [name for name in checkpoints(run) if name.startswith("step-")][-1]


def resumes_at(program, shards, run, log, step, **variables):
    """The newest checkpoint verifies, as a resume reads all of it."""
    again = Trainer(program, shards, run, log, "--resume", "auto", **variables)
    try:
        again.until_said(f"resumes at step {step}\n")
    finally:
        again.kill()


def no_room(program, folder, shards):
    """The file system says that it is full."""
    disk, log = folder / "disk", folder / "full.log"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={SMALL_DISK}", "none", disk], check=True)
    run, filler = disk / "run", disk / "filler"
    trainer = Trainer(program, shards, run, log, "--checkpoint-every", 20)
    try:
        trainer.until(lambda: len(checkpoints(run)) > 1, "two checkpoints")
        with open(filler, "wb", buffering=0) as file:
            try:
                while True:
                    file.write(bytes(1 << 16))
            except OSError:
                pass
        trainer.until_said(" MB and a tenth, 0.")
        trainer.until_steps(30)
        kept = newest(run)
        assert not [name for name in checkpoints(run) if name.startswith(".")], checkpoints(run)
        filler.unlink()
        trainer.until(lambda: newest(run) > kept, "the next one, which fits")
        last = trainer.stop(130)["steps"]
        resumes_at(program, shards, run, log, last)
    finally:
        trainer.kill()
        subprocess.run(["umount", "--lazy", disk], check=True)


def room_of_pending(program, folder, shards):
    """What waits for a laptop goes before a new one is left out, the oldest first, and that is said."""
    disk, log = folder / "disk-of-pending", folder / "pending.log"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={SMALL_DISK}", "none", disk], check=True)
    run = disk / "run"
    trainer = Trainer(program, shards, run, log, "--checkpoint-every", 50, "--keep", 3)
    try:
        def steps():
            return [int(name.removeprefix("step-")) for name in checkpoints(run) if name.startswith("step-")]

        trainer.until(lambda: len(steps()) > 1, "two checkpoints")
        first, second = steps()[-2:]
        for step in (first, second):
            (run / f"checkpoints/step-{step:08}/pending-home").touch()
        trainer.until(lambda: steps()[-1] > second + 150, "newer ones, behind which the first had to go")
        assert first in steps() and "before it was home" not in trainer.said()
        with open(disk / "filler", "wb", buffering=0) as file:
            try:
                while True:
                    file.write(bytes(1 << 16))
            except OSError:
                pass
        words = "the checkpoint of step {} is deleted before it was home: the disk is full, or more than 3 wait"
        trainer.until_said(words.format(first))
        trainer.until_said(words.format(second))  # one is not enough: a tenth more is asked for
        trainer.process.terminate()
        trainer.process.communicate(timeout=120)
        assert trainer.said().index(words.format(first)) < trainer.said().index(words.format(second))
        assert not list(run.glob("checkpoints/*/pending-home"))
    finally:
        trainer.kill()
        subprocess.run(["umount", "--lazy", disk], check=True)


def full_amidst(program, folder, shards, shim):
    """There was room when it began; the second MiB of it finds none."""
    run, log, full = folder / "amidst", folder / "amidst.log", folder / "full"
    variables = {"LD_PRELOAD": shim, "FULL_WHILE": str(full)}
    trainer = Trainer(program, shards, run, log, "--checkpoint-every", 20, **variables)
    try:
        trainer.until(lambda: run.exists() and len(checkpoints(run)) > 1, "two checkpoints")
        full.write_text("write")
        trainer.until_said("No space left on device", 1)
        trainer.until_steps(30)
        kept = newest(run)
        trainer.stop(8)
        assert "its last checkpoint could not be written" in trainer.said(), trainer.said()[-500:]
        assert newest(run) == kept and not [name for name in checkpoints(run) if name.startswith(".")]
        resumes_at(program, shards, run, log, int(kept.removeprefix("step-")), **variables)
    finally:
        trainer.kill()


def quota(program, folder, shards, shim):
    """The file system has room, this user has none left of it."""
    run, log, full = folder / "quota", folder / "quota.log", folder / "over"
    full.write_text("quota 0")
    variables = {"LD_PRELOAD": shim, "FULL_WHILE": str(full)}
    trainer = Trainer(program, shards, run, log, "--checkpoint-every", 20, **variables)
    try:
        trainer.until_said(" MB and a tenth: reserve room in ", 1)
        assert "Disk quota exceeded" in trainer.said() and not checkpoints(run), checkpoints(run)
        full.unlink()
        trainer.until(lambda: checkpoints(run), "one that fits")
        summary = trainer.stop(130)
        resumes_at(program, shards, run, log, summary["steps"])
    finally:
        trainer.kill()
    needed = summary["checkpoint_bytes"] + summary["checkpoint_bytes"] // 10
    for room, code in ((needed - 1, 8), (needed, 0)):  # to the byte
        full.write_text(f"quota {room}")
        done = subprocess.run(command(program, shards, folder / f"room-{code}", "--steps", 1), check=False,
                              capture_output=True, text=True, env=dict(os.environ, **variables))
        assert done.returncode == code, (room, done.stderr)


def real_quota(program, folder, shards):
    """The same by a kernel's own quota: btrfs has one wherever it is (ext4's and XFS's are often not built in)."""
    disk, image, log = folder / "btrfs", folder / "image", folder / "real.log"
    disk.mkdir()
    with open(image, "wb") as file:
        file.truncate(512 << 20)
    for step in (["mkfs.btrfs", "-q", image], ["mount", "-o", "loop", image, disk]):
        if not shutil.which(step[0]) or subprocess.run(step, check=False, capture_output=True).returncode != 0:
            print(f"without a real quota: no {step[0]} of btrfs here")
            return
    mine = disk / "mine"
    btrfs = lambda *words: subprocess.run(["btrfs", *words], check=True, capture_output=True, text=True).stdout
    trainer = None
    try:
        btrfs("subvolume", "create", mine)
        btrfs("quota", "enable", disk)
        trainer = Trainer(program, shards, mine / "run", log, "--checkpoint-every", 20)
        run = mine / "run"
        trainer.until(lambda: run.exists() and len(checkpoints(run)) > 1, "two checkpoints")
        group = "0/" + btrfs("inspect-internal", "rootid", mine).strip()
        btrfs("qgroup", "limit", "1M", group, disk)   # less than there is already
        trainer.until_said("Disk quota exceeded", 1)
        trainer.until_steps(30)
        kept = newest(run)
        assert not [name for name in checkpoints(run) if name.startswith(".")], checkpoints(run)
        btrfs("qgroup", "limit", "none", group, disk)
        trainer.until(lambda: newest(run) > kept, "the next one, which fits")
        resumed = trainer.stop(130)["steps"]
        resumes_at(program, shards, run, log, resumed)
    finally:
        if trainer:
            trainer.kill()
        subprocess.run(["umount", "--lazy", disk], check=True)


def main():
    if INSIDE not in os.environ:
        return own_mounts()
    program, shim = (str(Path(word).resolve()) for word in sys.argv[1:3])
    folder = Path(tempfile.mkdtemp(prefix="longhaul-disk-"))
    try:
        shards = tokenize(program, b"the quick brown fox " * 5000, folder / "shards")
        no_room(program, folder, shards)
        room_of_pending(program, folder, shards)
        full_amidst(program, folder, shards, shim)
        quota(program, folder, shards, shim)
        real_quota(program, folder, shards)
        print("all held")
        return 0
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
