"""A run watched and steered with the real programs on loopback, the trainer's side through longhaul.h.

Usage: live_run.py LONGHAUL LONGHAUL-STREAMER TRAINER_STAND_IN. Exit code 0: all held.
"""
import json
import math
import os
import pathlib
import re
import shutil
import struct
import subprocess
import sys
import tempfile
import threading
import time

from push_pull import World

STEPS = 4000


def loss(step):
    return 1.5 + 2.0 / math.sqrt(step + 1) + 0.05 * math.sin(step)


class Run:
    """The stand-in for a training program."""

    def __init__(self, world, program, name):
        self.world, self.program = world, program
        self.folder = world.root / "runs" / name
        self.shared = world.folder / "shm"
        self.shared.mkdir(exist_ok=True)
        self.process = None

    def start(self, steps, step_ms, first=0, **environment):
        numbers = [str(number) for number in (steps, step_ms, first)]
        self.process = subprocess.Popen([self.program, self.folder, self.shared, *numbers],
                                        env=dict(os.environ, **environment), stdout=subprocess.PIPE, text=True)
        assert self.process.stdout.readline().startswith("attempt")

    def wait(self):
        assert self.process.wait(60) == 0


class Follow:
    """`longhaul metrics --follow --json` and the lines it has printed."""

    def __init__(self, world, *arguments, home=None):
        command, environment = world.command("metrics", *arguments, "--follow", "--json", home=home)
        self.process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                        text=True)
        self.lines = []
        self.reader = threading.Thread(target=self.read, daemon=True)
        self.reader.start()

    def read(self):
        for line in self.process.stdout:
            self.lines.append(json.loads(line))

    def of(self, event, /, **fields):
        return [line for line in list(self.lines) if line["event"] == event
                and all(line.get(name) == value for name, value in fields.items())]

    def until(self, condition, what, seconds=30):
        end = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < end, (what, self.lines[-3:])
            time.sleep(0.01)

    def stop(self):
        self.process.terminate()
        assert self.process.wait(60) == 130, self.process.stderr.read()
        self.reader.join()


def points_of(lines):
    return [(line["attempt"], line["series"], line["step"], line["value"]) for line in lines
            if line["event"] == "point"]


def lines_of(done):
    return [json.loads(line) for line in done.stdout.splitlines()]


def finished(world, program):
    """A run that is over: listed, read whole, mirrored, read again without the link's help."""
    run = Run(world, program, "group/first")
    run.start(STEPS, 0)
    run.wait()
    listed = world.result("runs", "here")
    assert listed["name"] == "group/first" and listed["state"] == "ended" and listed["why"] == "done", listed
    assert listed["last_step"] == STEPS - 1 and listed["attempts"] == 1, listed
    assert listed["config"] == {"lr": "0.01", "model/width": "64", "tags": '["stand-in"]'}, listed
    assert abs(listed["values"]["train/loss"]["value"] - loss(STEPS - 1)) < 1e-12, listed
    assert "group/first" in world.run("runs", "here").stdout

    lines = lines_of(world.run("metrics", "here/group/first", "--json"))
    points = points_of(lines)
    assert len(points) == len(set(points)) == 2 * STEPS, len(points)
    assert all(value == loss(step) for _, name, step, value in points if name == "train/loss")
    marks = lines[-1]
    assert marks["event"] == "watermarks" and marks["complete_step"] == STEPS - 1, marks
    assert marks["recorded"] == marks["here"] and marks["lost"] == marks["dropped"] == 0, marks

    kept = world.home / "state/runs/here/group/first/mirror/history"
    size = kept.stat().st_size
    assert 0 < size < 3 * 2 * STEPS * 8, size
    assert points_of(lines_of(world.run("metrics", "here/group/first", "--json"))) == points
    assert kept.stat().st_size == size
    some = points_of(lines_of(world.run("metrics", "here/group/first", "--json", "--series", "*/l*s*",
                                        "--since-step", STEPS - 10)))
    assert [point[2] for point in some] == list(range(STEPS - 10, STEPS)), some
    table = world.run("metrics", "here/group/first").stdout
    assert "train/loss" in table and f"complete to step {STEPS - 1}" in table, table
    assert world.run("metrics", "here/none", code=3).stdout == ""
    assert not (world.home / "state/runs/here/none").exists()
    world.run("metrics", "here", code=2)
    world.run("metrics", "here/../etc", code=2)


