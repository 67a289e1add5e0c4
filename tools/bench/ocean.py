"""What the benches share: a link (the packet emulator, or none), and a site and a laptop paired
over it."""
import json
import os
import pathlib
import re
import resource
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

LAPTOP, SITE = "198.18.0.1", "198.18.0.2"


def bits(rate):
    for unit, factor in (("kbit", 1e3), ("mbit", 1e6), ("gbit", 1e9)):
        if rate.endswith(unit):
            return float(rate[:-4]) * factor
    raise SystemExit(f"no rate: {rate}")


def seconds(span):
    for unit, factor in (("ms", 1e-3), ("s", 1.0)):
        if span.endswith(unit):
            return float(span[:-len(unit)]) * factor
    raise SystemExit(f"no span of time: {span}")


def kernels_of(stats):
    """What both hosts' kernels did, by netsim's account: belongs in every line that is measured."""
    out = {}
    for host, seen in stats["sockets"].items():
        tcp, udp = seen["tcp"], seen["udp"]
        out[host] = {
            "congestion": tcp["congestion"], "tcp_sndbuf": tcp["sndbuf_bytes_max"],
            "tcp_rcvbuf": tcp["rcvbuf_bytes_max"], "tcp_repeated": tcp["retransmitted_segments"],
            "udp_sndbuf": udp["sndbuf_bytes_max"], "udp_rcvbuf": udp["rcvbuf_bytes_max"],
            "udp_dropped": udp["dropped_receive_buffer"] + udp["dropped_send_buffer"]}
        for connection in tcp["info"][:1]:  # the one that moved most
            out[host]["most"] = {key: connection[key] for key in (
                "congestion", "sndbuf_bytes", "rcvbuf_bytes", "rtt_us", "min_rtt_us",
                "cwnd_segments", "retransmitted_segments")}
    return out


class Link:
    """Hosts a and b behind `netsim link`."""
    site = SITE

    def __init__(self, netsim, options):
        self.netsim, self.name = netsim, f"bench-{os.getpid()}"
        if not os.access(netsim, os.X_OK):
            raise SystemExit(f"no program {netsim}: --bin is the folder tools of a build")
        if signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
            # `timeout` ends a bench by it, and what unwinds takes its link down.
            signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
        subprocess.run([netsim, "link", "--name", self.name, "--detach", "--quiet", *options],
                       check=True)

    def start(self, side, *command, capabilities=True, **options):
        flags = ["--clamp-sockets"] if capabilities else ["--clamp-sockets", "--drop-caps"]
        return subprocess.Popen([self.netsim, "exec", *flags, self.name, side, "--",
                                 *map(str, command)], **options)

    def control(self, *words):
        return subprocess.run([self.netsim, "ctl", self.name, *words], capture_output=True,
                              text=True, check=True).stdout

    def stats(self):
        return json.loads(self.control("stats"))

    def channel(self):
        """A connection to the emulator itself, which takes requests as JSON, a line each (docs/netsim.md)."""
        runtime = os.environ.get("XDG_RUNTIME_DIR", "")
        folder = ("/run/netsim" if os.geteuid() == 0 else
                  f"{runtime}/netsim" if runtime.startswith("/") else f"/tmp/netsim-{os.geteuid()}")
        channel = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        channel.connect(f"{folder}/{self.name}.sock")
        return channel

    def close(self):
        subprocess.run([self.netsim, "ctl", self.name, "down"], capture_output=True)


class Loopback:
    """Both ends on this host, nothing between them."""
    site = "127.0.0.1"

    def start(self, side, *command, capabilities=True, **options):
        return subprocess.Popen([*map(str, command)], **options)

    def close(self):
        pass


