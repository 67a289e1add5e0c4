"""The dial reversed: a site that takes no connections calls the laptop, which pairs, pushes and pulls.

Usage: dial_reversed.py LONGHAUL LONGHAUL-STREAMER. Exit code 0: all held.
"""
import socket
import subprocess
import sys
import time

from reach_world import Laptop, connects, free_port, in_folder, make_tree, same, wait_for


def site(streamer, root, port):
    return subprocess.Popen([streamer, "run", "--root", root, "--dial", f"127.0.0.1:{port}"],
                            stderr=open(str(root) + ".log", "a"))


def stranger(port, stop):
    """Somebody else who connects first, with something that is no TLS, and keeps doing so."""
    while not stop:
        try:
            with socket.create_connection(("127.0.0.1", port), 1) as caller:
                caller.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
                caller.settimeout(0.5)
                caller.recv(4096)
        except OSError:
            time.sleep(0.05)


def story_of(longhaul, streamer):
    def story(folder):
        laptop, port, root = Laptop(longhaul, folder / "home"), free_port(), folder / "site"
        called = site(streamer, root, port)
        other = None
        try:
            wait_for((root / ".longhaul/running.toml").exists)
            line = subprocess.run([streamer, "invite", "--root", root], text=True, capture_output=True,
                                  check=True).stdout
            joined = laptop.run("join", "lab", "--listen", f"127.0.0.1:{port}", stdin=line)
            assert "waiting for the site's call" in joined.stderr, joined.stderr
            assert f"called on 127.0.0.1:{port}" in laptop.run("sites").stdout
            refused(laptop)
            carried = subprocess.run([streamer, "carry", "--root", root], text=True, capture_output=True,
                                     stdin=subprocess.DEVNULL)
            assert carried.returncode == 2 and "it does not listen: it dials" in carried.stderr, carried
            assert "start it with --listen as well" in carried.stderr, carried

            make_tree(laptop.home / "tree")
            laptop.run("push", laptop.home / "tree", "lab:corpus")
            same(laptop.home / "tree", root / "datasets/corpus/current")
            laptop.run("pull", "lab:corpus", laptop.home / "back")
            same(laptop.home / "tree", laptop.home / "back")

            time.sleep(3)  # nobody listens for a while, the site tries on
            assert not connects(port)
            assert "corpus" in laptop.run("ls", "lab").stdout
            called.kill()  # and a site that begins anew finds the laptop too
            called.wait()
            called = site(streamer, root, port)
            assert "corpus" in laptop.run("ls", "lab").stdout

            strangers(laptop, streamer, folder, port)
            restarted_in_push(laptop, lambda: site(streamer, root, port), called, root, port)
        finally:
            subprocess.run([streamer, "stop", "--root", root], capture_output=True)
            called.kill()
            called.wait()
    return story


def refused(laptop):
    """What goes only where the laptop dials."""
    text = laptop.run("push", laptop.home, "lab:x", "--queue", code=2).stderr
    assert "lab calls us, so that no daemon serves it" in text, text
    assert "run the command without --queue: it waits for the site's call" in text, text
    text = laptop.run("push", laptop.home, "lab:x", "--trace", laptop.home / "trace", code=2).stderr
    assert "only one that is dialled over TCP can be replayed" in text, text
    assert "leave --trace out, or reach the site directly" in text, text


def strangers(laptop, streamer, folder, port):
    """Others call too: another site's key, and something that speaks no TLS. Neither ends the session."""
    import threading
    other = site(streamer, folder / "other", port)
    stop = []
    thread = threading.Thread(target=stranger, args=(port, stop))
    thread.start()
    try:
        for _ in range(3):
            assert "corpus" in laptop.run("ls", "lab").stdout
    finally:
        stop.append(True)
        thread.join()
        other.terminate()
        other.wait(60)


def restarted_in_push(laptop, start, called, root, port):
    """The site dies in mid-push and comes back: the next push sends the rest."""
    source = laptop.home / "large"
    make_tree(source, seed=5, megabytes=24)
    push = laptop.start("push", source, "lab:large", "--limit-rate", "8MB/s")
    wait_for(lambda: any(root.glob(".longhaul/staging/*/*")) or push.poll() is not None)
    time.sleep(1)
    called.kill()
    called.wait()
    again = start()
    push.communicate(timeout=110)
    try:
        laptop.run("push", source, "lab:large")
        same(source, root / "datasets/large/current")
        make_tree(laptop.home / "other", seed=6, megabytes=24)
        second = laptop.start("push", laptop.home / "other", "lab:slow", "--limit-rate", "1MB/s")
        wait_for(lambda: connects(port))
        busy = laptop.run("ls", "lab", code=1).stderr  # one command at a time can be called
        assert "another program has that port, perhaps another longhaul" in busy, busy
        assert "wait until it has ended; one command at a time can be called" in busy, busy
        second.kill()
        second.communicate()
    finally:
        again.terminate()
        again.wait(60)


if __name__ == "__main__":
    in_folder(story_of(*sys.argv[1:3]))
