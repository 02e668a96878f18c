# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Workers end with the process that started them, and their death is said."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import slow_work

from sfm_depth_ros.errors import DataError
from sfm_depth_ros.training.offline.worker_processes import in_processes


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_no_worker_outlives_its_parent(tmp_path: Path, number: signal.Signals) -> None:
    environment = {
        **os.environ,
        "OMP_NUM_THREADS": "1",
        "PYTHONPATH": os.pathsep.join(
            (str(Path(slow_work.__file__).parent), os.environ.get("PYTHONPATH", ""))
        ),
    }
    with subprocess.Popen(
        [sys.executable, slow_work.__file__, str(tmp_path)],
        env=environment,
        stderr=subprocess.DEVNULL,
    ) as parent:
        try:
            workers = [_number_in(tmp_path / name) for name in "ab"]
            parent.send_signal(number)
            assert parent.wait(20) != 0
        finally:
            parent.kill()
    end = time.monotonic() + 20
    while any(_is_running(worker) for worker in workers):
        assert time.monotonic() < end, "a worker outlived its parent"
        time.sleep(0.05)


def test_a_worker_that_dies_is_said() -> None:
    with pytest.raises(DataError, match=r"training\.render_processes"):
        list(in_processes(slow_work.fail, ["x"], 1))


def _number_in(file: Path) -> int:
    end = time.monotonic() + 60
    while not (file.exists() and file.read_text()):
        assert time.monotonic() < end
        time.sleep(0.05)
    return int(file.read_text())


def _is_running(process: int) -> bool:
    """Whether it exists and is no zombie that waits for its (dead) parent's parent."""
    try:
        state = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state not in ("Z", "X")
