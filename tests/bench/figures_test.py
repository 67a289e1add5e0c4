"""What tools/bench computes from what it saw."""
import json
import pathlib
import sys
import tempfile
import unittest
import xml.etree.ElementTree

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "tools/bench"))
import cells
import dots
import filling
import grid
import one_tls
import peers
import telemetry


def intervals(*amounts):
    """As iperf3's server tells them, 0.1 s each."""
    return {"intervals": [{"sum": {"start": i / 10, "end": (i + 1) / 10, "bytes": amount}}
                          for i, amount in enumerate(amounts)]}


class OfIperf3(unittest.TestCase):
    def test_the_end_is_when_the_far_side_had_read_enough(self):
        self.assertEqual(peers.received(intervals(0, 100, 100, 100), 250, 60),
                         {"seconds": 0.35, "bytes": 250, "whole": True})

    def test_one_that_was_stopped_counts_what_was_read(self):
        self.assertEqual(peers.received(intervals(0, 100, 100), 250, 60),
                         {"seconds": 0.3, "bytes": 200, "whole": False})

    def test_it_has_no_more_time_than_others(self):
        self.assertEqual(peers.received(intervals(0, 100, 100, 100), 250, 0.3),
                         {"seconds": 0.3, "bytes": 200, "whole": False})

    def test_nothing_read_is_no_division_by_zero(self):
        self.assertEqual(peers.received({"intervals": []}, 250, 60), {"seconds": 0.01, "bytes": 0, "whole": False})


def looks(*steps, pause=0.05):
    """From (seconds, bytes a second, bytes that wait) on, one after the other; what enters comes out at once."""
    at, out, seen = 0.0, 0.0, [filling.Look(0.0, 0, 0, 0)]
    for seconds, rate, queue in steps:
        for _ in range(round(seconds / pause)):
            at, out = at + pause, out + rate * pause
            seen.append(filling.Look(round(at, 6), round(out), round(out), queue))
    return seen


class OfALink(unittest.TestCase):
    def test_full_is_when_a_round_trip_at_ninety_percent_begins(self):
        seen = looks((1, 0, 0), (0.5, 400, 0), (2, 950, 0))
        self.assertEqual(filling.seconds_to_fill(seen, 1.0, 1000, 0.2), 0.5)

    def test_bursts_of_a_window_are_no_full_link(self):
        # 100 ms at the link's rate, then nothing until the round trip is over.
        seen = looks(*[(0.1, 1000, 0), (0.1, 0, 0)] * 20)
        self.assertEqual(filling.seconds_to_fill(seen, 0.0, 1000, 0.1), 0.0)
        self.assertIsNone(filling.seconds_to_fill(seen, 0.0, 1000, 0.2))

    def test_what_was_before_does_not_count(self):
        seen = looks((1, 1000, 0), (1, 0, 0), (1, 1000, 0))
        self.assertEqual(filling.seconds_to_fill(seen, 1.0, 1000, 0.2), 1.0)

    def test_a_link_that_never_fills_has_no_time(self):
        self.assertIsNone(filling.seconds_to_fill(looks((3, 800, 0)), 0.0, 1000, 0.2))

    def test_the_dial_is_the_first_packet_in(self):
        self.assertAlmostEqual(filling.dialled(looks((1, 0, 0), (1, 1000, 0))), 1.0)

    def test_drained_is_the_last_time_that_too_much_waited(self):
        seen = looks((1, 10, 500), (0.5, 10, 50), (0.5, 10, 500), (1, 10, 50))
        self.assertAlmostEqual(filling.seconds_to_drain(seen, 0.0, 3.0, 100), 2.05)
        self.assertEqual(filling.seconds_to_drain(seen, 2.5, 3.0, 100), 0.0)
        self.assertIsNone(filling.seconds_to_drain(seen, 0.0, 1.9, 100))


