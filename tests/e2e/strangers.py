"""What strangers and hostile peers may cost a site: rows U1 to U3, U5 and U6 of docs/faults.md.

Connections come from addresses of 127.0.0.0/8, so that each may be a source of its own. Times are printed and
decide nothing. Usage: strangers.py LONGHAUL LONGHAUL-STREAMER. Exit code 0: all held.
"""
import contextlib
import os
import pathlib
import resource
import select
import socket
import ssl
import sys
import threading
import time

from auth import pair_by_hand
from push_pull import World
from raw_peer import ACCEPT, PING, REFUSE, RawPeer, frame, hello, make_key, varint
from reach_world import in_folder, wait_for

CONNECTIONS = 10_000  # or what the descriptors allow
TABLE = 1024          # strangers a streamer keeps
PER_SOURCE = 16
BUSY = 4
LOGGED = 101          # lines of refusals a minute
MIB = 1 << 20


def client_hello():
    """The first flight of a handshake, as bytes."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    there, back = ssl.MemoryBIO(), ssl.MemoryBIO()
    try:
        context.wrap_bio(back, there).do_handshake()
    except ssl.SSLWantReadError:
        pass
    return there.read()


def connect(world, source):
    host, port = world.address.rsplit(":", 1)
    return socket.create_connection((host, int(port)), 20, source_address=(source, 0))


def memory_of(process):
    """Bytes resident, without the pages of files."""
    for line in pathlib.Path(f"/proc/{process.pid}/status").read_text().splitlines():
        if line.startswith("RssAnon"):
            return int(line.split()[1]) << 10


def cpu_of(process):
    fields = pathlib.Path(f"/proc/{process.pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def is_closed(sock):
    readable = select.poll()
    readable.register(sock, select.POLLIN | select.POLLHUP | select.POLLERR)
    while readable.poll(0):
        try:
            if not sock.recv(1 << 16, socket.MSG_DONTWAIT):
                return True
        except BlockingIOError:
            return False
        except OSError:
            return True
    return False


def timed(what, call):
    began = time.monotonic()
    result = call()
    print(f"{what}: {time.monotonic() - began:.2f} s")
    return result


def u1_half_open(world, count):
    """Silent, dripping and half-way ones, from 1,000 sources: a join passes them all."""
    flight = client_hello()
    before = memory_of(world.process)
    held, most = [], 0
    home = world.folder / "honest"
    world.run("init", home=home)
    for i in range(count):
        sock = connect(world, f"127.1.{i // 4 % 250}.{i % 4 + 1}")
        sock.sendall((b"", b"\x16", flight[:100], flight)[i // 4 % 4])
        held.append(sock)
        if i % 500 == 499:
            most = max(most, memory_of(world.process))
    stop = threading.Event()

    def go_on():  # those that went are replaced, those that drip drip on
        turn = 0
        while not stop.is_set():
            for i in range(turn % 97, len(held), 97):
                try:
                    held[i].send(b"\x01", socket.MSG_DONTWAIT)
                except OSError:
                    held[i].close()
                    held[i] = connect(world, f"127.1.{i // 4 % 250}.{i % 4 + 1}")
            turn += 1
    attack = threading.Thread(target=go_on)
    attack.start()
    try:
        line = world.invite()
        timed(f"a join beside {count} strangers", lambda: world.run("join", "here", stdin=line, home=home))
        timed("then ls", lambda: world.run("ls", "here", home=home))
        most = max(most, memory_of(world.process))
    finally:
        stop.set()
        attack.join()
    grown = most - before
    print(f"memory for {TABLE} strangers: {grown / MIB:.1f} MiB, {grown / TABLE / 1024:.1f} KiB each")
    assert grown <= 64 * MIB, grown
    for sock in held:
        sock.close()


def u1_deadline(world):
    """A byte at a time, always something new: closed all the same, at the deadline that began with accept."""
    flight = client_hello()
    sock = connect(world, "127.2.0.1")
    began = time.monotonic()
    for byte in flight * 10:
        if is_closed(sock) or time.monotonic() - began > 60:
            break
        try:
            sock.send(bytes([byte]))
        except OSError:
            break
        time.sleep(0.05)
    assert is_closed(sock)
    print(f"a slow drip was closed after {time.monotonic() - began:.1f} s")


def u2_one_source(world, keys):
    """Sixteen at a time of one source; a flood of whole handshakes leaves others served."""
    held = [connect(world, "127.3.0.1") for _ in range(60)]
    wait_for(lambda: sum(not is_closed(sock) for sock in held) <= PER_SOURCE)
    assert sum(not is_closed(sock) for sock in held) == PER_SOURCE
    for sock in held:
        sock.close()
    stop, done = threading.Event(), []

    def flood(source):
        while not stop.is_set():
            try:
                peer = RawPeer(world.address, keys, source=source)
                peer.say(hello())
                assert peer.hear_all() == [(REFUSE, b"\x02")]
                done.append(1)
            except (OSError, ssl.SSLError):
                pass
    threads = [threading.Thread(target=flood, args=(f"127.4.0.{i}",)) for i in range(1, 9)]
    [thread.start() for thread in threads]
    try:
        wait_for(lambda: len(done) > 250)
        timed("ls beside a flood of handshakes", lambda: world.run("ls", "here"))
    finally:
        stop.set()
        [thread.join() for thread in threads]
    print(f"handshakes of the flood: {len(done)}")
    lines = (world.folder / "streamer.log").read_text().count("refused ")
    assert lines <= 2 * LOGGED, lines  # a minute, and this took less than two


@contextlib.contextmanager
def first_flights(world):
    """A flood of them from four sources, as fast as they are answered; given is the list of answers."""
    flight = client_hello()
    stop, answered = threading.Event(), []

    def flood(source):
        while not stop.is_set():
            try:
                with connect(world, source) as sock:
                    sock.sendall(flight)
                    if sock.recv(1 << 14):
                        answered.append(1)
            except OSError:
                pass
    threads = [threading.Thread(target=flood, args=(f"127.4.1.{i % 4 + 1}",)) for i in range(32)]
    [thread.start() for thread in threads]
    try:
        wait_for(lambda: len(answered) > 1000)  # a second's worth was left over, and is gone
        yield answered
    finally:
        stop.set()
        [thread.join() for thread in threads]


def u2_share_of_a_core(world, keys):
    """All strangers together get a quarter of a core, and newcomers their turn among them."""
    with first_flights(world) as answered:
        before, began = cpu_of(world.process), time.monotonic()
        for i in range(3):  # of whom each has a handshake and a verdict before its deadline
            peer = RawPeer(world.address, keys, source=f"127.4.2.{i + 1}")
            peer.say(hello())
            assert peer.hear_all() == [(REFUSE, b"\x02")]
        timed("ls beside a flood of first flights", lambda: world.run("ls", "here"))
        time.sleep(max(0, began + 4 - time.monotonic()))
        share = (cpu_of(world.process) - before) / (time.monotonic() - began)
    print(f"CPU beside {len(answered)} first flights: {100 * share:.0f} %")
    assert share < 0.75, share  # a quarter, and as much again for sockets; without a bound it is a whole core


def u3_descriptors(world):
    """No descriptor left: accepting rests, the slowest stranger makes room, a paired peer comes in."""
    pid = world.process.pid
    used = len(os.listdir(f"/proc/{pid}/fd"))
    usual = resource.prlimit(pid, resource.RLIMIT_NOFILE)
    held = []
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (used + 30, usual[1]))
    try:
        for i in range(200):
            held.append(connect(world, f"127.5.0.{i % 250 + 1}"))
        wait_for(lambda: "Too many open files" in (world.folder / "streamer.log").read_text())
        before, began = cpu_of(world.process), time.monotonic()
        time.sleep(2)
        share = (cpu_of(world.process) - before) / (time.monotonic() - began)
        print(f"CPU while no descriptor is left: {100 * share:.0f} %")
        assert share < 0.5, share  # it rests; a spin takes all of a core
        for _ in range(8):  # the ledger takes a descriptor, too: without one nobody was known
            timed("ls without a free descriptor", lambda: world.run("ls", "here"))
    finally:
        resource.prlimit(pid, resource.RLIMIT_NOFILE, usual)
        for sock in held:
            sock.close()
    world.run("ls", "here")


def u5_noise(world):
    """Whatever is no TLS hears a TLS alert or nothing."""
    for words in (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", b"SSH-2.0-x\r\n", b"\n" * 100, os.urandom(3000),
                  b"\x16\x03\x01\xff\xff" + bytes(2000), bytes(5000)):
        sock = connect(world, "127.6.0.1")
        heard = b""
        try:
            sock.sendall(words)
            sock.shutdown(socket.SHUT_WR)
            while more := sock.recv(1 << 16):
                heard += more
        except OSError:
            pass
        assert heard == b"" or (heard[:2] == b"\x15\x03" and len(heard) == 7), heard


def u6_hostile_peers(world, keys):
    """Paired, and hostile: it takes no more than its share, and others go on."""
    pair_by_hand(world, keys[0], "observer", "hostile")
    sessions, refused = [], []
    for _ in range(60):  # sessions without end
        peer = RawPeer(world.address, keys)
        peer.say(hello())
        kind, body = peer.hear()
        sessions.append(peer)
        if kind == REFUSE:
            refused.append(body)
        else:
            assert kind == ACCEPT
    assert refused and set(refused) == {bytes([BUSY])}, refused
    timed("ls beside a peer with all the sessions it may have", lambda: world.run("ls", "here"))
    before = memory_of(world.process)
    deaf = sessions[0]  # asks without end and never reads an answer
    deaf.tls.settimeout(3)
    asked = 0
    try:
        for _ in range(400):
            deaf.say(*(frame(PING, varint(n)) for n in range(2500)))
            asked += 2500
    except (OSError, ssl.SSLError):
        pass  # it is no longer read from, or was put out
    grown = memory_of(world.process) - before
    print(f"{asked} pings whose answers are not read: {grown / MIB:.1f} MiB")
    assert grown < 16 * MIB, grown
    timed("ls beside it", lambda: world.run("ls", "here"))
    for peer in sessions:
        peer.tls.close()


def story(folder):
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 20_000), hard))
    count = min(CONNECTIONS, min(hard, 20_000) - 200)
    world = World(sys.argv[1], sys.argv[2], folder)
    stranger, hostile = make_key(folder, "stranger"), make_key(folder, "hostile")
    world.start()
    try:
        world.run("init")
        world.run("join", "here", stdin=world.invite())
        u1_half_open(world, count)
        u1_deadline(world)
        u2_one_source(world, stranger)
        u2_share_of_a_core(world, stranger)
        u3_descriptors(world)
        u5_noise(world)
        u6_hostile_peers(world, hostile)
        with first_flights(world):  # those that wait for their turn do not keep it
            assert world.stop() == 0
    finally:
        if world.process.poll() is None:
            world.process.kill()


if __name__ == "__main__":
    in_folder(story)
