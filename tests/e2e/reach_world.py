"""What the tests of reaching a site share: a laptop's home, a real sshd of our own, small helpers."""
import json
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time


class Laptop:
    """A researcher's side: its own home, and the environment its commands run in."""

    def __init__(self, longhaul, folder, **environment):
        self.longhaul, self.home = longhaul, folder
        self.environment = dict(os.environ, LONGHAUL_HOME=str(folder), **environment)

    def run(self, *arguments, code=0, stdin=""):
        done = subprocess.run([self.longhaul, *map(str, arguments)], env=self.environment, input=stdin,
                              text=True, capture_output=True, timeout=120)
        assert done.returncode == code, (arguments, done.returncode, done.stdout, done.stderr)
        return done

    def start(self, *arguments, **options):
        return subprocess.Popen([self.longhaul, *map(str, arguments)], env=self.environment, text=True,
                                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, **options)

    def result(self, *arguments, **options):
        return json.loads(self.run(*arguments, "--json", **options).stdout.strip().splitlines()[-1])


class Sshd:
    """An sshd on loopback with keys and a configuration of its own; every login lands in `home`."""

    def __init__(self, folder, extra=""):
        self.folder, self.home = folder, folder / "remote-home"
        folder.mkdir()
        self.home.mkdir()
        for key in ("host", "user"):
            subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", folder / key], check=True)
        shutil.copy(folder / "user.pub", folder / "authorized")
        self.port = free_port()
        (folder / "sshd_config").write_text(
            f"Port {self.port}\nListenAddress 127.0.0.1\nHostKey {folder}/host\nPidFile {folder}/pid\n"
            f"AuthorizedKeysFile {folder}/authorized\nStrictModes no\nUsePAM no\n"
            f"PasswordAuthentication no\nKbdInteractiveAuthentication no\nMaxStartups 100\n"
            f"AllowTcpForwarding no\nSetEnv HOME={self.home}\n{extra}")
        (folder / "ssh_config").write_text(
            f"Host cluster\n  HostName 127.0.0.1\n  Port {self.port}\n  IdentityFile {folder}/user\n"
            f"  IdentitiesOnly yes\n  StrictHostKeyChecking no\n  UserKnownHostsFile {folder}/known\n"
            f"Host hop\n  HostName 127.0.0.1\n  Port {self.port}\n  IdentityFile {folder}/user\n"
            f"  IdentitiesOnly yes\n  StrictHostKeyChecking no\n  UserKnownHostsFile {folder}/known\n"
            f"  ProxyCommand ssh -F {folder}/ssh_config cluster exec socat STDIO TCP:%h:%p\n")
        self.command = f"ssh -F {folder}/ssh_config"
        if os.geteuid() == 0:
            os.makedirs("/run/sshd", exist_ok=True)  # where its privilege separation wants to be
        self.process = subprocess.Popen(["/usr/sbin/sshd", "-D", "-e", "-f", folder / "sshd_config"],
                                        stderr=open(folder / "sshd.log", "w"))
        wait_for(lambda: connects(self.port))

    def remote(self, *words, code=0):
        """A command as its user would type it there."""
        environment = dict(os.environ, HOME=str(self.home))
        done = subprocess.run([self.home / ".longhaul/bin/longhaul-streamer", *words], env=environment,
                              cwd=self.home, text=True, capture_output=True, timeout=60)
        assert done.returncode == code, (words, done.returncode, done.stdout, done.stderr)
        return done

    def stop(self):
        self.process.terminate()
        self.process.wait(60)


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def connects(port):
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
        return True
    except OSError:
        return False


def wait_for(condition, patience=60):
    until = time.monotonic() + patience
    while time.monotonic() < until:
        if condition():
            return
        time.sleep(0.05)
    raise AssertionError("waited in vain")


def make_tree(folder, seed=1, megabytes=4):
    import random
    rng = random.Random(seed)
    folder.mkdir(parents=True)
    for i in range(50):
        (folder / f"small-{i:02}.txt").write_text(f"file {i}\n" * rng.randint(1, 300))
    (folder / "large.bin").write_bytes(rng.randbytes(megabytes << 20))


def same(left, right):
    def listing(root):
        return {str(p.relative_to(root)): p.read_bytes() for p in sorted(root.rglob("*"))
                if p.is_file() and ".longhaul" not in p.relative_to(root).parts}
    assert listing(left) == listing(right)


def skip(why):
    print("skipped:", why)
    sys.exit(77)


def in_folder(story):
    """Runs story(folder) in a folder of its own that is gone afterwards."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    folder = pathlib.Path(tempfile.mkdtemp(prefix="longhaul-reach-"))
    try:
        story(folder)
        print("all held")
    finally:
        shutil.rmtree(folder, ignore_errors=True)
