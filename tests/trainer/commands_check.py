#!/usr/bin/env python3
"""Each command of longhaul-train that has no check of its own, once, on a tiny model: its figures go
together, and what makes no sense is refused by name.

  commands_check.py LONGHAUL_TRAIN"""
import json
import math
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from small_run import command, tokenize

GOLDEN = Path(__file__).resolve().parents[1] / "golden/sentencepiece"
TEXT = b"the quick brown fox jumps over the lazy dog\n" * 60
TINY = 1_070_464  # parameters of `tiny`; of these an embedding of 256 x 128 multiplies nothing


class Program:
    def __init__(self, path):
        self.path = str(Path(path).resolve())

    def __call__(self, *words, code=0, environment=None):
        done = subprocess.run([self.path, *map(str, words)], capture_output=True, text=True,
                              check=False, timeout=300, env=dict(os.environ, **(environment or {})))
        assert done.returncode == code, (words, done.returncode, done.stderr[-1000:])
        return done

    def figures(self, *words):
        return json.loads(self(*words).stdout)

    def refuses(self, code, said, *words, environment=None):
        error = self(*words, code=code, environment=environment).stderr
        for part in said:
            assert part in error, (words, part, error)


def close(a, b, share=1e-3):
    assert abs(a - b) <= share * max(abs(a), abs(b)) + 1e-9, (a, b)


def a_model(program, folder):
    shards = tokenize(program.path, TEXT, folder / "text")
    subprocess.run(command(program.path, shards, folder / "run", "--steps", 2), check=True, capture_output=True)
    return shards, folder / "run/checkpoints/step-00000002"


def tokenizing(program, folder):
    (folder / "words.txt").write_bytes(b"  the trainer \n the  link\xff ")
    made = program.figures("tokenize", "--input", folder / "words.txt", "--out", folder / "words",
                           "--tokenizer", GOLDEN / "collapsing.model")
    whole = program.figures("tokenize", "--input", folder / "words.txt", "--out", folder / "bytes")
    assert made["files"] == made["shards"] == 1 and made["vocab"] == 420 and whole["vocab"] == 256, (made, whole)
    assert made["bytes"] == 27 and whole["tokens"] == 28 and 5 < made["tokens"] < 27, (made, whole)
    program.refuses(1, ["some.txt", "the .model file that SentencePiece wrote"], "tokenize", "--input", folder,
                    "--out", folder / "none", "--tokenizer", write(folder / "some.txt", b"no model"))


def write(path, data):
    path.write_bytes(data)
    return path


def evaluating(program, folder, shards, model):
    of_data = [program.figures("eval", "--model", model, "--data", shards, "--sequence", 32, "--batch", batch)
               for batch in (1, 7, 1000)]
    for one in of_data:
        close(one["perplexity"], math.exp(one["loss"]), 1e-6)
        assert one["tokens"] == of_data[0]["tokens"] == len(TEXT) // 32 * 32, of_data
        close(one["loss"], of_data[0]["loss"], 1e-5)
    text = folder / "text.txt"
    of_text = program.figures("eval", "--model", model, "--text", text, "--sequence", 32)
    assert of_text["tokens"] == len(TEXT) - 1, of_text
    close(of_text["perplexity"], math.exp(of_text["loss"]), 1e-6)
    close(of_text["loss"], of_data[0]["loss"], 0.02)  # the same text, and some tokens more
    assert 1 < of_text["perplexity"] < 256, of_text
    program.refuses(2, ["either --data or --text is wanted"], "eval", "--model", model)
    program.refuses(2, ["no batch is to be read: at least 1 is wanted"], "eval", "--model", model,
                    "--data", shards, "--batches", 0)
    program.refuses(2, ["go up to id", "vocabulary ends at 256", "--tokenizer"], "eval", "--model", model,
                    "--text", text, "--tokenizer", GOLDEN / "keeping.model")
    return of_data[0]["loss"]


