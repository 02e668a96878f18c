# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Two processes for work that has nothing to do with ROS."""

from __future__ import annotations

import logging
import multiprocessing
import signal
from multiprocessing.pool import Pool

PROCESSES = 2


def worker_pool() -> Pool:
    """Processes that leave Ctrl-C to their parent and log warnings alone; a context manager."""
    context = multiprocessing.get_context("spawn")
    return context.Pool(PROCESSES, initializer=_prepare)


def _prepare() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    logging.basicConfig(level=logging.WARNING)
