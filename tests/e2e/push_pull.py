"""The real programs on loopback: pair, push, push again, edit, pull, verify, rm.

A killed push goes on; strangers stay out.

Usage: push_pull.py LONGHAUL LONGHAUL-STREAMER. Exit code 0: all held.
"""
import json
import os
import pathlib
import random
import shutil
import subprocess
import sys
import tempfile
import time


class World:
    def __init__(self, longhaul, streamer, folder):
        self.longhaul, self.streamer, self.folder = longhaul, streamer, folder
        self.root = folder / "site"
        self.home = folder / "home"
        self.process = None
        self.options = []  # more of the streamer's
        self.address = "127.0.0.1:0"

    def start(self):
        self.process = subprocess.Popen(
            [self.streamer, "run", "--root", self.root, "--listen", self.address, "--json", *self.options],
            stdout=subprocess.PIPE, stderr=open(self.folder / "streamer.log", "a"), text=True)
        self.address = json.loads(self.process.stdout.readline())["address"]

    def stop(self, kill=False):
        self.process.kill() if kill else self.process.terminate()
        return self.process.wait(60)

    def command(self, *arguments, home=None):
        environment = dict(os.environ, LONGHAUL_HOME=str(home or self.home))
        return [self.longhaul, *map(str, arguments)], environment

    def run(self, *arguments, code=0, stdin="", home=None):
        command, environment = self.command(*arguments, home=home)
        done = subprocess.run(command, env=environment, input=stdin, text=True, capture_output=True, timeout=120)
        assert done.returncode == code, (arguments, done.returncode, done.stdout, done.stderr)
        return done

    def result(self, *arguments, **options):
        return json.loads(self.run(*arguments, "--json", **options).stdout.strip().splitlines()[-1])

    def invite(self, role="owner"):
        done = subprocess.run([self.streamer, "invite", "--root", self.root, "--role", role,
                               "--address", self.address], text=True, capture_output=True, check=True)
        return done.stdout


def make_tree(root, seed):
    rng = random.Random(seed)
    (root / "shards").mkdir(parents=True)
    for i in range(200):
        (root / f"small-{i:03}.txt").write_text(f"file {i}\n" * rng.randint(1, 400))
    for i in range(4):
        (root / "shards" / f"part-{i}.bin").write_bytes(rng.randbytes(6_000_000))
    (root / "empty").mkdir()
    (root / "link").symlink_to("small-000.txt")
    os.link(root / "small-001.txt", root / "hard")
    (root / "run.sh").write_text("#!/bin/sh\n")
    (root / "run.sh").chmod(0o755)


def same(a, b):
    def listing(root):
        out = {}
        for path in sorted(root.rglob("*")):
            name = str(path.relative_to(root))
            if name.split("/")[0] == ".longhaul":
                continue
            if path.is_symlink():
                out[name] = ("link", os.readlink(path))
            elif path.is_file():
                out[name] = ("file", path.read_bytes(), path.stat().st_mode & 0o777, int(path.stat().st_mtime))
            else:
                out[name] = ("folder",)
        return out
    left, right = listing(a), listing(b)
    assert left.keys() == right.keys(), left.keys() ^ right.keys()
    different = [name for name in left if left[name] != right[name]]
    assert not different, different


def story(world):
    source = world.folder / "source"
    make_tree(source, 1)
    world.start()
    world.run("init")
    world.run("join", "here", stdin=world.invite())

    first = world.result("push", source, "here:corpus")
    assert first["version"] == "v000001" and first["bytes_wire"] > 24_000_000, first
    again = world.result("push", source, "here:corpus")
    assert again["version"] == "v000001" and again["bytes_wire"] == 0, again

    with open(source / "shards" / "part-2.bin", "r+b") as file:
        file.seek(3_000_000)
        file.write(b"edited")
    edited = world.result("push", source, "here:corpus")
    assert edited["version"] == "v000002" and edited["bytes_wire"] < 1_000_000, edited

    back = world.folder / "back"
    world.run("pull", "here:corpus", back)
    same(source, back)
    assert not (back / ".longhaul").exists(), "a pull leaves nothing of its own"
    old = world.folder / "old"
    world.run("pull", "here:corpus@v000001", old)
    assert (old / "shards/part-2.bin").read_bytes() != (back / "shards/part-2.bin").read_bytes()
    assert json.loads(world.run("verify", "here:corpus", "--json").stdout)["bad"] == 0
    names = [json.loads(line)["version"] for line in world.run("ls", "here:corpus", "--json").stdout.splitlines()]
    assert names == ["v000001", "v000002"], names

    rot = world.root / "datasets/corpus/v000002/small-007.txt"
    rot.chmod(0o644)
    content = bytearray(rot.read_bytes())
    content[3] ^= 1
    rot.write_bytes(content)
    assert "small-007.txt" in world.run("verify", "here:corpus", code=6).stdout
    world.run("rm", "here:corpus@v000001")
    world.run("pull", "here:corpus@v000001", world.folder / "none", code=3)


