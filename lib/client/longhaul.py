"""What a Python training program says to longhaul, and hears from it: points, notes, checkpoints, commands.

    import longhaul
    run = longhaul.Run("/root-of-the-streamer/runs/first", config={"lr": 3e-4}, steered=["lr"])
    step = 0
    while step < steps and not run.stopping:
        for command in run.commands(step):        # "checkpoint"; a pause is waited through in here
            save(step)
            run.checkpoint(step, folder)
            run.done(command, step)
        lr = run.steer("lr", schedule(step))      # pinned by `ctl set lr=..`, scaled by `lr*=..`
        run.log("train/loss", step, train_one_step(lr))
        step += 1
    run.close("done")

A dataset can be read while it is still crossing the ocean:

    feed = longhaul.Feed("/root-of-the-streamer", "corpus")     # or "gateway:FILE": docs/gateway.md
    while not feed.ready():
        time.sleep(0.05)                                         # feed.waiting_for says for what
    shard = feed.files[0]
    tokens = feed.read(shard, offset, size)                      # None: not here yet

By way of liblonghaul.so (lib/client/longhaul.h): looked for at $LONGHAUL_LIBRARY, beside this file, then where the
system looks. No call of a run waits for a disk or a network; what goes wrong behind them is counted (`status`)
and the training goes on. log() from any thread; commands() and done() from one. A feed's calls wait for the disk,
or two seconds for a gateway: for a loader's thread. Needs nothing but Python 3.8.
"""
import ctypes
import json
import math
import os
import pathlib
import time

_KINDS = {1: "set", 2: "scale", 3: "pause", 4: "resume", 5: "checkpoint", 6: "stop"}
_APPLIED, _REFUSED = 2, 4
_PAUSE_NAP = 0.02


class _Options(ctypes.Structure):
    _fields_ = [("size", ctypes.c_size_t), ("folder", ctypes.c_char_p), ("config_json", ctypes.c_char_p),
                ("shared", ctypes.c_char_p), ("threads", ctypes.c_uint32), ("forget_controls", ctypes.c_uint32)]


class _Command(ctypes.Structure):
    _fields_ = [("id", ctypes.c_uint64), ("kind", ctypes.c_uint32), ("name", ctypes.c_char * 64),
                ("value", ctypes.c_double), ("who", ctypes.c_char * 256)]


class _Counts(ctypes.Structure):
    _fields_ = [("size", ctypes.c_size_t), ("logged", ctypes.c_uint64), ("dropped", ctypes.c_uint64),
                ("failed_writes", ctypes.c_uint64), ("last_errno", ctypes.c_int)]


class _FeedOptions(ctypes.Structure):
    _fields_ = [("size", ctypes.c_size_t), ("root", ctypes.c_char_p), ("dataset", ctypes.c_char_p),
                ("identity", ctypes.c_char_p), ("cache_bytes", ctypes.c_uint64)]


class _Range(ctypes.Structure):
    _fields_ = [("file", ctypes.c_size_t), ("offset", ctypes.c_uint64), ("bytes", ctypes.c_uint64)]


