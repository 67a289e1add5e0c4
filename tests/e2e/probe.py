"""`longhaul probe`: over a link of known shape, as JSON and as words; the profile it saves is one of
netsim's; an observer may, but seldom; without UDP it says what is left. No figure decides by time."""
import json
import subprocess
import sys

from reach_world import Laptop, connects, free_port, in_folder, wait_for


def story(folder, longhaul, streamer, netsim):
    port, front, root = free_port(), free_port(), folder / "site"
    site = subprocess.Popen([streamer, "run", "--root", root, "--listen", f"127.0.0.1:{port}"],
                            stderr=subprocess.DEVNULL)
    relay = subprocess.Popen(
        [netsim, "relay", "-q", "--allow-invalid", "--listen", f"127.0.0.1:{front}", "--to",
         f"127.0.0.1:{port}", "--rtt", "40ms", "--rate", "40mbit", "--queue", "100ms"])
    try:
        wait_for(lambda: connects(port) and connects(front))

        def paired(name, role):
            laptop = Laptop(longhaul, folder / name)
            laptop.run("init")
            invite = subprocess.run(
                [streamer, "invite", "--root", root, "--role", role, "--address",
                 f"127.0.0.1:{front}"], check=True, capture_output=True, text=True)
            laptop.run("join", "lab", stdin=invite.stdout)
            return laptop

        owner = paired("owner", "owner")
        saved = folder / "home-link"
        told = owner.result("probe", "lab", "--budget", "4MB,4s", "--save-profile", saved)
        assert told["event"] == "probe" and told["udp"], told
        assert told["path"] == "UDP" and told["why"] == "datagrams are answered", told
        assert told["rtt"]["min_ms"] >= 40, told
        assert told["bytes_up"] + told["bytes_down"] <= 4_000_000, told
        assert told["mtu_bytes"] >= 1280 and told["clock_offset_ms"]["low"] <= 0, told
        for way in ("up", "down"):
            seen = told[way]
            assert seen["capacity_bits_per_second"]["value"] > 0 and "loss" in seen, told
        profile = json.loads((folder / "home-link.json").read_text())
        assert profile["name"] == "home-link" and profile["netsim_profile"] == 1, profile
        shown = subprocess.run([netsim, "profiles", folder / "home-link.json"], capture_output=True,
                               text=True, check=True).stdout
        assert "rtt" in shown, shown

        # How long it was remembered is not for a busy machine to decide.
        silent = owner.result("probe", "lab", "--budget", "1MB,3s", "--nat", "10s")
        assert silent["nat"]["answered"] and silent["nat"]["longest_tried_s"] == 10, silent
        refused = owner.run("probe", "lab", "--nat", "1s", code=2).stderr
        assert "it may last from 10s to 10m" in refused, refused
        assert "most home routers forget a port after 30s to 5m: --nat 5m" in refused, refused

        both = owner.result("probe", "lab", "--budget", "1MB,3s", "--compare", "500kB")
        assert both["compared"]["bytes"] == 500_000, both
        refused = owner.run("probe", "lab", "--compare", "1kB", code=2).stderr
        assert "it may be from 500kB to 500MB" in refused, refused

        words = owner.run("probe", "lab", "--budget", "1MB,3s").stdout
        for word in ("path", "round trip", "capacity", "loss", "clock", "NAT timer"):
            assert word in words, words
        assert "neither" in owner.run("probe", "lab", "--budget", "much", code=2).stderr
        assert "from 500kB" in owner.run("probe", "lab", "--budget", "1kB", code=2).stderr
        owner.run("probe", "nowhere", code=3)

        observer = paired("observer", "observer")
        assert observer.result("probe", "lab", "--budget", "1MB,3s")["udp"]
        refused = observer.run("probe", "lab", "--budget", "1MB,3s", code=1)
        assert "every 30 s" in refused.stderr, refused.stderr

        off = Laptop(longhaul, folder / "owner", LONGHAUL_UDP="off")
        left = off.result("probe", "lab")
        assert not left["udp"] and left["path"] == "TLS" and left["tls_rtt_ms"] > 0, left
        print("ok")
    finally:
        for process in (relay, site):
            process.terminate()
            process.wait(60)


if __name__ == "__main__":
    in_folder(lambda folder: story(folder, *sys.argv[1:]))
