"""The Nth allocation, or the Nth call on files or on sockets, of a whole program fails once, for
some N over all of a push, a pull, a verify: rows R4, R5 and S2 of docs/faults.md. Either the command
ends well or an error says so; a streamer lives on when a command fails; nothing is published by half;
the next one completes, and every byte is right. A process may abort for want of memory, which is a
death like any other. LONGHAUL_LONG=1 takes 60 N a sweep instead of 3.

Usage: failing_calls.py LONGHAUL LONGHAUL-STREAMER SHIM.
"""
import errno
import os
import random
import signal
import subprocess
import sys
import time

from push_pull import World, same
from reach_world import in_folder

SAMPLES = 60 if os.environ.get("LONGHAUL_LONG") else 3
# Of a command's allocations, which are many and of many kinds. LONGHAUL_SWEEP=verify-laptop-memory
# runs the sweeps of that name alone.
MEMORY_SAMPLES = max(SAMPLES, 12)
ONLY = os.environ.get("LONGHAUL_SWEEP", "")
ERRORS = {"file": (errno.EIO, errno.ENOSPC, errno.EMFILE, errno.EDQUOT, errno.EINTR),
          "memory": (errno.ENOMEM,),
          "socket": (errno.ECONNRESET, errno.ENOBUFS, errno.EMFILE, errno.ECONNABORTED, errno.EINTR,
                     errno.EAGAIN, errno.ETIMEDOUT, errno.EPERM)}


def small_tree(root, seed):
    rng = random.Random(seed)
    (root / "sub").mkdir(parents=True)
    for i in range(20):
        (root / f"f{i:02}").write_bytes(rng.randbytes(rng.randint(0, 5000)))
    (root / "sub" / "large").write_bytes(rng.randbytes(1_500_000))
    (root / "link").symlink_to("f00")


class Failing(World):
    """A world in which one of the programs is run with the shim."""

    def __init__(self, *words, shim):
        super().__init__(*words)
        self.shim, self.site, self.laptop = shim, {}, {}

    def start(self):
        before, os.environ["LD_PRELOAD"] = os.environ.get("LD_PRELOAD"), self.shim
        os.environ.update(self.site)
        try:
            super().start()
        finally:
            del os.environ["LD_PRELOAD"]
            for name in self.site:
                del os.environ[name]
            if before is not None:
                os.environ["LD_PRELOAD"] = before

    def try_start(self):
        """False if it ended before it listened."""
        address = self.address
        try:
            self.start()
            return True
        except (ValueError, KeyError):  # nothing was said
            self.address = address
            self.process.wait(60)
            return False

    def act(self, *words):
        """A command of the laptop's, with the shim."""
        command, environment = self.command(*words)
        environment |= {"LD_PRELOAD": self.shim, **self.laptop}
        done = subprocess.Popen(command, env=environment, text=True, stdout=subprocess.DEVNULL,
                                stderr=subprocess.PIPE)
        until = time.monotonic() + 60
        while done.poll() is None and time.monotonic() < until:
            time.sleep(0.02)
            if self.process.poll() is not None:  # a push waits for its site for a day
                break
        done.terminate()
        done.said = done.communicate(timeout=60)[1]
        return done


class Push:
    def __init__(self, world, source, name):
        self.world, self.source, self.place, self.back = world, source, f"here:{name}", world.folder / name
        self.words = ("push", source, self.place)

    def check(self, where):
        """What the next try left: one whole version, or two."""
        folder = (self.world.root / "datasets" / self.place.split(":")[1] / "current").resolve().parent
        published = sorted(path.name for path in folder.iterdir())
        assert published in (["current", "v000001"], ["current", "v000001", "v000002"]), (where, published)
        self.world.run("verify", self.place)
        self.world.run("pull", self.place, self.back)
        same(self.source, self.back)


class Pull:
    def __init__(self, world, source, name):
        self.source, self.back = source, world.folder / name
        self.words = ("pull", "here:whole", self.back)

    def check(self, where):
        same(self.source, self.back)
        assert not (self.back / ".longhaul").exists(), where


class Verify:
    words = ("verify", "here:whole")

    def __init__(self, *_):
        pass

    def check(self, where):
        """It said that all is well, which is so."""


def count(world, side, what, action):
    """How many such calls it makes of that side."""
    told = world.folder / "count"
    settings = {"FAIL_WHAT": what, "FAIL_COUNT": str(told)}
    setattr(world, side, settings)
    world.start()
    done = world.act(*action.words)
    assert done.returncode == 0, done.said
    assert world.stop() == 0
    setattr(world, side, {})
    return int(told.read_text())


