# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A folder that appears whole or not at all."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

ASIDE = ".writing-"  # how the names of unfinished folders begin


def write_folder(destination: Path, files: dict[str, bytes]) -> None:
    """Write a folder aside, flush it to disk and rename it.

    Args:
        destination: Folder to make; it must not exist.
        files: Content by plain file name.

    Raises:
        OSError: The disk is full, the place not writable, or the folder exists.
    """
    destination.parent.mkdir(parents=True, exist_ok=True)
    aside = Path(tempfile.mkdtemp(prefix=ASIDE, dir=destination.parent))
    try:
        for name, data in files.items():
            with open(aside / name, "xb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
        aside.chmod(0o755)  # mkdtemp makes folders that other users cannot read
        _sync_folder(aside)
        aside.rename(destination)
        _sync_folder(destination.parent)
    except BaseException:
        shutil.rmtree(aside, ignore_errors=True)
        raise


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
