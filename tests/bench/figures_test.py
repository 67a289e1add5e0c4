"""What tools/bench computes from what it saw."""
import pathlib
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "tools/bench"))
import peers


def intervals(*amounts):
    """As iperf3's server tells them, 0.1 s each."""
    return {"intervals": [{"sum": {"start": i / 10, "end": (i + 1) / 10, "bytes": amount}}
                          for i, amount in enumerate(amounts)]}


class OfIperf3(unittest.TestCase):
    def test_the_end_is_when_the_far_side_had_read_enough(self):
        self.assertEqual(peers.received(intervals(0, 100, 100, 100), 250),
                         {"seconds": 0.35, "bytes": 250, "whole": True})

    def test_one_that_was_stopped_counts_what_was_read(self):
        self.assertEqual(peers.received(intervals(0, 100, 100), 250), {"seconds": 0.3, "bytes": 200, "whole": False})

    def test_nothing_read_is_no_division_by_zero(self):
        self.assertEqual(peers.received({"intervals": []}, 250), {"seconds": 0.01, "bytes": 0, "whole": False})


if __name__ == "__main__":
    unittest.main()