def exporting(program, folder, shards, model, loss):
    for dtype, off in (("F32", 1e-6), ("BF16", 0.01)):
        out = folder / dtype
        made = program.figures("export", "--from", model, "--to", out, "--dtype", dtype,
                               "--shard-bytes", 100_000)
        assert made["dtype"] == dtype and len(list(out.glob("*.safetensors"))) > 1, made
        held = sum(path.stat().st_size for path in out.glob("*.safetensors"))
        close(held, made["parameters"] * (4 if dtype == "F32" else 2), 0.05)
        close(program.figures("eval", "--model", out, "--data", shards, "--sequence", 32)["loss"], loss, off)
    program.refuses(2, ["--from, --to, and --dtype BF16 or F32 are wanted"], "export", "--from", model)
    config = folder / "F32/config.json"
    config.write_text("{ ")
    program.refuses(1, [str(config), "a key is missing", "copy the model's folder again"], "export", "--from",
                    folder / "F32", "--to", folder / "none")


def benching(program):
    flops = {}
    for optimizer, more in (("muon", []), ("adamw", ["--beta1", 0.8]), ("scion", ["--kappa", 1, "--constrained"])):
        one = program.figures("bench", "--model", "tiny", "--batch", 2, "--sequence", 16, "--steps", 3,
                              "--optimizer", optimizer, "--peak-tflops", 0.01, *more)
        close(one["tokens_per_second"] * one["step_seconds"], 2 * 16)
        close(one["forward_seconds"] + one["backward_seconds"], max(one["model_seconds"], one["forward_seconds"]))
        close(one["optimizer_share"], one["optimizer_seconds"] / one["step_seconds"], 0.01)
        assert (one["polar_seconds"] > 0) == (optimizer != "adamw"), one
        assert one["parameters"] == TINY and one["peak"] == "given" and one["peak_flops"] == 1e10, one
        flops[optimizer] = one["mfu_full"] * one["peak_flops"] / one["tokens_per_second"]
        assert one["mfu_causal"] <= one["mfu_full"], one
    # 6 for each multiplying parameter, 12 L Q T for attention; printed with four digits.
    for found in flops.values():
        close(found, 6 * (TINY - 256 * 128) + 12 * 5 * 128 * 16, 0.2)
    device = program.figures("bench-device", "--device", "cpu", "--model", "tiny", "--layers", 1, "--batch", 1,
                             "--sequence", 16, "--steps", 1, "--dtype", "fp32")
    assert device["polar_seconds"] > 0 and device["peak"] is None and device["mfu_full"] is None, device
    assert device["polar_seconds"] <= device["optimizer_seconds"] * 1.01, device
    program.refuses(2, ["--kappa is not used by --optimizer adamw"], "bench", "--optimizer", "adamw", "--kappa", 5)
    program.refuses(2, ["--momentum lies in [0, 1)"], "train", "--data", ".", "--run", ".", "--momentum", 7)


def commanding(program, folder, shards):
    """What no command is told by."""
    program.refuses(2, ["there is none such", "see --help"], "trian")
    program.refuses(2, ['"now" is no flag', "see --help"], "train", "now")
    program.refuses(2, ["unknown flag --stepps"], "train", "--stepps", 3)
    program.refuses(2, ["--input or --out is missing"], "tokenize")
    run = ("train", "--data", shards, "--run", folder / "none")
    program.refuses(2, ["--ranks out of range"], *run, "--ranks", 100_000, "--batch", 100_000)
    for flag, known in (("--optimizer", "there is: adamw, muon, normuon, scion, transported"),
                        ("--polar", "there is: newton-schulz, polar-express"),
                        ("--schedule", "there is: constant, cosine, linear, wsd")):
        program.refuses(2, [known], *run, flag, "none")
    program.refuses(1, ["see what nvidia-smi says; --device cpu needs no GPU"], *run, "--device", "cuda:63")
    for device in ("cuda:64", "cuda:-1", "cuda:1x", "gpu"):
        program.refuses(2, ["a device is cpu, cuda or cuda:N"], *run, "--device", device)
    place = {"RANK": "0", "WORLD_SIZE": "3", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "1"}
    program.refuses(2, ["--ranks 2, but the environment says 3"], *run, "--ranks", 2, environment=place)


def on_a_device(program, folder, shards):
    """A summary says how long polar factors took there, too."""
    for optimizer in ("muon", "adamw"):
        words = command(program.path, shards, folder / optimizer, "--steps", 2, "--device", "cpu-device",
                        "--optimizer", optimizer)
        done = json.loads(subprocess.run(words, check=True, capture_output=True, text=True).stdout)
        assert (done["polar_seconds"] > 0) == (optimizer == "muon"), done


