"""What a push's --telemetry says of bytes that were sent again."""
import json


class Told:
    """At each whole line: what was sent again so far, over all epochs of the datagrams, and what
    was in flight."""

    def __init__(self, path):
        self.lines, again, spurious, last = [], 0, 0, {"epoch": None}
        for line in map(json.loads, path.read_text().rpartition("\n")[0].splitlines()):
            udp = line.get("udp")
            if udp:
                # Its counters begin anew with each epoch.
                before = last if udp["epoch"] == last["epoch"] else {"lost": 0, "spurious": 0}
                again += (udp["lost"] - before["lost"]) * udp["packet_bytes"]
                spurious += (udp["spurious"] - before["spurious"]) * udp["packet_bytes"]
                last = udp
            self.lines.append({"path": line["path"],
                               "in_flight": udp["in_flight"] if udp else line["unacked_bytes"],
                               "again": again + line["requeued_bytes"], "spurious": spurious})

    def between(self, before, after):
        one, other = self.lines[before], self.lines[after]
        return {"path": one["path"], "in_flight_bytes": one["in_flight"],
                "sent_again_bytes": other["again"] - one["again"],
                "spurious_bytes": other["spurious"] - one["spurious"]}
