#!/usr/bin/env python3
"""A loss that is no number changes nothing: that update is refused and told, the others go on, and
a run that has nothing else ends with what is good.

  nonsense_check.py LONGHAUL_TRAIN

The model's embedding of one letter is NaN, so the loss of exactly those batches that hold it is. All of it is done
again with gradients that are consumed as they are made: the head's, the first, is then no number; and
by a GPU's code, which decides about a gradient where it lies."""
import array
import json
import math
import shutil
import struct
import subprocess
import sys
import tempfile
from pathlib import Path

from small_run import checkpoints, command, tokenize

LETTER = ord("Z")
EMBEDDING = "model.embed_tokens.weight"


def tensors(path):
    """{name: (where its bytes begin, its floats)} of a file of F32 tensors."""
    data = path.read_bytes()
    (header,) = struct.unpack("<Q", data[:8])
    found = {}
    for name, what in json.loads(data[8:8 + header]).items():
        if name != "__metadata__":
            begin, end = (8 + header + offset for offset in what["data_offsets"])
            found[name] = begin, array.array("f", data[begin:end])
    return found


def poison(model):
    path = model / "model.safetensors"
    begin, floats = tensors(path)[EMBEDDING]
    row = len(floats) // 256 * 4
    data = bytearray(path.read_bytes())
    data[begin + LETTER * row:begin + (LETTER + 1) * row] = struct.pack("<f", math.nan) * (row // 4)
    path.write_bytes(data)


def train(program, shards, run, model, *more, code=0):
    words = [word for word in command(program, shards, run, "--model", model, "--load", "--jsonl", *more)]
    at = words.index("--hidden")
    del words[at:at + 4]  # the folder's own size
    done = subprocess.run(words, check=False, capture_output=True, text=True)
    assert done.returncode == code, (done.returncode, done.stderr[-1000:])
    points = {}
    for line in (run / "metrics.jsonl").read_text().splitlines():
        point = json.loads(line)
        if "step" in point:
            points.setdefault(point["step"], {}).update(point)
    return done, points


def some_are_refused(program, folder, model, *way):
    shards = tokenize(program, (b"the quick brown fox " * 40 + b"Z ") * 20, folder / "some")
    done, points = train(program, shards, folder / "mixed", model, "--steps", 60, "--optimizer", "muon", *way)
    nulls = {step for step, point in points.items() if point.get("train/loss", 0) is None}
    refused = {step for step, point in points.items() if "train/skipped" in point}
    assert nulls == refused and 3 <= len(refused) <= 40, (sorted(nulls), sorted(refused))
    assert json.loads(done.stdout)["refused"] == len(refused)
    (last,) = checkpoints(folder / "mixed")
    for name, (_, floats) in tensors(folder / "mixed/checkpoints" / last / "model.safetensors").items():
        row = len(floats) // 256 if name == EMBEDDING else 0
        bad = {i // row if row else i for i, value in enumerate(floats) if not math.isfinite(value)}
        assert bad == ({LETTER} if row else set()), (name, sorted(bad)[:5])


def all_are_refused(program, folder, model, *way):
    """A few: nothing has changed. Twenty in a row: that is the end, and a checkpoint."""
    shards = tokenize(program, b"ZZ Z" * 2000, folder / "all")
    done, _ = train(program, shards, folder / "few", model, "--steps", 5, *way)
    summary = json.loads(done.stdout)
    assert summary["refused"] == 5 and summary["loss"] is None, summary
    before = tensors(model / "model.safetensors")
    after = tensors(folder / "few/checkpoints/step-00000005/model.safetensors")
    assert {name: floats.tobytes() for name, (_, floats) in before.items()} == \
        {name: floats.tobytes() for name, (_, floats) in after.items()}
    # Nor is an evaluation the best that is no number.
    evaluated = ("--eval-data", shards, "--eval-every", 1, "--eval-batches", 1, "--checkpoint-every", 1)
    train(program, shards, folder / "valued", model, "--steps", 2, *evaluated, *way)
    notes = json.loads((folder / "valued/checkpoints/step-00000002/checkpoint.json").read_text())
    assert "best.loss" not in notes["numbers"], notes["numbers"]
    done, points = train(program, shards, folder / "many", model, "--steps", 100, *way, code=6)
    assert "20 updates in a row were refused" in done.stderr, done.stderr
    assert "go on from a checkpoint with a smaller --rate" in done.stderr, done.stderr
    late = "cpu-device" in way  # the next step has been asked for when the twentieth refusal is heard
    last = max(step for step, point in points.items() if "train/loss" in point)
    assert last == 19 + late, last
    assert checkpoints(folder / "many") == [f"step-{20 + late:08}"], checkpoints(folder / "many")


def main():
    program = str(Path(sys.argv[1]).resolve())
    folder = Path(tempfile.mkdtemp(prefix="longhaul-nonsense-"))
    try:
        text = tokenize(program, b"the quick brown fox " * 500, folder / "text")
        subprocess.run(command(program, text, folder / "start", "--steps", 1), check=True, capture_output=True)
        model = folder / "start/checkpoints/step-00000001"
        poison(model)
        for name, way in (("whole", ()), ("parts", ("--consume",)), ("device", ("--device", "cpu-device"))):
            (folder / name).mkdir()
            some_are_refused(program, folder / name, model, *way)
            all_are_refused(program, folder / name, model, *way)
        print("all held")
        return 0
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
