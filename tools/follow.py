"""What the demo and the live benches share: `longhaul metrics --follow --json`, each line with the
time it was read. The model that it prints from is the one that `top` draws, told by the same events."""
import json
import threading
import time


class Follow:
    """process: that command, its stdout a pipe of text. `lines`: (when it was read, the line)."""

    def __init__(self, process):
        self.process, self.lines = process, []
        threading.Thread(target=self.read, daemon=True).start()

    def read(self):
        for line in self.process.stdout:
            self.lines.append((time.time(), json.loads(line)))

    def of(self, event, series="train/loss"):
        return [(at, line) for at, line in list(self.lines)
                if line["event"] == event and line.get("series", series) == series]
