#!/usr/bin/env python3
"""serve-bench on a device, on the CPU: all its figures for both element types, beside the CPU's own decoder; and
what it says where there is no such device, or not enough memory.

  serve_device_check.py LONGHAUL_TRAIN"""
import json
import resource
import subprocess
import sys

TRAIN = sys.argv[1]
SMALL = ["--model", "tiny", "--requests", "6", "--rate", "0", "--prompt", "12", "--output", "5", "--spread", "0.5",
         "--most-requests", "3", "--round-tokens", "32", "--pool-tokens", "1024", "--repetitions", "1"]
SPREADS = ("ttft", "tpot", "itl", "end_to_end")
RATES = ("requests_per_second", "output_tokens_per_second", "total_tokens_per_second", "pp512", "tg128",
         "memory_bytes_per_second")


def run(*arguments, limit=None):
    return subprocess.run([TRAIN, "serve-bench", *SMALL, *arguments], capture_output=True, text=True, timeout=300,
                          check=False, preexec_fn=limit)


def little_memory():
    resource.setrlimit(resource.RLIMIT_AS, (8 << 30, 8 << 30))


def check_figures(line, device, dtype):
    assert line["bench"] == "serve" and line["device"] == device and line["dtype"] == dtype, line
    assert line["requests"] == 6, line
    for name in RATES:
        assert line[name] > 0, (name, line)
    for name in SPREADS:
        assert line[name]["p99"] >= line[name]["median"] > 0, (name, line)
    assert " of 256 MiB" in line["memory_rate_of"], line
    # By its definition; tg128 is rounded in the line.
    share = line["tg128"] * line["step_bytes"] / line["memory_bytes_per_second"]
    assert abs(line["mbu"] - share) < 0.02 * share + 1e-4, line


def main():
    lines = {}
    for device, dtype in (("cpu", "fp32"), ("cpu-device", "fp32"), ("cpu-device", "bf16")):
        done = run("--device", device, "--dtype", dtype, "--ttft-ms", "100000", "--tpot-ms", "100000")
        assert done.returncode == 0, done.stderr
        line = lines[device, dtype] = json.loads(done.stdout)
        check_figures(line, device, dtype)
        assert line["goodput"] > 0, line  # within a hundred seconds
    whole, half = lines["cpu-device", "fp32"], lines["cpu-device", "bf16"]
    assert whole["step_bytes"] == lines["cpu", "fp32"]["step_bytes"], lines
    assert 0.5 < half["step_bytes"] / whole["step_bytes"] < 0.51, lines  # gains stay fp32
    assert half["pool_bytes"] * 2 == whole["pool_bytes"] == lines["cpu", "fp32"]["pool_bytes"], lines

    for arguments, code, words in (
            (("--device", "cuda:9"), 1, "cannot compute on cuda:9"),  # no machine of ours has ten
            (("--device", "gpu"), 2, "a device is cpu, cuda or cuda:N"),
            (("--dtype", "bf16"), 2, "--dtype bf16 goes with a --device other than cpu"),
            (("--device", "cpu-device", "--dtype", "fp16"), 2, "--dtype is fp32 or bf16")):
        done = run(*arguments)
        assert done.returncode == code and words in done.stderr, (arguments, done.returncode, done.stderr)
    for device in ("cpu", "cpu-device"):  # 2^24 positions of tiny are 80 GiB
        done = run("--device", device, "--pool-tokens", str(1 << 24), limit=little_memory)
        assert done.returncode == 1 and "not enough memory" in done.stderr, (done.returncode, done.stderr)
        assert "--pool-tokens" in done.stderr and len(done.stderr.splitlines()) <= 4, done.stderr
    print("serve-bench on a device: ok")


if __name__ == "__main__":
    main()
