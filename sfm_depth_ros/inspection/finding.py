# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""One thing that was looked at, and what to do about it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at."""

    name: str  # What it is
    state: str  # `"ok"`, `"note"` (works, but know this) or `"problem"` (must be mended)
    detail: str  # What was found
    remedy: str = ""  # What to type or set; empty where nothing is to be done


def problem(name: str, detail: str, remedy: str) -> Finding:
    """Something that must be mended."""
    return Finding(name, "problem", detail, remedy)
