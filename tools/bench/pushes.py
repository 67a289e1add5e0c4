"""One push, or one transfer of a peer's, over the link of a cell, and what is told of it."""
import json
import os
import pathlib
import shutil
import signal
import subprocess
import time

from cells import PAYLOAD, PACKET, TO_90
from filling import Watch, dialled, seconds_to_fill
from ocean import Link, Pair, gone, kernels_of, noise, scratch, size_of
from peers import run_peer

TAUGHT_FLIGHTS = 8  # of rate x RTT, that an earlier push needs to find the rate


def copy_seconds(source, folder):
    started = time.monotonic()
    shutil.copytree(source, folder / "copy")
    subprocess.run(["sync", "-f", folder], check=True)
    took = time.monotonic() - started
    shutil.rmtree(folder / "copy")
    return took


def lesson(cell, way, folder):
    """What is pushed before the link counts as known: other bytes, enough of them."""
    return noise(folder, max(32, int(TAUGHT_FLIGHTS * way.rate / 8 * way.rtt / (1 << 20))))


def by_command(pair, cell, way, source, size):
    if cell.link == "known":
        taught = pair.push(lesson(cell, way, pair.folder / "lesson"), "lesson")
        if not taught["whole"] or not (pair.home / "state/links/site").exists():
            raise SystemExit("the push before taught nothing of the link")
    before = pair.link.stats()
    time.sleep(2 * way.rtt)  # what the command before still says
    with Watch(pair.link) as watch:
        pushed = pair.push(source)
    cpu = {} if cell.link == "known" else {"sender_cpu_s_per_gb": round(pushed["processor"] * 1e9 / size, 2)}
    return {"seconds": pushed["seconds"], "whole": pushed["whole"], "path": pushed["path"], **cpu}, {
        "looks": watch.looks, "since": dialled(watch.looks), "before": before}


def by_standing_session(pair, cell, way, source, size):
    """The second round of `push --watch`: the folder has grown by the source. What it waits until a
    folder is quiet is no part of it: its own time begins with the walk."""
    watched = lesson(cell, way, pair.folder / "watched")
    push = pair.start("push", "--watch", "--json", watched, "site:bench", stdout=subprocess.PIPE,
                      stderr=subprocess.DEVNULL, text=True)

    def until_done():
        path = ""
        for line in push.stdout:
            told = json.loads(line)
            path = told.get("path", path) if told["event"] == "progress" else path
            if told["event"] == "done":
                return told, path
        raise SystemExit("push --watch ended")
    try:
        until_done()
        time.sleep(2)  # a file that changed within 2 s of a walk is read again
        before = pair.link.stats()
        with Watch(pair.link) as watch:
            source.rename(watched / "grown")
            told, path = until_done()
            since = time.monotonic() - told["seconds"]
    finally:
        push.send_signal(signal.SIGINT)
        push.wait()
        if (watched / "grown").exists():
            (watched / "grown").rename(source)
    return {"seconds": round(told["seconds"], 2), "whole": told["bytes_raw"] >= size, "path": path}, {
        "looks": watch.looks, "since": since, "before": before}


def by_peer(who, link, folder, source, most):
    before = link.stats()
    with Watch(link) as watch:
        result = run_peer(who, link, folder, source, most)
    return result, {"looks": watch.looks, "since": dialled(watch.looks), "before": before}


def transfer(tools, cell, way, who, folder, source, link, most):
    """What it says of itself, and what was seen of the link."""
    if who != "longhaul":
        return by_peer(who, link, folder, source, most)
    # Commands and the site take it from here.
    os.environ["LONGHAUL_UDP"] = "off" if cell.tls else "auto"
    size = size_of(source)
    with Pair(link, tools, folder) as pair:
        push = by_standing_session if cell.link == "standing" else by_command
        result, seen = push(pair, cell, way, source, size)
    result["bytes"] = size if result["whole"] else 0
    if cell.link == "cold":
        result["receiver_cpu_s_per_gb"] = round(pair.site_processor * 1e9 / size, 2)
    return result, seen


def judged(cell, way, result, seen, size, copied, stats):
    """All that is told of a transfer, its bars included."""
    went, came = (stats[one]["bytes_in"] - seen["before"][one]["bytes_in"] for one in ("up", "down"))
    if not result["whole"]:  # some allocate the whole file before its bytes are there
        result["bytes"] = min(result["bytes"], stats["up"]["bytes_out"])
    goodput = result["bytes"] / result["seconds"]
    # What crossed beyond the size says nothing of what a useful byte costs.
    wire = {} if result.pop("beyond", False) else {"wire_per_useful": round(went / size, 3)}
    return result | {
        "mbit_per_s": round(goodput * 8 / 1e6, 1),
        "of_link": round(goodput / (way.carried() * PAYLOAD / PACKET), 3), "copy_seconds": round(copied, 2),
        "bar_seconds": round(cell.bar_seconds(size, way, copied), 2),
        "seconds_to_90": seconds_to_fill(seen["looks"], seen["since"], way.carried(), max(0.1, way.rtt)),
        "bar_seconds_to_90": TO_90[cell.link], "link_bytes": went, **wire,
        "return_share": round(came / max(1, went), 4), "valid": stats["valid"], "why": stats["why"],
        "kernels": kernels_of(stats)}


def measure(tools, cell, who="longhaul", most=60):
    """Figures of one transfer, or {"skipped": why}."""
    folder, tools = scratch("sync-wan"), pathlib.Path(tools).resolve()
    netsim = str(tools / "netsim/netsim")
    try:
        way = cell.way(netsim)
        source = noise(folder / "source", 0 if cell.small_files else cell.mib, cell.small_files, cell.small_bytes)
        size, copied = size_of(source), copy_seconds(source, folder)
        link = Link(netsim, cell.netsim_options())
        try:
            result, seen = transfer(tools, cell, way, who, folder, source, link, most)
            return result if "skipped" in result else judged(cell, way, result, seen, size, copied, link.stats())
        finally:
            link.close()
    finally:
        gone(folder)