def planning(program):
    plan = program.figures("plan", "--model", "llama-1.4b", "--gpu", "h200", "--ranks", 4,
                           "--price", 2, "--link", 100)
    assert plan["tokens"] >= 20 * plan["parameters"] * 0.999 and plan["peak_flops_a_rank"] == 9.894e14, plan
    close(plan["days"] * 86400 * plan["tokens_per_second"], plan["tokens"])
    close(plan["cost"], plan["days"] * 24 * 4 * 2)
    close(plan["stalls_below_mbit"], plan["tokens_per_second"] * 16 / 1e6)
    close(plan["link_share"], plan["stalls_below_mbit"] / 100)
    close(plan["upload_hours"], plan["tokens"] * 16 / 1e8 / 3600)
    assert plan["card_bytes"] == 141e9 and plan["fits"] is True, plan
    parts = program.figures("plan", "--model", "llama-1.4b", "--gpu", "h200", "--ranks", 4, "--memory")
    card = parts["card"]
    assert card["weights"] == card["gradients"] == 4 * parts["parameters"], parts
    close(card["total"], sum(card[name] for name in ("weights", "gradients", "reading", "optimizer")) +
          max(card["activations"], card["workspace"]), 1e-12)
    assert card["total"] == plan["rank_bytes"], (card, plan)
    large = program("plan", "--model", "llama-1.4b", "--gpu", "a40", "--batch", 64)
    assert json.loads(large.stdout)["fits"] is False, large
    assert "and a card of a40 has 48" in large.stderr, large.stderr
    unknown = program.figures("plan", "--model", "tiny", "--peak-tflops", 100)
    assert unknown["card_bytes"] is None and unknown["fits"] is None, unknown
    assert unknown["peak_flops_a_rank"] == 1e14, unknown
    # A model cut down, as it is trained: what is planned is what would be made.
    cut = ("--model", "tiny", "--hidden", 64, "--layers", 1)
    small = program.figures("plan", *cut, "--ranks", 1, "--peak-tflops", 1, "--tokens", 1e6)
    made = program.figures("bench", *cut, "--batch", 1, "--sequence", 16, "--steps", 1)
    assert small["parameters"] == made["parameters"] < unknown["parameters"], (small, made, unknown)
    # The rest of what is refused: plan_test.cpp.
    for words, said in ((("--price", -5), "--price is not below 0"),
                        (("--ranks", 0.5), "a whole number is wanted"),
                        (("--batch", 0), "--batch is at least 1"),
                        (("--sequence", 0), "--sequence is at least 1")):
        program.refuses(2, [said], "plan", *words)
    program.refuses(3, ["b200", "h100-pcie", "--peak-tflops"], "plan", "--gpu", "b200")


def serving(program, model):
    one = program.figures("serve-bench", "--model", model, "--load", "--requests", 6, "--rate", 0, "--prompt", 12,
                          "--output", 5, "--repetitions", 1)
    assert one["bench"] == "serve" and one["requests"] == 6, one
    # Seconds are told to the thousandth, and a machine may take ten of them.
    assert abs(6 * 5 / one["output_tokens_per_second"] - one["seconds"]) <= 0.0006, one
    close(one["total_tokens_per_second"] * 5, one["output_tokens_per_second"] * 17, 0.01)
    close(one["requests_per_second"] * 5, one["output_tokens_per_second"], 0.01)
    close(one["end_to_end"]["mean"], one["ttft"]["mean"] + 4 * one["tpot"]["mean"], 0.01)
    close(one["itl"]["mean"], one["tpot"]["mean"], 0.01)
    assert one["pp512"] > 0 and one["tg128"] > 0 and one["mbu"] > 0 and one["within"] <= 6, one


def main():
    program = Program(sys.argv[1])
    folder = Path(tempfile.mkdtemp(prefix="longhaul-commands-"))
    try:
        shards, model = a_model(program, folder)
        tokenizing(program, folder)
        loss = evaluating(program, folder, shards, model)
        exporting(program, folder, shards, model, loss)
        commanding(program, folder, shards)
        benching(program)
        on_a_device(program, folder, shards)
        planning(program)
        serving(program, model)
        print("all held")
        return 0
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
