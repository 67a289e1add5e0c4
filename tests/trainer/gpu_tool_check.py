#!/usr/bin/env python3
"""What tools/gpu says and counts, without a GPU: refusals, what it reads off ctest, what a packed tree holds."""
import contextlib
import importlib.machinery
import importlib.util
import io
import json
import sys
import tarfile
import tempfile
import time
import unittest
from pathlib import Path
from unittest import mock

sys.dont_write_bytecode = True
ROOT = Path(__file__).resolve().parents[2]
loader = importlib.machinery.SourceFileLoader("gpu_tool", str(ROOT / "tools/gpu"))
gpu = importlib.util.module_from_spec(importlib.util.spec_from_loader("gpu_tool", loader))
loader.exec_module(gpu)


class Driver:
    """libcuda.so.1 as a machine has it."""
    def __init__(self, init=0, count=0, name=b""):
        self.init, self.count, self.name = init, count, name

    def cuInit(self, _):
        return self.init

    def cuDeviceGetCount(self, out):
        out._obj.value = self.count
        return 0

    def cuDeviceGetName(self, out, _size, _index):
        out.value = self.name
        return 0


class Refusals(unittest.TestCase):
    def refusal(self, **driver):
        with mock.patch.object(gpu.ctypes, "CDLL", **driver), self.assertRaises(gpu.CannotRun) as caught:
            gpu.find_gpu()
        return str(caught.exception)

    def test_without_a_driver_or_a_gpu_it_says_which(self):
        self.assertIn("no NVIDIA driver", self.refusal(side_effect=OSError("no such file")))
        self.assertIn("finds no GPU", self.refusal(return_value=Driver(init=100)))
        self.assertIn("finds no GPU", self.refusal(return_value=Driver(count=0)))

    def test_a_gpu_is_named(self):
        with mock.patch.object(gpu.ctypes, "CDLL", return_value=Driver(count=2, name=b"NVIDIA H100")):
            self.assertEqual(gpu.find_gpu(), ("NVIDIA H100", 2))

    def test_without_nvcc_it_says_so_and_runs_nothing(self):
        said = io.StringIO()
        with mock.patch.object(gpu.shutil, "which", return_value=None), \
             mock.patch.object(gpu.subprocess, "run", side_effect=AssertionError("it ran something")), \
             mock.patch.object(sys, "argv", ["gpu"]), contextlib.redirect_stderr(said), \
             self.assertRaises(gpu.CannotRun) as caught:
            gpu.main()
        self.assertIn("no nvcc", str(caught.exception))


class Configuring(unittest.TestCase):
    def test_warnings_end_the_build_only_where_nothing_will_run(self):
        self.assertIn("-DLONGHAUL_WERROR=OFF", gpu.configure("nvcc", None, ("NVIDIA H200", 1)))
        self.assertIn("-DLONGHAUL_WERROR=ON", gpu.configure("nvcc", None, None))
        self.assertIn("-DLONGHAUL_TORCH_ROOT=/t", gpu.configure("nvcc", "/t", None))


class Reports(unittest.TestCase):
    def test_skipped_tests_are_no_passed_ones(self):
        report = ("1/3 Test #1: A .......   Passed    0.10 sec\n2/3 Test #2: B .......***Skipped   0.10 sec\n"
                  "3/3 Test #3: C .......***Failed    0.10 sec\n\n67% tests passed, 1 tests failed out of 3\n")
        self.assertEqual(gpu.counts_of(report), {"passed": 1, "failed": 1, "skipped": 1})
        self.assertEqual(gpu.counts_of("no such lines"), {"passed": 0, "failed": 0, "skipped": 0})

    def test_a_report_that_was_cut_off_has_its_counts(self):
        report = ("      Start  1: A\n 1/57 Test  #1: All.Passed ...***Timeout  60.01 sec\n"
                  "      Start 12: B\n 2/57 Test #12: B ........   Passed    0.10 sec\n"
                  " 3/57 Test  #2: C ..........***Exception: SegFault  0.10 sec\n"
                  " 4/57 Test #13: D ..........***Not Run   0.00 sec\n")
        self.assertEqual(gpu.counts_of(report), {"passed": 1, "failed": 3, "skipped": 0})

    def test_of_a_failed_build_the_errors_come_first(self):
        noise = [f"[{i}/99] Building" for i in range(99)]
        errors = ["FAILED: x.o", "x.cpp:1:1: error: no such"]
        told = gpu.gist("\n".join([*noise[:9], *errors, *noise[9:], "ninja: build stopped"])).splitlines()
        self.assertEqual(told[:3], [*errors, noise[-39]])
        self.assertEqual(told[-1], "ninja: build stopped")


