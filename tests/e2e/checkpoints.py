"""Checkpoints of a run brought home with the real programs on loopback: listed, pulled, followed; read here by a
reader of safetensors that is not ours; through kill -9 of either side.

Usage: checkpoints.py LONGHAUL LONGHAUL-STREAMER TRAINER_STAND_IN. Exit code 0: all held.
"""
import json
import os
import pathlib
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import time

from live_run import Run, lines_of
from push_pull import World, same

FLOATS = 3_000_037
RUN = "here/group/saved"
OURS = [".longhaul-checkpoint", ".longhaul-chunks"]  # what is added to a checkpoint that is home


def tensors(path):
    """Name -> (dtype, shape, bytes), by the format's own rules; the metadata beside it."""
    data = path.read_bytes()
    length = struct.unpack_from("<Q", data)[0]
    header = json.loads(data[8:8 + length])
    metadata = header.pop("__metadata__", {})
    out, end = {}, 0
    for name, note in sorted(header.items(), key=lambda entry: entry[1]["data_offsets"]):
        begin, stop = note["data_offsets"]
        assert begin == end, name
        end = stop
        out[name] = (note["dtype"], note["shape"], data[8 + length + begin:8 + length + stop])
    assert 8 + length + end == len(data)
    return out, metadata


def rounded(raw):
    """fp32 to bf16, ties to even, with no code of ours."""
    out = bytearray()
    for (bits,) in struct.iter_unpack("<I", raw):
        low, value = bits & 0xffff, bits >> 16
        if low > 0x8000 or (low == 0x8000 and value & 1):
            value += 1
        out += struct.pack("<H", value)
    return bytes(out)