class OfACell(unittest.TestCase):
    def test_p4_is_bytes_round_trips_and_a_copy(self):
        way = cells.Way(rate=8e6 * 1500 / 1448, loss=0, rtt=0.1)
        self.assertAlmostEqual(cells.Cell().bar_seconds(950_000, way, 0.5), 1.0 + 0.8 + 0.5)
        self.assertAlmostEqual(cells.Cell(link="standing").bar_seconds(950_000, way, 0.5), 1.0 + 0.4 + 0.5)
        self.assertAlmostEqual(cells.Cell(tls=True).bar_seconds(900_000, way, 0.5), 1.0 + 0.8 + 0.5)

    def test_what_is_lost_is_not_asked_for_and_costs_two_round_trips(self):
        way = cells.Way(rate=8e6 * 1500 / 1448, loss=0.5, rtt=0.1)
        self.assertAlmostEqual(cells.Cell().bar_seconds(950_000, way, 0), 2.0 + 1.0)

    def test_a_profile_s_way_up_counts(self):
        way = cells.way_of({"up": {"rate": "50mbit", "loss": "ge:0.8%/12", "delay": "107.5ms"},
                            "down": {"rate": "20mbit", "delay": "107.5ms"}})
        self.assertEqual((way.rate, way.loss, way.rtt), (50e6, 0.008, 0.215))

    def test_a_policer_is_the_link(self):
        self.assertEqual(cells.Cell(policer="100mbit,256KiB").way("netsim").rate, 100e6)

    def test_names_are_those_of_the_figures_that_are_kept(self):
        self.assertEqual(cells.Cell(queue="4bdp").name(), "cubic, loss 0 %, 256 MiB, 500mbit, 180ms, 4bdp")
        self.assertEqual(cells.Cell(loss=1, burst=10).name(),
                         "cubic, loss 1 % in bursts of 10, 256 MiB, 500mbit, 180ms, 1bdp")


class OfTheGrid(unittest.TestCase):
    RUN = {"valid": True, "whole": True, "seconds": 6.2, "bar_seconds": 6.3, "seconds_to_90": 1.1,
           "wire_per_useful": 1.054, "return_share": 0.007,
           "sender_cpu_s_per_gb": 4.4, "receiver_cpu_s_per_gb": 5.2}

    def measured(self, cells, rows, runs, **run):
        """Names in the order in which they are asked for, each measured when it is."""
        order = []
        for cell in grid.due(cells, rows, runs):
            order.append(cell.loss)
            rows.setdefault(cell.name(), []).append(self.RUN | run)
        return order

    def test_no_cell_is_there_twice(self):
        names = [cell.name() for group in grid.groups().values() for cell in group]
        self.assertEqual(len(names), len(set(names)))

    def test_rounds_go_over_all_cells_and_on_from_what_is_kept(self):
        one, two = cells.Cell(loss=1), cells.Cell(loss=2)
        self.assertEqual(self.measured([one, two], {one.name(): [self.RUN]}, 2), [2, 1, 2])

    def test_what_is_invalid_is_done_again_but_not_for_ever(self):
        self.assertEqual(self.measured([cells.Cell(loss=1)], {}, 1, valid=False), [1, 1, 1])
        self.assertEqual(self.measured([cells.Cell(loss=1)], {}, 1), [1])

    def test_a_row_has_every_run_and_says_how_many_met_the_bar(self):
        runs = [self.RUN | {"seconds": 6.5}, self.RUN, self.RUN | {"seconds": 6.4, "valid": False}]
        self.assertEqual(
            grid.row("x", runs),
            "| x | 6.20, 6.40*, 6.50 | 6.30, met in 1 of 3 | 1.10 | 1.054 | 0.70% | 4.4, 5.2 |")

    def test_a_link_that_was_never_full_shows_so(self):
        self.assertIn("| - |", grid.row("x", [self.RUN | {"seconds_to_90": None}]))


