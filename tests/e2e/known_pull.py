"""A site remembers what its link to a laptop carried: a later pull begins there, as its log says.

Usage: known_pull.py LONGHAUL LONGHAUL-STREAMER NETSIM.
"""
import random
import re
import sys

from ocean import Ocean, site_across
from reach_world import in_folder


def story(folder):
    longhaul, streamer, netsim = sys.argv[1:]
    ocean = Ocean(netsim, "known", "--rtt", "60ms", "--rate", "40mbit")
    with site_across(ocean, folder, longhaul, streamer) as laptop:
        source = folder / "source"
        source.mkdir()
        (source / "noise").write_bytes(random.Random(1).randbytes(12_000_000))
        laptop.run("push", source, "lab:noise")
        log = folder / "site.log"
        for number in range(4):  # one on a busy machine may tell nothing of the link
            laptop.run("pull", "lab:noise", folder / f"back-{number}")
            assert (folder / f"back-{number}" / "noise").read_bytes() == (source / "noise").read_bytes()
            told = re.findall(r"sends over a link that carried ([\d.]+) MB/s", log.read_text())
            assert number > 0 or not told, told  # what was pushed tells nothing of the way back
            if told:
                break
        assert told, log.read_text()
        assert 1 < float(told[-1]) < 8, told
        print(f"pull {number + 1} began at {told[-1]} MB/s")


if __name__ == "__main__":
    in_folder(story)
