"""A laptop whose interface loses its address and gets another, as between two Wi-Fi networks: at
once, and after some seconds without any. A push that is under way goes on in the same session over
the fast path, its TLS connections are dialled again from the new address, and what it says
meanwhile is why it waits. Later commands work from there."""
import json
import socket
import struct
import subprocess
import sys

from ocean import Ocean, Push, site_across
from reach_world import in_folder, make_tree, same, wait_for

MEGABYTES = 40        # some nine seconds at the link's rate, of which
BEFORE = 10_000_000   # so many bytes come before the laptop moves
HEADERS = 1.06        # what crosses the link in a push that nothing happens to, of its size
TCP_ESTABLISHED = "01"


def connections(ocean, side, column):
    """Addresses of the established TCP connections on a host; column 1: its own, 2: the other's."""
    table = subprocess.run([*ocean.on(side), "cat", "/proc/net/tcp"], check=True, text=True,
                           capture_output=True).stdout
    rows = [line.split() for line in table.splitlines()[1:]]
    return [socket.inet_ntoa(struct.pack("=I", int(row[column].split(":")[0], 16)))
            for row in rows if row[3] == TCP_ESTABLISHED]


class Moves:
    """The laptop's addresses, one after the other."""

    def __init__(self, ocean):
        self.ocean, self.address = ocean, "198.18.0.1"

    def away(self):
        self.ocean.ctl("move", "a", "away")

    def arrive(self):
        old, self.address = self.address, json.loads(self.ocean.ctl("move", "a"))["address"]
        assert self.address != old

    def dialled_again(self):
        """Until connections stand from the address it has now, and none from another."""
        wait_for(lambda: self.address in connections(self.ocean, "b", 2))
        wait_for(lambda: set(connections(self.ocean, "a", 1)) == {self.address})


class Case:
    """One push, during which something happens, and what must be so after it."""

    def __init__(self, ocean, laptop, folder, name, seed):
        self.ocean, self.laptop, self.folder, self.name = ocean, laptop, folder, name
        self.tree = folder / name
        make_tree(self.tree, seed, MEGABYTES)
        self.ended_before, self.crossed_before = self.sessions_ended(), self.crossed()
        self.push = Push(laptop, folder / f"push-{name}", self.tree, name)
        self.push.goes_on(BEFORE)

    def sessions_ended(self):
        lines = (self.folder / "site.log").read_text().splitlines()
        return sum(" session " in line and line.endswith(" ended") for line in lines)

    def crossed(self):
        """What has come over to the site so far, headers and all; the link's queue may have lost more."""
        return json.loads(self.ocean.ctl("counters"))["up"]["bytes_out"]

    def ends_well(self):
        push, size = self.push, sum(file.stat().st_size for file in self.tree.iterdir())
        done, states = push.done(), push.states()
        crossed = self.crossed() - self.crossed_before
        assert done["version"] == "v000001" and not done["existed"], done
        # One session carried all of it, and what had arrived went once.
        acked = [state["acked_bytes"] for state in states]
        assert acked == sorted(acked) and acked[-1] > 0.9 * size, acked
        wait_for(lambda: self.sessions_ended() > self.ended_before)
        assert self.sessions_ended() == self.ended_before + 1, (self.folder / "site.log").read_text()
        assert done["bytes_wire"] < 1.01 * size, done
        flight = max(state["unacked_bytes"] for state in states)
        assert crossed < HEADERS * size + flight, (crossed, size, flight)
        assert states[-1]["requeued_bytes"] <= flight, (states[-1], flight)
        assert states[-1]["path"] == "udp" and states[-1]["udp"]["life"] == "alive", states[-1]
        assert not push.limits()[-1].startswith("waiting"), push.limits()


def story(folder, longhaul, streamer, netsim):
    ocean = Ocean(netsim, "new-address", "--rtt", "40ms", "--rate", "40mbit", "--queue", "100ms")
    with site_across(ocean, folder, longhaul, streamer) as laptop:
        moves = Moves(ocean)

        case = Case(ocean, laptop, folder, "moved", 1)
        moves.arrive()
        case.push.goes_on()
        moves.dialled_again()
        case.ends_well()

        case = Case(ocean, laptop, folder, "carried", 2)  # the lid was shut between the two
        moves.away()
        wait_for(case.push.waits)
        wait_for(lambda: "waiting: no link for" in case.push.err.read_text())
        assert "Network is unreachable" in case.push.waits()[-1], case.push.waits()
        moves.arrive()
        case.push.goes_on()
        moves.dialled_again()
        case.ends_well()

        ocean.ctl("set", "rate=200mbit")
        for name in ("moved", "carried"):
            laptop.run("pull", f"lab:{name}", folder / f"back-{name}")
            same(folder / name, folder / f"back-{name}")


def main(longhaul, streamer, netsim):
    in_folder(lambda folder: story(folder, longhaul, streamer, netsim))


if __name__ == "__main__":
    main(*sys.argv[1:4])