class OfOneTlsStream(unittest.TestCase):
    def test_frames_are_taken_apart_wherever_they_were_cut(self):
        stream = one_tls.frame(b"one") + one_tls.BLOCK + one_tls.frame(b"two") + one_tls.BLOCK
        for step in (1, 7, 4096, len(stream)):
            frames, seen = one_tls.Frames(), []
            for at in range(0, len(stream), step):
                seen += frames.take(stream[at:at + step])
            self.assertEqual((seen, frames.bulk), ([b"one", b"two"], 2 << 16), step)

    def test_an_answer_tells_what_came_before_its_question(self):
        frames, bulk = one_tls.Frames(), []
        for _ in frames.take(one_tls.BLOCK + one_tls.frame(b"q") + one_tls.BLOCK):
            bulk.append(frames.bulk)
        self.assertEqual(bulk, [1 << 16])

    def test_figures(self):
        answers = [{"sent": i, "at": i + 0.2 + 0.01 * i, "bulk": i * 1_000_000} for i in range(3)]
        told = one_tls.figures(answers[:1], answers)
        self.assertEqual((told["base_ms"], told["over_base_p50_ms"], told["over_base_most_ms"],
                          told["bulk_mbit_s"]), (200.0, 10.0, 20.0, 8))


class OfAPlot(unittest.TestCase):
    def test_a_dot_for_each_run_and_a_mark_for_each_bar(self):
        text = dots.draw("a < b", {"one": "#111111", "two": "#222222"},
                         [("here & there", [("one", 1.0, True), ("two", 2.0, False)], [1.5])])
        parts = [(part.tag.rpartition("}")[2], part.attrib)
                 for part in xml.etree.ElementTree.fromstring(text).iter()]
        dot = {at["fill"]: float(at["cx"]) for tag, at in parts if tag == "circle" and "fill-opacity" in at}
        filled = {at["fill"]: float(at["fill-opacity"]) for _, at in parts if "fill-opacity" in at}
        self.assertGreater(filled["#111111"], 2 * filled["#222222"])  # which is in doubt
        bar = [float(at["x1"]) for tag, at in parts if at.get("stroke") == "#b00"]
        self.assertEqual((len(dot), len(bar)), (2, 1))
        self.assertAlmostEqual(bar[0], (dot["#111111"] + dot["#222222"]) / 2, delta=0.11)

    def test_ticks_reach_the_most(self):
        for most in (0.03, 1, 1.06, 7.4, 10, 123):
            ticks = dots.ticks(most)
            self.assertGreaterEqual(ticks[-1], most)
            self.assertLessEqual(len(ticks), 12)


class OfTelemetry(unittest.TestCase):
    @staticmethod
    def told(*udp, rest=""):
        lines = [{"path": "udp", "requeued_bytes": 7, "unacked_bytes": 500} | ({"udp": one} if one else {})
                 for one in udp]
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder) / "telemetry.jsonl"
            path.write_text("".join(json.dumps(line) + "\n" for line in lines) + rest)
            return telemetry.Told(path)

    @staticmethod
    def udp(epoch, lost, spurious=0):
        return {"epoch": epoch, "lost": lost, "spurious": spurious, "packet_bytes": 1000, "in_flight": 9000}

    def test_counters_that_begin_anew_are_added_up(self):
        told = self.told(self.udp(1, 2), self.udp(1, 5, 1), self.udp(2, 4), self.udp(2, 6))
        self.assertEqual(told.between(0, -1), {"path": "udp", "in_flight_bytes": 9000, "sent_again_bytes": 9000,
                                               "spurious_bytes": 1000})

    def test_a_line_without_datagrams_and_half_a_line(self):
        told = self.told(None, self.udp(1, 3), rest='{"path": "ud')
        self.assertEqual(told.between(0, -1), {"path": "udp", "in_flight_bytes": 500, "sent_again_bytes": 3000,
                                               "spurious_bytes": 0})


if __name__ == "__main__":
    unittest.main()
