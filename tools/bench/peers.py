"""Other programs that carry a tree from host a to host b of a link, each as its users would run it
for speed. One that is not installed says so; one that is not done in time is stopped."""
import json
import shutil
import subprocess
import time

from ocean import LAPTOP, size_of


def timed(link, side, target, size, most, *command):
    """Runs until done or stopped; bytes are what stands at the target by then."""
    started = time.monotonic()
    client = link.start(side, *command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                        stderr=subprocess.DEVNULL)
    try:
        whole = client.wait(most) == 0
    except subprocess.TimeoutExpired:
        client.terminate()
        client.wait()
        whole = False
    took = time.monotonic() - started
    arrived = sum(f.stat().st_blocks * 512 for f in target.rglob("*") if f.is_file())
    return {"seconds": round(took, 2), "bytes": size if whole else min(arrived, size),
            "whole": whole}


def rsync_daemon(link, folder, source, target, most):
    config = folder / "rsyncd.conf"
    config.write_text(f"uid = root\ngid = root\nuse chroot = no\nlog file = {folder}/rsyncd.log\n"
                      f"[t]\npath = {target}\nread only = no\n")
    server = link.start("b", "rsync", "--daemon", "--no-detach", "--port", "8730",
                        f"--config={config}")
    try:
        time.sleep(0.5)
        return timed(link, "a", target, size_of(source), most, "rsync", "-a", "--inplace",
                     f"{source}/", f"rsync://{link.site}:8730/t/")
    finally:
        server.terminate()
        server.wait()


class SshServer:
    """sshd on b with keys of its own; `shell`: how a calls it. Use as a context."""

    def __init__(self, link, folder):
        self.link, self.folder = link, folder
        self.shell = ["ssh", "-p", "2222", "-i", f"{folder}/user", "-o",
                      "StrictHostKeyChecking=no", "-o", "BatchMode=yes", "-o",
                      "UserKnownHostsFile=/dev/null"]

    def __enter__(self):
        for name in ("host", "user"):
            subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f",
                            self.folder / name], check=True)
        config = self.folder / "sshd_config"
        config.write_text(f"Port 2222\nHostKey {self.folder}/host\n"
                          f"AuthorizedKeysFile {self.folder}/user.pub\nStrictModes no\n"
                          f"PermitRootLogin yes\nUsePAM no\nPidFile {self.folder}/sshd.pid\n")
        self.server = self.link.start("b", shutil.which("sshd") or "/usr/sbin/sshd", "-D", "-f",
                                      config, stderr=subprocess.DEVNULL)
        time.sleep(0.5)
        return self

    def __exit__(self, *why):
        self.server.terminate()
        self.server.wait()


def rsync_ssh(link, folder, source, target, most):
    with SshServer(link, folder) as server:
        return timed(link, "a", target, size_of(source), most, "rsync", "-a", "--inplace", "-e",
                     " ".join(server.shell), f"{source}/", f"root@{link.site}:{target}/")


