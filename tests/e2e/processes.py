"""Real programs that are stopped, ended, doubled, set back or older than their peer: rows R2, R3, R6, S6 and S7 of
docs/faults.md. LONGHAUL_LONG=1 stops them for a minute. Usage: processes.py LONGHAUL LONGHAUL-STREAMER.
"""
import os
import shutil
import signal
import subprocess
import sys
import time

from auth import pair_by_hand
from push_pull import World, make_tree, same
from raw_peer import ACCEPT, FORBIDDEN, PING, PONG, REFUSE, RawPeer, frame, hello, make_key
from reach_world import in_folder, wait_for

STOPPED = 60 if os.environ.get("LONGHAUL_LONG") else 12  # seconds: longer than any heartbeat
VERSION, CAPABILITY, MALFORMED = 1, 6, 5


def staged_bytes(world):
    total = 0
    for path in (world.root / ".longhaul/staging").rglob("*"):
        try:
            total += path.stat().st_size if path.is_file() else 0
        except FileNotFoundError:
            pass
    return total


def begin_push(world, source, place):
    """A push that is under way, at 2 MB/s."""
    before = staged_bytes(world)
    command, environment = world.command("push", source, place, "--limit-rate", "2MB/s")
    push = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    wait_for(lambda: staged_bytes(world) > before + 2_000_000)
    return push


def came_whole(world, source, place):
    back = world.folder / place.replace(":", "-")
    world.run("pull", place, back)
    same(source, back)


def r2_stopped(world, source):
    """SIGSTOP: like a dead link; the same push goes on."""
    for side in ("push", "streamer"):
        place = f"here:stopped-{side}"
        push = begin_push(world, source, place)
        stopped = push if side == "push" else world.process
        stopped.send_signal(signal.SIGSTOP)
        time.sleep(STOPPED)
        stopped.send_signal(signal.SIGCONT)
        said = push.communicate(timeout=120)[1]
        assert push.returncode == 0, (side, push.returncode, said)
        came_whole(world, source, place)


def r3_terminated(world, source):
    """SIGTERM: either side ends by itself and says so, and the next push sends less than all."""
    for side in ("push", "streamer"):
        place = f"here:ended-{side}"
        push = begin_push(world, source, place)
        began = time.monotonic()
        if side == "push":
            push.terminate()
            said = push.communicate(timeout=60)[1]
            assert push.returncode == 130 and "again" in said, (push.returncode, said)
        else:
            assert world.stop() == 0
            print(f"the streamer ended within {time.monotonic() - began:.2f} s")
            world.start()
            push.wait(120)
        done = world.result("push", source, place)
        assert push.returncode == 0 or done["bytes_wire"] < 24_000_000, done
        came_whole(world, source, place)


def r6_other_versions(world, keys):
    """Older, newer and stranger peers are understood or told why not."""
    pair_by_hand(world, keys[0], "owner", "another")

    def answer(*words):
        peer = RawPeer(world.address, keys)
        peer.say(*words)
        heard = peer.hear()
        return peer, heard
    for good in (hello(least=1, most=1), hello(least=1, most=99), hello(capabilities=1 << 62)):
        peer, heard = answer(good)
        assert heard[0] == ACCEPT and heard[1][0] == 1, heard  # version 1
        peer.close()
    for bad, why in ((hello(least=2, most=99), VERSION), (hello(least=0, most=0), VERSION),
                     (hello(least=2, most=1), MALFORMED), (hello(required=1 << 62), CAPABILITY)):
        _, heard = answer(bad)
        assert heard == (REFUSE, bytes([why])), (heard, why)
        assert why != FORBIDDEN
    peer, heard = answer(hello())
    assert heard[0] == ACCEPT
    peer.say(frame(200, b"from the future"), frame(PING, b"\x07"))  # optional: skipped
    while (heard := peer.hear())[0] != PONG:
        pass
    assert heard[1] == b"\x07"
    peer.say(frame(100, b"from the future"))  # required: the path ends
    while peer.hear() is not None:
        pass
    world.run("ls", "here")


def s6_second_on_a_root(world):
    """A second streamer on one root refuses, and the first does not notice."""
    done = subprocess.run([world.streamer, "run", "--root", world.root, "--listen", "127.0.0.1:0"], text=True,
                          capture_output=True, timeout=60)
    assert done.returncode != 0 and "root" in done.stderr, (done.returncode, done.stderr)
    world.run("ls", "here")


def s7_rolled_back(world, source):
    """Private state of an older time: what was published before it is whole, what came later is pushed again."""
    old = world.folder / "old-state"
    world.result("push", source, "here:before")
    assert world.stop() == 0
    shutil.copytree(world.root / ".longhaul", old, symlinks=True)
    world.start()
    world.result("push", source, "here:later")  # manifests of this one are lost below
    assert world.stop() == 0
    shutil.rmtree(world.root / ".longhaul")
    shutil.copytree(old, world.root / ".longhaul", symlinks=True)
    world.start()
    world.run("verify", "here:before")
    (source / "one-more").write_text("after the old state came back\n")
    for place in ("here:before", "here:later"):
        world.result("push", source, place)
        world.run("verify", place)
        came_whole(world, source, place)


def story(folder):
    world = World(sys.argv[1], sys.argv[2], folder)
    source = folder / "tree"
    make_tree(source, 3)
    world.start()
    try:
        world.run("init")
        world.run("join", "here", stdin=world.invite())
        r6_other_versions(world, make_key(folder, "another"))
        r2_stopped(world, source)
        r3_terminated(world, source)
        s6_second_on_a_root(world)
        s7_rolled_back(world, source)
        assert world.stop() == 0
    finally:
        if world.process.poll() is None:
            world.process.kill()


if __name__ == "__main__":
    in_folder(story)