def _library():
    beside = pathlib.Path(__file__).resolve().parent / "liblonghaul.so"
    place = os.environ.get("LONGHAUL_LIBRARY") or (str(beside) if beside.exists() else "liblonghaul.so")
    library = ctypes.CDLL(place)
    run, text, step, size = ctypes.c_void_p, ctypes.c_char_p, ctypes.c_uint64, ctypes.c_size_t
    for name, result, takes in (
            ("open", run, [ctypes.POINTER(_Options), text, size]),
            ("attempt", ctypes.c_uint32, [run]), ("superseded", ctypes.c_int, [run]),
            ("series", ctypes.c_uint32, [run, text]), ("log", None, [run, ctypes.c_uint32, step, ctypes.c_double]),
            ("mark", None, [run, step, text]), ("checkpoint", None, [run, step, text]),
            ("resumed", None, [run, step, text]),
            ("poll", ctypes.c_int, [run, step, ctypes.POINTER(_Command)]),
            ("done", None, [run, ctypes.POINTER(_Command), step, ctypes.c_int, text]),
            ("status", None, [run, ctypes.POINTER(_Counts)]), ("close", None, [run, text]),
            ("feed_open", run, [ctypes.POINTER(_FeedOptions), text, size]),
            ("feed_ready", ctypes.c_int, [run, text, size]), ("feed_identity", text, [run]),
            ("feed_files", size, [run]), ("feed_name", text, [run, size]),
            ("feed_bytes", ctypes.c_uint64, [run, size]),
            ("feed_read", ctypes.c_int, [run, size, ctypes.c_uint64, ctypes.c_void_p, size, text, size]),
            ("feed_need", None, [run, ctypes.POINTER(_Range), size, size]),
            ("feed_waiting_for", text, [run]), ("feed_close", None, [run])):
        call = getattr(library, "longhaul_" + name)
        call.restype, call.argtypes = result, takes
    return library


def _bytes(text):
    return None if text is None else os.fsencode(text)


class Command:
    """One that the loop carries out: its kind ("checkpoint"), who gave it."""

    def __init__(self, raw):
        self.raw, self.kind = raw, _KINDS.get(raw.kind, "unknown")
        self.name, self.who = (text.decode("utf-8", "replace") for text in (raw.name, raw.who))
        self.value = raw.value


class Run:
    """An attempt of a run, from its opening on. OSError: it cannot begin, and why."""

    def __init__(self, folder, config=None, shared=None, threads=0, steered=(), forget_controls=False):
        self._library, self._run = _library(), None
        config_json = None if config is None else json.dumps(config).encode()
        options = _Options(ctypes.sizeof(_Options), _bytes(folder), config_json, _bytes(shared), threads,
                           int(forget_controls))
        why = ctypes.create_string_buffer(1024)
        self._run = self._library.longhaul_open(ctypes.byref(options), why, len(why))
        if not self._run:
            raise OSError(why.value.decode("utf-8", "replace"))
        self._series, self._steered, self._changes = {}, frozenset(steered), {}
        self.paused = self.stopping = False

    attempt = property(lambda self: self._library.longhaul_attempt(self._run))
    superseded = property(lambda self: bool(self._library.longhaul_superseded(self._run)))

    def log(self, name, step, value):
        series = self._series.get(name)
        if series is None:
            series = self._series[name] = self._library.longhaul_series(self._run, name.encode())
        self._library.longhaul_log(self._run, series, step, value)

    def mark(self, step, text):
        self._library.longhaul_mark(self._run, step, text.encode())

    def checkpoint(self, step, folder):
        """One of this step is whole and durable there."""
        self._library.longhaul_checkpoint(self._run, step, _bytes(folder))

    def resumed(self, step, folder):
        self._library.longhaul_resumed(self._run, step, _bytes(folder))

    def commands(self, step):
        """What is left for the loop to do. Settings of what is `steered`, pause, resume and stop are seen to here,
        and answered; a pause is waited through, in which checkpoints are still handed out. A stop ends the loop:
        `stopping`."""
        while True:
            raw = _Command()
            while self._library.longhaul_poll(self._run, step, ctypes.byref(raw)):
                command, raw = Command(raw), _Command()
                if command.kind == "checkpoint":
                    yield command
                else:
                    self._obey(command, step)
            if not self.paused or self.stopping or self.superseded:
                return
            time.sleep(_PAUSE_NAP)

    def _obey(self, command, step):
        if command.kind in ("set", "scale"):
            if command.name not in self._steered:
                names = ", ".join(sorted(self._steered)) or "nothing"
                return self.refused(command, step, "this program steers " + names)
            if not math.isfinite(command.value):
                return self.refused(command, step, "that is no number")
            self._changes[command.name] = (command.kind, command.value)
        elif command.kind in ("pause", "resume"):
            self.paused = command.kind == "pause"
        elif command.kind == "stop":
            self.stopping = True
        else:
            return self.refused(command, step, "this program does not know it")
        return self.done(command, step)

    def steer(self, name, scheduled):
        """The value of a steered number: what a person pinned, or the schedule's times what a person said."""
        kind, value = self._changes.get(name, ("scale", 1.0))
        return value if kind == "set" else scheduled * value

    def done(self, command, step):
        """It took effect, from this step on: its sender hears so, and every chart has a mark."""
        self._library.longhaul_done(self._run, ctypes.byref(command.raw), step, _APPLIED, None)

    def refused(self, command, step, why):
        self._library.longhaul_done(self._run, ctypes.byref(command.raw), step, _REFUSED, why.encode())

    def status(self):
        """Records in the log, points that a full ring turned away, failed writes of the log, errno of the last."""
        counts = _Counts(ctypes.sizeof(_Counts))
        self._library.longhaul_status(self._run, ctypes.byref(counts))
        return {name: getattr(counts, name) for name, _ in _Counts._fields_[1:]}

    def close(self, why="done"):
        """Writes what is left, at most for a second."""
        run, self._run = self._run, None
        self._library.longhaul_close(run, why.encode())


