"""What the tests share that kill a training run: its processes, and the losses that it reported."""
import json
import os
import time
from pathlib import Path


def losses(run, series="train/loss"):
    """{step: the losses reported of it}, of all attempts."""
    found = {}
    for line in (run / "metrics.jsonl").read_text().splitlines():
        try:
            point = json.loads(line)
        except ValueError:
            continue   # what kill -9 cut short
        if series in point:
            found.setdefault(point["step"], set()).add(point[series])
    return found


def children(pid):
    try:
        return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except FileNotFoundError:
        return []


def kill(pid):
    try:
        os.kill(pid, 9)
    except ProcessLookupError:
        pass   # it has just ended


def wait_for_a_moment(child, rng):
    """Any, also before the first word and after the last step; what it said until then."""
    said = ""
    if rng.random() < 0.3:
        time.sleep(rng.random() * 3)   # of which the start takes one or two
        return said
    last = rng.randrange(0, rng.choice((12, 100)))   # lines of stderr, and a little after them
    for count, line in enumerate(child.stderr):
        said += line.decode()
        if count == last:
            break
    time.sleep(rng.random() * 0.03)
    return said


def kill_at_random(child, ranks, rng, last_step):
    """One rank, or all with what began them; then until all are gone."""
    said = wait_for_a_moment(child, rng)
    fellows = children(child.pid) if ranks > 1 else []
    one = fellows and rng.random() < 0.6
    if one:
        victim = rng.randrange(len(fellows))
        kill(fellows[victim])
    else:
        for pid in [child.pid, *fellows]:
            kill(pid)
    before, rest = said, child.stderr.read().decode()
    said += rest
    child.wait()
    if one and f"step {last_step:>6} " not in said:   # else the run had ended, or nearly
        assert child.returncode == 5, (child.returncode, said)
        assert "ended by signal 9" in said, said
        gone = "rank 0 is gone" if victim == 0 else f"rank {victim} is gone"
        # Of one that died before it had joined, only what began them can say so.
        assert gone in said or "step " not in before, (victim, said)


def expect_the_same(whole, killed, last):
    """Weights, optimizer and losses of two runs, bit for bit; returns how many steps `killed` reported."""
    for file in ("model.safetensors", "state.safetensors"):
        one, other = ((run / f"checkpoints/step-{last:08}" / file).read_bytes() for run in (whole, killed))
        assert one == other, f"{file} differs"
    right, told = losses(whole), losses(killed)
    assert sorted(right) == list(range(last)), sorted(right)
    for step, values in told.items():
        assert values == right[step], f"step {step}: {values} against {right[step]}"
    evaluations = losses(whole, "eval/loss")
    for step, values in losses(killed, "eval/loss").items():
        assert values == evaluations[step], f"evaluation after step {step}: {values} against {evaluations[step]}"
    return len(told)