def is_rounded(original, here):
    first, metadata = tensors(original)
    second, metadata_here = tensors(here)
    assert metadata == metadata_here == {"format": "pt"}
    assert list(first) == list(second)
    for name, (dtype, shape, raw) in first.items():
        assert dtype == "F32" and second[name][:2] == ("BF16", shape), (name, second[name][:2])
        for part in (slice(0, 400_000), slice(len(raw) - 400_000, len(raw))):  # all of it takes Python a minute
            half = slice(part.start // 2, part.stop // 2)
            assert second[name][2][half] == rounded(raw[part]) or len(raw) < 400_000, name
        assert len(second[name][2]) * 2 == len(raw)


class Saved(Run):
    """A run that writes checkpoints of 12 MB of weights and 24 MB of state."""

    def __init__(self, world, program):
        super().__init__(world, program, "group/saved")
        os.environ["STAND_IN_FLOATS"] = str(FLOATS)

    def checkpoint(self):
        lines = lines_of(self.world.run("ctl", RUN, "checkpoint", "--json"))
        return lines[-1]["step"]

    def place(self, step):
        return self.folder / f"checkpoints/step-{step:08}"


def listed(world, home=None):
    return lines_of(world.run("ckpt", "ls", RUN, "--json", home=home))


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def pulled(world, run, steps):
    """The newest, one by its step, all of one; again; what is not there; what is not to be touched."""
    here = world.folder / "here"
    done = world.result("ckpt", "pull", RUN, here)
    assert done["step"] == steps[-1] and done["form"] == "weights" and not done["existed"], done
    assert done["folder"] == str(here / f"step-{steps[-1]:08}"), done
    assert names(pathlib.Path(done["folder"])) == OURS + ["config.json", "model.safetensors"]
    is_rounded(run.place(steps[-1]) / "model.safetensors", here / f"step-{steps[-1]:08}/model.safetensors")
    assert done["bytes"] < 2 * FLOATS + 2000 and done["bytes_wire"] < done["bytes"] * 0.95, done
    again = world.result("ckpt", "pull", f"{RUN}@{steps[-1]}", here)
    assert again["existed"] and again["bytes_wire"] == 0, again
    all_of_it = world.result("ckpt", "pull", f"{RUN}@{steps[0]}", here, "--full")
    copy = pathlib.Path(all_of_it["folder"])
    assert copy.name == f"step-{steps[0]:08}.full", copy
    for name in OURS:
        (copy / name).unlink()
    same_at_home(run.place(steps[0]), copy)
    said = world.run("ckpt", "pull", f"{RUN}@1", here, code=3).stderr
    assert f"cannot pull the checkpoint of step 1 of {RUN}" in said, said
    assert "none is there, or no longer" in said and f"`longhaul ckpt ls {RUN}` lists them" in said, said
    world.run("ckpt", "pull", "here/group/none", here, code=3)
    said = world.run("ckpt", "pull", "here/../etc", here, code=2).stderr
    assert "no run can have this name" in said, said
    assert "`longhaul runs SITE` lists those that there are" in said, said
    mine = here / f"step-{steps[0]:08}"
    mine.mkdir()
    (mine / "mine").write_text("mine")
    refused = world.run("ckpt", "pull", f"{RUN}@{steps[0]}", here, code=1)
    assert "something else stands there, and is not touched" in refused.stderr, refused.stderr
    assert "move it away, or name another folder" in refused.stderr and names(mine) == ["mine"], refused.stderr
    assert not (here / ".longhaul").exists(), names(here / ".longhaul")


def same_at_home(place, copy):
    """The site hears that it is there a moment after the laptop knows."""
    wait_for(lambda: not (place / "pending-home").exists(), "the end of the mark")
    same(place, copy)


def roles(world):
    """An observer sees what there is, and gets none of it."""
    observer = world.folder / "observer"
    world.run("init", home=observer)
    world.run("join", "here", stdin=world.invite("observer"), home=observer)
    assert listed(world, home=observer) == listed(world)
    target = world.folder / "not-mine"
    world.run("ckpt", "pull", RUN, target, home=observer, code=4)
    world.run("ckpt", "follow", RUN, target, home=observer, code=4)
    assert names(target) == [], names(target)


def staged(folder):
    return sum(path.stat().st_blocks * 512 for path in (folder / ".longhaul").rglob("*") if path.is_file())


def killed(world, run, step):
    """kill -9 of the laptop, then of the site, in the middle: what had arrived is not sent again."""
    here = world.folder / "killed"
    wire = 0
    for side in ("pull", "streamer"):
        before = staged(here) if here.exists() else 0
        command, environment = world.command("ckpt", "pull", f"{RUN}@{step}", here, "--full",
                                             "--limit-rate", "4MB/s")
        pull = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        end = time.monotonic() + 60
        while not here.exists() or staged(here) < before + 4_000_000:
            assert time.monotonic() < end and pull.poll() is None, (side, staged(here))
            time.sleep(0.02)
        if side == "streamer":
            world.stop(kill=True)
            world.start()
        else:
            pull.kill()
        pull.wait(60)
        assert names(here) == [".longhaul"], names(here)
    arrived = staged(here)
    done = world.result("ckpt", "pull", f"{RUN}@{step}", here, "--full")
    assert done["bytes_present"] > arrived * 0.9, (arrived, done)
    copy = here / f"step-{step:08}.full"
    for name in OURS:
        (copy / name).unlink()
    same_at_home(run.place(step), copy)
    assert names(here) == [copy.name], names(here)


def wait_for(condition, what, seconds=60):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, what
        time.sleep(0.05)


def followed(world, run):
    """Each new one comes by itself, through a streamer that is killed; the oldest go; once a day all of one."""
    here = world.folder / "followed"
    command, environment = world.command("ckpt", "follow", RUN, here, "--keep", "2", "--full-daily", "--json")
    follow = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    newest = listed(world)[-1]["step"]
    wait_for(lambda: (here / f"step-{newest:08}.full").exists(), "the full one")
    steps = [newest]
    for kill in (False, True, False):
        if kill:
            world.stop(kill=True)
            world.start()
        steps.append(run.checkpoint())
        wait_for(lambda: (here / f"step-{steps[-1]:08}").exists(), steps)
    wait_for(lambda: not (here / ".longhaul").exists(), "the end of the last")
    kept = [f"step-{step:08}" for step in steps[-2:]] + [f"step-{steps[0]:08}.full"]
    assert names(here) == sorted(kept), (names(here), steps)
    is_rounded(run.place(steps[-1]) / "model.safetensors", here / kept[1] / "model.safetensors")
    shutil.rmtree(run.place(steps[-1]))  # its program keeps only the newest
    follow.terminate()
    said, errors = follow.communicate(timeout=60)
    assert follow.returncode == 130, errors
    done = [json.loads(line) for line in said.splitlines()]
    assert [line["step"] for line in done if line.get("form") == "weights"] == steps, done
    assert listed(world)[-1]["step"] == steps[-2]
    world.run("ckpt", "pull", f"{RUN}@{steps[-1]}", world.folder / "gone", code=3)


def anew(world, run):
    """A run that is removed, and another begun under its name: its first checkpoint comes, once, and stays."""
    os.environ["STAND_IN_FLOATS"] = "30000"
    here, said = world.folder / "anew", world.folder / "anew.json"
    for first in (50_000, 0):
        run.start(10**9, 5, first=first)
        steps = [run.checkpoint()]
        command, environment = world.command("ckpt", "follow", RUN, here, "--keep", "1", "--json")
        follow = subprocess.Popen(command, env=environment, stdout=open(said, "w"))
        try:
            wait_for(lambda: said.read_text().count("\n") == 1, steps)
            assert names(here) == [f"step-{steps[0]:08}"], (names(here), steps)
            steps.append(run.checkpoint())
            wait_for(lambda: said.read_text().count("\n") == 2, steps)
        finally:
            follow.terminate()
            follow.wait(20)
            run.process.kill()
            run.process.wait()
        lines = [json.loads(line) for line in said.read_text().splitlines()]
        assert [line["step"] for line in lines if line["event"] == "done"] == steps, lines
        assert names(here) == [f"step-{steps[1]:08}"], (names(here), steps)
        shutil.rmtree(run.folder)
        shutil.rmtree(world.home / "state/runs", ignore_errors=True)


def said_to_nobody(world):
    """Who reads what a follower says has ended: so does the follower, with nothing new to be said."""
    command, environment = world.command("ckpt", "follow", RUN, world.folder / "followed", "--json")
    follow = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    time.sleep(0.5)
    follow.stdout.close()
    try:
        # Its last word goes there, too, and ends it as it ends any filter.
        assert follow.wait(60) == -signal.SIGPIPE, (follow.returncode, follow.stderr.read())
    finally:
        follow.kill()


def orders(world, **fields):
    told = lines_of(world.run("proxy", "status", "--json"))
    return [line for line in told if line["event"] == "order"
            and all(line.get(name) == value for name, value in fields.items())]


def by_daemon(world, run):
    """The daemon fetches one and follows the run: through the streamer's end and its own kill, until withdrawn."""
    here, one = world.folder / "by-daemon", world.folder / "one"
    first = listed(world)[0]["step"]
    world.run("ckpt", "pull", f"{RUN}@{first}", one, "--full", "--queue")  # no daemon runs yet
    given = world.result("ckpt", "follow", RUN, here, "--keep", "2", "--queue")
    twice = world.run("ckpt", "follow", RUN, here, "--queue", code=1).stderr
    assert "brings them into that folder already" in twice and "`longhaul proxy withdraw " in twice, twice
    unknown = world.run("proxy", "withdraw", 10**6, code=3).stderr
    assert "none of that number waits" in unknown, unknown
    unwanted = world.result("ckpt", "pull", RUN, one, "--queue")["number"]
    assert world.result("proxy", "withdraw", unwanted)["state"] == "withdrawn"
    world.run("proxy", "start")
    wait_for(lambda: orders(world, kind="fetch", state="applied"), "the one")
    assert orders(world, kind="fetch", state="applied")[0]["step"] == first
    copy = one / f"step-{first:08}.full"
    for name in OURS:
        (copy / name).unlink()
    same_at_home(run.place(first), copy)
    assert names(one) == [copy.name], names(one)
    steps = [listed(world)[-1]["step"]]
    wait_for(lambda: orders(world, kind="follow", state="running", step=steps[-1]), "the newest")
    for kill in ("daemon", "streamer", ""):
        if kill == "daemon":
            [daemon] = [line["pid"] for line in lines_of(world.run("proxy", "status", "--json"))
                        if line["event"] == "proxy"]
            os.kill(daemon, signal.SIGKILL)
            wait_for(lambda: not followers(here), "the end of the orphan")
            wait_for(lambda: world.result("proxy", "start")["started"], "the end of the daemon")
        elif kill == "streamer":
            world.stop(kill=True)
            world.start()
        steps.append(run.checkpoint())
        wait_for(lambda: orders(world, kind="follow", state="running", step=steps[-1]), steps)
    wait_for(lambda: not (here / ".longhaul").exists(), "the end of the last")
    assert names(here) == [f"step-{step:08}" for step in steps[-2:]], (names(here), steps)
    is_rounded(run.place(steps[-1]) / "model.safetensors", here / names(here)[-1] / "model.safetensors")
    assert len(followers(here)) == 1
    assert world.result("proxy", "withdraw", given["number"])["state"] == "withdrawn"
    assert followers(here) == []
    run.checkpoint()
    assert world.result("proxy", "withdraw", given["number"])["state"] == "withdrawn"
    [fetched] = orders(world, kind="fetch", state="applied")
    world.run("proxy", "withdraw", fetched["number"], code=8)
    unknown = world.run("proxy", "withdraw", 10**6, code=3).stderr
    assert "none of that number is known" in unknown, unknown
    assert world.run("proxy", "stop").stderr == "stopped\n"
    assert names(here) == [f"step-{step:08}" for step in steps[-2:]], (names(here), steps)


def followers(folder):
    """The processes that bring checkpoints there."""
    found = []
    for place in pathlib.Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = place.read_bytes().split(b"\0")
        except OSError:
            continue
        if b"follow" in words and str(folder).encode() in words:
            found.append(int(place.parent.name))
    return found


def story(world, program):
    world.start()
    world.run("init")
    world.run("join", "here", stdin=world.invite())
    run = Saved(world, program)
    run.start(10**9, 5)
    assert world.run("ckpt", "ls", RUN).stdout == ""
    world.run("ckpt", "pull", RUN, world.folder / "none", code=3)
    steps = [run.checkpoint() for _ in range(2)]
    lines = listed(world)
    assert [line["step"] for line in lines] == steps and [line["attempt"] for line in lines] == [1, 1], lines
    assert lines[0]["files"] == 4 and lines[0]["folder"] == f"checkpoints/step-{steps[0]:08}", lines
    assert lines[0]["bytes"] == sum(path.stat().st_size for path in run.place(steps[0]).iterdir()), lines
    assert f"step-{steps[1]:08}" in world.run("ckpt", "ls", RUN).stdout
    pulled(world, run, steps)
    roles(world)
    killed(world, run, steps[1])
    followed(world, run)
    said_to_nobody(world)
    by_daemon(world, run)
    world.run("ctl", RUN, "stop")
    run.wait()
    anew(world, run)
    assert world.stop() == 0
    print("all held")


def main():
    folder = pathlib.Path(tempfile.mkdtemp(prefix="longhaul-e2e-"))
    world = World(sys.argv[1], sys.argv[2], folder)
    try:
        story(world, sys.argv[3])
    finally:
        subprocess.run(world.command("proxy", "stop")[0], env=world.command()[1], capture_output=True)
        if world.process and world.process.poll() is None:
            world.process.kill()
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
