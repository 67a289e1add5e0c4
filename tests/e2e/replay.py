"""A push and a pull over real sockets are recorded and replayed; a changed trace is told.

Usage: replay.py LONGHAUL LONGHAUL-STREAMER. Exit code 0: all held.
"""
import pathlib
import sys
import tempfile

from push_pull import World, make_tree


def main():
    with tempfile.TemporaryDirectory(prefix="longhaul-replay-") as name:
        world = World(sys.argv[1], sys.argv[2], pathlib.Path(name))
        world.run("init")
        world.start()
        try:
            world.run("join", "site", stdin=world.invite())
            source = world.folder / "source"
            make_tree(source, 7)
            (source / "secret").write_text("what the trace must not hold " * 1000)
            trace = world.folder / "push.trace"
            world.run("push", source, "site:data", "--trace", trace)
            pulled = world.folder / "pull.trace"
            world.run("pull", "site:data", world.folder / "back", "--trace", pulled)
        finally:
            world.stop()

        for recorded in (trace, pulled):
            assert recorded.stat().st_mode & 0o777 == 0o600
            assert b"must not hold" not in recorded.read_bytes()
            report = world.result("replay", recorded)
            assert report["same"] and not report["cut"], report
            assert report["recorded_hash"] == report["replayed_hash"], report
            assert report["inputs"] > 20 and report["outputs"] > 20, report

        # A word of an output that was recorded, changed: the first difference is named.
        whole = trace.read_bytes()
        assert b"bytes to path" in whole
        bent = world.folder / "bent.trace"
        bent.write_bytes(whole.replace(b"bytes to path", b"bytes to pith", 1))
        told = world.run("replay", bent, code=6)
        assert ' after the start: recorded was "' in told.stderr, told.stderr
        assert "bytes to pith" in told.stderr and "bytes to path" in told.stderr, told.stderr
        assert "another build recorded it, or the file was changed; compare `longhaul version`" in told.stderr
        bent.write_bytes(b"not a trace")
        assert "it does not begin as one does" in world.run("replay", bent, code=1).stderr
        world.run("replay", world.folder / "nothing", code=3)


main()
