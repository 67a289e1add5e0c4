"""What the benches in pairs share: a core for what is measured, stretches in a drawn order, and the median of the
pairs with its interval."""
import math
import os
import subprocess

VALID = 0.5  # percent: what a machine may differ from itself


def keep_off(core):
    """This process and all that it starts leave that core alone."""
    others = ",".join(str(one) for one in sorted(os.sched_getaffinity(0)) if one != core)
    if not others:
        raise SystemExit("there is only one core here")
    subprocess.run(["taskset", "-p", "-c", others, str(os.getpid())], check=True, stdout=subprocess.DEVNULL)


def in_turn(off, on, pairs, random):
    """(off, off again, on) of each pair, measured in an order that is drawn."""
    for _ in range(pairs):
        done = {which: (on if which == "on" else off)() for which in random.sample(("off", "again", "on"), 3)}
        yield done["off"], done["again"], done["on"]


def median(values):
    ordered, n = sorted(values), len(values)
    return (ordered[(n - 1) // 2] + ordered[n // 2]) / 2


def interval(values):
    """(median, lower, upper): ranks that hold the median with 95 %, or the extremes of too few."""
    ordered, n = sorted(values), len(values)
    below, rank = 0.0, 0
    while below + math.comb(n, rank) / 2**n <= 0.025:
        below += math.comb(n, rank) / 2**n
        rank += 1
    low = max(rank - 1, 0)
    return median(values), ordered[low], ordered[n - 1 - low]


def percent(later, earlier, what):
    return (later[what] / earlier[what] - 1) * 100


def judged(triples, bar, what="mean_ms", processor="processor_ms"):
    """By how much a step is longer with it, and what the machine differs from itself.

    `away`: the same of a step's time for a second of its thread on the processor, so of waits and
    of giving way to other threads alone: how fast the machine happens to be does not enter.
    """
    itself = interval([percent(again, off, what) for off, again, _ in triples])
    cost = interval([percent(on, off, what) for off, _, on in triples])
    valid = max(abs(itself[1]), abs(itself[2])) <= VALID
    away = [tuple({"away": one[what] / one[processor]} for one in triple) for triple in triples]
    itself_away = interval([percent(again, off, "away") for off, again, _ in away])
    cost_away = interval([percent(on, off, "away") for off, _, on in away])
    return {"percent": round(cost[0], 3), "percent_low": round(cost[1], 3), "percent_high": round(cost[2], 3),
            "itself_low": round(itself[1], 3), "itself_high": round(itself[2], 3), "valid": valid, "bar": bar,
            "met": valid and cost[2] <= bar,
            "processor_percent": [round(one, 3) for one in interval([percent(on, off, processor)
                                                                     for off, _, on in triples])],
            "away_percent": [round(one, 3) for one in cost_away],
            "away_itself": [round(one, 3) for one in itself_away],
            "away_valid": max(abs(itself_away[1]), abs(itself_away[2])) <= VALID}
