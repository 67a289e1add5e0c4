"""A blocked UDP port changes nothing but the speed: the same pushes with UDP, without it, and where
it dies half-way; each says which path it takes and why."""
import json
import subprocess
import sys
import time

from reach_world import Laptop, connects, free_port, in_folder, make_tree, same, wait_for

RATE = "20MB/s"  # so that a push lasts long enough to be cut


class Relay:
    """What stands between laptop and site: TCP and, if wanted, UDP."""

    def __init__(self, netsim, target, udp, port=None):
        self.port, options = port or free_port(), [] if udp else ["--tcp-only"]
        self.process = subprocess.Popen(
            [netsim, "relay", "-q", "--allow-invalid", "--listen", f"127.0.0.1:{self.port}", "--to",
             f"127.0.0.1:{target}", *options])
        wait_for(lambda: connects(self.port))

    def stop(self):
        self.process.terminate()
        self.process.wait(60)


def states(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def push(laptop, source, dataset, telemetry):
    """One push; its last line and its states."""
    done = laptop.result("push", source, f"lab:{dataset}", "--limit-rate", RATE, "--telemetry",
                         telemetry)
    assert done["event"] == "done", done
    return done, states(telemetry)


def story(folder, longhaul, streamer, netsim):
    port, root = free_port(), folder / "site"
    site = subprocess.Popen([streamer, "run", "--root", root, "--listen", f"127.0.0.1:{port}"],
                            stderr=subprocess.DEVNULL)
    laptop = Laptop(longhaul, folder / "home")
    relays = []
    try:
        wait_for(lambda: connects(port))
        laptop.run("init")
        invite = subprocess.run([streamer, "invite", "--root", root, "--address",
                                 f"127.0.0.1:{port}"], check=True, capture_output=True, text=True)
        laptop.run("join", "lab", stdin=invite.stdout)
        sites = laptop.home / "config/sites.toml"
        direct = sites.read_text()

        def by(relay):
            relays.append(relay)
            sites.write_text(direct.replace(f"127.0.0.1:{port}", f"127.0.0.1:{relay.port}"))

        make_tree(folder / "one", 1, 40)
        make_tree(folder / "two", 2, 40)
        make_tree(folder / "three", 3, 40)

        fast, told = push(laptop, folder / "one", "one", folder / "fast.jsonl")
        assert told[-1]["path"] == "udp" and told[-1]["why"] == "datagrams are answered", told[-1]
        assert told[-1]["udp"]["bytes_out"] > 30_000_000, told[-1]

        by(Relay(netsim, port, udp=False))
        slow, told = push(laptop, folder / "two", "two", folder / "slow.jsonl")
        assert told[-1]["path"] == "tls", told[-1]
        assert told[-1]["why"] == "datagrams go unanswered", told[-1]
        assert slow["bytes_wire"] < 1.1 * fast["bytes_wire"], (slow, fast)
        findings = [json.loads(line) for line in laptop.run(
            "doctor", "lab", "--json").stdout.splitlines()]
        udp = next(finding for finding in findings if finding["check"] == "UDP")
        assert udp["level"] == "warn" and "no answer" in udp["found"], udp

        off = Laptop(longhaul, folder / "home", LONGHAUL_UDP="off")
        _, told = push(off, folder / "two", "two-off", folder / "off.jsonl")
        assert told[-1]["path"] == "tls" and told[-1]["why"] == "TLS only", told[-1]
        assert "auto or off" in Laptop(longhaul, folder / "home", LONGHAUL_UDP="maybe").run(
            "push", folder / "two", "lab:x", code=2).stderr

        # Both die half-way, and only TCP comes back, at the same address.
        relay = Relay(netsim, port, udp=True)
        by(relay)
        telemetry = folder / "cut.jsonl"
        going = laptop.start("push", folder / "three", "lab:three", "--limit-rate", RATE, "--json",
                             "--telemetry", telemetry)
        wait_for(lambda: telemetry.exists() and any(
            state["path"] == "udp" and state["acked_bytes"] > 8_000_000
            for state in map(json.loads, telemetry.read_text().splitlines()[:-1])))
        relay.stop()
        again = Relay.__new__(Relay)
        again.port = relay.port
        again.process = subprocess.Popen(
            [netsim, "relay", "-q", "--allow-invalid", "--listen", f"127.0.0.1:{relay.port}",
             "--to", f"127.0.0.1:{port}", "--tcp-only"])
        relays.append(again)
        out, _ = going.communicate(timeout=120)
        assert going.returncode == 0, out
        assert states(telemetry)[-1]["path"] == "tls", states(telemetry)[-1]

        sites.write_text(direct)
        for name in ("one", "two", "three"):
            laptop.run("pull", f"lab:{name}", folder / f"{name}-back")
            same(folder / name, folder / f"{name}-back")
    finally:
        for relay in relays:
            if relay.process.poll() is None:
                relay.stop()
        site.terminate()
        site.wait(60)


def main(longhaul, streamer, netsim):
    in_folder(lambda folder: story(folder, longhaul, streamer, netsim))


if __name__ == "__main__":
    main(*sys.argv[1:4])