def sweep(world, side, what, make, source, seed):
    name = f"{make.__name__.lower()}-{side}-{what}"
    if ONLY not in name:
        return
    samples = MEMORY_SAMPLES if (side, what) == ("laptop", "memory") else SAMPLES
    total = count(world, side, what, make(world, source, f"{name}-count"))
    fine = (*range(9), 130, *((-signal.SIGABRT,) if (side, what) == ("site", "memory") else ()))
    rng = random.Random(seed)
    failed = ended = 0
    for i in range(samples):
        n = (total * i + rng.randrange(total)) // samples
        where = f"{name}: call {n} of {total}"
        action = make(world, source, f"{name}-{i}")
        setattr(world, side, {"FAIL_WHAT": what, "FAIL_AT": str(n),
                              "FAIL_ERRNO": str(ERRORS[what][i % len(ERRORS[what])])})
        if world.try_start():
            done = world.act(*(("-v",) if side == "laptop" else ()), *action.words)
            # One that waits for its site has a reason for it: OpenSSL may have been refused what it
            # needs for an algorithm, and connections fail.
            if side == "laptop" and done.returncode == 130:
                assert "a connection was lost" in done.said, (where, done.said)
            # Ended by itself, with a code that has a meaning and words beside it.
            assert done.returncode in fine, (where, done.returncode, done.said)
            assert done.returncode == 0 or done.said, where
            failed += done.returncode != 0
        setattr(world, side, {})
        if side == "laptop":
            assert world.process.poll() is None, where  # and serves the next one
        else:
            if world.process.poll() is None:
                world.stop()
            else:
                ended += 1
            assert world.process.returncode in fine, (where, world.process.returncode)
            world.start()
        again = world.act(*action.words)
        assert again.returncode == 0, (where, again.said)
        action.check(where)
        assert world.stop() == 0
    print(f"{name}: {total} calls, {samples} failed; {failed} commands told an error, "
          f"{ended} streamers ended")


def s2_syncs_before_renames(world, source):
    """Read from the calls themselves: content is synced before its tree gets its name, the manifest
    before its own, and the folders that hold the names after."""
    traced = world.folder / "trace"
    world.site = {"FAIL_TRACE": str(traced)}
    world.start()
    world.run("push", source, "here:traced")
    assert world.stop() == 0
    world.site = {}
    lines = [line.split(" ", 1) for line in traced.read_text().splitlines()]
    names = [(what, place.removeprefix(str(world.root.resolve()))) for what, place in lines]
    moved = names.index(("to", "/datasets/traced/v000001"))
    manifest = names.index(("to", "/.longhaul/manifests/traced/v000001"))
    def is_tree(place):
        return place.startswith("/.longhaul/staging/") and "/tree" in place
    written = max(i for i, (what, place) in enumerate(names) if what == "write" and is_tree(place))
    content = [i for i, (what, place) in enumerate(names)
               if what == "syncfs" or what == "sync" and is_tree(place)]
    assert any(written < i < manifest for i in content), names[written:moved]
    beside = max(i for i, (what, place) in enumerate(names[:manifest])
                 if what == "write" and place.startswith("/.longhaul/manifests/traced/"))
    assert ("sync", names[beside][1]) in names[beside:manifest], names[beside:moved]
    assert ("sync", "/.longhaul/manifests/traced") in names[manifest:moved], names[manifest:moved]
    assert ("sync", "/datasets/traced") in names[moved:], names[moved:]
    print(f"S2: {len(names)} calls in order")


def little_address_space(world):
    """Threads and mappings are refused before allocations are: a command ends with a sentence there too."""
    command, environment = world.command("ls", "nowhere")
    codes = []
    for megabytes in range(40, 130, 5):
        done = subprocess.run(["prlimit", f"--as={megabytes * 1_000_000}", *command], env=environment,
                              capture_output=True, text=True, timeout=60)
        assert done.returncode in (1, 3) and done.stderr.startswith("longhaul: "), (megabytes, done)
        codes.append(done.returncode)
    assert codes[-1] == 3, codes  # here there is enough, and "nowhere" is what it does not know


def story(folder):
    world = Failing(sys.argv[1], sys.argv[2], folder, shim=sys.argv[3])
    source = folder / "tree"
    small_tree(source, 5)
    world.start()
    try:
        world.run("init")
        world.run("join", "here", stdin=world.invite())
        assert world.stop() == 0
        little_address_space(world)
        s2_syncs_before_renames(world, source)
        world.start()
        world.run("push", source, "here:whole")
        assert world.stop() == 0
        sweeps = [(side, what, make) for make in (Push, Pull, Verify) for side in ("site", "laptop")
                  for what in ERRORS]
        for seed, (side, what, make) in enumerate(sweeps):
            sweep(world, side, what, make, source, seed)
    finally:
        if world.process.poll() is None:
            world.process.kill()


if __name__ == "__main__":
    in_folder(story)