def pulled_again(world):
    """What a pull may replace and remove in a folder that it filled before, and what not."""
    source, back = world.folder / "again", world.folder / "again-back"
    source.mkdir()
    for name in ("kept", "edited", "gone", "mine"):
        (source / name).write_text(f"{name} at first\n")
    world.result("push", source, "here:again")
    world.run("pull", "here:again", back)
    (source / "edited").write_text("edited at the source\n")
    (source / "gone").unlink()
    world.result("push", source, "here:again")
    (back / "own").write_text("never pulled\n")
    world.run("pull", "here:again", back)  # old is not changed: no --force
    assert (back / "edited").read_text() == "edited at the source\n"
    assert (back / "gone").exists() and (back / "own").exists()

    (back / "mine").write_text("my work\n")
    (source / "mine").write_text("their work\n")
    world.result("push", source, "here:again")
    refused = world.run("pull", "here:again", back, code=1).stderr
    assert "mine" in refused and "--force" in refused, refused
    assert (back / "mine").read_text() == "my work\n"
    (back / "mine").write_text("mine at first\n")
    done = world.result("pull", "here:again", back, "--delete")
    assert done["bytes_wire"] == 0, done  # the refused pull had staged what was new
    same(source, back)
    (back / "kept").unlink()  # comes back although the dataset did not change
    world.run("pull", "here:again", back)
    same(source, back)
    assert not (back / ".longhaul").exists()


def strangers(world):
    other = world.folder / "stranger"
    world.run("init", home=other)
    world.run("ls", "here", code=3, home=other)  # it knows no such site
    shutil.copy(world.home / "config/sites.toml", other / "config/sites.toml")
    assert "pair" in world.run("ls", "here", code=4, home=other).stderr
    spent = world.invite()
    world.run("join", "x", stdin=spent, home=other)
    world.run("join", "y", stdin=spent, home=other, code=4)
    observer = world.folder / "observer"
    world.run("join", "here", stdin=world.invite("observer"), home=observer)
    world.run("ls", "here", home=observer)
    world.run("push", world.folder / "source", "here:mine", home=observer, code=4)


def killed(world):
    """kill -9 of either side in mid-push: the next push goes on and the result is whole."""
    source = world.folder / "large"
    source.mkdir()
    rng = random.Random(2)
    for i in range(3):
        (source / f"blob-{i}").write_bytes(rng.randbytes(20_000_000))
    for side in ("sender", "receiver"):
        name = f"here:killed-{side}"
        command, environment = world.command("push", source, name, "--limit-rate", "20MB/s")
        push = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(1.5)
        if side == "sender":
            push.kill()
        else:
            world.stop(kill=True)
            world.start()
        push.wait(60)
        done = world.result("push", source, name)
        assert done["bytes_wire"] < 56_000_000, done  # some of it was there
        back = world.folder / f"back-{side}"
        world.run("pull", name, back)
        same(source, back)


def main():
    folder = pathlib.Path(tempfile.mkdtemp(prefix="longhaul-e2e-"))
    world = World(sys.argv[1], sys.argv[2], folder)
    try:
        story(world)
        pulled_again(world)
        strangers(world)
        killed(world)
        assert world.stop() == 0
        print("all held")
    finally:
        if world.process and world.process.poll() is None:
            world.process.kill()
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
