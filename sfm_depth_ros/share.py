# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Paths of installed files (ament index, Python prefix, source tree), and the user's home."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from sfm_depth_ros.errors import DataError

PACKAGE = "sfm_depth_ros"
SHIPPED_MODEL = "models/lite0"


def ensure_home() -> None:
    """Give the process a home folder where its user has none, as in containers: ``/``.

    Libraries end with an error without one. What cannot be written there is named when it is.
    """
    try:
        Path.home()
    except RuntimeError:
        os.environ["HOME"] = "/"


def share_directories() -> list[Path]:
    """Folders that may hold ``config``, ``launch`` and ``models``, best first."""
    prefixes = [Path(p) for p in os.environ.get("AMENT_PREFIX_PATH", "").split(os.pathsep) if p]
    shares = [prefix / "share" / PACKAGE for prefix in (*prefixes, Path(sys.prefix))]
    return [*shares, Path(__file__).resolve().parents[1]]


def share_path(relative: str) -> Path:
    """Path of an installed file or folder, or its place in the source tree if it is nowhere.

    Args:
        relative: Path inside the share folder, for example ``"config/depth.yaml"``.
    """
    candidates = [share / relative for share in share_directories()]
    return _unlinked(next((path for path in candidates if path.exists()), candidates[-1]))


def _unlinked(path: Path) -> Path:
    """The folder itself where colcon --symlink-install made one of links to its files.

    A model folder with links in it is refused, for they could lead anywhere; these are ours.
    """
    links = [entry for entry in path.iterdir() if entry.is_symlink()] if path.is_dir() else []
    folders = {link.resolve().parent for link in links}
    return folders.pop() if len(folders) == 1 and links[0].resolve().is_file() else path


def find_share(relative: str) -> Path:
    """Find an installed file or folder.

    Raises:
        DataError: It is nowhere; the message names the folders that were looked at.
    """
    path = share_path(relative)
    if not path.exists():
        tried = ", ".join(str(share) for share in share_directories())
        raise DataError(f"{relative} is in none of {tried}: install the package again")
    return path
