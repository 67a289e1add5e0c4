"""The trainer starts on a dataset that is still on its way: before the push has ended, through a
kill -9 of the push, a stop and a pause while it waits; it ends with the losses of a run on the whole. In
the shuffled order, too: what it needs first crosses first. In the order of arrival a trainer that is killed reads
again what it had read, and so does another that is given the record. Two ranks read through a
gateway what others read from files. A resume reads the version that the run began with, not a newer
one.

Usage: early_start.py LONGHAUL LONGHAUL-STREAMER [LONGHAUL-TRAIN]. 0: all held; 77: no trainer.
"""
import json
import os
import pathlib
import random
import shutil
import struct
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "trainer"))

from killing import losses
from push_pull import World
from reach_world import free_port

SHARDS, TOKENS, STEPS = 12, 262_144, 700  # 512 KiB a shard, 256 steps each
SEED = 2  # whose first block is of the last shard


def make_shards(folder, seed, shards=SHARDS, tokens=TOKENS):
    folder.mkdir()
    rng = random.Random(seed)
    for i in range(shards):
        packed = bytearray(2 * tokens)
        packed[0::2] = rng.randbytes(tokens)
        header = struct.pack("<3i", 20240520, 1, tokens).ljust(1024, b"\0")
        (folder / f"shard_{i:06}.bin").write_bytes(header + packed)


class Trainer:
    started = []  # of all

    def __init__(self, world, program, run, *data, order="upload", steps=STEPS):
        self.run = world.root / "runs" / run
        self.log = world.folder / f"{run}.log"
        self.environment = dict(os.environ, LONGHAUL_SHM=str(world.folder))
        self.command = [program, "train", *data, "--run", self.run, "--hidden", "64",
                        "--layers", "1", "--steps", steps, "--batch", "8", "--sequence", "128",
                        "--shuffle-window", "1", "--order", order, "--say-every", "1",
                        "--resume", "auto", "--jsonl", "--json"]

    def start(self):
        self.process = subprocess.Popen(list(map(str, self.command)), env=self.environment,
                                        stdout=subprocess.PIPE, stderr=open(self.log, "w"), text=True)
        self.started.append(self.process)

    def until(self, word, seconds=60, since=""):
        end = time.monotonic() + seconds
        while word not in self.log.read_text().rpartition(since or "\0")[2]:
            assert time.monotonic() < end, (word, self.log.read_text()[-500:])
            assert self.process.poll() is None, (word, self.log.read_text()[-500:])
            time.sleep(0.02)

    def end(self, code):
        out, _ = self.process.communicate(timeout=120)
        assert self.process.returncode == code, (self.process.returncode, self.log.read_text()[-500:])
        return json.loads(out)


def staged(world):
    """Bytes on the disk of what is on its way."""
    return sum(path.stat().st_blocks * 512
               for path in (world.root / ".longhaul/staging").glob("*/tree/*"))


def steer(world, run, verb):
    """Returns the step from which it holds."""
    done = world.result("ctl", f"here/{run}", verb)
    assert done["state"] == "applied", done
    return done["step"]


def push(world, source, rate, dataset="words"):
    command, environment = world.command("push", source, f"here:{dataset}", "--limit-rate", rate)
    return subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL,
                            stderr=subprocess.DEVNULL)


def data_of(trainer):
    """What its newest checkpoint says that it has read."""
    newest = max((trainer.run / "checkpoints").glob("step-*"))
    return json.loads((newest / "checkpoint.json").read_text())["settings"]["data"]


