# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""One snippet of the replay buffer: a file named by number and role, and its features."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from sfm_depth_ros.snippets.selection import Role, most_redundant
from sfm_depth_ros.snippets.store import SUFFIX, read_note
from sfm_depth_ros.storage import write_whole


@dataclass(frozen=True, eq=False)
class BufferEntry:
    """A kept snippet, without its images."""

    path: Path
    serial: int  # number in the order of admission
    role: Role
    feature: np.ndarray  # of `snippet_feature`
    shape: tuple[int, ...]  # of an image
    size: int  # bytes on disk

    @classmethod
    def read(cls, path: Path) -> BufferEntry:
        """Entry of a file that an earlier process wrote.

        Raises:
            DataError: The file is damaged.
            ValueError: Its name is none of the buffer's.
            OSError: It cannot be read.
        """
        serial, _, role = path.stem.partition("-")
        feature, shape = read_note(path, "feature")
        return cls(path, int(serial), Role(role), feature, shape, path.stat().st_size)

    @classmethod
    def write(
        cls,
        folder: Path,
        serial: int,
        role: Role,
        content: bytes,
        feature: np.ndarray,
        shape: tuple[int, ...],
    ) -> BufferEntry:
        """Write a snippet's file, whole or not at all.

        Raises:
            OSError: The disk is full or the folder cannot be written.
        """
        path = folder / f"{serial:09d}-{role.value}{SUFFIX}"
        write_whole(path, content)
        return cls(path, serial, role, feature, shape, len(content))


def least_useful(
    entries: Sequence[BufferEntry], shape: tuple[int, ...] | None, rng: np.random.Generator
) -> BufferEntry:
    """Entry of another image size than ``shape``, else the one that the others replace best."""
    others = [entry for entry in entries if shape and entry.shape != shape]
    if others or len(entries) < 2:
        return (others or entries)[0]
    features = np.stack([entry.feature for entry in entries])
    return entries[most_redundant(features, rng)]
