"""A laptop that moves: its site sees it at another address, then the link is gone for a while. One push goes on
through all of it over the fast path, sends nothing much twice, and says why it waits. Hosts of `netsim link`; the
laptop's own address stays (e2e.new_address has the other case)."""
import sys

from ocean import Ocean, Push, site_across
from reach_world import in_folder, make_tree, same, wait_for

MEGABYTES = 60
RATE = "4MB/s"  # so that there is time for all that happens
OUTAGE = 15     # seconds


def story(folder, longhaul, streamer, netsim):
    ocean = Ocean(netsim, "roaming", "--rtt", "40ms", "--rate", "100mbit", "--queue", "100ms")
    with site_across(ocean, folder, longhaul, streamer) as laptop:
        make_tree(folder / "one", 1, MEGABYTES)
        push = Push(laptop, folder / "push", folder / "one", "one", "--limit-rate", RATE)
        push.goes_on()
        ocean.ctl("rebind", "address")
        push.goes_on()
        assert push.waits() == [], push.waits()  # nobody needs to be told of a moment

        ocean.ctl("outage", f"{OUTAGE}s")
        wait_for(push.waits)
        wait_for(lambda: "waiting: no link for" in push.err.read_text())
        push.goes_on()

        done = push.done()
        assert done["version"] == "v000001", done
        assert done["bytes_wire"] < 1.1 * (MEGABYTES << 20), done
        assert not push.limits()[-1].startswith("waiting"), push.limits()
        laptop.run("pull", "lab:one", folder / "back")
        same(folder / "one", folder / "back")


def main(longhaul, streamer, netsim):
    in_folder(lambda folder: story(folder, longhaul, streamer, netsim))


if __name__ == "__main__":
    main(*sys.argv[1:4])