def over_http(link, source, fetch):
    """Neither lftp nor rclone sends one file over many connections; both fetch so. The bytes cross
    in the same direction, from a server of ranges on a."""
    server = link.start("a", "rclone", "serve", "http", "--addr", f"{LAPTOP}:8740", source,
                        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        time.sleep(1.0)
        return fetch(f"http://{LAPTOP}:8740/")
    finally:
        server.terminate()
        server.wait()


def lftp(link, folder, source, target, most):
    return over_http(link, source, lambda url: timed(
        link, "b", target, size_of(source), most, "lftp", "-c",
        "set net:max-retries 2; set http:use-propfind no; set net:connection-limit 16; "
        f"mirror --parallel=16 --use-pget-n=16 {url} {target}"))


def rclone(link, folder, source, target, most):
    return over_http(link, source, lambda url: timed(
        link, "b", target, size_of(source), most, "rclone", "copy", "--http-url", url, ":http:",
        target, "--transfers", "16", "--multi-thread-streams", "16", "--multi-thread-cutoff", "1M"))


def gridftp(link, folder, source, target, most):
    """Sixteen streams for a file, or one for each of sixteen. Without certificates: whoever comes is
    `nobody` at the server, which starts only where the names of both hosts can be looked up."""
    sixteen = ["-p", "16"] if sum(1 for _ in source.rglob("*")) < 16 else ["-cc", "16"]
    (folder / "hosts").write_text(f"127.0.0.1 localhost\n{LAPTOP} laptop\n{link.site} site\n")
    folder.chmod(0o711)
    target.chmod(0o777)

    def named(host):
        return ["unshare", "-m", "sh", "-c", f"mount --bind '{folder}/hosts' /etc/hosts && exec \"$@\"",
                "sh", "env", f"GLOBUS_HOSTNAME={host}"]
    server = link.start("b", *named("site"), "globus-gridftp-server", "-aa", "-anonymous-user",
                        "nobody", "-p", "2811", "-control-interface", link.site, "-data-interface",
                        link.site, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        time.sleep(1.0)
        return timed(link, "a", target, size_of(source), most, *named("laptop"), "globus-url-copy",
                     "-fast", *sixteen, "-cd", "-r", f"file://{source}/",
                     f"ftp://{link.site}:2811{target}/")
    finally:
        server.terminate()
        server.wait()


# Of each connection of an untuned host: what iperf3 has written and may never have crossed when it is done.
SOCKET_BYTES = 4 << 20
# It opens its connections one after the other, a round trip each, after some round trips of its own.
IPERF_OPENS_SECONDS = 8


def iperf3(flows):
    """The kernel by itself, from memory to memory over that many connections, under the host's
    congestion control. It counts what sockets took, so it gets what they hold on top, and `seconds`
    end when the far side had read enough of it. They begin when the connections are open: its
    handshakes are left out, which is in its favour. `beyond`: more than the size crosses."""
    def run(link, folder, source, target, most):
        size, said = size_of(source), folder / "iperf3.json"
        with open(said, "w") as out:
            server = link.start("b", "iperf3", "-s", "-1", "-B", link.site, "-i", "0.1", "--json", stdout=out,
                                stderr=subprocess.DEVNULL)
            time.sleep(0.5)
            client = link.start("a", "iperf3", "-c", link.site, "-P", str(flows), "-n",
                                str(size + flows * SOCKET_BYTES), stdout=subprocess.DEVNULL,
                                stderr=subprocess.DEVNULL)
            for process, patience in ((client, most + IPERF_OPENS_SECONDS), (server, 5)):
                try:
                    process.wait(patience)
                except subprocess.TimeoutExpired:
                    process.terminate()
                    process.wait()
        return received(json.loads(said.read_text()), size, most) | {"beyond": True}
    return run


def received(told, size, most):
    """Of what an iperf3 server tells: when it had read `size` bytes, or how many it had when `most` seconds were
    over."""
    had, end = 0, 0.0
    for one in (interval["sum"] for interval in told["intervals"]):
        if one["end"] > most + 0.01:
            break
        if had + one["bytes"] >= size:
            part = (size - had) / one["bytes"]
            return {"seconds": round(one["start"] + part * (one["end"] - one["start"]), 2), "bytes": size,
                    "whole": True}
        had, end = had + one["bytes"], one["end"]
    return {"seconds": round(max(end, 0.01), 2), "bytes": had, "whole": False}


PEERS = {"rsync-daemon": (rsync_daemon, ["rsync"]), "rsync-ssh": (rsync_ssh, ["rsync", "sshd"]),
         "lftp-16": (lftp, ["lftp", "rclone"]), "rclone-16": (rclone, ["rclone"]),
         "gridftp-16": (gridftp, ["globus-gridftp-server", "globus-url-copy"]),
         "iperf3-1": (iperf3(1), ["iperf3"]), "iperf3-16": (iperf3(16), ["iperf3"])}


def run_peer(name, link, folder, source, most):
    run, needs = PEERS[name]
    missing = [program for program in needs
               if not shutil.which(program) and not shutil.which(f"/usr/sbin/{program}")]
    if missing:
        return {"skipped": f"not installed: {', '.join(missing)}"}
    target = folder / "target"
    target.mkdir()
    return run(link, folder, source, target, most)
