#!/usr/bin/env python3
"""Of three ranks one is lost: the others end, and each says which it was and why.

  lost_rank_check.py LONGHAUL_TRAIN FULL_DISK.SO [none]     none: this build has no datasets"""
import os
import shutil
import signal
import socket
import sys
import tempfile
from pathlib import Path

from killing import children, kill
from small_run import Trainer, checkpoints, tokenize

RANKS = ("--ranks", 3, "--batch", 6)
LOST, STOPPED, NOT_FOUND = 5, 130, 3  # exit codes
GONE = "rank 2 is gone: its process or its host has died"
MEET = "longhaul-train: cannot meet the other ranks\n  why: "
TOLD = "why: rank 0 has ended the run: "


def finished(trainer, code):
    trainer.process.communicate(timeout=300)
    said = trainer.said()
    assert trainer.process.returncode == code, (trainer.process.returncode, said[-2000:])
    return said


def checkpoints_whole(run):
    return [name for name in checkpoints(run) if name.startswith("step-")]


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
    assert f"cannot train with 3 ranks\n  why: {GONE}\n" in said and "this is rank 0 of 3" in said, said[-2000:]
    assert f"cannot train as rank 1 of 3\n  {TOLD}train with 3 ranks: {GONE}\n" in said, said[-2000:]
    assert "this is rank 1 of 3" in said, said[-2000:]
    assert len(checkpoints(run)) == 1, checkpoints(run)


def while_one_saves(program, folder, shards, shim):
    """Rank 0 cannot begin its second checkpoint, as the first one is still written; yet it hears of a death, and
    tells the others."""
    run, hold = folder / "saves", folder / "hold"
    hold.write_text("notes")
    trainer = Trainer(program, shards, run, folder / "saves.log", *RANKS, "--checkpoint-every", 4,
                      LD_PRELOAD=shim, FULL_WHILE=str(hold))
    try:
        trainer.until_said("\nstep      7 ")  # its last word: then the second one is due
        ranks = children(trainer.process.pid)
        kill(ranks[2])
        trainer.until(lambda: TOLD in trainer.said(), "rank 1 is told")
        assert not checkpoints_whole(run), checkpoints(run)
        hold.unlink()
        said = finished(trainer, LOST)
    finally:
        hold.unlink(missing_ok=True)
        trainer.kill()
    assert f"cannot train with 3 ranks\n  why: {GONE}\n" in said, said[-2000:]


def waiting(program, shards, folder, name):
    """Three ranks that wait for a dataset which nobody has pushed; (their trainer, their processes)."""
    trainer = Trainer(program, shards, folder / name, folder / f"{name}.log", *RANKS,
                      "--data=", "--dataset", "words", "--store", folder / "site")
    try:
        trainer.until_said("longhaul-train: waits for ", 2)
        return trainer, children(trainer.process.pid)
    except BaseException:
        trainer.kill()
        raise


def while_they_open(program, folder, shards):
    """Before the first step: what one of them meets, all end by, a signal as well as a death."""
    trainer, ranks = waiting(program, shards, folder, "opens")
    try:
        kill(ranks[2])
        said = finished(trainer, LOST)
    finally:
        trainer.kill()
    assert f"{MEET}rank 2 is gone\n" in said, said
    assert f"{TOLD}meet the other ranks: rank 2 is gone\n" in said, said
    trainer, ranks = waiting(program, shards, folder, "stops")
    try:
        os.kill(ranks[1], signal.SIGTERM)
        said = finished(trainer, STOPPED)
    finally:
        trainer.kill()
    assert f"{MEET}rank 1: wait for the dataset\n" in said, said


def apart(program, folder, name, *datas):
    """A trainer for each of them, its words, as ranks on hosts of their own."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    place = {"WORLD_SIZE": str(len(datas)), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port),
             "LOCAL_RANK": "0"}
    return [Trainer(program, data, folder / name, folder / f"{name}{rank}.log", *more, RANK=str(rank),
                    **place)
            for rank, (data, *more) in enumerate(datas)]


def while_one_lacks_its_data(program, folder, shards, datasets):
    """All end by its error, which no new start mends, or wait with it, and can be stopped."""
    trainers = apart(program, folder, "apart", [shards], [folder / "nowhere"])
    try:
        said = [finished(trainer, NOT_FOUND) for trainer in trainers]
    finally:
        for trainer in trainers:
            trainer.kill()
    why = "No such file or directory"
    assert f"{MEET}rank 1: open {folder}/nowhere: {why}\n" in said[0], said[0]
    assert f"cannot open {folder}/nowhere\n  why: {why}\n" in said[1], said[1]
    assert "resume auto" not in said[0] + said[1], said
    assert not (folder / "apart/log").exists(), "no attempt was begun"
    if not datasets:
        return
    (folder / "site/.longhaul").mkdir(parents=True)
    nothing = ["", "--dataset", "words", "--store", folder / "site"]
    trainers = apart(program, folder, "waits", [shards], nothing)
    try:
        trainers[1].until_said("longhaul-train: waits for ")
        trainers[0].process.send_signal(signal.SIGTERM)
        said = [finished(trainer, STOPPED) for trainer in trainers]
    finally:
        for trainer in trainers:
            trainer.kill()
    assert f"{MEET}rank 0: hear from the other ranks\n" in said[1], said[1]


def main():
    program, shim = (str(Path(word).resolve()) for word in sys.argv[1:3])
    folder = Path(tempfile.mkdtemp(prefix="longhaul-lost-rank-"))
    try:
        shards = tokenize(program, b"the quick brown fox " * 5000, folder / "shards")
        while_it_trains(program, folder, shards)
        while_one_saves(program, folder, shards, shim)
        while_one_lacks_its_data(program, folder, shards, "none" not in sys.argv[3:])
        if "none" not in sys.argv[3:]:
            while_they_open(program, folder, shards)
        print("all held")
        return 0
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
