# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Storage files of a bag."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

from sfm_depth_ros.errors import DataError
from sfm_depth_ros.optional import require

_STORAGE_FILES = (".mcap", ".db3")
_logger = logging.getLogger(__name__)


def open_readers(path: Path) -> list[Any]:
    """Open readers of a bag; of its files one by one where ``metadata.yaml`` is of no use.

    Raises:
        DataError: Nothing can be read.
    """
    rosbag2 = require("rosbags.rosbag2")

    def opened(place: Path) -> Any:
        reader = rosbag2.Reader(place)
        reader.open()
        return reader

    try:
        return [opened(path)]
    except Exception as error:  # damaged files raise whatever they hit, not ReaderError alone
        reason = error
    readers = []
    for file in sorted(f for f in path.glob("*") if f.suffix in _STORAGE_FILES):
        try:
            readers.append(opened(file))
        except Exception as error:
            reason = error
            _logger.warning("%s cannot be read (%s): %s", file, error, remedy_for(file))
    if not readers:
        raise DataError(
            f"{path} is no readable rosbag2 ({reason}): give the folder that holds "
            f"metadata.yaml; {remedy_for(path)}"
        ) from reason
    _logger.warning("%s: metadata.yaml cannot be used (%s); reading the files alone", path, reason)
    return sorted(readers, key=lambda reader: int(reader.start_time))


def remedy_for(path: Path) -> str:
    """Command that mends a damaged bag of this storage."""
    if any(path.glob("*.zstd")):
        return f"unpack what is whole (zstd -d {path}/*.zstd), then remove {path}/metadata.yaml"
    files = [path] if path.is_file() else sorted(path.glob("*.mcap"))
    if files and files[0].suffix == ".mcap":
        return f"repair a truncated recording: mcap recover {files[0]} -o mended.mcap"
    return "repair a bag that was not closed: ros2 bag reindex"
