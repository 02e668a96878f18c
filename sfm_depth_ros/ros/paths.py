# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Where installed files lie: ament index, then the Python prefix, then the source tree."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from sfm_depth_ros.errors import DataError

PACKAGE = "sfm_depth_ros"


def share_directories() -> list[Path]:
    """Folders that may hold ``config``, ``launch`` and ``models``, best first."""
    prefixes = [Path(p) for p in os.environ.get("AMENT_PREFIX_PATH", "").split(os.pathsep) if p]
    shares = [prefix / "share" / PACKAGE for prefix in (*prefixes, Path(sys.prefix))]
    return [*shares, Path(__file__).resolve().parents[2]]


def find_share(relative: str) -> Path:
    """Find an installed file or folder.

    Args:
        relative: Path inside the share folder, for example ``"config/depth.yaml"``.

    Raises:
        DataError: It is nowhere; the message names the folders that were looked at.
    """
    candidates = [share / relative for share in share_directories()]
    for candidate in candidates:
        if candidate.exists():
            return candidate
    tried = ", ".join(str(path) for path in candidates)
    raise DataError(f"{relative} is not installed (looked for {tried}): install the package again")
