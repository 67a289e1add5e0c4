"""The Slurm example of tools/deploy under a real slurmctld and slurmd: a run of two ranks as a chain
of jobs, through a preemption, a signal, a rank's death and an scancel, has at
each step the loss of a run that nothing happened to, bit for bit; and one that comes to its jobs' time limit.

Usage: slurm_chain.py LONGHAUL-TRAIN EXAMPLE. 0: all held; 77: no trainer, or no Slurm (Debian: slurmctld slurmd
slurm-client munge).
"""
import getpass
import os
import pathlib
import shutil
import socket
import stat
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "trainer"))

from killing import losses
from small_run import Trainer, command, tokenize

STEPS, RANKS = 1_000_000, 2
CONFIG = """ClusterName=chain
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={ports[0]}
SlurmdPort={ports[1]}
AuthType=auth/munge
AuthInfo=socket={folder}/munge.sock,cred_expire=5
SlurmUser={user}
SlurmdUser={user}
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
MpiDefault=none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
KillWait=60
ReturnToService=2
SchedulerParameters=bf_interval=1
NodeName={host} NodeAddr=127.0.0.1 CPUs=2 State=UNKNOWN
PartitionName=low Nodes={host} Default=YES MaxTime=INFINITE PriorityTier=1 PreemptMode=REQUEUE GraceTime=120
PartitionName=high Nodes={host} MaxTime=INFINITE PriorityTier=10 PreemptMode=OFF
"""


def lacking():
    """The programs of a cluster that are not here; daemons are in sbin, which may not be on the path."""
    os.environ["PATH"] += ":/usr/sbin:/sbin"
    return [name for name in ("munged", "slurmctld", "slurmd", "sbatch", "scontrol") if not shutil.which(name)]


def free_ports(count):
    sockets = [socket.socket() for _ in range(count)]
    for one in sockets:
        one.bind(("127.0.0.1", 0))
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


class Cluster:
    """One node, in the foreground, with its own munge."""

    def __init__(self, folder):
        self.folder, self.daemons = folder, []
        for name in ("state", "spool"):
            (folder / name).mkdir()
        (folder / "munge.key").write_bytes(os.urandom(1024))
        (folder / "munge.key").chmod(0o600)
        config = folder / "slurm.conf"
        config.write_text(CONFIG.format(host=socket.gethostname().split(".")[0], ports=free_ports(2),
                                        folder=folder, user=getpass.getuser()))
        os.environ["SLURM_CONF"] = str(config)
        self.start("munged", "--foreground", "--force", f"--key-file={folder}/munge.key",
                   f"--socket={folder}/munge.sock", f"--pid-file={folder}/munge.pid",
                   f"--log-file={folder}/munge.log", f"--seed-file={folder}/munge.seed")
        self.until(lambda: (folder / "munge.sock").exists(), "munge")
        self.start("slurmctld", "-D", "-i")
        self.start("slurmd", "-D")
        self.until(lambda: "idle" in self.ask("sinfo", "-h", "-o", "%t"), "the node")

    def start(self, *words):
        with open(self.folder / f"{words[0]}.out", "w") as out:
            self.daemons.append(subprocess.Popen(words, stdout=out, stderr=out))

    @staticmethod
    def ask(*words):
        return subprocess.run(list(map(str, words)), check=False, capture_output=True, text=True).stdout

    def state(self, job):
        words = self.ask("scontrol", "show", "job", "-o", job).split()
        return dict(word.split("=", 1) for word in words if "=" in word)

    def until(self, holds, what, seconds=240, show=lambda: ""):
        end = time.monotonic() + seconds
        while not holds():
            assert time.monotonic() < end, (what, self.ask("squeue", "-l"), show()[-2000:])
            time.sleep(0.1)

    def stop(self, chain):
        self.ask("scancel", "--signal=KILL", "--full", "--user", getpass.getuser())
        self.ask("scancel", "--user", getpass.getuser())
        end = time.monotonic() + 90
        while self.ask("squeue", "-h") and time.monotonic() < end:
            time.sleep(0.2)
        for rank in chain.ranks() if chain else []:
            os.kill(rank, 9)
        for daemon in reversed(self.daemons):
            daemon.terminate()
            try:
                daemon.wait(60)
            except subprocess.TimeoutExpired:
                daemon.kill()
                daemon.wait()


class Chain:
    """What the example does with one run, and what rank 0 says in the logs of its jobs."""

    def __init__(self, cluster, folder, example, shards, name, steps, *options):
        self.cluster, self.run, self.logs = cluster, folder / name, folder / f"{name}.logs"
        self.logs.mkdir()
        flags = command("", shards, self.run, "--steps", steps, "--jsonl", "--checkpoint-every", 50)[2:]
        self.words = ["sbatch", "--parsable", "--ntasks", RANKS, "--time", 60,
                      "--chdir", self.logs, *options, example, *flags]
        self.jobs, self.begun = [], 0

    def submit(self):
        self.jobs.append(self.cluster.ask(*self.words).strip())
        assert self.jobs[-1].isdigit(), self.jobs

    def said(self):
        logs = (self.logs / f"longhaul-train-{job}.0.log" for job in self.jobs)
        return "".join(log.read_text() for log in logs if log.exists())

    def state(self):
        return self.cluster.state(self.jobs[-1])

    def until(self, holds, what):
        self.cluster.until(holds, what, show=self.said)

    def until_it_goes_on(self):
        """Begun or resumed, and some steps further; returns the step at which it did."""
        self.begun += 1
        words = "step      0 " if self.begun == 1 else "resumes at step "
        seen = 1 if self.begun == 1 else self.begun - 1
        self.until(lambda: self.said().count(words) == seen, f"attempt {self.begun}")
        tail = self.said().rpartition(words)[2]
        at = 0 if self.begun == 1 else int(tail.split()[0])
        self.until(lambda: self.said().rpartition(words)[2].count("\nstep ") > 60, "steps")
        return at

    def newest(self):
        return max(int(path.name.removeprefix("step-")) for path in (self.run / "checkpoints").glob("step-*"))

    def ranks(self):
        """The processes of this run's ranks."""
        found = []
        for path in pathlib.Path("/proc").glob("[0-9]*/cmdline"):
            try:
                words = path.read_bytes().split(b"\0")
            except OSError:
                continue  # it has just ended
            if words[1:2] == [b"train"] and str(self.run).encode() in words:
                found.append(int(path.parent.name))
        return found