class Pair:
    """A streamer on b and a laptop on a that may push to it, neither with capabilities: root's
    own could undo what an ordinary user's host imposes. Use as a context."""

    def __init__(self, link, tools, folder, port=7700):
        self.link, self.folder, self.address = link, folder, f"{link.site}:{port}"
        self.streamer = pathlib.Path(tools) / "longhaul-streamer/longhaul-streamer"
        self.command = pathlib.Path(tools) / "longhaul/longhaul"
        self.home, self.root = folder / "home", folder / "site"
        self.environment = dict(os.environ, LONGHAUL_HOME=str(self.home))

    def __enter__(self):
        self.server = self.link.start("b", self.streamer, "run", "--root", self.root, "--listen",
                                      self.address, "--json", capabilities=False, stdout=subprocess.PIPE,
                                      stderr=open(self.folder / "site.log", "w"), text=True)
        self.server.stdout.readline()
        invite = subprocess.run([self.streamer, "invite", "--root", self.root, "--address",
                                 self.address], check=True, capture_output=True, text=True).stdout
        join = self.start("join", "site", stdin=subprocess.PIPE, stderr=subprocess.DEVNULL,
                          text=True)
        join.communicate(invite)
        return self

    def __exit__(self, *why):
        self.server.terminate()
        before = processor_seconds()
        self.server.wait()
        self.site_processor = processor_seconds() - before

    def start(self, *words, **options):
        return self.link.start("a", self.command, *words, capabilities=False,
                               env=self.environment, **options)

    def site_stages(self):
        """{stage: (seconds in which a thread was in it, sum over threads)}, of all transfers."""
        told = [line for line in (self.folder / "site.log").read_text().splitlines()
                if "seconds of work so far: " in line][-1]
        return {name: (float(busy), float(spent)) for name, busy, spent in
                re.findall(r"(\w+) ([\d.]+) \(([\d.]+)\)", told.split("so far: ")[1])}

    def push(self, source, dataset="bench"):
        """From the command's start to its end; `told` is its own last line."""
        started, before = time.monotonic(), processor_seconds()
        push = self.start("push", "--json", source, f"site:{dataset}", stdout=subprocess.PIPE,
                          stderr=subprocess.DEVNULL, text=True)
        lines = push.communicate()[0].splitlines()
        took = time.monotonic() - started
        told = next((json.loads(line) for line in reversed(lines) if '"done"' in line), {})
        path = next((json.loads(line).get("path", "") for line in reversed(lines)
                     if '"progress"' in line), "")
        stages = next((json.loads(line) for line in lines if '"stages"' in line), {})
        return {"seconds": round(took, 2), "whole": push.returncode == 0, "told": told,
                "stages": {name[:-len("_busy_seconds")]: (busy, stages[name.replace("_busy", "")])
                           for name, busy in stages.items() if name.endswith("_busy_seconds")},
                "path": path, "processor": processor_seconds() - before}


def processor_seconds():
    """Of all children that were waited for."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def scratch(bench, place=None):
    """A folder, in `place` if that is given, that must be given to `gone()`."""
    return pathlib.Path(tempfile.mkdtemp(prefix=f"{bench}-", dir=place))


def gone(folder):
    shutil.rmtree(folder, ignore_errors=True)


def size_of(folder):
    return sum(f.stat().st_size for f in folder.rglob("*") if f.is_file())


def noise(folder, mib=0, files=0, file_bytes=(10240, 10240)):
    """A tree that cannot be compressed: one file of `mib`, or many with lengths in that range."""
    folder.mkdir(parents=True)
    with open("/dev/urandom", "rb") as source:
        least, most = file_bytes
        for i in range(files):
            place = folder / f"d{i // 1000:04}"
            place.mkdir(exist_ok=True)
            length = least + (i * 7919) % (most - least + 1)
            (place / f"f{i:07}").write_bytes(source.read(length))
        if mib:
            with open(folder / "blob", "wb") as out:
                for _ in range(mib):
                    out.write(source.read(1 << 20))
    return folder


def say(bench, cell, **figures):
    print(json.dumps({"bench": bench, "cell": cell, **figures}), flush=True)
