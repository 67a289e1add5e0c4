"""What the live benches share: a run at the site, and a laptop that follows it, with the time each
line of it came."""
import pathlib
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
import follow


def trainer_of(options):
    """The trainer without the training that the tests have, beside the programs."""
    if options.trainer:
        return options.trainer
    return pathlib.Path(options.bin).resolve().parent / "tests/e2e/trainer_stand_in"


def add_options(parser):
    parser.add_argument("--bin", required=True)
    parser.add_argument("--json", action="store_true", help="the only form there is")
    parser.add_argument("--trainer", help="default: tests/e2e/trainer_stand_in of that build")
    parser.add_argument("--rtt", default="180ms")
    parser.add_argument("--rate", default="100mbit")
    parser.add_argument("--loss", default="1%")
    parser.add_argument("--udp", nargs="+", default=["auto", "off"])


class Run:
    """Points logged through longhaul.h, on this host: a log call's time and its arrival are by one clock."""

    def __init__(self, pair, trainer, step_ms, series=18):
        self.shared = pair.folder / "shm"
        self.shared.mkdir(exist_ok=True)
        names = [f"layer/{i}/norm" for i in range(series)]
        self.process = subprocess.Popen([trainer, pair.root / "runs/bench", self.shared, str(10**9),
                                         str(step_ms), "0", *names], stdout=subprocess.PIPE, text=True)
        self.process.stdout.readline()

    def stop(self):
        self.process.terminate()
        self.process.wait()


class Follow(follow.Follow):
    def __init__(self, pair, udp):
        pair.environment["LONGHAUL_UDP"] = udp
        super().__init__(pair.start("metrics", "site/bench", "--follow", "--json", text=True,
                                    stdout=subprocess.PIPE, stderr=subprocess.DEVNULL))

    def until(self, condition, seconds):
        end = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > end:
                return False
            time.sleep(0.02)
        return True

    def stop(self):
        self.process.terminate()
        self.process.wait()


def lost_and_doubled(follow):
    """Of one series: steps that are missing below the last, and those that came twice."""
    steps = [line["step"] for _, line in follow.of("point")]
    return (max(steps) + 1 - len(set(steps)), len(steps) - len(set(steps))) if steps else (None, None)


def part(values, share):
    return sorted(values)[min(int(share * len(values)), len(values) - 1)]