class Order(unittest.TestCase):
    """What is built and run, with commands that only seem to."""
    PASSED = "1/1 Test #1: A .......   Passed    0.10 sec\n"

    def order(self, gpu_there=True, torch="/torch", **codes):
        names, said = [], io.StringIO()

        def attempt(_, name, command, limit_s, **_more):
            names.append(name)
            self.limits[name] = limit_s
            code = codes.get(name.replace(" ", "_"), 0)
            output = {"bench": '{"bench":"cuda-kernels"}\n', "tests": self.PASSED, "training": self.PASSED}.get(
                name, '{"step_seconds":1}')
            return code, output, "error: x" if code else ""
        self.limits = {}
        steps = gpu.Steps(io.StringIO(), 560)
        with mock.patch.object(gpu.Steps, "attempt", attempt), \
             mock.patch.object(gpu, "drop_what_does_not_start"), \
             mock.patch.object(gpu, "has_cuda_torch", lambda _: True), \
             contextlib.redirect_stdout(said), contextlib.redirect_stderr(io.StringIO()):
            gpu.build_and_run(steps, "nvcc", torch, ("H200", 1) if gpu_there else None)
        self.said = said.getvalue()
        return names, steps.failed

    def test_what_needs_least_comes_first_and_the_long_test_behind_the_first_steps(self):
        names, failed = self.order()
        self.assertFalse(failed)
        rest = [name for name, _ in gpu.cells()]
        first = ["configure", "build kernels", "bench", "build", "tests"]
        self.assertEqual(names, [*first, *rest[:2], "training", *rest[2:]])
        self.assertTrue(all(name.startswith("step llama-124m") for name in rest[:2]))
        self.assertEqual((self.limits["tests"], self.limits["bench"]), (gpu.TESTS_S, gpu.BENCH_S))
        self.assertEqual(self.order(gpu_there=False)[0], ["configure", "build kernels", "build"])
        self.assertEqual(self.order(torch=None)[0], first)

    def test_a_program_that_does_not_start_is_taken_from_the_tests(self):
        with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(io.StringIO()), \
             contextlib.redirect_stderr(io.StringIO()):
            for name, code in (("a_gpu_test", 127), ("b_gpu_test", 0), ("c_gpu_test[1]_include.cmake", 1)):
                (Path(folder) / name).write_text(f"#!/bin/sh\nexit {code}\n", encoding="utf-8")
                (Path(folder) / name).chmod(0o755)
            steps = gpu.Steps(io.StringIO(), 560)
            gpu.drop_what_does_not_start(steps, Path(folder))
            self.assertEqual({one.name for one in Path(folder).iterdir()},
                             {"b_gpu_test", "c_gpu_test[1]_include.cmake"})
        self.assertTrue(steps.failed)

    def test_lines_of_a_bench_that_failed_are_kept(self):
        names, failed = self.order(bench=2)
        self.assertTrue(failed)
        self.assertIn('{"bench":"cuda-kernels"}', self.said)
        self.assertEqual(len(names), 6 + 8)

    def test_a_program_that_does_not_compile_leaves_out_no_other(self):
        names, failed = self.order(build=1)
        self.assertTrue(failed)
        self.assertEqual(names[3:6], ["build", "build trainer", "tests"])
        self.assertEqual(len(names), 7 + 8)
        names, _ = self.order(build=1, build_trainer=1)
        self.assertEqual(names[-1], "tests")


