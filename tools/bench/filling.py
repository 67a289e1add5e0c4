"""How full a link is while something crosses it: the emulator's own counters, looked at twenty
times a second."""
import bisect
import dataclasses
import json
import threading
import time

PAUSE = 0.05


@dataclasses.dataclass(frozen=True)
class Look:
    """One way of the link: IP bytes that entered it and that the far host was given, and what waits
    at the bottleneck."""
    at: float  # by time.monotonic()
    into: int
    out: int
    queue: int


class Watch:
    """Looks at a link, from host a to b ("up") or back, from a thread. Use as a context; `looks`
    only grows. The emulator is asked over one connection: to start a process costs the two cores
    that are measured more than a look."""

    def __init__(self, link, way="up"):
        self.looks, self.over, self.link, self.way = [], threading.Event(), link, way
        self.thread = threading.Thread(target=self.look_on)

    def __enter__(self):
        self.channel = self.link.channel()
        self.lines = self.channel.makefile("rw")
        self.look()  # so that there is one before anything begins
        self.thread.start()
        return self

    def __exit__(self, *why):
        self.over.set()
        self.thread.join()
        self.channel.close()

    def look(self):
        self.lines.write('{"get": "counters"}\n')
        self.lines.flush()
        seen = json.loads(self.lines.readline())["result"][self.way]
        self.looks.append(Look(time.monotonic(), seen["bytes_in"], seen["bytes_out"], seen["queue_bytes"]))

    def look_on(self):
        while not self.over.wait(PAUSE):
            self.look()


def dialled(looks):
    """When the first packet entered the link; at most a pause too early, so that no time is left out."""
    for before, look in zip(looks, looks[1:]):
        if look.into > looks[0].into:
            return before.at
    return looks[-1].at


def seconds_to_fill(looks, since, bytes_a_second, window, share=0.9):
    """From `since` until the first stretch of at least `window` seconds began in which `share` of
    that rate came out at the far side; None: it never did. What is limited by a window sends it in
    bursts and rests until the round trip is over: `window` is to be a round trip, or a burst counts
    as a full link."""
    times = [look.at for look in looks]
    for first in range(bisect.bisect_left(times, since), len(looks)):
        last = bisect.bisect_left(times, times[first] + window)
        if last == len(looks):
            return None
        if looks[last].out - looks[first].out >= share * bytes_a_second * (times[last] - times[first]):
            return round(times[first] - since, 2)
    return None


def seconds_to_drain(looks, since, until, bytes_most):
    """From `since` until the queue was at most that for good, seen from `until`; None: it is not."""
    times = [look.at for look in looks]
    between = looks[bisect.bisect_left(times, since):bisect.bisect_right(times, until)]
    if not between or between[-1].queue > bytes_most:
        return None
    over = [look.at for look in between if look.queue > bytes_most]
    return round(over[-1] + PAUSE - since, 2) if over else 0.0
