#!/usr/bin/env python3
"""What tools/gpu says and counts, without a GPU: refusals, what it reads off ctest, what a packed tree holds."""
import contextlib
import importlib.machinery
import importlib.util
import io
import sys
import tarfile
import tempfile
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


class Reports(unittest.TestCase):
    def test_skipped_tests_are_no_passed_ones(self):
        report = ("1/3 Test #1: A .......   Passed    0.10 sec\n2/3 Test #2: B .......***Skipped   0.10 sec\n"
                  "3/3 Test #3: C .......***Failed    0.10 sec\n\n67% tests passed, 1 tests failed out of 3\n")
        self.assertEqual(gpu.counts_of(report), {"passed": 1, "failed": 1, "skipped": 1})
        self.assertEqual(gpu.counts_of("no such lines"), {"passed": 0, "failed": 0, "skipped": 0})


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
