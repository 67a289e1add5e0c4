"""Peers of before runs and checkpoints had capability bits: each side is told, and the rest goes on working.

Usage: older_peers.py LONGHAUL LONGHAUL-STREAMER. Exit code 0: all held.
"""
import socket
import ssl
import subprocess
import sys
import threading

from auth import pair_by_hand
from push_pull import World
from raw_peer import ACCEPT, CONTROL, GOODBYE, HELLO, REFUSE, RawPeer, frame, hello, make_key, varint
from reach_world import in_folder

CAPABILITY = 6        # a Refuse
UNSUPPORTED = 14      # an error's kind
KNOWN = 7             # bits of the build before: datagrams, ChaCha, probes
RUNS, CHECKPOINTS, PACE = 8, 16, 32


def read_varint(body, at):
    number, shift = 0, 0
    while True:
        byte = body[at]
        number |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            return number, at


class OlderStreamer:
    """Answers each Hello as the build before did, with the site's own key; keeps what was required."""

    def __init__(self, world):
        folder = world.folder / "older"
        folder.mkdir()
        key, certificate = world.root / ".longhaul/identity.pem", folder / "certificate.pem"
        subprocess.run(["openssl", "req", "-x509", "-new", "-key", key, "-subj", "/CN=x", "-days", "30",
                        "-out", certificate], check=True, capture_output=True)
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.minimum_version = ssl.TLSVersion.TLSv1_3
        self.context.load_cert_chain(certificate, key)
        host, port = world.address.rsplit(":", 1)
        self.socket = socket.create_server((host, int(port)))
        self.required = []
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        while True:
            try:
                plain, _ = self.socket.accept()
            except OSError:
                return
            threading.Thread(target=self.serve_one, args=(plain,), daemon=True).start()

    def serve_one(self, plain):
        try:
            tls = self.context.wrap_socket(plain, server_side=True)
            self.answer(tls)
            while tls.recv(1 << 16):  # what is left unread would reset the connection
                pass
            tls.close()
        except OSError:
            pass

    def answer(self, tls):
        data = b""
        while len(data) < 3 or len(data) < 3 + int.from_bytes(data[1:3], "little"):
            more = tls.recv(1 << 16)
            if not more:
                return
            data += more
        assert data[0] == HELLO
        at = 3
        for _ in range(2):  # version_least, version_most
            _, at = read_varint(data, at)
        offered, at = read_varint(data, at)
        required, at = read_varint(data, at)
        self.required.append(required)
        if required & ~KNOWN:
            tls.sendall(frame(REFUSE, bytes([CAPABILITY])))
        else:
            both = offered & KNOWN & ~1  # it has no UDP
            tls.sendall(frame(ACCEPT, varint(1) + varint(both) + varint(0) + varint(1 << 26)))
            tls.sendall(frame(GOODBYE, bytes([UNSUPPORTED]) + varint(9) + b"stands in"))

    def close(self):
        self.socket.close()


def a_newer_laptop(world):
    """Says that the streamer is older, for what that one cannot do; what it can is asked as before."""
    older = OlderStreamer(world)
    run = "here/first"
    for words, bits in ((("runs", "here"), RUNS), (("metrics", run), RUNS), (("logs", run), RUNS),
                        (("top", run, "--once"), RUNS), (("ctl", run, "pause"), RUNS),
                        (("ckpt", "ls", run), CHECKPOINTS), (("ckpt", "pull", run), CHECKPOINTS),
                        (("ckpt", "pull", run, "--limit-rate", "1MB/s"), CHECKPOINTS | PACE),
                        (("pull", "here:some", "got", "--limit-rate", "1MB/s"), PACE),
                        (("ckpt", "follow", run), RUNS | CHECKPOINTS)):
        older.required.clear()
        command, environment = world.command(*words)
        done = subprocess.run(command, env=environment, text=True, capture_output=True, timeout=60,
                              cwd=world.folder)
        assert done.returncode == 1, (words, done)
        for part in ("its program is too old", "longhaul-streamer version"):
            assert part in done.stderr, (words, done)
        assert set(older.required) == {bits}, (words, older.required)
    older.required.clear()
    command, environment = world.command("ls", "here")
    done = subprocess.run(command, env=environment, text=True, capture_output=True, timeout=60)
    assert "stands in" in done.stderr, done  # it was let in
    assert older.required[0] == 0, older.required
    older.close()


def an_older_laptop(world, keys):
    """Is told so by a Goodbye when it asks for runs, and not before."""
    pair_by_hand(world, keys[0], "owner", "older")
    peer = RawPeer(world.address, keys)
    peer.say(hello(capabilities=KNOWN))
    assert peer.hear()[0] == ACCEPT
    list_runs = b"\x00" + varint(1)
    peer.say(frame(CONTROL, varint(0) + b"\x01" + varint(len(list_runs)) + list_runs))
    goodbye = next(body for kind, body in peer.hear_all() if kind == GOODBYE)
    assert goodbye[0] == UNSUPPORTED and b"older than the site's" in goodbye, goodbye
    newer = RawPeer(world.address, keys)
    newer.say(hello(capabilities=KNOWN | RUNS))
    assert newer.hear()[0] == ACCEPT
    newer.say(frame(CONTROL, varint(0) + b"\x01" + varint(len(list_runs)) + list_runs))
    while (heard := newer.hear()) is not None and heard[0] == ACCEPT:
        pass
    assert heard is not None and heard[0] != GOODBYE, heard
    newer.close()


def story(folder):
    world = World(sys.argv[1], sys.argv[2], folder)
    world.start()
    world.run("init")
    world.run("join", "here", stdin=world.invite())
    keys = make_key(folder, "older")
    an_older_laptop(world, keys)
    world.stop()
    a_newer_laptop(world)


if __name__ == "__main__":
    in_folder(story)