def story(world, program):
    source = world.folder / "shards"
    make_shards(source, 1)
    trainer = Trainer(world, program, "early", "--dataset", "words", "--store", world.root)
    trainer.start()
    trainer.until("waits for the manifest of words")
    sending = push(world, source, "1MB/s")
    trainer.until("step      1 ")
    assert sending.poll() is None, "the first steps came before the push had ended"
    assert not (world.root / "datasets/words/current").exists()
    assert staged(world) < SHARDS * 2 * TOKENS // 2, "less than half of it was there"
    sending.kill()
    sending.wait()
    trainer.until("step    100 ")
    trainer.until(" waits for chunk ", since="step    100 ")
    trainer.until(", since 1", since="step    100 ")  # .0 s, and 10.0 s
    trainer.process.terminate()
    first = trainer.end(130)
    assert 1 < first["steps"] < STEPS, first
    assert first["longest_data_wait"] > 1, first

    trainer.start()
    trainer.until(" waits for chunk ")
    paused = steer(world, "early", "pause")
    assert paused == first["steps"], (paused, first)
    sending = push(world, source, "4MB/s")
    assert sending.wait(60) == 0
    assert steer(world, "early", "checkpoint") == paused, "the pause came before the step it was answered for"
    steer(world, "early", "resume")
    second = trainer.end(0)
    assert second["first_step"] == first["steps"] and second["steps"] == STEPS, second
    root = world.result("ls", "here:words")["root"]
    assert data_of(trainer) == f"words sha256:{root}", (data_of(trainer), root)

    whole = Trainer(world, program, "whole", "--data", world.root / "datasets/words/v000001")
    whole.start()
    whole.end(0)
    early, late = losses(trainer.run), losses(whole.run)
    assert sorted(early) == sorted(late) == list(range(STEPS)) and early == late


def shuffled_story(world, program):
    """The order asks for the last shard first; the push would send it last, 6 s later."""
    source = world.folder / "others"  # what the site has is not sent again
    make_shards(source, 2)
    trainer = Trainer(world, program, "shuffled", "--dataset", "mixed", "--store", world.root, "--seed", SEED,
                      order="shuffled", steps=100)
    trainer.start()
    trainer.until("waits for the manifest of mixed")
    sending = push(world, source, "1MB/s", "mixed")
    trainer.until("step      1 ")
    assert sending.poll() is None, "the first steps came before the push had ended"
    here = {path.name for path in (world.root / ".longhaul/staging").glob("*/tree/*")
            if path.stat().st_blocks * 512 > TOKENS}
    last = f"shard_{SHARDS - 1:06}.bin"
    assert last in here and len(here) <= SHARDS // 2, here
    trainer.end(0)
    assert sending.wait(60) == 0
    assert not (world.root / ".longhaul/demand/mixed").exists()


def arrival_story(world, program):
    source = world.folder / "third"
    make_shards(source, 3)
    trainer = Trainer(world, program, "arrived", "--dataset", "late", "--store", world.root, order="arrival")
    trainer.start()
    trainer.until("waits for the manifest of late")
    sending = push(world, source, "500kB/s", "late")
    trainer.until("step      1 ")
    assert sending.poll() is None, "the first steps came before the push had ended"
    trainer.until("step    200 ")
    trainer.process.kill()
    trainer.process.communicate()
    assert not list((trainer.run / "checkpoints").glob("step-*")), "it begins anew"
    assert sending.wait(60) == 0, "all is here now, and is not what is read first"
    trainer.start()
    assert trainer.end(0)["steps"] == STEPS
    told = losses(trainer.run)
    assert sorted(told) == list(range(STEPS)) and all(len(values) == 1 for values in told.values()), told
    again = Trainer(world, program, "again", "--data", world.root / "datasets/late/v000001", order="arrival")
    shutil.copytree(trainer.run / "order", again.run / "order")
    again.start()
    again.end(0)
    assert losses(again.run) == told
    shutil.rmtree(again.run / "order")
    again.start()
    again.process.communicate(timeout=120)
    assert again.process.returncode == 3 and "does not reach so far" in again.log.read_text()


