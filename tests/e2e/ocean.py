"""Two hosts with an ocean between them, made by `netsim link`: a laptop on a, a site on b, and one
push under way."""
import contextlib
import json
import os
import subprocess

from reach_world import Laptop, skip, wait_for

SITE = "198.18.0.2:7700"


class Ocean:
    def __init__(self, netsim, name, *settings):
        self.netsim, self.name = netsim, f"{name}-{os.getpid()}"
        done = subprocess.run([netsim, "link", "--name", self.name, *settings, "--detach"],
                              text=True, capture_output=True)
        if done.returncode != 0:
            skip(done.stderr.strip() or "netsim link did not start")

    def on(self, side):
        return [self.netsim, "exec", self.name, side, "--"]

    def ctl(self, *words):
        return subprocess.run([self.netsim, "ctl", self.name, *words], check=True, text=True,
                              capture_output=True).stdout


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

    def __init__(self, laptop, folder, source, dataset, *options):
        folder.mkdir(exist_ok=True)
        self.told, self.out, self.err = folder / "telemetry", folder / "out", folder / "err"
        command = [*laptop.ocean.on("a"), laptop.longhaul, "push", source, f"lab:{dataset}", *options,
                   "--json", "--telemetry", self.told]
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

    def done(self):
        """Its last line, once it has ended well."""
        assert self.process.wait(120) == 0, self.err.read_text()
        done = self.lines()[-1]
        assert done["event"] == "done", done
        return done


@contextlib.contextmanager
def site_across(ocean, folder, longhaul, streamer):
    """A streamer on b and a laptop on a that have been paired; the site's log is folder/site.log."""
    root, log = folder / "site", folder / "site.log"
    site = subprocess.Popen([*ocean.on("b"), streamer, "run", "--root", root, "--listen", "0.0.0.0:7700"],
                            stderr=log.open("w"))
    try:
        wait_for(lambda: "listening" in log.read_text())
        laptop = FarLaptop(longhaul, folder / "home", ocean)
        laptop.run("init")
        invite = subprocess.run([streamer, "invite", "--root", root, "--address", SITE], check=True,
                                capture_output=True, text=True)
        laptop.run("join", "lab", stdin=invite.stdout)
        yield laptop
    finally:
        site.terminate()
        site.wait(60)
        subprocess.run([ocean.netsim, "ctl", ocean.name, "down"], capture_output=True)
