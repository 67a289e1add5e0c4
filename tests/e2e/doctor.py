"""doctor against seeded faults: each is found under its name, with what mends it, and nothing else breaks.

Usage: doctor.py LONGHAUL LONGHAUL-STREAMER. Exit code 0: all held.
"""
import json
import os
import resource
import subprocess
import sys
import time

from reach_world import Laptop, free_port, in_folder

WEEKS_AGO = 1_600_000_000


class Site:
    def __init__(self, streamer, root, port):
        self.streamer, self.root, self.port = streamer, root, port

    def run(self, *words, code=0, **options):
        done = subprocess.run([self.streamer, *words, "--root", self.root], text=True, capture_output=True,
                              timeout=60, **options)
        assert done.returncode == code, (words, done.returncode, done.stdout, done.stderr)
        return done

    def start(self):
        self.run("start", "--listen", f"127.0.0.1:{self.port}")

    def invite(self):
        return self.run("invite", "--address", f"127.0.0.1:{self.port}").stdout


def findings(done):
    return {f["check"]: f for f in map(json.loads, done.stdout.splitlines())}


def expect(done, check, level, *words):
    found = findings(done)
    assert check in found, (check, sorted(found))
    finding = found[check]
    text = finding["found"] + " / " + finding["fix"]
    assert finding["level"] == level and all(word in text for word in words), finding
    assert (finding["fix"] == "") == (level == "ok"), finding  # a fix for each fault, and for nothing else


def here(laptop):
    """Faults of the laptop's own folders."""
    def doctor(code):
        return laptop.run("doctor", "--json", code=code)
    identity, sites = laptop.home / "config/identity.pem", laptop.home / "config/sites.toml"
    expect(doctor(1), "identity", "fail", "No such file", "longhaul init")  # 1: never made
    laptop.run("init")
    expect(doctor(0), "identity", "ok")
    expect(doctor(0), "sites", "warn", "none is known", "longhaul join")
    identity.chmod(0o644)
    expect(doctor(1), "identity", "fail", "mode 644", "chmod 600")  # 2: others may read it
    identity.chmod(0o600)
    good = identity.read_bytes()
    identity.write_bytes(good[:40])
    expect(doctor(1), "identity", "fail", "longhaul init")  # 3: damaged
    identity.write_bytes(good)
    sites.write_text("[lab\n")
    expect(doctor(1), "sites", "fail", "sites.toml:1", "mend")  # 4: damaged
    sites.unlink()
    few = subprocess.run([laptop.longhaul, "doctor", "--json"], env=laptop.environment, text=True,
                         capture_output=True, preexec_fn=lambda: resource.setrlimit(
                             resource.RLIMIT_NOFILE, (128, 128)))
    expect(few, "file descriptors", "fail", "at most 128", "nofile")  # 5: too few descriptors
    assert few.returncode == 1
    plain = laptop.run("doctor").stdout  # for people: one line each, the fix below
    assert any(line.startswith("ok    clock") for line in plain.splitlines()), plain


def way(laptop, site, other):
    """Faults of the way to a site."""
    def doctor(code, name="lab"):
        return laptop.run("doctor", name, "--json", code=code)
    sites = laptop.home / "config/sites.toml"
    expect(doctor(1, "nowhere"), "site", "fail", "nowhere", "longhaul join")  # 6: never paired
    site.start()
    laptop.run("join", "lab", stdin=site.invite())
    whole = doctor(0)
    for check in ("site", "connection", "key and role", "UDP"):
        expect(whole, check, "ok")
    good = sites.read_text()
    sites.write_text(good.replace(f"127.0.0.1:{site.port}", f"gpu.invalid:{site.port}"))
    expect(doctor(1), "connection", "fail", "gpu.invalid", "DNS")  # 7: no such name
    sites.write_text(good.replace(f":{site.port}", f":{free_port()}"))
    expect(doctor(1), "connection", "fail", "refused", "longhaul-streamer start")  # 8: nobody there
    other.start()
    sites.write_text(good.replace(f":{site.port}", f":{other.port}"))
    expect(doctor(1), "key and role", "fail", "expected", "it showed")  # 9: another key; both are shown
    sites.write_text(good)
    other.run("stop")
    peer = findings_of_peers(site)
    site.run("peers", "revoke", peer)
    expect(doctor(1), "key and role", "fail", "does not know this node", "join")  # 10: revoked


def findings_of_peers(site):
    return json.loads(site.run("peers", "ls", "--json").stdout.splitlines()[0])["name"]


def store(site):
    """Faults of a site's own root."""
    def doctor(code):
        return site.run("doctor", "--json", code=code)
    expect(doctor(0), "peers", "warn", "1 revoked", "invite")
    expect(doctor(0), "store: locks", "ok")
    expect(doctor(0), "streamer", "ok", str(site.port))
    site.run("stop")
    expect(doctor(0), "streamer", "warn", "none runs", "start")  # 11: it is not running
    stale = site.root / ".longhaul/staging/0123/tree"
    stale.mkdir(parents=True)
    for path in (stale, stale.parent):
        os.utime(path, (WEEKS_AGO, WEEKS_AGO))
    expect(doctor(0), "unfinished pushes", "warn", "1 untouched", "staging")  # 12: left behind
    site.start()  # it collects at its start
    deadline = time.monotonic() + 30
    while stale.parent.exists():
        assert time.monotonic() < deadline, "a push that nobody went on with was kept"
        time.sleep(0.05)
    site.run("stop")
    expect(doctor(0), "unfinished pushes", "ok", "0, none older")
    ledger = site.root / ".longhaul/ledger"
    good = ledger.read_text()
    ledger.write_text("nonsense")
    expect(doctor(1), "peers", "fail", "ledger", "backup")  # 13: nobody gets in any more
    ledger.write_text(good)
    (site.root / ".longhaul").chmod(0o755)
    expect(doctor(0), "private part", "warn", "mode 755", "chmod 700")  # 14: others may look inside
    missing = Site(site.streamer, site.root / "nothing", 0)
    expect(missing.run("doctor", "--json", code=1), "store: folder", "fail", "No such file")  # 15
    assert not missing.root.exists(), "doctor made what it should only look at"


def main(longhaul, streamer):
    def story(folder):
        laptop = Laptop(longhaul, folder / "home")
        site = Site(streamer, folder / "site", free_port())
        other = Site(streamer, folder / "other", free_port())
        try:
            here(laptop)
            way(laptop, site, other)
            store(site)
        finally:
            for each in (site, other):
                if each.root.exists():
                    each.run("stop")
    in_folder(story)


if __name__ == "__main__":
    main(*sys.argv[1:3])