def pass_of(world, run):
    """The store that a host names which does not see the root."""
    made = subprocess.run([world.streamer, "gateway", "pass", run, "--at", world.gateway, "--root",
                           world.root, "--json"], text=True, capture_output=True, check=True)
    return "gateway:" + str(shutil.copy(json.loads(made.stdout)["pass"], world.folder))


def gateway_story(world, program):
    """Two ranks, a connection each under one pass; their steps read three shards."""
    source, tokens, steps = world.folder / "fourth", TOKENS // 4, 160
    make_shards(source, 4, tokens=tokens)
    store = pass_of(world, "gated")
    trainer = Trainer(world, program, "gated", "--dataset", "far", "--store", store, "--ranks", 2,
                      steps=steps)
    trainer.start()
    trainer.until("waits for the manifest of far")
    sending = push(world, source, "50kB/s", "far")  # 16 s at least, of which the run waits for 4
    trainer.until("step      1 ")
    assert sending.poll() is None, "the first step came before the push had ended"
    assert not (world.root / "datasets/far/current").exists()
    trainer.end(0)
    sending.kill()  # the rest of it is read by nobody
    sending.wait()
    plain = Trainer(world, program, "plain", "--data", source, "--ranks", 2, steps=steps)
    plain.start()
    plain.end(0)
    far, near = losses(trainer.run), losses(plain.run)
    assert sorted(far) == sorted(near) == list(range(steps)) and far == near


def pinned_story(world, program):
    """A version comes while the run is stopped, with other tokens in every shard."""
    source, tokens, steps = world.folder / "fifth", TOKENS // 2, 300
    make_shards(source, 5, 3, tokens)
    assert world.result("push", source, "here:edited")["version"] == "v000001"
    begun = f"edited sha256:{world.result('ls', 'here:edited')['root']}"
    trainer = Trainer(world, program, "pinned", "--dataset", "edited", "--store", world.root,
                      steps=steps)
    trainer.start()
    trainer.until("step     20 ")
    trainer.process.terminate()
    stopped = trainer.end(130)["steps"]
    assert 20 <= stopped < steps, stopped

    shutil.rmtree(source)
    make_shards(source, 6, 3, tokens)
    assert world.result("push", source, "here:edited")["version"] == "v000002"
    trainer.start()
    second = trainer.end(0)
    assert second["first_step"] == stopped and second["steps"] == steps, second
    assert data_of(trainer) == begun, (data_of(trainer), begun)
    whole = Trainer(world, program, "first", "--data", world.root / "datasets/edited/v000001",
                    steps=steps)
    whole.start()
    whole.end(0)
    told, expected = losses(trainer.run), losses(whole.run)
    assert sorted(told) == sorted(expected) == list(range(steps)) and told == expected

    # Who begins now reads the newer one, which gives other losses.
    newer = Trainer(world, program, "newer", "--dataset", "edited", "--store", world.root, steps=1)
    newer.start()
    newer.end(0)
    assert data_of(newer) != begun and losses(newer.run)[0] != expected[0], losses(newer.run)


def main():
    if len(sys.argv) < 4 or not sys.argv[3]:
        print("skipped: there is no longhaul-train: LibTorch is not installed (tools/setup --trainer)")
        return 77
    folder = pathlib.Path(tempfile.mkdtemp(prefix="longhaul-e2e-"))
    world = World(sys.argv[1], sys.argv[2], folder)
    try:
        world.gateway = f"tcp://127.0.0.1:{free_port()}"
        world.options = ["--gateway", world.gateway]
        world.start()
        world.run("init")
        world.run("join", "here", stdin=world.invite())
        story(world, sys.argv[3])
        shuffled_story(world, sys.argv[3])
        arrival_story(world, sys.argv[3])
        gateway_story(world, sys.argv[3])
        pinned_story(world, sys.argv[3])
        assert world.stop() == 0
        print("all held")
        return 0
    finally:
        for process in [world.process, *Trainer.started]:
            if process and process.poll() is None:
                process.kill()
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