def compared(world, program):
    """The table of several runs: of their configurations what differs, then tags and notes, as text alone."""
    configs = {"sweep/a": {"lr": 0.1, "model": {"width": 64, "depth": 2}, "seed": 1, "notes": "first try"},
               "sweep/b": {"lr": 0.2, "model": {"width": 64, "depth": 2}, "tags": ["wide", "bf16"]},
               "sweep/c": {"lr": 0.1, "model": {"width": 64, "depth": "\x1b[31m4"}, "seed": 1,
                           "notes": "\x1b]0;x\x07"}}
    for name, config in configs.items():
        run = Run(world, program, name)
        run.start(10, 0, STAND_IN_CONFIG=json.dumps(config))
        run.wait()
    (world.root / "runs/group").rename(world.folder / "group")  # one of another configuration
    table = world.run("runs", "here").stdout
    rows = {line.split()[0]: line for line in table.splitlines()}
    assert list(rows) == ["RUN", *configs], table
    ends = {name: re.sub(r".*train/loss=\S+", "", row) for name, row in rows.items()}
    assert ends["sweep/a"] == "  lr=0.1  model/depth=2  seed=1  notes: first try", ends
    assert ends["sweep/b"] == '  lr=0.2  model/depth=2  tags: ["wide","bf16"]', ends
    assert ends["sweep/c"] == "  lr=0.1  model/depth=\\x1b[31m4  seed=1  notes: \\x1b]0;x\\x07", ends
    assert "width" not in table, table
    listed = {line["name"]: line["config"] for line in lines_of(world.run("runs", "here", "--json"))}
    wide = {"lr": "0.2", "model/width": "64", "model/depth": "2", "tags": '["wide","bf16"]'}
    assert listed["sweep/b"] == wide, listed
    for name in ("sweep/b", "sweep/c"):
        shutil.rmtree(world.root / "runs" / name)
    assert "lr=" not in world.run("runs", "here").stdout, "one run alone differs from none"
    (world.folder / "group").rename(world.root / "runs/group")


def followed(world, program):
    """A run that goes on: live at once, through a streamer that is killed; a second attempt; nothing lost, and its
    event files are written on the way."""
    run = Run(world, program, "second")
    run.start(10**9, 10)
    events = world.folder / "tb-followed"
    follow = Follow(world, "here/second", "--tensorboard", events)

    def written(name="train/loss"):
        return [entry[1:] for path in events.glob("*tfevents*") for entry in scalars(path, whole=False)
                if entry[0] == name]

    follow.until(lambda: follow.of("live"), "the first live value")
    follow.until(lambda: len(follow.of("point")) > 100, "history")
    follow.until(lambda: len(written()) > 50, "event files beside what is followed")
    seen = max(line["step"] for line in follow.of("live"))
    world.stop(kill=True)
    had = len(written())
    time.sleep(1)
    world.start()
    follow.until(lambda: len(written()) > had + 50, "event files after the outage, without another call")
    follow.until(lambda: max(line["step"] for line in follow.of("live")) > seen + 100, "live again")
    run.process.kill()
    run.process.wait()
    run.start(600, 1, first=100)
    run.wait()
    follow.until(lambda: follow.of("watermarks", attempt=2, complete_step=599), "the second attempt's end")
    follow.stop()
    points = points_of(follow.lines)
    assert len(points) == len(set(points)), "no point twice"
    for attempt, first, least in ((1, 0, seen), (2, 100, 600)):
        steps = sorted(step for a, name, step, _ in points if a == attempt and name == "train/loss")
        assert steps == list(range(first, first + len(steps))) and steps[-1] >= least - 1, (attempt, steps[:3])
    again = points_of(lines_of(world.run("metrics", "here/second", "--json")))
    assert sorted(again) == sorted(points)
    (file,) = events.glob("*tfevents*")
    told = [(step, value) for _, name, step, value in points if name == "train/loss"]
    assert [step for step, _ in written()] == [step for step, _ in told], "once, in the order of the log"
    assert all(abs(a[1] - b[1]) < 1e-6 for a, b in zip(written(), told))
    world.run("metrics", "here/second", "--tensorboard", events)  # and another call appends none of it again
    assert len(written()) == len(told) and len(scalars(file)) == len(points)


