"""verify: flat sums that sha256sum checks, an index that may be lost, at both ends.

Usage: verify.py LONGHAUL LONGHAUL-STREAMER. Exit code 0: all held.
"""
import json
import os
import subprocess
import sys

from reach_world import Laptop, free_port, in_folder, make_tree


class Site:
    def __init__(self, streamer, folder):
        self.streamer, self.root, self.port = streamer, folder, free_port()
        self.log = folder.parent / "streamer.log"
        self.start()

    def start(self):
        self.process = subprocess.Popen(
            [self.streamer, "run", "--root", self.root, "--listen", f"127.0.0.1:{self.port}", "--json"],
            stdout=subprocess.PIPE, stderr=open(self.log, "a"), text=True)
        self.process.stdout.readline()

    def stop(self):
        self.process.terminate()
        self.process.wait(60)

    def command(self, *words, code=0):
        done = subprocess.run([self.streamer, *words, "--root", self.root], text=True,
                              capture_output=True, timeout=60)
        assert done.returncode == code, (words, done.returncode, done.stdout, done.stderr)
        return done

    def index(self):
        return [self.root / ".longhaul" / ("index.sqlite" + end) for end in ("", "-wal", "-shm")]


def checked(sums, folder):
    done = subprocess.run(["sha256sum", "-c", "--strict", "--quiet", sums], cwd=folder,
                          text=True, capture_output=True)
    return done.returncode == 0, done.stdout + done.stderr


def flat_sums(laptop, site, folder):
    current = site.root / "datasets/corpus/current"
    said = laptop.run("verify", "--sha256sum", "lab:corpus")
    sums = folder / "sums"
    sums.write_text(said.stdout)
    held, words = checked(sums, current)
    assert held, words
    files = sum(1 for p in (folder / "source").rglob("*") if p.is_file() and not p.is_symlink())
    assert len(said.stdout.splitlines()) == files and "all good" in said.stderr, (files, said)
    line = json.loads(laptop.run("verify", "--sha256sum", "--json", "lab:corpus").stdout.splitlines()[0])
    assert line["event"] == "sum" and len(line["sha256"]) == 64, line
    return said.stdout


def lost_index(laptop, site, source):
    """Whatever happens to the index, what is only renamed is found there and not sent."""
    site.stop()
    for path in site.index():
        path.unlink(missing_ok=True)
    site.start()
    assert "the index of chunks was lost; it is rebuilt from 1 versions" in site.log.read_text()
    (source / "large.bin").rename(source / "renamed.bin")
    done = laptop.result("push", source, "lab:corpus")
    assert done["bytes_wire"] == 0, done

    for path in site.index():
        if path.exists():
            path.write_bytes(b"x" * 65536)
    assert "the index is rebuilt" in laptop.run("verify", "--rebuild", "lab").stderr
    (source / "renamed.bin").rename(source / "renamed again.bin")
    done = laptop.result("push", source, "lab:corpus")
    assert done["bytes_wire"] == 0, done
    both = laptop.run("verify", "--rebuild", "--json", "lab:corpus").stdout.splitlines()
    assert [json.loads(line)["event"] for line in both] == ["rebuilt", "done"], both


def operator(laptop, site, sums):
    busy = site.command("verify", "corpus", code=1).stderr
    assert "another longhaul-streamer runs there" in busy, busy
    assert "ask it: `longhaul verify SITE:DATASET` from a paired machine; or stop it first" in busy, busy
    site.stop()
    assert site.command("verify", "corpus", "--sha256sum").stdout == sums
    assert "all good" in site.command("verify", "--rebuild", "corpus@v000001").stderr
    nameless = site.command("verify", code=2).stderr
    assert "no dataset is named" in nameless and "name one, or give --rebuild" in nameless, nameless
    odd = site.command("verify", "corpus@v7", code=2).stderr
    assert "'v7' is no version" in odd and "versions look like v000001" in odd, odd
    assert "there is no such dataset" in site.command("verify", "nothing", code=3).stderr
    site.start()


def damage(laptop, site, folder):
    rotten = site.root / "datasets/corpus/current/small-07.txt"
    rotten.chmod(0o644)
    rotten.write_bytes(bytes([rotten.read_bytes()[0] ^ 1]) + rotten.read_bytes()[1:])
    said = laptop.run("verify", "--sha256sum", "lab:corpus", code=6)
    assert "small-07.txt" not in said.stdout and "small-07.txt: " in said.stderr, said
    assert "1 files are not as they were pushed" in said.stderr, said
    assert "push the dataset again; suspect that disk" in said.stderr, said
    site.stop()
    there = site.command("verify", "corpus", code=6).stderr
    assert "what is named above is not as it was pushed" in there, there
    assert "push the dataset again; suspect this disk" in there, there
    manifest = site.root / ".longhaul/manifests/corpus/v000001"
    manifest.write_bytes(manifest.read_bytes()[:-1])
    site.start()
    rebuilt = laptop.run("verify", "--rebuild", "lab", code=6).stderr
    assert "1 manifests cannot be read" in rebuilt, rebuilt
    assert "push those datasets again; suspect that disk" in rebuilt, rebuilt
    (folder / "sums").write_text(said.stdout)
    assert checked(folder / "sums", site.root / "datasets/corpus/current")[0]
    assert "it names no dataset" in laptop.run("verify", "lab", code=2).stderr


def story(folder):
    source = folder / "source"
    make_tree(source)
    (source / "new\nline").write_text("odd\n")
    (source / "back\\slash").write_text("odd, too\n")
    (source / "empty").write_text("")
    os.link(source / "small-01.txt", source / "hard")
    with open(source / "hole", "wb") as file:
        file.truncate(1 << 20)
        file.seek(1 << 19)
        file.write(b"island")
    site = Site(sys.argv[2], folder / "site")
    try:
        laptop = Laptop(sys.argv[1], folder / "home")
        laptop.run("init")
        invite = site.command("invite", "--address", f"127.0.0.1:{site.port}").stdout
        laptop.run("join", "lab", stdin=invite)
        laptop.run("push", source, "lab:corpus")
        lost_index(laptop, site, source)
        sums = flat_sums(laptop, site, folder)
        operator(laptop, site, sums)
        damage(laptop, site, folder)
    finally:
        site.process.kill()
        site.process.wait(60)


if __name__ == "__main__":
    in_folder(story)
