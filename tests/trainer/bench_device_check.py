#!/usr/bin/env python3
"""bench-device: its JSON line on the CPU, for both element types, and what it says where there is no such GPU.

  bench_device_check.py LONGHAUL_TRAIN"""
import json
import subprocess
import sys

TRAIN = sys.argv[1]
SMALL = ["--model", "tiny", "--layers", "1", "--batch", "4", "--sequence", "16", "--steps", "2"]


def run(*arguments):
    return subprocess.run([TRAIN, "bench-device", *arguments], capture_output=True, text=True, timeout=300,
                          check=False)


def main():
    losses = {}
    for dtype in ("fp32", "bf16"):
        for micro in ("0", "2"):
            done = run("--device", "cpu", "--dtype", dtype, "--micro", micro, *SMALL)
            assert done.returncode == 0, done.stderr
            line = json.loads(done.stdout)
            assert line["bench"] == "device-step" and line["device"] == "cpu" and line["dtype"] == dtype, line
            assert line["micro"] == (int(micro) or 4), line
            assert line["tokens_per_second"] > 0 and line["mfu_full"] is None, line
            losses[dtype, micro] = line["loss"]
    # The same steps: in micro batches, and nearly so in bf16.
    assert abs(losses["fp32", "0"] - losses["fp32", "2"]) < 2e-3, losses
    assert abs(losses["fp32", "0"] - losses["bf16", "0"]) < 0.1, losses

    # A run whose weights are beyond fp32 is a line as well: JSON has no word for its loss.
    diverged = run("--device", "cpu", "--dtype", "fp32", "--rate", "1e39", "--rest-rate", "1e39", *SMALL)
    assert diverged.returncode == 0 and json.loads(diverged.stdout)["loss"] is None, diverged

    absent = run("--device", "cuda:9", *SMALL)  # no machine of ours has ten
    assert absent.returncode == 1 and "cannot compute on cuda:9" in absent.stderr, absent.stderr
    wrong = run("--device", "gpu", *SMALL)
    assert wrong.returncode == 2 and "a device is cpu, cuda or cuda:N" in wrong.stderr, wrong.stderr
    print("bench-device: ok")


if __name__ == "__main__":
    main()
