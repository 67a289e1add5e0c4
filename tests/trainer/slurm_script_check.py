#!/usr/bin/env python3
"""What tools/deploy/longhaul-train.slurm makes of how srun ends, with stand-ins for Slurm.

  slurm_script_check.py

The chain on a real Slurm is tests/e2e/slurm_chain.py.
"""
import os
import pathlib
import subprocess
import sys
import tempfile

SCRIPT = pathlib.Path(__file__).resolve().parents[2] / "tools/deploy/longhaul-train.slurm"


def put(folder, name, text):
    path = folder / name
    path.write_text("#!/bin/bash\n" + text)
    path.chmod(0o755)


def ends(srun, told=""):
    """(exit code, whether it was queued again) where srun does this and the job is told that."""
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        put(folder, "srun", srun)
        put(folder, "scontrol", 'echo "$1 JobState=RUNNING" | tee -a $0.asked\n')
        put(folder, "sleep", "")
        environment = dict(os.environ, PATH=f"{folder}:{os.environ['PATH']}", SLURM_JOB_ID="7")
        process = subprocess.Popen(["bash", SCRIPT, "--data", "x"], env=environment, cwd=folder,
                                   stdout=subprocess.DEVNULL, start_new_session=True)
        if told:
            subprocess.run(["bash", "-c", f"until [ -e ready ]; do :; done; kill -{told} "
                            f"{process.pid}"], cwd=folder, check=True, timeout=60)
        try:
            code = process.wait(timeout=60)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, 9)
            process.wait()
            raise AssertionError(f"it does not end: {srun!r}") from None
        return code, "requeue" in (folder / "scontrol.asked").read_text()


def main():
    # Told of the time limit: srun is, too, and what it ends with is the script's.
    hears = "trap 'exit {}' USR1\n: >ready\nwhile :; do /bin/sleep 0.1; done\n"
    for code, queued in ((130, True), (8, True), (6, False)):
        assert ends(hears.format(code), told="USR1") == (code, queued), code
    for code, queued in ((0, False), (130, False), (8, False), (5, True), (137, True), (6, False)):
        assert ends(f"exit {code}\n") == (code, queued), code
    # The signal comes before srun has a hand for it, or a rank's own.
    assert ends(": >ready\nexec /bin/sleep 600\n", told="USR1") == (138, True)
    assert ends("kill -USR1 $$\n") == (138, True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
