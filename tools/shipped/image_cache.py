# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Rendered images with their depth on disk, filled place by place; an interrupted filling goes on.

A depth network that is supervised needs single images: a third of what snippets cost, and more
places for the same time.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from sfm_depth_ros.world.distribution import random_drive_spec
from sfm_depth_ros.world.drive import SyntheticDrive

DRIVE_SECONDS = 25.0
ASIDE_SHARE = 0.3  # of the places are seen as in a bend or at a junction: not along the road
ASIDE_DEG = 60.0
FAR = 200.0  # metres: what is beyond is kept as this far, which float16 holds


@dataclass(frozen=True)
class CacheSpec:
    """Size of a cache; the numbers of its places are its seed."""

    count: int  # Images
    width: int = 512  # Pixels
    height: int = 160  # Pixels
    per_place: int = 8  # Images of one place: a place costs as much as ten images
    first_place: int = 0  # Number of the first place


class ImageCache:
    """Arrays on disk: images, depths, focal lengths, and which rows are filled."""

    def __init__(self, folder: Path, spec: CacheSpec) -> None:
        """Args: where it lies, made if absent; its size."""
        self.spec = spec
        folder.mkdir(parents=True, exist_ok=True)
        frame = spec.height, spec.width
        self.images = _array(folder / "images.npy", (spec.count, *frame, 3), np.uint8)
        self.depths = _array(folder / "depths.npy", (spec.count, *frame), np.float16)
        self.focals = _array(folder / "focals.npy", (spec.count,), np.float32)

    @property
    def filled(self) -> np.ndarray:
        """Rows that hold an image."""
        return np.nonzero(self.focals > 0)[0]

    def take(self, rows: np.ndarray) -> tuple[Tensor, Tensor, Tensor]:
        """Images ``(B, H, W, 3)`` uint8, depths ``(B, H, W)`` float16, focal lengths ``(B,)``."""
        arrays = self.images, self.depths, self.focals
        images, depths, focals = (torch.from_numpy(array[rows]) for array in arrays)
        return images, depths, focals

    def fill(self) -> Iterator[int]:
        """Render what is missing; yields the rows done after every place."""
        size = self.spec.per_place
        for first in range(0, self.spec.count, size):
            rows = np.arange(first, min(first + size, self.spec.count))
            missing = rows[self.focals[rows] == 0]
            if len(missing):
                self._render(self.spec.first_place + first // size, missing)
                yield int(missing[-1]) + 1

    def _render(self, place: int, rows: np.ndarray) -> None:
        rng = np.random.default_rng((place, 0))
        spec = random_drive_spec(rng, self.spec.width, self.spec.height, DRIVE_SECONDS)
        if rng.random() < ASIDE_SHARE:
            yaw = float(rng.uniform(-ASIDE_DEG, ASIDE_DEG))
            spec = dataclasses.replace(spec, camera=dataclasses.replace(spec.camera, yaw_deg=yaw))
        drive = SyntheticDrive(spec)
        order = rng.permutation(len(drive))
        for row in rows:
            frame = drive.frame(int(order[row % self.spec.per_place]))
            self.images[row] = frame.image
            self.depths[row] = np.minimum(frame.depth, FAR)
            self.focals[row] = drive.intrinsics.fx


def _array(path: Path, shape: tuple[int, ...], dtype: type) -> np.ndarray:
    if path.exists():
        array = np.lib.format.open_memmap(path, mode="r+")
        if array.shape != shape:
            raise ValueError(f"{path} holds {array.shape}, not {shape}; choose another folder")
        return array
    return np.lib.format.open_memmap(path, mode="w+", dtype=dtype, shape=shape)
