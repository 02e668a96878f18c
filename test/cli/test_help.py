# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import os
import resource
import subprocess
import sys

import pytest

from sfm_depth_ros.cli.main import COMMANDS

LIMIT_S = 0.3  # of processor time; waiting for a busy machine does not count
HEAVY = {"torch", "numpy", "cv2", "scipy", "onnx", "onnxruntime", "openvino", "rclpy"}
HELPS = ["", *(name for name in COMMANDS if name != "play")]


def _seconds(words: list[str]) -> float:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(
        [sys.executable, "-m", "sfm_depth_ros.cli.main", *words],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        stdout=subprocess.DEVNULL, check=True,
    )  # fmt: skip
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


@pytest.mark.parametrize("command", HELPS)
def test_help_comes_at_once(command: str) -> None:
    words = [command, "--help"] if command else ["--help"]
    assert min(_seconds(words) for _ in range(3)) < LIMIT_S


@pytest.mark.parametrize("command", HELPS)
def test_help_imports_nothing_heavy(command: str) -> None:
    script = (
        "import sys\nfrom sfm_depth_ros.cli.main import main\n"
        "try:\n    main(sys.argv[1:])\nexcept SystemExit:\n    pass\n"
        "print(*sys.modules, file=sys.stderr)"
    )
    words = [command, "--help"] if command else ["--help"]
    done = subprocess.run(
        [sys.executable, "-c", script, *words],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, check=True,
    )  # fmt: skip
    modules = set(done.stderr.split())
    assert "sfm_depth_ros.cli.main" in modules
    assert not modules & HEAVY