def scalars(path, whole=True):
    """Tag, step and value of each scalar of an event file, by the format's own rules. Not whole: being written."""
    data, at, found = path.read_bytes(), 0, []

    def varint(b, i):
        value = shift = 0
        while True:
            value |= (b[i] & 127) << shift
            shift += 7
            i += 1
            if b[i - 1] < 128:
                return value, i

    def fields(b):
        i = 0
        while i < len(b):
            key, i = varint(b, i)
            if key & 7 == 0:
                value, i = varint(b, i)
            else:
                size = {1: 8, 5: 4}.get(key & 7)
                if size is None:
                    size, i = varint(b, i)
                value, i = b[i:i + size], i + size
            yield key >> 3, value

    while at < len(data):
        size = struct.unpack_from("<Q", data, at)[0] if at + 8 <= len(data) else len(data)
        if not whole and at + 16 + size > len(data):
            break
        event = dict(fields(data[at + 12:at + 12 + size]))
        at += 16 + size
        if 5 in event:
            summary = dict(fields(dict(fields(event[5]))[1]))
            found.append((summary[1].decode(), event.get(2, 0), struct.unpack("<f", summary[2])[0]))
    assert at == len(data) or not whole
    return found


def event_files(world):
    """TensorBoard files: in order, and not a second time."""
    folder = world.folder / "tb"
    for _ in range(2):
        world.run("metrics", "here/group/first", "--tensorboard", folder)
        (file,) = folder.glob("*tfevents*")
        found = [entry for entry in scalars(file) if entry[0] == "train/loss"]
        assert [step for _, step, _ in found] == list(range(STEPS)), len(found)
        assert abs(found[100][2] - loss(100)) < 1e-6
    said = world.run("metrics", "here/second", "--tensorboard", folder, code=1).stderr
    assert "it holds those of here/group/first" in said, said


def begun_anew(world, program):
    """A run that was removed and begun anew under its name is not taken for the one that was kept."""
    for steps in (300, 100):
        shutil.rmtree(world.root / "runs/again", ignore_errors=True)
        run = Run(world, program, "again")
        run.start(steps, 0)
        run.wait()
        if steps == 100:  # begun twice: its newest attempt is none that was kept
            run.start(steps, 0)
            run.wait()
            said = world.run("metrics", "here/again", code=1)
            assert "it was removed there, and another was begun under its name" in said.stderr, said.stderr
            assert said.stdout == "", said.stdout
        points = points_of(lines_of(world.run("metrics", "here/again", "--json")))
        assert len(points) == (2 * 300 if steps == 300 else 4 * 100), len(points)
    kept = world.home / "state/runs/here/again"
    assert len(list(kept.glob("mirror-*/history"))) == 1, list(kept.iterdir())
    (world.root / "runs/again/log/000003.run").touch()  # a program that died before its first record
    assert "POINTS" in world.run("metrics", "here/again").stdout
    points = points_of(lines_of(world.run("metrics", "here/again", "--json")))
    assert len(points) == 4 * 100, len(points)