class Feed:
    """The files of a dataset at the site, from the moment everything of it is named, which is long before it
    is here. No byte is handed out that this process did not check against the manifest. One thread at a time.
    OSError: it cannot be read, and why."""

    class File:
        def __init__(self, number, name, size):
            self.number, self.name, self.size = number, name, size

    def __init__(self, root, dataset, identity=None, cache_bytes=0):
        self._library, self._feed, self.files = _library(), None, []
        self._why = ctypes.create_string_buffer(1024)
        options = _FeedOptions(ctypes.sizeof(_FeedOptions), _bytes(root), dataset.encode(),
                               None if identity is None else identity.encode(), cache_bytes)
        self._feed = self._library.longhaul_feed_open(ctypes.byref(options), self._why, len(self._why))
        if not self._feed:
            raise OSError(self._why.value.decode("utf-8", "replace"))

    def _is_here(self, found):
        if found < 0:
            raise OSError(self._why.value.decode("utf-8", "replace"))
        return found > 0

    def ready(self):
        """Whether it is known what the dataset is: `files`, `identity`. From then on it is of that content."""
        found = self._library.longhaul_feed_ready(self._feed, self._why, len(self._why))
        if self._is_here(found) and not self.files:
            for i in range(self._library.longhaul_feed_files(self._feed)):
                name = os.fsdecode(self._library.longhaul_feed_name(self._feed, i))
                self.files.append(self.File(i, name, self._library.longhaul_feed_bytes(self._feed, i)))
        return found > 0

    @property
    def identity(self):
        """What was read, to be given to a later Feed that must read the same."""
        return self._library.longhaul_feed_identity(self._feed).decode()

    @property
    def waiting_for(self):
        """What the last ready() or read() lacked, for people."""
        return self._library.longhaul_feed_waiting_for(self._feed).decode("utf-8", "replace")

    def read(self, file, offset, size):
        """These bytes of the file, or None: they are not here yet."""
        out = ctypes.create_string_buffer(size)
        found = self._library.longhaul_feed_read(self._feed, file.number, offset, out, size,
                                                 self._why, len(self._why))
        return out.raw[:size] if self._is_here(found) else None

    def need(self, ranges, urgent=0):
        """What is read next, (file, offset, size) each, soonest first: it crosses before the rest of its push, the
        first `urgent` of them before everything else."""
        raw = (_Range * len(ranges))(*(_Range(file.number, offset, size) for file, offset, size in ranges))
        self._library.longhaul_feed_need(self._feed, raw, len(ranges), urgent)

    def close(self):
        feed, self._feed = self._feed, None
        self._library.longhaul_feed_close(feed)
