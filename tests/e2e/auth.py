"""Who may come in: rows A1 to A8 of docs/faults.md, with real programs and a peer that says what ours would not.

Usage: auth.py LONGHAUL LONGHAUL-STREAMER. Exit code 0: all held.
"""
import base64
import json
import os
import pathlib
import re
import shutil
import ssl
import subprocess
import sys
import threading
import time

from push_pull import World, make_tree
from raw_peer import FORBIDDEN, JOIN, PING, REFUSE, RawPeer, frame, hello, join, make_key
from reach_world import in_folder, wait_for

REFUSED = [(REFUSE, bytes([FORBIDDEN]))]
REVOKED_WITHIN = 60  # the promise, in seconds


def log_of(world):
    return (world.folder / "streamer.log").read_text()


def operator(world, *words, code=0):
    done = subprocess.run([world.streamer, *map(str, words), "--root", world.root], text=True, capture_output=True,
                          timeout=60)
    assert done.returncode == code, (words, done.returncode, done.stdout, done.stderr)
    return done


def pin_of(certificate):
    der = subprocess.run(["openssl", "x509", "-in", certificate, "-noout", "-pubkey"], check=True,
                         capture_output=True).stdout
    der = subprocess.run(["openssl", "pkey", "-pubin", "-outform", "DER"], input=der, check=True,
                         capture_output=True).stdout
    return subprocess.run(["openssl", "dgst", "-sha256", "-hex"], input=der, check=True,
                          capture_output=True).stdout.decode().split()[-1]


def pair_by_hand(world, certificate, role, name, revoked="-"):
    """Writes a key into the site's ledger, as a join would have."""
    ledger = world.root / ".longhaul/ledger"
    text = ledger.read_text() if ledger.exists() else "peers\ninvites\n"
    line = f"{pin_of(certificate)} {role} {name} 1700000000000000000 {revoked}\n"
    ledger.write_text(text.replace("invites\n", line + "invites\n", 1))


def a1_who_is_not_paired(world, keys):
    """Refused with one and the same answer, before any byte of the application's, and with a line in the log."""
    stranger, revoked, expired, wrong = (keys[n] for n in ("stranger", "revoked", "expired", "wrong-kind"))
    pair_by_hand(world, revoked[0], "owner", "gone", revoked="1700000000000000001")
    pair_by_hand(world, expired[0], "owner", "old-dates")
    answers = []
    for name in ("stranger", "revoked"):
        for words in ([hello()], [hello(), frame(PING, b"\0")], [hello(least=99, most=99)],
                      [hello(required=1 << 40)], [hello(intent=1, session=os.urandom(16))]):
            peer = RawPeer(world.address, keys[name])
            peer.say(*words)
            answers.append(peer.hear_all())
    assert all(answer == REFUSED for answer in answers), answers
    for pin in (pin_of(stranger[0]), pin_of(revoked[0])):
        assert f"refused {pin[:16]} from 127.0.0.1: it is not paired" in log_of(world), pin
    # Dates in a certificate are ignored: the key is the name.
    peer = RawPeer(world.address, expired)
    peer.say(hello())
    assert peer.hear()[0] == 2  # Accept
    peer.close()
    for keys_shown in (None, wrong):  # TLS itself refuses; not a byte comes
        try:
            peer = RawPeer(world.address, keys_shown)
            peer.say(hello())
            assert peer.hear_all() == []
        except (ssl.SSLError, ConnectionError):
            pass
    for first in (frame(PING, b"\0"), frame(4, bytes(40)), b"GET / HTTP/1.1\r\n\r\n", frame(JOIN, b"")):
        peer = RawPeer(world.address, stranger)  # no greeting: closed without a word
        peer.say(first)
        assert peer.hear_all() == [], first


def a1_roles(world):
    """An observer lists and reads nothing else; a site not even that."""
    observer, site = world.folder / "observer", world.folder / "site-peer"
    world.run("join", "here", stdin=world.invite("observer"), home=observer)
    world.run("join", "here", stdin=world.invite("site"), home=site)
    place = "here:data"
    for home, words, code in (
            (observer, ("ls", "here"), 0), (observer, ("ls", place), 0), (observer, ("verify", place), 4),
            (observer, ("push", world.folder / "tree", place), 4), (observer, ("rm", "here:data@v000001"), 4),
            (observer, ("pull", place, world.folder / "stolen"), 4), (site, ("ls", "here"), 4),
            (site, ("pull", place, world.folder / "stolen"), 4), (site, ("verify", place), 4)):
        world.run(*words, code=code, home=home)
    assert not any((world.folder / "stolen").rglob("*.bin"))
    assert [v.name for v in (world.root / "datasets/data").glob("v*")] == ["v000001"]


