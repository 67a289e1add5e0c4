"""A Python training program, watched and steered: pins, scales, a pause, a stop, a restart; each mark names who.

Usage: python_client.py LONGHAUL LONGHAUL-STREAMER LIBLONGHAUL. Exit code 0: all held.
"""
import pathlib
import shutil
import socket
import subprocess
import sys
import tempfile
import time

from live_run import lines_of, points_of
from push_pull import World

RUN = "here/py"
SCHEDULED = 0.01


def train(library, folder, shared, forget):
    """The program itself, in a process of its own."""
    sys.path.insert(0, str(pathlib.Path(library).parent))
    import longhaul
    try:
        longhaul.Run("/proc/nowhere")
    except OSError as error:
        assert "/proc/nowhere" in str(error), error
    else:
        raise AssertionError("a folder that cannot be")
    run = longhaul.Run(folder, config={"lr": SCHEDULED}, shared=shared, steered=["lr"],
                       forget_controls=forget == "yes")
    print("attempt", run.attempt, flush=True)
    step = 1000 * (run.attempt - 1)
    if step > 0:
        run.resumed(step, "checkpoint")
    run.mark(step, "from Python: \u00fc")
    while not run.stopping:
        for command in run.commands(step):
            run.checkpoint(step, str(pathlib.Path(folder) / "checkpoints/one"))
            run.done(command, step)
        run.log("train/loss", step, 1.0 / (step + 1))
        run.log("train/lr", step, run.steer("lr", SCHEDULED))
        step += 1
        time.sleep(0.005)
    run.close("stopped")
    print(step, flush=True)


class Program:
    def __init__(self, world, forget="no"):
        shared = world.folder / "shm"
        shared.mkdir(exist_ok=True)
        self.process = subprocess.Popen(
            [sys.executable, __file__, "train", sys.argv[3], world.root / "runs/py", shared, forget],
            stdout=subprocess.PIPE, text=True)
        assert self.process.stdout.readline().startswith("attempt")

    def stopped(self):
        code = self.process.wait(60)
        assert code == 0, code
        return int(self.process.stdout.read())


def applied(world, *words):
    told = lines_of(world.run("ctl", RUN, *words, "--json"))
    assert told[-1]["state"] == "applied", told
    return told[-1]["step"]


def rates(world):
    return {(attempt, step): value for attempt, name, step, value
            in points_of(lines_of(world.run("metrics", RUN, "--json"))) if name == "train/lr"}


def story(world):
    world.start()
    world.run("init")
    world.run("join", "here", stdin=world.invite())
    program = Program(world)
    pinned = applied(world, "set", "lr=0.001")
    for _ in range(2):  # a factor is held, not multiplied up
        scaled = applied(world, "set", "lr*=0.5")
    refused = world.run("ctl", RUN, "set", "momentum=1", code=2)
    assert "this program steers lr" in refused.stderr, refused.stderr
    saved = applied(world, "checkpoint")
    paused = applied(world, "pause")
    assert applied(world, "checkpoint") == paused  # in a pause, too
    applied(world, "resume")
    program.process.kill()
    program.process.wait()
    program = Program(world)
    wait_for_step(world, 1100)
    assert applied(world, "stop") < program.stopped() + 1
    again = Program(world, forget="yes")
    wait_for_step(world, 2100)
    applied(world, "stop")
    end = again.stopped()

    told = lines_of(world.run("metrics", RUN, "--json"))
    lr = rates(world)
    assert lr[1, pinned] == 0.001 and lr.get((1, pinned - 1), SCHEDULED) == SCHEDULED, pinned
    assert lr[1, scaled] == SCHEDULED * 0.5, lr[1, scaled]
    assert lr[2, 1000] == SCHEDULED * 0.5 and lr[3, 2000] == SCHEDULED, (lr[2, 1000], lr[3, 2000])
    steps = [step for attempt, step in lr if attempt == 3]
    assert steps == list(range(2000, end)), (steps[:2], end)
    marks = [line for line in told if line["event"] == "mark"]
    texts = [(mark["kind"], mark["text"]) for mark in marks if mark["attempt"] == 1]
    assert ("mark", "from Python: \u00fc") in texts and texts.count(("applied", "lr*=0.5")) == 2, texts
    assert any(kind == "refused" and "this program steers lr" in text for kind, text in texts), texts
    assert {mark["who"] for mark in marks if mark["kind"] == "applied" and mark["attempt"] == 1} == {
        socket.gethostname()}, marks
    listed = [line["step"] for line in lines_of(world.run("ckpt", "ls", RUN, "--json"))]
    assert listed == [] and any(mark["kind"] == "checkpoint" and mark["step"] == saved for mark in marks), listed
    assert world.stop() == 0
    print("all held")


def wait_for_step(world, step):
    end = time.monotonic() + 60
    while world.result("runs", "here")["last_step"] < step:
        assert time.monotonic() < end, world.result("runs", "here")
        time.sleep(0.1)


def main():
    folder = pathlib.Path(tempfile.mkdtemp(prefix="longhaul-e2e-"))
    world = World(sys.argv[1], sys.argv[2], folder)
    try:
        story(world)
    finally:
        if world.process and world.process.poll() is None:
            world.process.kill()
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    train(*sys.argv[2:]) if sys.argv[1] == "train" else main()