def story(cluster, chain):
    chain.submit()
    chain.until_it_goes_on()

    # Preempted: what it had done when it was told is saved, and the job comes again by itself.
    other = cluster.ask("sbatch", "--parsable", "--partition", "high", "--ntasks", 2, "--output", "/dev/null",
                        "--wrap", "sleep 1").strip()
    resumed = chain.until_it_goes_on()
    assert cluster.state(other)["JobState"] == "COMPLETED", cluster.state(other)
    assert resumed > 50 and chain.state()["Restarts"] == "1", (resumed, chain.state())
    written = [os.stat(f"/proc/{rank}/fd/{out}").st_mode for rank in chain.ranks() for out in (1, 2)]
    assert written and all(map(stat.S_ISREG, written)), written  # what a rank says is a file, no pipe

    # The signal that --signal=B:USR1@600 sends before the time limit; of a real limit, see time_limit().
    cluster.ask("scancel", "--batch", "--signal=USR1", chain.jobs[-1])
    limited = chain.until_it_goes_on()
    assert limited > resumed + 50 and chain.state()["Restarts"] == "2", (resumed, limited)

    # A rank dies: the others save what is whole, and the job comes again.
    os.kill(max(chain.ranks()), 9)
    again = chain.until_it_goes_on()
    assert again > limited and chain.state()["Restarts"] == "3", (limited, again)

    # Cancelled by a person: saved, and it does not come again.
    cluster.ask("scancel", chain.jobs[-1])
    chain.until(lambda: chain.state()["JobState"] == "CANCELLED" and not chain.ranks(), "its end")
    cancelled = chain.newest()
    assert cancelled > again + 50 and chain.state()["Restarts"] == "3", (again, cancelled)

    # The same command again goes on there.
    chain.submit()
    assert chain.until_it_goes_on() == cancelled
    cluster.ask("scancel", chain.jobs[-1])
    chain.until(lambda: chain.state()["JobState"] == "CANCELLED" and not chain.ranks(), "its end")


def time_limit(cluster, chain):
    """A job that comes to its limit: slurmctld itself tells it, a minute before the two that it may take."""
    chain.submit()
    chain.until_it_goes_on()
    resumed = chain.until_it_goes_on()
    assert resumed > 50 and chain.state()["Restarts"] == "1", (resumed, chain.state())
    assert chain.state()["TimeLimit"] == "00:02:00", chain.state()
    cluster.ask("scancel", chain.jobs[-1])
    chain.until(lambda: chain.state()["JobState"] == "CANCELLED" and not chain.ranks(), "its end")


def expect_the_same(program, shards, run, whole):
    """The losses of all attempts, against one that goes as far."""
    told = losses(run)
    last = max(told)
    assert sorted(told) == list(range(last + 1)), "none is lost"
    trainer = Trainer(program, shards, whole, whole.with_suffix(".log"), "--jsonl", "--ranks", RANKS)
    try:
        trainer.until(lambda: whole.exists() and f"step {last + 20:>6} " in trainer.said(), "as far", 1200)
    finally:
        trainer.stop(130)
    right = losses(whole)
    for step, values in told.items():
        assert values == right[step], (step, values, right[step])
    return last + 1


def main():
    if len(sys.argv) < 3 or not sys.argv[1]:
        print("skipped: there is no longhaul-train: LibTorch is not installed (tools/setup --trainer)")
        return 77
    lacks = lacking()
    if lacks:
        print(f"skipped: there is no {', '.join(lacks)}: install slurmctld slurmd slurm-client munge")
        return 77
    program, example = (pathlib.Path(word).resolve() for word in sys.argv[1:3])
    folder = pathlib.Path(tempfile.mkdtemp(prefix="longhaul-slurm-"))
    folder.chmod(0o755)
    cluster = chain = None
    try:
        (folder / "bin").mkdir()
        (folder / "bin/longhaul-train").symlink_to(program)
        os.environ["PATH"] = f"{folder}/bin:{os.environ['PATH']}"
        os.environ["LONGHAUL_SHM"] = str(folder)
        shards = tokenize(program, b"the quick brown fox " * 50_000, folder / "shards")
        cluster = Cluster(folder)
        chain = Chain(cluster, folder, example, shards, "chain", STEPS)
        story(cluster, chain)
        time_limit(cluster, Chain(cluster, folder, example, shards, "limited", STEPS, "--time", 2,
                                  "--signal", "B:USR1@60"))
        short = Chain(cluster, folder, example, shards, "short", 5)
        short.submit()
        short.until(lambda: short.state()["JobState"] == "COMPLETED", "the end of a run")
        assert short.newest() == 5 and short.state()["ExitCode"] == "0:0", short.state()
        steps = expect_the_same(program, shards, chain.run, folder / "whole")
        print(f"{len(list((chain.run / 'log').glob('*.run')))} attempts, {steps} steps: the same bits")
        return 0
    finally:
        if cluster:
            cluster.stop(chain)
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
