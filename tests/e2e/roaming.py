"""A laptop that moves: its site sees it at another address, then the link is gone for a while. One push goes on
through all of it over the fast path, sends nothing much twice, and says why it waits. Hosts of `netsim link`."""
import json
import os
import subprocess
import sys

from reach_world import Laptop, in_folder, make_tree, same, skip, wait_for

SITE = "198.18.0.2:7700"
MEGABYTES = 60
RATE = "4MB/s"  # so that there is time for all that happens
OUTAGE = 15     # seconds


class Ocean:
    """Two hosts, a (the laptop) and b (the site)."""

    def __init__(self, netsim):
        self.netsim, self.name = netsim, f"roaming-{os.getpid()}"
        done = subprocess.run(
            [netsim, "link", "--name", self.name, "--rtt", "40ms", "--rate", "100mbit", "--queue",
             "100ms", "--detach"], text=True, capture_output=True)
        if done.returncode != 0:
            skip(done.stderr.strip() or "netsim link did not start")

    def on(self, side):
        return [self.netsim, "exec", self.name, side, "--"]

    def ctl(self, *words):
        subprocess.run([self.netsim, "ctl", self.name, *words], check=True, capture_output=True)


class FarLaptop(Laptop):
    """Its commands run on host a."""

    def __init__(self, longhaul, folder, ocean):
        super().__init__(longhaul, folder)
        self.ocean = ocean

    def run(self, *arguments, stdin=""):
        done = subprocess.run([*self.ocean.on("a"), self.longhaul, *map(str, arguments)], env=self.environment,
                              input=stdin, text=True, capture_output=True, timeout=120)
        assert done.returncode == 0, (arguments, done.returncode, done.stdout, done.stderr)
        return done


class Push:
    """One push under way, by what it tells of itself."""

    def __init__(self, laptop, folder, source):
        self.told, self.out, self.err = folder / "telemetry", folder / "out", folder / "err"
        command = [*laptop.ocean.on("a"), laptop.longhaul, "push", source, "lab:one",
                   "--limit-rate", RATE, "--json", "--telemetry", self.told]
        self.process = subprocess.Popen(command, env=laptop.environment, stdin=subprocess.DEVNULL,
                                        stdout=self.out.open("w"), stderr=self.err.open("w"))

    def states(self):
        return [json.loads(line) for line in self.told.read_text().splitlines()[:-1]] if self.told.exists() else []

    def lines(self):
        return [json.loads(line) for line in self.out.read_text().splitlines() if line.endswith("}")]

    def limits(self):
        return [line["limit"] for line in self.lines() if line["event"] == "progress"]

    def waits(self):
        """Why it waits, as its progress says, once it stood."""
        return [limit for limit in self.limits() if limit.startswith("waiting: no link")]

    def goes_on(self, by_bytes=3_000_000):
        """Until so much more has come over the fast path."""
        assert self.process.poll() is None, self.err.read_text()
        states = self.states()
        goal = (states[-1]["acked_bytes"] if states else 0) + by_bytes
        wait_for(lambda: any(state["path"] == "udp" and state["acked_bytes"] > goal
                             for state in self.states()[-4:]))


def story(folder, longhaul, streamer, netsim):
    ocean = Ocean(netsim)
    root = folder / "site"
    site = subprocess.Popen([*ocean.on("b"), streamer, "run", "--root", root, "--listen", "0.0.0.0:7700"],
                            stderr=(folder / "site.log").open("w"))
    try:
        wait_for(lambda: "listening" in (folder / "site.log").read_text())
        laptop = FarLaptop(longhaul, folder / "home", ocean)
        laptop.run("init")
        invite = subprocess.run([streamer, "invite", "--root", root, "--address", SITE], check=True,
                                capture_output=True, text=True)
        laptop.run("join", "lab", stdin=invite.stdout)
        make_tree(folder / "one", 1, MEGABYTES)

        push = Push(laptop, folder, folder / "one")
        push.goes_on()
        ocean.ctl("rebind", "address")
        push.goes_on()
        assert push.waits() == [], push.waits()  # nobody needs to be told of a moment

        ocean.ctl("outage", f"{OUTAGE}s")
        wait_for(push.waits)
        wait_for(lambda: "waiting: no link for" in push.err.read_text())
        push.goes_on()
        assert push.process.wait(120) == 0, push.err.read_text()

        done = push.lines()[-1]
        assert done["event"] == "done" and done["version"] == "v000001", done
        assert done["bytes_wire"] < 1.1 * (MEGABYTES << 20), done
        assert not push.limits()[-1].startswith("waiting"), push.limits()
        laptop.run("pull", "lab:one", folder / "back")
        same(folder / "one", folder / "back")
    finally:
        site.terminate()
        site.wait(60)
        subprocess.run([netsim, "ctl", ocean.name, "down"], capture_output=True)


def main(longhaul, streamer, netsim):
    in_folder(lambda folder: story(folder, longhaul, streamer, netsim))


if __name__ == "__main__":
    main(*sys.argv[1:4])
