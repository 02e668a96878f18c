# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Two worker processes with work for a minute; ``python slow_work.py FOLDER`` starts them."""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path

from sfm_depth_ros.training.offline.worker_processes import in_processes


def work(place: str) -> None:
    """Leave the process's number, and take long."""
    Path(place).write_text(str(os.getpid()))
    time.sleep(60)


def fail(place: str) -> None:
    """Die as a process does that is out of memory."""
    os._exit(9)


if __name__ == "__main__":
    # A shell that starts jobs in the background has them ignore Ctrl-C.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    list(in_processes(work, [f"{sys.argv[1]}/{name}" for name in "ab"], 2))
