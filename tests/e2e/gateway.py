"""A training program that does not see the site's folder reads a dataset through the gateway while it arrives: its
wishes cross first, a streamer that is killed is waited for, every byte is right, no other file is to be had, and a
pass that was revoked opens nothing.

Usage: gateway.py LONGHAUL LONGHAUL-STREAMER LIBLONGHAUL. Exit code 0: all held.
"""
import json
import pathlib
import random
import shutil
import subprocess
import sys
import tempfile
import time

from push_pull import World

FILES, BYTES = 6, 3_000_000
RATE = "16mbit"  # 2 MB/s: the push takes 9 s at least


def read_all(library, place, dataset, want_last):
    """The program itself, in a process of its own: reads the last file first, then all; says what it met."""
    sys.path.insert(0, str(pathlib.Path(library).parent))
    import longhaul
    feed = longhaul.Feed(place, dataset)
    while not feed.ready():
        time.sleep(0.02)
    print(json.dumps({"named": [file.name for file in feed.files], "identity": feed.identity}), flush=True)
    order = sorted(feed.files, key=lambda file: file.name, reverse=want_last == "yes")
    for at, file in enumerate(order):
        feed.need([(coming, 0, coming.size) for coming in order[at:]], 1)
        content = feed.read(file, 0, file.size)
        waited = content is None
        while content is None:
            print(json.dumps({"waits": feed.waiting_for}), flush=True)
            time.sleep(0.05)
            feed.need([(coming, 0, coming.size) for coming in order[at:]], 1)
            content = feed.read(file, 0, file.size)
        print(json.dumps({"read": file.name, "waited": waited, "sum": sum(content), "size": len(content)}),
              flush=True)
    feed.close()


def reader(place, last="no"):
    return subprocess.Popen([sys.executable, __file__, "read", sys.argv[3], place, "words", last],
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def streamer(world, *arguments, code=0):
    done = subprocess.run([world.streamer, "gateway", *map(str, arguments), "--root", world.root],
                          text=True, capture_output=True, timeout=60)
    assert done.returncode == code, (arguments, done)
    return done


def pass_of(world, run):
    made = json.loads(streamer(world, "pass", run, "--at", world.gateway, "--json").stdout)
    path = pathlib.Path(made["pass"])
    assert path.stat().st_mode & 0o777 == 0o600 and made["run"] == run, made
    return "gateway:" + str(shutil.copy(path, world.folder / f"{run}.pass"))


def told(process, code=0):
    out, err = process.communicate(timeout=120)
    assert process.returncode == code, (process.returncode, out, err)
    return [json.loads(line) for line in out.splitlines()], err


def story(world):
    source = world.folder / "source"
    source.mkdir()
    rng = random.Random(4)
    content = {f"part-{i}.bin": rng.randbytes(BYTES) for i in range(FILES)}
    for name, text in content.items():
        (source / name).write_bytes(text)
    early = streamer(world, "pass", "early", code=2).stderr
    assert "no gateway was opened here so far" in early, early
    assert "start the streamer with --gateway tcp://0.0.0.0:7710, or say --at" in early, early
    world.gateway = "ipc://" + str(world.folder / "gate")
    world.options = ["--gateway", world.gateway]
    world.start()
    world.run("init")
    world.run("join", "here", stdin=world.invite())
    place = pass_of(world, "one")
    assert streamer(world, "pass", "two").stdout.strip().endswith("two.pass")  # where it is now
    bad = streamer(world, "pass", "a/b", code=2).stderr
    assert "that is no name for a file" in bad and "1 to 64 letters, digits, '-', '_' and '.'" in bad, bad

    # It is there before the push, reads the last file first, and sees the streamer die meanwhile.
    early = reader(place, "yes")
    command, environment = world.command("push", source, "here:words", "--limit-rate", RATE, "--json")
    push = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    lines = []
    while not lines or "read" not in lines[-1]:
        lines.append(json.loads(early.stdout.readline()))
    assert lines[-1]["read"] == f"part-{FILES - 1}.bin" and push.poll() is None, lines[-1]
    world.stop(kill=True)
    waits = ""
    while "an answer through the gateway at ipc://" not in waits:
        waits = json.loads(early.stdout.readline()).get("waits", "")
    world.start()
    assert push.wait(60) == 5  # its session is gone; what has arrived is not sent twice
    world.run("push", source, "here:words")
    rest, _ = told(early)
    lines += rest
    reads = {line["read"]: line for line in lines if "read" in line}
    assert {name: (sum(text), BYTES) for name, text in content.items()} == \
        {name: (line["sum"], line["size"]) for name, line in reads.items()}
    assert sorted(lines[0 if "named" in lines[0] else 1]["named"]) == sorted(content), lines[0]

    # What has been published, for another run; its files alone.
    lines, _ = told(reader(pass_of(world, "three")))
    assert not any(line["waited"] for line in lines if "read" in line), lines
    assert {line["run"] for line in map(json.loads, streamer(world, "ls", "--json").stdout.splitlines())} == \
        {"one", "two", "three"}
    assert "revoked" in streamer(world, "revoke", "one").stderr
    gone = streamer(world, "revoke", "one", code=3).stderr
    assert "there is none" in gone and "`longhaul-streamer gateway ls` lists them" in gone, gone
    time.sleep(6)  # kPassesReadEach
    _, err = told(reader(place), code=1)
    assert "does not take this pass" in err, err
    # The streamer is started again without a word of the gateway: it is where it was.
    assert world.stop() == 0
    subprocess.run([world.streamer, "start", "--root", world.root], check=True, capture_output=True, timeout=60)
    try:
        status = subprocess.run([world.streamer, "status", "--root", world.root], text=True, check=True,
                                capture_output=True, timeout=60).stdout
        assert f"its gateway at {world.gateway}" in status, status
        told(reader(pass_of(world, "four")))
    finally:
        subprocess.run([world.streamer, "stop", "--root", world.root], check=True, capture_output=True, timeout=60)
    (world.root / ".longhaul/gateway/site.keys").write_text("rust")
    broken = streamer(world, "pass", "five", code=1).stderr
    assert "site.keys is damaged" in broken, broken
    assert "remove .longhaul/gateway in the root, and make new passes" in broken, broken


def main():
    if sys.argv[1] == "read":
        return read_all(*sys.argv[2:])
    folder = pathlib.Path(tempfile.mkdtemp(prefix="longhaul-gateway-"))
    world = World(sys.argv[1], sys.argv[2], folder)
    try:
        story(world)
    finally:
        if world.process and world.process.poll() is None:
            world.stop()
        shutil.rmtree(folder)
    print("all held")
    return 0


if __name__ == "__main__":
    sys.exit(main())
