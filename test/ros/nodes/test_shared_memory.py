# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Shared memory after a node's end: nothing left, however often and however it ends."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

pytest.importorskip("rclpy", reason="rclpy is not installed")
pytestmark = pytest.mark.ros

SPIN_ONCE = """
import os, sys, threading
from sfm_depth_ros.ros.node_base import spin
from sfm_depth_ros.ros.depth_node import DepthNode
from sfm_depth_ros.ros.main import StopEvent
stop = StopEvent()
threading.Timer(1.0, stop.set).start()
spin(DepthNode, stop)
print([line.split()[-1] for line in open("/proc/self/maps") if "/dev/shm/fast" in line])
sys.stdout.flush()
os._exit(0)
"""


def _segments(pid):
    """Segments that a process maps and that no other process had before it."""
    try:
        lines = Path(f"/proc/{pid}/maps").read_text().splitlines()
    except OSError:
        return set()
    return {Path(line.split()[-1]) for line in lines if "/dev/shm/fast" in line}


def _wait_for_segment(node, before, seconds=30.0):
    end = time.monotonic() + seconds
    while not (own := _segments(node.process.pid) - before):
        assert node.process.poll() is None and time.monotonic() < end, node.text
        time.sleep(0.01)
    return own


def _start_and_stop(start_node, options, number, pause_s):
    before = set(Path("/dev/shm").glob("fast*_*"))
    node = start_node("depth_node", **options)
    own = _wait_for_segment(node, before)
    time.sleep(pause_s)
    own |= _segments(node.process.pid) - before
    assert node.interrupt(number)[0] == 0, node.text
    assert not [path for path in own if path.exists()]


@pytest.mark.parametrize("pause_s", [0.0, 0.05, 0.4, 1.5])
def test_a_stop_leaves_nothing(start_node, tiny_model, tmp_path, pause_s):
    options = {"model": tiny_model.path, "models_dir": tmp_path}
    _start_and_stop(start_node, options, signal.SIGTERM if pause_s else signal.SIGINT, pause_s)


@pytest.mark.slow
@pytest.mark.timeout(3000)
def test_200_starts_and_stops_leave_nothing(start_node, tiny_model, tmp_path):
    options = {"model": tiny_model.path, "models_dir": tmp_path}
    for index in range(200):
        number = (signal.SIGINT, signal.SIGTERM)[index % 2]
        _start_and_stop(start_node, options, number, 0.01 * (index % 50))


def test_what_a_killed_node_left_is_removed_by_the_next(start_node, tiny_model, tmp_path):
    options = {"model": tiny_model.path, "models_dir": tmp_path}
    before = set(Path("/dev/shm").glob("fast*_*"))
    killed = start_node("depth_node", **options)
    left = _wait_for_segment(killed, before)
    killed.process.kill()
    killed.process.wait()
    assert all(path.exists() for path in left)
    time.sleep(2.1)  # younger ones may belong to a process that is just starting
    node = start_node("depth_node", **options)
    _wait_for_segment(node, before | left)
    assert not [path for path in left if path.exists()]
    node.interrupt()


def test_the_participant_is_destroyed_in_order(tmp_path):
    command = [sys.executable, "-c", SPIN_ONCE, "--ros-args", "-p", f"models_dir:={tmp_path}"]
    ended = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert ended.stdout.splitlines()[-1:] == ["[]"], ended.stdout + ended.stderr
