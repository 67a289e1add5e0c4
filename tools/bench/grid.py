"""The cells of a grid of pushes, in the order in which they are worth measuring, what was
measured of them, and a table."""
import dataclasses
import json

from cells import Cell

# What varies: loss with the mean length of a loss, the size, the link.
LOSSES = ((0, 1), (0.1, 1), (1, 1), (2, 1), (0.1, 10), (1, 10), (2, 10))
SIZES = {"256": {}, "32": {"mib": 32}, "files": {"mib": 0, "small_files": 2000}}
JITTERY = ("nyc-asuncion", "nyc-asuncion-bad", "nyc-saopaulo", "montevideo-saopaulo")


def over(losses, **more):
    return [Cell(loss=loss, burst=burst, **more) for loss, burst in losses]


def groups():
    """{name: cells}, the first the one to measure first."""
    at = {f"{size}-{rate}": over(LOSSES, rate=f"{rate}mbit", **what)
          for rate in (500, 100) for size, what in SIZES.items()}
    return {"256-500": at["256-500"],
            "links": [Cell(queue="0.25bdp"), Cell(queue="4bdp"), Cell(policer="100mbit,256KiB"),
                      *(Cell(profile=name) for name in JITTERY)],
            "known": [dataclasses.replace(cell, link=link) for link in ("known", "standing")
                      for cell in over(LOSSES[:1] + LOSSES[2:3])],
            "32-500": at["32-500"], "files-500": at["files-500"], "256-100": at["256-100"], "32-100": at["32-100"],
            "files-100": at["files-100"],
            "rtt": [Cell(rtt=rtt, loss=loss) for rtt in ("150ms", "220ms") for loss in (0, 1)]}


def kept(path):
    """{cell's name: [figures of each run]}"""
    rows = {}
    if path.exists():
        for row in map(json.loads, path.read_text().splitlines()):
            rows.setdefault(row["cell"], []).append(row["figures"])
    return rows


def due(cells, rows, runs):
    """Round by round, so that it may be cut off anywhere: cells with fewer than `runs` valid runs.
    One that is never valid is given up after two runs more than that."""
    for number in range(1, runs + 3):
        for cell in cells:
            had = rows.get(cell.name(), [])
            if sum(run["valid"] for run in had) < min(number, runs) and len(had) < runs + 2:
                yield cell


def row(name, runs):
    """A line of the table: every run, and the median of the others' figures."""
    def middle(key):
        values = sorted(run[key] for run in runs if run.get(key) is not None)
        return values[len(values) // 2] if values else None

    def shown(key, form):
        value = middle(key)
        return "" if value is None else form.format(value)
    times = ", ".join(f"{run['seconds']:.2f}" + ("" if run["valid"] else "*")
                      + ("" if run["whole"] else " (not whole)")
                      for run in sorted(runs, key=lambda run: run["seconds"]))
    met = sum(run["whole"] and run["seconds"] <= run["bar_seconds"] for run in runs)
    says = "met" if met == len(runs) else "missed" if met == 0 else f"met in {met} of {len(runs)}"
    cpu = ", ".join(shown(key, "{:.1f}") for key in ("sender_cpu_s_per_gb", "receiver_cpu_s_per_gb")
                    if middle(key))
    return (f"| {name} | {times} | {shown('bar_seconds', '{:.2f}')}, {says} "
            f"| {shown('seconds_to_90', '{:.2f}') or '-'} | {shown('wire_per_useful', '{:.3f}')} "
            f"| {shown('return_share', '{:.2%}')} | {cpu} |")


def table(rows, cells):
    names = [cell.name() for cell in cells if cell.name() in rows]
    head = "| cell | seconds | bar | to 90 % of the link | wire | return | processor a GB, both ends |"
    return "\n".join([head, "|---" * 7 + "|", *(row(name, rows[name]) for name in names)])