def a2_old_protocols(world, keys):
    for version in (ssl.TLSVersion.TLSv1_2,):
        try:
            RawPeer(world.address, keys["stranger"], version=version)
            raise AssertionError(f"{version} was let in")
        except (ssl.SSLError, ConnectionError):
            pass
    peer = RawPeer(world.address, keys["expired"])  # a paired one
    peer.say(hello())
    assert peer.hear()[0] == 2
    # No ticket came with what the site said: there is nothing to resume with, nor to send early data under.
    assert peer.tls.session is None or not peer.tls.session.has_ticket
    peer.close()


def a3_revoked(world):
    """An open session ends within a minute, and the key comes in no more: not to resume either."""
    home = world.folder / "leaver"
    world.run("join", "here", stdin=world.invite(), home=home)
    name = log_of(world).rsplit("paired with '", 1)[1].split("'")[0]
    big = world.folder / "big"
    big.mkdir()
    (big / "blob").write_bytes(os.urandom(48 << 20))
    command, environment = world.command("push", big, "here:leaver", "--limit-rate", "400kB/s", home=home)
    push = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    staging = world.root / ".longhaul/staging"
    wait_for(lambda: any(p.stat().st_size for p in staging.rglob("*") if p.is_file()))
    told = json.loads(operator(world, "peers", "revoke", name, "--json").stdout)
    assert told["name"] == name and told["revoked"] is True and len(told["pin"]) == 64, told
    began = time.monotonic()
    said = push.communicate(timeout=REVOKED_WITHIN)[1]
    assert push.returncode == 4, (push.returncode, said)
    assert time.monotonic() - began < REVOKED_WITHIN
    for words in (("push", big, "here:leaver"), ("ls", "here")):
        world.run(*words, code=4, home=home)
    assert not (world.root / "datasets/leaver").exists()


def a4_in_between(world):
    """Somebody else's streamer at the invited address: the join says so, sends nothing, keeps nothing."""
    other = World(world.longhaul, world.streamer, world.folder / "other")
    other.folder.mkdir()
    other.start()
    try:
        line = world.invite().strip()
        moved = other.address + line[line.index("#"):]
        home = world.folder / "careful"
        said = world.run("join", "here", stdin=moved, home=home, code=4).stderr
        pins = re.findall(r"\b[0-9a-f]{64}\b", said)
        assert line.split("#")[1] in pins and len(set(pins)) == 2, said  # the expected and the shown
        assert not (home / "config/sites.toml").exists()
        assert not (other.root / ".longhaul/ledger").exists()
        world.run("join", "here", stdin=line, home=home)  # the invite was not harmed
    finally:
        other.stop()


def a5_invites(world, keys):
    """Wrong guesses cost only their connection; of many that join at once with one invite, one comes in."""
    line = world.invite()
    for _ in range(1000):
        peer = RawPeer(world.address, keys["stranger"])
        peer.say(join())
        assert peer.hear_all() == REFUSED
    homes = [world.folder / f"racer-{i}" for i in range(6)]
    for home in homes:
        world.run("init", home=home)
    codes = []

    def race(home):
        command, environment = world.command("join", "here", home=home)
        done = subprocess.run(command, env=environment, input=line, text=True, capture_output=True)
        codes.append(done.returncode)
    threads = [threading.Thread(target=race, args=(home,)) for home in homes]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
    assert sorted(codes) == [0, 4, 4, 4, 4, 4], codes
    peers = operator(world, "peers", "ls", "--json").stdout
    before = peers.count("\n")
    world.run("join", "again", stdin=line, home=homes[0], code=4)
    assert operator(world, "peers", "ls", "--json").stdout.count("\n") == before
    late = world.invite()  # expired, as its server sees it
    ledger = world.root / ".longhaul/ledger"
    secret = late.strip().split("#")[2]
    ledger.write_text(re.sub(rf"({secret} owner )\d+", r"\g<1>1700000000000000000", ledger.read_text()))
    world.run("join", "late", stdin=late, home=homes[0], code=4)


def processes_of(world):
    """Of our programs that run now: what anybody on the machine may read of them."""
    for folder in pathlib.Path("/proc").glob("[0-9]*"):
        try:
            program = os.readlink(folder / "exe")
            if program in (os.path.realpath(world.longhaul), os.path.realpath(world.streamer)):
                yield (folder / "cmdline").read_bytes() + (folder / "environ").read_bytes()
        except OSError:
            continue


