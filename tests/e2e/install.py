"""What `cmake --install` lays down works where it lies: programs, the uploaded streamer, completions, the unit,
the library for other programs and for Python.

Usage: install.py CMAKE BUILD-FOLDER
"""
import os
import pathlib
import subprocess
import sys
import tempfile


def output_of(*words, **options):
    done = subprocess.run([str(word) for word in words], text=True, capture_output=True, timeout=60, **options)
    assert done.returncode == 0, (words, done.returncode, done.stdout, done.stderr)
    return done.stdout


def main(cmake, build):
    with tempfile.TemporaryDirectory() as folder:
        prefix = pathlib.Path(folder) / "usr"
        output_of(cmake, "--install", build, "--prefix", prefix)
        home = dict(os.environ, LONGHAUL_HOME=f"{folder}/home")
        version = output_of(prefix / "bin/longhaul", "version", env=home).split()[-1]
        for program in ("bin/longhaul-streamer", "libexec/longhaul/longhaul-streamer-static"):
            assert version in output_of(prefix / program, "version", env=home), program
        assert "nyc-asuncion" in output_of(prefix / "bin/netsim", "profiles")
        for script in ("bash-completion/completions/longhaul", "zsh/vendor-completions/_longhaul",
                       "fish/vendor_completions.d/longhaul.fish"):
            assert "push" in (prefix / "share" / script).read_text(), script
        output_of("bash", "-n", prefix / "share/bash-completion/completions/longhaul")
        for program, starts in (("longhaul-streamer", "longhaul-streamer run"),
                                ("longhaul-proxy", "longhaul proxy run")):
            unit = (prefix / f"lib/systemd/user/{program}.service").read_text()
            assert f"ExecStart={starts}" in unit, unit
        output_of(prefix / "bin/longhaul-streamer", "run", "--help", env=home)
        output_of(prefix / "share/longhaul/slurm-epilog.sh", env=dict(home, SLURM_JOB_USER=""))
        [library] = (prefix / "lib").rglob("liblonghaul.so")
        assert "longhaul_open" in (prefix / "include/longhaul.h").read_text()
        found = dict(os.environ, PYTHONPATH=str(prefix / "share/longhaul/python"), LONGHAUL_LIBRARY=str(library))
        begins = f"import longhaul; longhaul.Run('{folder}/run', shared='{folder}').close()"
        output_of(sys.executable, "-c", begins, env=found)
        assert list(pathlib.Path(folder).glob("run/log/000001.run"))


if __name__ == "__main__":
    main(*sys.argv[1:])
