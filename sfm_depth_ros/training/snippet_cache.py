# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Many snippets of one size on disk, memory-mapped: filled once, drawn from at random."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from sfm_depth_ros.data.batch import SnippetBatch, images_to_tensor
from sfm_depth_ros.data.sample import Snippet
from sfm_depth_ros.errors import DataError
from sfm_depth_ros.geometry.camera import Intrinsics

FORMAT_VERSION = 1
_DESCRIPTION = "cache.json"


@dataclass(frozen=True)
class CacheShape:
    """What a cache holds.

    Attributes:
        count: Rows, one snippet each.
        height: Image height in pixels.
        width: Image width in pixels.
        content: Sentence that says what fills it; a cache is reused only for the same content.
    """

    count: int
    height: int
    width: int
    content: str


class SnippetCache:
    """Rows of snippets in memory-mapped files of one folder.

    Images are bytes, depth float16 (three digits suffice for supervision), motion and cameras
    float32. Several processes may write different rows at the same time.

    Args:
        folder: Where the files are.
        shape: What they hold.
    """

    def __init__(self, folder: Path, shape: CacheShape) -> None:
        self.folder, self.shape = folder, shape
        rows, size = shape.count, (shape.height, shape.width)
        self._images = self._map("images.u8", np.uint8, (rows, 3, *size, 3))
        self._depth = self._map("depth.f16", np.float16, (rows, *size))
        self._valid = self._map("valid.u8", np.bool_, (rows, *size))
        self._motions = self._map("motions.f32", np.float32, (rows, 2, 4, 4))
        self._cameras = self._map("cameras.f32", np.float32, (rows, 3, 3))
        self._displacements = self._map("displacements.f32", np.float32, (rows, 2))
        self._done = self._map("done.u8", np.bool_, (rows,))

    @property
    def rows(self) -> np.ndarray:
        """Indices of the rows that hold a snippet."""
        return np.flatnonzero(self._done)

    def missing_rows(self) -> np.ndarray:
        """Indices of the rows that are still empty."""
        return np.flatnonzero(~self._done)

    def write(self, row: int, snippet: Snippet) -> None:
        """Put a snippet into a row.

        Raises:
            ValueError: The snippet's images are not of the cache's size.
        """
        expected = (self.shape.height, self.shape.width, 3)
        if snippet.target.shape != expected:
            raise ValueError(f"expected images {expected}, got {snippet.target.shape}")
        self._images[row, 0], self._images[row, 1:] = snippet.target, snippet.sources
        self._depth[row] = 0 if snippet.depth is None else snippet.depth
        self._valid[row] = True if snippet.valid is None else snippet.valid
        T = snippet.T_source_target
        self._motions[row] = np.nan if T is None else T
        self._cameras[row] = snippet.intrinsics.matrix
        self._displacements[row] = snippet.displacements
        self._done[row] = True

    def batch(self, rows: Sequence[int] | np.ndarray) -> SnippetBatch:
        """Read rows as one batch (a copy, in memory)."""
        rows = np.asarray(rows)
        images = images_to_tensor(self._images[rows])  # (B, 3, 3, H, W)
        valid = self._valid[rows]
        return SnippetBatch(
            target=images[:, 0],
            sources=images[:, 1:],
            K=torch.from_numpy(self._cameras[rows]),
            displacements=torch.from_numpy(self._displacements[rows]),
            valid=None if valid.all() else torch.from_numpy(valid).unsqueeze(1),
            depth=torch.from_numpy(self._depth[rows].astype(np.float32)).unsqueeze(1),
            T_source_target=torch.from_numpy(self._motions[rows]),
        )

    def snippet(self, row: int) -> Snippet:
        """Read one row (a copy, in memory)."""
        valid, motion = np.array(self._valid[row]), np.array(self._motions[row])
        fx, fy, cx, cy = map(float, self._cameras[row][[0, 1, 0, 1], [0, 1, 2, 2]])
        camera = Intrinsics(fx, fy, cx, cy, self.shape.width, self.shape.height)
        return Snippet(
            target=np.array(self._images[row, 0]),
            sources=np.array(self._images[row, 1:]),
            intrinsics=camera,
            displacements=np.array(self._displacements[row]),
            stamps_ns=np.zeros(3, np.int64),
            valid=None if valid.all() else valid,
            depth=self._depth[row].astype(np.float32),
            T_source_target=None if np.isnan(motion).any() else motion,
        )

    def flush(self) -> None:
        """Write everything to disk."""
        for array in (self._images, self._depth, self._valid, self._motions, self._cameras,
                      self._displacements, self._done):
            array.flush()

    def _map(self, name: str, dtype: type, shape: tuple[int, ...]) -> np.memmap:
        path = self.folder / name
        return np.memmap(path, dtype, "r+" if path.exists() else "w+", shape=shape)


def open_cache(folder: Path, shape: CacheShape) -> SnippetCache:
    """Open the cache in ``folder``, or make an empty one (a sparse file: disk fills with rows).

    Raises:
        DataError: The folder holds another cache, or cannot be written.
    """
    description = {"format_version": FORMAT_VERSION, **vars(shape)}
    path = folder / _DESCRIPTION
    try:
        if path.exists():
            _check_same(path, description)
        else:
            folder.mkdir(parents=True, exist_ok=True)
            path.write_text(json.dumps(description, indent=2))
        return SnippetCache(folder, shape)
    except OSError as error:
        raise DataError(f"cannot use the snippet cache {folder} ({error}); free some disk space "
                        "or choose another cache folder") from error


def _check_same(path: Path, expected: dict[str, object]) -> None:
    try:
        found = json.loads(path.read_text())
    except ValueError as error:
        raise DataError(f"{path} is damaged ({error}); remove its folder") from error
    if found != expected:
        raise DataError(f"{path.parent} holds other snippets ({found}) than asked for "
                        f"({expected}); remove it or choose another cache folder")
