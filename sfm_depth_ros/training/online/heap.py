# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Freed memory back to the system, where the C library keeps it."""

from __future__ import annotations

import ctypes
import sys


def give_back_freed() -> None:
    """Return freed pages of all of glibc's arenas; elsewhere nothing happens.

    Between steps of one kind memory is used again. Judging, exporting and saving take pieces of
    other sizes, and what they leave lies in fragments that no step fits into: without this the
    process grows with the models that it hands over.
    """
    if sys.platform.startswith("linux"):
        trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # musl has none
        if trim is not None:
            trim(0)
