# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Snippets as tensors: what one training step works on."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from sfm_depth_ros.snippets.values import Snippet


@dataclass(frozen=True)
class SnippetBatch:
    """Several snippets of one image size, as float tensors."""

    target: Tensor  # `(B, 3, H, W)` in [0, 1], RGB
    sources: Tensor  # `(B, 2, 3, H, W)` in [0, 1], RGB, ordered (earlier, later)
    K: Tensor  # `(B, 3, 3)` intrinsics in pixels of these images
    # `(B, 2)` measured camera translation in metres between the target and each source; NaN where
    # unknown
    displacements: Tensor
    valid: Tensor | None = None  # `(B, 1, H, W)` bool, or None where every pixel is valid
    # `(B, 1, H, W)` true depth in metres (0 or inf = unknown), or None
    depth: Tensor | None = None
    # `(B, 2, 4, 4)` true motion (NaN = unknown for that snippet), or None
    T_source_target: Tensor | None = None
    # `(B, 2, 4, 4)` the same as the odometer measured it, likewise
    T_measured: Tensor | None = None
    # `(B, 3, H, W)` in [0, 1], RGB, of a second camera with the same K, or None
    right: Tensor | None = None
    # `(B, 4, 4)` target's frame to the second camera's, metres (NaN = that snippet has no second
    # image), or None
    T_right_target: Tensor | None = None
    sparse_depth: Tensor | None = None  # `(B, 1, H, W)` measured metres (0 = unknown), or None
    # `(B, 3, H, W)` uint8 of (target, earlier, later), 0 = static, or None
    instances: Tensor | None = None

    def __len__(self) -> int:
        """Return the number of snippets."""
        return int(self.target.shape[0])

    def to(self, device: torch.device | str) -> SnippetBatch:
        """Return the same batch on another device."""
        return self._mapped(lambda tensor: tensor.to(device, non_blocking=True))

    def pinned(self) -> SnippetBatch:
        """Return the same batch in page-locked memory."""
        return self._mapped(lambda tensor: tensor.pin_memory())

    def select(self, rows: slice) -> SnippetBatch:
        """Return the snippets of ``rows`` as a batch that shares memory with this one."""
        return self._mapped(lambda tensor: tensor[rows])

    def _mapped(self, function: Callable[[Tensor], Tensor]) -> SnippetBatch:
        values = {f.name: getattr(self, f.name) for f in dataclasses.fields(self)}
        mapped = {name: function(v) for name, v in values.items() if v is not None}
        return dataclasses.replace(self, **mapped)


def collate(snippets: Sequence[Snippet]) -> SnippetBatch:
    """Stack snippets into one batch.

    A snippet that lacks something optional gets an unknown one (depth 0, motion NaN, a black
    second image, static pixels) where others of the batch have it. Image tensors keep the
    channels-last memory of their bytes, which is what convolutions on a CPU like best.

    Raises:
        ValueError: No snippet is given, or the images differ in size.
    """
    sizes = {snippet.target.shape[:2] for snippet in snippets}
    if len(sizes) != 1:
        raise ValueError(f"expected snippets of one image size, got {sorted(sizes)}")
    height, width = sizes.pop()
    unknown_depth = np.zeros((height, width), np.float32)
    everywhere = np.ones((height, width), bool)
    no_motion = np.full((2, 4, 4), np.nan, np.float32)
    no_image = np.zeros((height, width, 3), np.uint8)
    right = _stack_optional([s.right for s in snippets], no_image)
    return SnippetBatch(
        target=images_to_tensor(np.stack([s.target for s in snippets])),
        sources=images_to_tensor(np.stack([s.sources for s in snippets])),
        K=_stack([s.intrinsics.matrix for s in snippets]),
        displacements=_stack([s.displacements for s in snippets]),
        valid=_planes([s.valid for s in snippets], everywhere),
        depth=_planes([s.depth for s in snippets], unknown_depth),
        T_source_target=_tensor([s.T_source_target for s in snippets], no_motion),
        T_measured=_tensor([s.T_measured for s in snippets], no_motion),
        right=None if right is None else images_to_tensor(right),
        T_right_target=_tensor([s.T_right_target for s in snippets], no_motion[0]),
        sparse_depth=_planes([s.sparse_depth for s in snippets], unknown_depth),
        instances=_tensor([s.instances for s in snippets], no_image.transpose(2, 0, 1)),
    )


def collate_in_batches(snippets: Sequence[Snippet], size: int) -> list[SnippetBatch]:
    """Stack snippets into batches of at most ``size``."""
    return [collate(snippets[start : start + size]) for start in range(0, len(snippets), size)]


def rows_of_part(part: tuple[int, int], count: int) -> slice:
    """Which rows of a batch that is shared by several processes one of them has.

    Args:
        part: Which part of how many.
        count: Rows of a part.
    """
    return slice(part[0] * count, (part[0] + 1) * count)


def images_to_tensor(images: np.ndarray) -> Tensor:
    """Turn bytes into what networks see.

    Args:
        images: ``(..., H, W, 3)`` uint8.

    Returns:
        ``(..., 3, H, W)`` float32 in [0, 1], channels last in memory.
    """
    return torch.from_numpy(images).movedim(-1, -3).to(torch.float32).div_(255.0)


def _stack(arrays: Sequence[np.ndarray]) -> Tensor:
    return torch.from_numpy(np.stack([np.asarray(a, np.float32) for a in arrays]))


def _tensor(arrays: Sequence[np.ndarray | None], default: np.ndarray) -> Tensor | None:
    stacked = _stack_optional(arrays, default)
    return None if stacked is None else torch.from_numpy(stacked)


def _planes(arrays: Sequence[np.ndarray | None], default: np.ndarray) -> Tensor | None:
    """``(B, 1, H, W)`` of ``(H, W)`` each."""
    stacked = _tensor(arrays, default)
    return None if stacked is None else stacked.unsqueeze(1)


def _stack_optional(arrays: Sequence[np.ndarray | None], default: np.ndarray) -> np.ndarray | None:
    if all(array is None for array in arrays):
        return None
    filled = [default if array is None else array for array in arrays]
    return np.stack([np.asarray(array, default.dtype) for array in filled])
