# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import fcntl
import mmap
import os
import subprocess
import sys
import time

import pytest

from sfm_depth_ros import shared_memory
from sfm_depth_ros.shared_memory import leftover_segments, remove_leftovers, remove_own

HOLD = """
import fcntl, sys
lock = open(sys.argv[1])
fcntl.flock(lock, fcntl.LOCK_EX)
print("locked", flush=True)
sys.stdin.read()
"""


@pytest.fixture(params=["fastrtps", "fastdds"])
def make_segment(request, tmp_path):
    """Files as Fast DDS 2 and 3 make them, a minute old unless told otherwise."""

    def make(number, age_s=60.0):
        segment = tmp_path / f"{request.param}_{number:016x}"
        segment.write_bytes(bytes(4096))
        lock = tmp_path / f"{segment.name}_el"
        lock.touch()
        for path in (segment, lock):
            os.utime(path, (time.time() - age_s,) * 2)
        return segment

    return make


def test_a_segment_without_an_owner_is_removed_with_its_lock(make_segment, tmp_path):
    segment = make_segment(1)
    (tmp_path / "fastrtps_port7412").touch()
    assert leftover_segments(tmp_path) == [segment]
    assert remove_leftovers(tmp_path) == [segment]
    assert [path.name for path in tmp_path.iterdir()] == ["fastrtps_port7412"]


def test_a_locked_a_mapped_and_a_new_segment_stay(make_segment, tmp_path):
    locked, mapped, new = make_segment(1), make_segment(2), make_segment(3, age_s=0.0)
    lock = os.open(tmp_path / f"{locked.name}_el", os.O_RDONLY)
    fcntl.flock(lock, fcntl.LOCK_EX)
    with mapped.open("r+b") as file, mmap.mmap(file.fileno(), 4096):
        assert remove_leftovers(tmp_path) == []
    os.close(lock)
    assert remove_leftovers(tmp_path) == [locked, mapped]
    assert new.exists()


def test_what_this_process_owns_is_removed_and_nothing_else(make_segment, tmp_path):
    own, peers, other = make_segment(1), make_segment(2), make_segment(3)
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, f"{peers}_el"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as peer:
        assert peer.stdout.readline() == b"locked\n"
        held = [os.open(f"{one}_el", os.O_RDONLY) for one in (own, peers)]
        fcntl.flock(held[0], fcntl.LOCK_EX)
        remove_own(tmp_path)
        assert [own.exists(), peers.exists(), other.exists()] == [False, True, True]
        for descriptor in held:
            os.close(descriptor)


def test_a_machine_without_shared_memory_has_no_leftovers(tmp_path):
    assert leftover_segments(tmp_path / "none") == []
    assert shared_memory.FOLDER.name == "shm"
