# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Memory of this process."""

from __future__ import annotations

import resource
from pathlib import Path

_STATM = Path("/proc/self/statm")


def resident_mb() -> float:
    """Resident set of this process in MB (10^6 bytes); its peak where there is no /proc."""
    if _STATM.exists():
        pages = int(_STATM.read_text(encoding="ascii").split()[1])
        return pages * resource.getpagesize() * 1e-6
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1e-6  # bytes on macOS
