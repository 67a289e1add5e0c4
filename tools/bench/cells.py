"""What a push is measured on: a link, what is pushed, and how well the link is known. Also what
promise P4 allows it."""
import dataclasses
import json
import subprocess

from ocean import bits, seconds

PAYLOAD, PACKET = 1448, 1500
# P4's round trips beside the bytes, without and with loss.
TRIPS = {"cold": (8, 10), "known": (8, 10), "standing": (4, 6)}
TO_90 = {"cold": 2.5, "known": 1.0, "standing": 1.0}


@dataclasses.dataclass(frozen=True)
class Way:
    """What bars are made of: the way up's bits a second, the share of packets lost, the round trip
    in seconds."""
    rate: float
    loss: float
    rtt: float

    def carried(self):
        """IP bytes a second that can come out."""
        return self.rate / 8 * (1 - self.loss)


@dataclasses.dataclass(frozen=True)
class Cell:
    congestion: str = "cubic"
    loss: float = 0  # percent
    burst: float = 1  # mean length of a loss, in packets
    mib: int = 256
    small_files: int = 0
    small_bytes: tuple = (10240, 10240)
    rate: str = "500mbit"
    rtt: str = "180ms"
    queue: str = "1bdp"
    policer: str = "none"
    jitter: str = "none"
    profile: str = ""  # instead of all of the link above
    link: str = "cold"  # known: pushed over before; standing: and by the same session
    tls: bool = False  # without UDP
    seed: int = 1

    def bench(self):
        return "small-files" if self.small_files else "sync-wan"

    def name(self):
        least, most = self.small_bytes
        what = f"{self.small_files} files of {least}-{most} B" if self.small_files else f"{self.mib} MiB"
        more = [f"{name} {value}" for name, value in (("policer", self.policer), ("jitter", self.jitter))
                if value != "none"]
        more += {"cold": [], "known": ["known link"], "standing": ["standing session"]}[self.link]
        more += ["TLS alone"] if self.tls else []
        if self.profile:
            return ", ".join([self.congestion, f"profile {self.profile}", what, *more])
        lost = f"loss {self.loss:g} %" + (f" in bursts of {self.burst:g}" if self.burst > 1 else "")
        return ", ".join([self.congestion, lost, what, self.rate, self.rtt, self.queue, *more])

    def netsim_options(self):
        host = ["--host", "untuned", "--congestion", self.congestion, "--seed", str(self.seed)]
        if self.profile:
            return ["--profile", self.profile, *host]
        loss = ("none" if not self.loss else f"ge:{self.loss}%/{self.burst}" if self.burst > 1
                else f"{self.loss}%")
        return ["--rtt", self.rtt, "--rate", self.rate, "--queue", self.queue, "--loss", loss, "--policer",
                self.policer, "--jitter", self.jitter, *host]

    def way(self, netsim):
        if self.profile:
            told = subprocess.run([netsim, "profiles", self.profile, "--json"], check=True, capture_output=True,
                                  text=True).stdout
            return way_of(json.loads(told)["link"])
        slowest = min([bits(self.rate)] + ([] if self.policer == "none" else [bits(self.policer.split(",")[0])]))
        return Way(slowest, self.loss / 100, seconds(self.rtt))

    def bar_seconds(self, size, way, copied):
        trips = TRIPS[self.link][way.loss > 0]
        share = 0.9 if self.tls else 0.95
        return size / (share * way.carried() * PAYLOAD / PACKET) + trips * way.rtt + copied


def way_of(link):
    """Of a profile's link, as netsim prints it."""
    loss = link["up"].get("loss", "none")
    if loss != "none":
        loss = loss.removeprefix("ge:").split("/")[0]
        if not loss.endswith("%") or ":" in loss:
            raise SystemExit(f"what share a loss of {loss} is, is not known here")
    return Way(bits(link["up"]["rate"]), 0 if loss == "none" else float(loss[:-1]) / 100,
               sum(seconds(link[way].get("delay", "0s")) for way in ("up", "down")))