def steered(world, program):
    """Commands: applied at a step that the marks show, refused, expired; two laptops see both; roles hold."""
    run = Run(world, program, "third")
    run.start(10**9, 5)
    observer = world.folder / "observer"
    world.run("init", home=observer)
    world.run("join", "here", stdin=world.invite("observer"), home=observer)
    other = Follow(world, "here/third", home=observer)
    done = lines_of(world.run("ctl", "here/third", "set", "lr=1e-3", "--json"))
    assert [line["state"] for line in done] == ["received", "applied"], done
    step = done[1]["step"]
    other.until(lambda: other.of("mark", kind="applied", step=step, text="lr=0.001"),
                "the mark at the other laptop")
    other.until(lambda: any(line["step"] >= step for line in other.of("point", series="train/lr")), "its effect")
    rates = {line["step"]: line["value"] for line in other.of("point", series="train/lr")}
    assert rates[step] == 0.001 and rates.get(step - 1, 0.01) == 0.01, (step, rates[step])
    assert "applied at step" in world.run("ctl", "here/third", "pause").stdout
    world.run("ctl", "here/third", "resume")
    said = world.run("ctl", "here/third", "set", "momentum=1", code=2).stderr
    assert "it was refused: momentum=1: there is only lr" in said and "nothing was changed" in said, said
    other.until(lambda: other.of("mark", kind="refused", text="momentum=1: there is only lr"), "its mark")
    world.run("ctl", "here/third", "set", code=2)
    world.run("ctl", "here/third", "pause", "--expires", "100000d", code=2)
    world.run("ctl", "here/third", "pause", home=observer, code=4)
    world.run("ctl", "here/third", "stop")
    run.wait()
    late = world.run("ctl", "here/third", "pause", "--expires", "1s", code=5, stdin="")
    assert late.stdout == "" and "the command expired: nothing was done" in late.stderr, late
    assert "is the run still at work? `longhaul runs` says; or give --expires a longer time" in late.stderr, late
    kinds = [line["kind"] for line in other.of("mark")]
    assert kinds.count("applied") == 4 and kinds.count("refused") == 1, kinds
    other.stop()


def not_there(world):
    """A run that is not there ends what watches or steers it, however the moments fall."""
    said = ["longhaul: cannot watch here/none", "  why: there is no such run",
            "  do:  `longhaul runs here` lists them"]
    for command in (["ctl", "here/none", "pause"], ["metrics", "here/none", "--follow"]):
        for _ in range(5):
            assert world.run(*command, code=3).stderr.splitlines()[-3:] == said
    told = world.run("ctl", "here/none", "pause", code=3).stderr
    assert "may still be carried out" not in told, "nothing was sent"


def printed(world):
    """What a run prints: its end, all of it, followed through a streamer that is killed."""
    place = world.root / "runs/group/first/output"
    text = "".join(f"step {i}\n" for i in range(50_000))
    place.write_text(text)
    assert world.run("logs", "here/group/first", "--from", 0).stdout == text
    assert world.run("logs", "here/group/first", "--tail", 11).stdout == text[-11:]
    at = len(text) - 7
    lines = lines_of(world.run("logs", "here/group/first", "--json", "--from", at))
    assert lines == [{"event": "output", "offset": at, "size": len(text), "text": text[at:]}], lines
    said = world.run("logs", "here/second", code=3).stderr
    assert "let its program write there: `.. >> ROOT/runs/RUN/output 2>&1`; `longhaul runs " in said, said
    command, environment = world.command("logs", "here/group/first", "-f", "--tail", 0)
    follow = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE,
                              stderr=subprocess.DEVNULL, text=True)
    for part, kill in (("before\n", False), ("after\n", True)):
        time.sleep(0.5)
        if kill:
            world.stop(kill=True)
        with place.open("a") as file:
            file.write(part)
        if kill:
            world.start()
        assert follow.stdout.readline() == part
    follow.terminate()
    assert follow.wait(60) == 130


def main():
    folder = pathlib.Path(tempfile.mkdtemp(prefix="longhaul-e2e-"))
    world = World(sys.argv[1], sys.argv[2], folder)
    try:
        world.start()
        world.run("init")
        world.run("join", "here", stdin=world.invite())
        assert world.run("runs", "here").stdout == ""
        finished(world, sys.argv[3])
        event_files(world)
        compared(world, sys.argv[3])
        begun_anew(world, sys.argv[3])
        followed(world, sys.argv[3])
        steered(world, sys.argv[3])
        not_there(world)
        printed(world)
        assert world.stop() == 0
        print("all held")
    finally:
        if world.process and world.process.poll() is None:
            world.process.kill()
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