def secret_forms(world, home, lines):
    """Every secret of this world, raw and as text."""
    forms = []
    for line in lines:
        secret = line.strip().split("#")[2]
        forms += [secret.encode(), bytes.fromhex(secret), base64.b64encode(bytes.fromhex(secret))]
    for pem in (world.root / ".longhaul/identity.pem", home / "config/identity.pem"):
        text = "".join(pem.read_text().split("\n")[1:-2])
        raw = base64.b64decode(text)[-32:]
        forms += [text.encode()[-40:], raw, raw.hex().encode(), base64.b64encode(raw)]
    return forms


def a7_secrets(world):
    """No secret in a command line, an environment, a log, an output or a file that others may read."""
    home = world.folder / "discreet"
    world.run("init", home=home)
    seen, ended = [], threading.Event()

    def watch():
        while not ended.is_set():
            seen.extend(processes_of(world))
            time.sleep(0.002)
    watcher = threading.Thread(target=watch)
    watcher.start()
    line, spoiled = world.invite(), world.invite()
    wrong = spoiled.strip()[:-1] + ("0" if spoiled.strip()[-1] != "0" else "1")
    outputs = [world.run("join", "here", stdin=wrong, home=home, code=4),
               world.run("join", "here", stdin=line, home=home),
               world.run("join", "x", stdin=line, home=home, code=4),
               world.run("join", "x", stdin=line.strip() + "!", home=home, code=2),
               world.run("push", world.folder / "tree", "here:data", home=home),
               world.run("doctor", "here", home=home), operator(world, "peers", "ls"), operator(world, "doctor")]
    ended.set()
    watcher.join()
    assert seen, "no process of ours was seen"
    forms = secret_forms(world, home, [line, spoiled])
    private = {world.root / ".longhaul/identity.pem", world.root / ".longhaul/ledger",
               home / "config/identity.pem"}
    texts = seen + [(done.stdout + done.stderr).encode() for done in outputs]
    files = [p for folder in (world.folder / "streamer.log", *world.root.joinpath(".longhaul").rglob("*"),
                              *home.rglob("*")) for p in [folder] if p.is_file() and p not in private]
    texts += [path.read_bytes() for path in files]
    leaked = [(form, text[:200]) for form in forms for text in texts if form in text]
    assert not leaked, leaked[:3]
    for path in private:
        assert path.stat().st_mode & 0o077 == 0, path
    limits = pathlib.Path(f"/proc/{world.process.pid}/limits").read_text()
    assert re.search(r"Max core file size +0 ", limits), "a core file would hold keys"


def a8_fails_closed(world):
    """What cannot be read lets nobody in, and what is empty is no permission."""
    ledger = world.root / ".longhaul/ledger"
    good = ledger.read_bytes()
    world.run("ls", "here")

    def break_it(how):
        ledger.unlink() if ledger.is_file() else ledger.rmdir()
        how()
        world.run("ls", "here", code=4)
        world.run("join", "x", stdin=world_invite, home=world.folder / "late", code=4)
    world_invite = world.invite()
    world.run("init", home=world.folder / "late")
    good = ledger.read_bytes()
    text = good.decode()
    ours = text.split("\n")[1]
    break_it(lambda: ledger.write_bytes(good[:len(good) // 2]))
    break_it(lambda: ledger.write_text(text.replace(ours, "")))
    break_it(lambda: ledger.write_text(text.replace(" owner ", "  ")))
    break_it(lambda: ledger.write_text(text + "a line too many\n"))
    break_it(lambda: ledger.write_text(text.replace("peers\n", "", 1)))
    break_it(lambda: ledger.mkdir())
    break_it(lambda: ledger.write_bytes(b""))
    ledger.write_bytes(good)
    world.run("ls", "here")
    for words in (("invite", "--role", ""), ("invite", "--role", "Owner"), ("invite", "--address", ""),
                  ("peers", "revoke", ""), ("run", "--listen", ""), ("start", "--listen", ""),
                  ("run", "--dial", "")):
        operator(world, *words, code=2)
    assert ledger.read_bytes() == good


def story(folder):
    world = World(sys.argv[1], sys.argv[2], folder)
    keys = {"stranger": make_key(folder, "stranger"), "revoked": make_key(folder, "revoked"),
            "expired": make_key(folder, "expired", expired=True),
            "wrong-kind": make_key(folder, "wrong-kind", algorithm="EC")}
    make_tree(folder / "tree", 1)
    world.start()
    try:
        world.run("init")
        world.run("join", "here", stdin=world.invite())
        world.run("push", folder / "tree", "here:data")
        a1_who_is_not_paired(world, keys)
        a1_roles(world)
        a2_old_protocols(world, keys)
        a3_revoked(world)
        a4_in_between(world)
        a5_invites(world, keys)
        a7_secrets(world)
        a8_fails_closed(world)
        assert world.stop() == 0
    finally:
        if world.process.poll() is None:
            world.process.kill()


if __name__ == "__main__":
    in_folder(story)