class Cells(unittest.TestCase):
    """Training steps and serving, by a program that only says something."""
    def cells(self, script, limit_s=600, began_s=0):
        with tempfile.TemporaryDirectory() as folder, open(Path(folder) / "log", "w", encoding="utf-8") as log:
            program = Path(folder) / "longhaul-train"
            program.write_text("#!/bin/sh\n" + script, encoding="utf-8")
            program.chmod(0o755)
            steps, said = gpu.Steps(log, limit_s), io.StringIO()
            steps.began -= began_s
            with contextlib.redirect_stdout(said), contextlib.redirect_stderr(told := io.StringIO()):
                gpu.run_cells(steps, program)
        self.told = told.getvalue()
        return [json.loads(words) for words in said.getvalue().splitlines()], steps.failed

    def test_each_model_is_trained_by_both_rules_and_served_alone_and_under_load(self):
        lines, failed = self.cells("""case "$*" in *muon*) s=1.25;; *) s=1;; esac
            echo '{"told":"'"$*"'","step_seconds":'$s'}'""")
        self.assertFalse(failed)
        told = [one["told"] for one in lines if "told" in one]
        for model in ("llama-124m", "llama-1.4b"):
            for words in ("--optimizer adamw", "--optimizer muon", "--most-requests 1 ", "--rate 16"):
                self.assertEqual(sum(model in one and words in one for one in told), 1, (model, words))
        self.assertEqual(len(told), 8)
        self.assertTrue(all("--device cuda" in one and "--dtype bf16" in one for one in told))
        self.assertEqual([one["overhead"] for one in lines if one.get("bench") == "muon-overhead"], [0.25, 0.25])

    def test_what_does_not_fit_the_time_is_left_out_by_name(self):
        lines, failed = self.cells("exit 9", began_s=590)
        self.assertFalse(failed)
        self.assertEqual([one["cell"] for one in lines], [name for name, _ in gpu.cells()])
        self.assertTrue(all("s are left" in one["left_out"] for one in lines), lines)
        with mock.patch.object(gpu, "CELL_S", 1), mock.patch.object(gpu, "CELL_AT_LEAST_S", 0.5), \
             mock.patch.object(gpu, "cells", lambda: [("slow", ["bench-device"])]):
            lines, failed = self.cells("exec sleep 60", began_s=594.2)
        self.assertFalse(failed)
        why = "it took over 1 s, all that was left"
        self.assertEqual(lines, [{"step": "cell", "cell": "slow", "left_out": why}])

    @staticmethod
    def ends(process):
        """Of its own it would in a minute; a zombie may wait for whoever adopted it."""
        for _ in range(200):
            try:
                if Path(f"/proc/{process}/stat").read_text(encoding="utf-8").split()[2] in "ZX":
                    return True
            except OSError:
                return True
            time.sleep(0.1)
        return False

    def test_what_hangs_is_a_failure_is_tried_again_and_ends_with_all_that_it_started(self):
        with mock.patch.object(gpu, "CELL_S", 1), mock.patch.object(gpu, "CELL_AT_LEAST_S", 0.5), \
             mock.patch.object(gpu, "cells", lambda: [("slow", ["bench-device"])]):
            lines, failed = self.cells("sleep 61 & echo $! >&2; echo 'waits for a stream' >&2; sleep 62")
        self.assertTrue(failed)
        self.assertEqual([one["cell"] for one in lines], ["slow", "slow, TORCH_CUDNN_SDPA_DEPRIORITIZED=1"])
        self.assertEqual([one["why"] for one in lines], ["it took over 1 s"] * 2)
        told = self.told.splitlines()
        self.assertEqual(told.count("waits for a stream"), 2)
        for started in filter(str.isdigit, told):
            self.assertTrue(self.ends(started), started)

    def test_too_little_memory_is_a_line_and_no_failure(self):
        lines, failed = self.cells("echo 'longhaul-train: cannot serve: not enough memory: all of it' >&2; exit 1")
        self.assertFalse(failed)
        self.assertEqual(len(lines), 8)
        self.assertTrue(all("not enough memory" in one["left_out"] for one in lines), lines)

    def test_a_failure_is_one_and_serving_is_tried_without_graphs(self):
        lines, failed = self.cells("""case "$*" in *--separate-launches*) echo '{"mbu":0.5}';;
            *) echo 'longhaul-train: a kernel failed' >&2; exit 1;; esac""")
        self.assertTrue(failed)
        self.assertEqual(sum(one.get("mbu") == 0.5 for one in lines), 4)
        self.assertEqual(sum(one.get("why") == "longhaul-train: a kernel failed" for one in lines), 4 + 2 * 4)

    def test_the_reason_is_the_programs_own_line_and_not_a_frame(self):
        lines, _ = self.cells("""printf 'warm\\nlonghaul-train: a kernel failed\\n' >&2
            printf 'Exception raised from\\nframe #1\\n' >&2; exit 1""")
        self.assertEqual({one["why"] for one in lines}, {"longhaul-train: a kernel failed"})
        self.assertIn("longhaul-train: a kernel failed\nException raised from\nframe #1", self.told)

    def test_what_is_no_json_is_a_failure_of_that_cell(self):
        for said in ("echo '{\"loss\":nan}'", "echo 7", "true"):
            lines, failed = self.cells(said)
            self.assertTrue(failed)
            self.assertEqual({one["cell"] for one in lines} & {name for name, _ in gpu.cells()},
                             {name for name, _ in gpu.cells()})
            self.assertTrue(all("no JSON object" in one["why"] for one in lines), lines)

    def test_a_step_that_failed_is_tried_without_cudnn(self):
        lines, failed = self.cells("""case "$* $TORCH_CUDNN_SDPA_DEPRIORITIZED" in *bench-device*1.4b*muon*1) s=3;;
            *bench-device*1.4b*muon*) echo 'longhaul-train: No valid execution plans built.' >&2; exit 1;;
            *) s=2;; esac
            echo '{"step_seconds":'$s'}'""")
        self.assertTrue(failed)
        why = {"step": "cell", "cell": "step llama-1.4b muon", "ok": False,
               "why": "longhaul-train: No valid execution plans built."}
        again = {"step_seconds": 3, "environment": {"TORCH_CUDNN_SDPA_DEPRIORITIZED": "1"}}
        self.assertEqual(lines[lines.index(why) + 1], again)
        self.assertEqual(sum("environment" in one for one in lines), 1)
        # Two ways of attention are not compared.
        self.assertEqual([one["model"] for one in lines if one.get("bench") == "muon-overhead"], ["llama-124m"])

    def test_what_a_wheel_has_beside_it_is_found_before_anything_else(self):
        with tempfile.TemporaryDirectory() as folder:
            root = Path(folder).resolve()
            for place in ("torch", "nvidia/cu13/lib", "nvidia/cudnn/lib", "nvidia/cu13/include"):
                (root / place).mkdir(parents=True)
            ours = f"{root}/nvidia/cu13/lib:{root}/nvidia/cudnn/lib"
            for set_before, expected in (({}, ours), ({"LD_LIBRARY_PATH": "/x"}, f"{ours}:/x")):
                with mock.patch.dict(gpu.os.environ, set_before, clear=True):
                    self.assertEqual(gpu.with_libraries_of(str(root / "torch"))["LD_LIBRARY_PATH"], expected)
            with mock.patch.dict(gpu.os.environ, {}, clear=True):
                for torch in (None, "system", str(root / "nvidia/cu13")):
                    self.assertNotIn("LD_LIBRARY_PATH", gpu.with_libraries_of(torch))
            with open(root / "log", "w", encoding="utf-8") as log, contextlib.redirect_stderr(io.StringIO()):
                steps = gpu.Steps(log, 60, {"LD_LIBRARY_PATH": "/told"})
                self.assertEqual(steps.attempt("it", ["/bin/sh", "-c", "echo $LD_LIBRARY_PATH"], 9)[1], "/told\n")

    def test_it_knows_a_cuda_libtorch_by_what_cmake_found(self):
        with tempfile.TemporaryDirectory() as folder:
            for found, expected in (("FILEPATH=/x/libtorch_cuda.so", True), ("FILEPATH=N-NOTFOUND", False)):
                (Path(folder) / "CMakeCache.txt").write_text(f"A:B=C\nTORCH_LIBRARY_torch_cuda:{found}\nD:E=F\n",
                                                             encoding="utf-8")
                self.assertEqual(gpu.has_cuda_torch(Path(folder)), expected)
            (Path(folder) / "CMakeCache.txt").write_text("A:B=C\n", encoding="utf-8")
            self.assertFalse(gpu.has_cuda_torch(Path(folder)))


class Packing(unittest.TestCase):
    def test_a_packed_tree_has_the_sources_and_what_a_bare_machine_lacks(self):
        with tempfile.TemporaryDirectory() as folder:
            gathered, target = Path(folder) / "packed", Path(folder) / "tree.tgz"
            with mock.patch.object(gpu, "PACKED", gathered), contextlib.redirect_stderr(io.StringIO()):
                try:
                    gpu.pack(str(target))
                except gpu.CannotRun as why:
                    self.skipTest(str(why))
            with tarfile.open(target) as archive:
                names = set(archive.getnames())
        for name in ("CMakeLists.txt", "trainer/cuda/norm.cu", "tools/gpu", "build/packed/fmt/format.h",
                     "build/packed/tl/expected.hpp", "build/packed/googletest/src/gtest-all.cc",
                     "build/packed/googlemock/src/gmock_main.cc"):
            self.assertIn(f"longhaul/{name}", names)


if __name__ == "__main__":
    unittest.main()
