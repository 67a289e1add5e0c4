"""A run watched and steered over the ocean: the link is cut, and the run does not notice."""
import json
import os
import pathlib
import struct
import subprocess
import time

from follow import Follow

CUT = 20  # seconds
RUN = "asuncion/live"


def start(ocean, tools, folder):
    """The trainer where there is one, else a program that logs, obeys and saves as one does."""
    run, shared = folder / "site/runs/live", folder / "shm"
    shared.mkdir()
    trainer = tools / "longhaul-train/longhaul-train"
    environment = dict(os.environ, LONGHAUL_SHM=str(shared))
    if (folder / "shards").exists() and trainer.exists():
        command = [trainer, "train", "--data", folder / "shards", "--run", run, "--model", "tiny",
                   "--hidden", "128", "--layers", "2", "--steps", "1000000", "--schedule", "constant",
                   "--batch", "4", "--sequence", "64", "--checkpoint-every", "100"]
        what = "longhaul-train"
    else:
        command = [tools.parent / "tests/e2e/trainer_stand_in", run, shared, str(10**9), "50"]
        environment.update(STAND_IN_FLOATS="2000000")
        what = "a stand-in for a trainer, 20 steps a second"
    log = open(folder / "live.log", "w")
    return ocean.on("b", *map(str, command), env=environment, stdout=log, stderr=log), what


def until(condition, what, failed, seconds=60):
    end = time.time() + seconds
    while not condition():
        if time.time() > end:
            raise failed(f"{what} did not happen within {seconds} s")
        time.sleep(0.02)


def tensors_of(path):
    """How many tensors a safetensors file holds, and parameters in them, by the format's own rules."""
    data = path.read_bytes()
    length = struct.unpack_from("<Q", data)[0]
    header = json.loads(data[8:8 + length])
    header.pop("__metadata__", None)
    parameters = end = 0
    for note in sorted(header.values(), key=lambda one: one["data_offsets"]):
        assert note["dtype"] == "BF16" and note["data_offsets"][0] == end
        end = note["data_offsets"][1]
        parameters += (end - note["data_offsets"][0]) // 2
    assert 8 + length + end == len(data)
    return len(header), parameters


def cut_link(laptop, ocean, follow, say, failed):
    say(f"\ndemo: the link is cut for {CUT} s ..")
    subprocess.run([ocean.netsim, "ctl", ocean.name, "outage", f"{CUT}s"], check=True, capture_output=True)
    began = time.time()
    back = began + CUT
    time.sleep(max(back - time.time(), 0))
    before = len(follow.lines)
    fresh = lambda: [at for at, line in follow.lines[before:] if line["event"] == "live"
                     and line["time_ns"] / 1e9 > back - 1]
    until(fresh, "a value of after the cut", failed)
    newest = max(line["step"] for _, line in follow.of("live"))
    whole = lambda: [at for at, line in follow.of("point") if line["step"] >= newest]
    until(whole, "all of the history", failed)
    points = sorted((line["step"], line["time_ns"] / 1e9) for _, line in follow.of("point"))
    steps = [step for step, _ in points]
    if steps != list(range(steps[0], steps[0] + len(steps))):
        raise failed("steps are missing, or came twice")
    pace = lambda since, end: [b - a for (_, a), (_, b) in zip(points, points[1:])
                               if since < a and b < end]
    inside, earlier = pace(began, back), pace(0, began)
    say(f"demo: meanwhile the run did {len(inside)} steps of {sum(inside) / len(inside) * 1000:.1f} ms on "
        f"average, before the cut of {sum(earlier) / len(earlier) * 1000:.1f} ms: it did not notice")
    say(f"demo: {fresh()[0] - back:.1f} s after the link is back its newest value is here, after "
        f"{whole()[0] - back:.1f} s all of the history: {len(steps)} steps, none missing, none twice")


def steer(laptop, follow, say, failed):
    done = json.loads(laptop.run("ctl", RUN, "set", "lr=1e-3", "--json").strip().splitlines()[-1])
    step = done["step"]
    until(lambda: any(line["step"] > step for _, line in follow.of("point", "train/lr")), "its effect", failed)
    rates = {line["step"]: line["value"] for _, line in follow.of("point", "train/lr")}
    if abs(rates[step] - 1e-3) > 1e-9 or abs(rates[step - 1] - 1e-3) < 1e-9:
        raise failed(f"the learning rate was {rates[step - 1]} at step {step - 1} and {rates[step]} at {step}")
    say(f"demo: `longhaul ctl {RUN} set lr=1e-3`: applied at step {step}; the chart has "
        f"{rates[step - 1]:g} before it and {rates[step]:g} from it on")


def bring_home(laptop, folder, say, failed):
    laptop.run("ctl", RUN, "checkpoint")
    until(lambda: laptop.run("ckpt", "ls", RUN), "a checkpoint", failed)
    home = folder / "checkpoints"
    done = laptop.result("ckpt", "pull", RUN, str(home))
    model = pathlib.Path(done["folder"]) / "model.safetensors"
    count, parameters = tensors_of(model)
    say(f"demo: `longhaul ckpt pull {RUN}`: step {done['step']} is on the laptop, {done['bytes'] / 1e6:.1f} MB as "
        f"{done['bytes_wire'] / 1e6:.1f} MB; every chunk matched its hash, and a reader that is not ours finds "
        f"{count} tensors of {parameters} parameters in bf16")


def live(laptop, ocean, tools, folder, say, failed):
    """Raises `failed` unless all of it held."""
    run, what = start(ocean, tools, folder)
    follow = None
    try:
        say(f"\ndemo: a run at the site ({what}), seen from the laptop:")
        until(lambda: "live" in laptop.run("runs", "asuncion"), "the run", failed)
        follow = Follow(laptop.start("metrics", RUN, "--follow", "--json", stdout=subprocess.PIPE,
                                     stderr=subprocess.DEVNULL))
        until(lambda: len(follow.of("point")) > 60, "history", failed)
        say(laptop.run("top", RUN, "--once", "--columns", "100", "--rows", "24"))
        cut_link(laptop, ocean, follow, say, failed)
        steer(laptop, follow, say, failed)
        bring_home(laptop, folder, say, failed)
    finally:
        if follow is not None:
            laptop.kill_all()
            follow.process.wait()
        run.terminate()
        run.wait(30)
