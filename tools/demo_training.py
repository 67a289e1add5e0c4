"""The end of the demo: a text corpus crosses the ocean while the trainer at the site begins on it."""
import json
import os
import pathlib
import statistics
import subprocess
import time

BYTES, STEPS = 6_000_000, 500
# So much text would cross in a second, before anybody has seen that training goes on meanwhile.
LIMIT = "300kB/s"
ENDINGS = (".h", ".hpp", ".py", ".txt", ".md", ".rst", ".html")


def collect_text(target):
    """Text that is installed here, up to BYTES, as one file."""
    total = 0
    with open(target, "wb") as out:
        for source in ("/usr/share/doc", "/usr/lib/python3", "/usr/include"):
            for folder, folders, files in os.walk(source):
                folders.sort()
                for name in sorted(files):
                    path = pathlib.Path(folder) / name
                    if name != "copyright" and path.suffix not in ENDINGS:
                        continue
                    if path.is_symlink() or not os.access(path, os.R_OK):
                        continue
                    text = path.read_bytes()[:BYTES - total]
                    out.write(text)
                    total += len(text)
                    if total >= BYTES:
                        return total
    return total


def start_trainer(ocean, program, folder, site):
    command = [program, "train", "--dataset", "text", "--store", str(site), "--run", str(site / "runs/demo"),
               "--model", "tiny", "--hidden", "128", "--layers", "2", "--steps", str(STEPS), "--batch", "8",
               "--sequence", "128", "--order", "upload", "--shuffle-window", "1", "--say-every", "1", "--json"]
    return ocean.on("b", *command, stdout=subprocess.PIPE, stderr=open(folder / "trainer.log", "w"))


def wait_for_step(folder, trainer, failed):
    """Until the log has a step; fails with what the log says when the trainer ends before."""
    while steps_done(folder) == 0:
        if trainer.poll() is not None:
            raise failed("the trainer ended:\n" + (folder / "trainer.log").read_text()[-800:])
        time.sleep(0.02)


def steps_done(folder):
    return sum(line.startswith("step") for line in (folder / "trainer.log").read_text().splitlines())


def series(laptop, *names):
    """{step: value} of each, as the laptop has them."""
    found = {name: {} for name in names}
    for line in laptop.run("metrics", "asuncion/demo", "--json").splitlines():
        point = json.loads(line)
        if point["event"] == "point" and point["series"] in found:
            found[point["series"]][point["step"]] = point["value"]
    return [dict(sorted(found[name].items())) for name in names]


def wan_tax(waited, pace, crossed, wall):
    """What the ocean cost the steps: their ledger's waits for data, and their pace while the shards
    crossed (the steps below `crossed`) beside that of the steps after."""
    first, *rest = waited.values()
    text = (f"of {wall:.1f} s, {len(waited)} steps, {first * 1000:.0f} ms waited for the first batch and "
            f"{sum(rest) * 1000:.1f} ms for all others (longest {max(rest) * 1000:.1f} ms)")
    during = [value for step, value in pace.items() if 0 < step < crossed]
    after = [value for step, value in pace.items() if step >= crossed]
    if len(during) < 10 or len(after) < 10:
        return text
    return (f"{text}; {statistics.median(during):.0f} tok/s in the {len(during)} steps while the shards "
            f"crossed, which takes these same cores, {statistics.median(after):.0f} in the {len(after)} "
            "after that (medians)")


def train(laptop, ocean, program, folder, say, failed):
    """Raises `failed` unless training began, obeyed, ended and its loss fell."""
    size = collect_text(folder / "text")
    subprocess.run([program, "tokenize", "--input", str(folder / "text"), "--out", str(folder / "shards"),
                    "--shard-tokens", "1000000"], check=True, stdout=subprocess.DEVNULL)
    say(f"\ndemo: {size / 1e6:.1f} MB of text installed here, as token shards; "
        "the trainer at the site waits for them")
    trainer = start_trainer(ocean, program, folder, folder / "site")
    try:
        started = time.monotonic()
        push = laptop.start("push", str(folder / "shards"), "asuncion:text", "--limit-rate", LIMIT,
                            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        wait_for_step(folder, trainer, failed)
        first = time.monotonic() - started
        if push.poll() is not None:
            raise failed("the push was over before the first step: nothing was shown")
        if push.wait(300) != 0:
            raise failed(f"the push of the shards ended with {push.returncode}")
        took, crossed = time.monotonic() - started, steps_done(folder)
        say(f"demo: first step {first:.1f} s after the push began, which took {took:.1f} s at {LIMIT}")
        applied = laptop.run("ctl", "asuncion/demo", "set", "lr*=0.5").strip().splitlines()[-1]
        say(f"demo: `longhaul ctl asuncion/demo set lr*=0.5` from the laptop: {applied}")
        out, _ = trainer.communicate(timeout=300)
        if trainer.returncode != 0:
            raise failed("the trainer failed:\n" + (folder / "trainer.log").read_text()[-800:])
    finally:
        if trainer.poll() is None:
            trainer.kill()
            trainer.wait()
    loss, waited, pace = series(laptop, "train/loss", "ledger/data", "train/tokens_per_second")
    curve = list(loss.values())
    if not len(waited) == len(pace) == STEPS:
        raise failed(f"the ledger of {len(waited)} steps was seen, and the pace of {len(pace)}")
    if len(curve) != STEPS or curve[-1] > 0.8 * curve[0]:
        raise failed(f"{len(curve)} steps were seen, the loss went from {curve[0]} to {curve[-1]}")
    summary = json.loads(out)
    say(f"demo: {STEPS} steps, {summary['tokens_per_second']:.0f} tok/s; the loss, as the laptop saw it: "
        + ", ".join(f"{curve[step]:.2f}" for step in range(0, STEPS, STEPS // 8)) + f", {curve[-1]:.2f}")
    shares = {name: seconds / summary["wall"] * 100 for name, seconds in summary["columns"].items()}
    say("demo: where the trainer's time went: "
        + ", ".join(f"{name} {share:.1f} %" for name, share in shares.items()))
    say("demo: the WAN tax: " + wan_tax(waited, pace, crossed, summary["wall"]))
