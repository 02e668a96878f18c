# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Snippets as tensors: what one training step works on."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import overload

import numpy as np
import torch
from torch import Tensor

from sfm_depth_ros.snippets.values import IMAGE, PARTS, Kind, Part, Snippet

IN_BATCHES = {name: part for name, part in PARTS.items() if name != "stamps_ns"}


@dataclass(frozen=True)
class SnippetBatch:
    """Several snippets of one image size, as float tensors.

    Parts are those of :class:`Snippet`; what a batch has no part of is None, and where one
    snippet lacks what another has, its rows are unknown.
    """

    target: Tensor  # `(B, 3, H, W)` in [0, 1], RGB
    sources: Tensor  # `(B, S, 3, H, W)` in [0, 1], RGB, ordered (earlier, later)
    K: Tensor  # `(B, 3, 3)` intrinsics in pixels of these images
    # `(B, S)` measured camera translation in metres between target and source; NaN = unknown
    displacements: Tensor
    valid: Tensor | None = None  # `(B, 1, H, W)` bool, False = no source (padding, undistortion)
    depth: Tensor | None = None  # `(B, 1, H, W)` true depth in metres (0 or inf = unknown)
    T_source_target: Tensor | None = None  # `(B, S, 4, 4)` true motion (NaN = unknown)
    T_measured: Tensor | None = None  # `(B, S, 4, 4)` the same by the odometer (NaN = unknown)
    right: Tensor | None = None  # `(B, 3, H, W)` in [0, 1], RGB, of a second camera with this K
    # `(B, 4, 4)` target's frame to the second camera's, metres (NaN = no second image)
    T_right_target: Tensor | None = None
    sparse_depth: Tensor | None = None  # `(B, 1, H, W)` measured metres (0 = unknown)
    landmarks: Tensor | None = None  # `(B, 1, H, W)` metres of triangulated corners (0 = unknown)
    # `(B, 1, H, W)` inverse depth by a larger network, up to a gain and an offset (NaN = unknown)
    teacher_disparity: Tensor | None = None
    instances: Tensor | None = None  # `(B, 1 + S, H, W)` uint8 of target and sources, 0 = static

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

    def contiguous(self) -> SnippetBatch:
        """The same batch with its images plane by plane in memory, as the objective reads them."""
        return dataclasses.replace(
            self, target=self.target.contiguous(), sources=self.sources.contiguous()
        )

    def by_kind(self, change: Callable[[Kind, Tensor], Tensor]) -> SnippetBatch:
        """The batch with every known part changed according to its kind; K stays."""
        known = {name: getattr(self, name) for name in IN_BATCHES}
        changed = {
            name: change(IN_BATCHES[name].kind, value)
            for name, value in known.items()
            if value is not None
        }
        return dataclasses.replace(self, **changed)

    def _mapped(self, function: Callable[[Tensor], Tensor]) -> SnippetBatch:
        mapped = self.by_kind(lambda _, tensor: function(tensor))
        return dataclasses.replace(mapped, K=function(self.K))


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
    K = np.stack([snippet.intrinsics.matrix for snippet in snippets])
    parts = {
        name: _stacked(part, [getattr(snippet, name) for snippet in snippets])
        for name, part in IN_BATCHES.items()
    }
    return SnippetBatch(
        K=torch.from_numpy(K.astype(np.float32)),
        **parts,  # type: ignore[arg-type]  # what is not optional is not None
    )


def collate_in_batches(snippets: Sequence[Snippet], size: int) -> list[SnippetBatch]:
    """Stack snippets into batches of at most ``size``."""
    return [collate(snippets[start : start + size]) for start in range(0, len(snippets), size)]


class LazyBatches(Sequence[SnippetBatch]):
    """Snippets as batches that are made when they are read: bytes take a quarter of the memory.

    Args:
        snippets: Of one image size.
        size: Snippets in a batch, at most.
        device: Where the batches are.
    """

    def __init__(self, snippets: Sequence[Snippet], size: int, device: str) -> None:
        self._snippets, self._size, self._device = snippets, size, device

    def __len__(self) -> int:
        """Number of batches."""
        return -(-len(self._snippets) // self._size)

    @overload
    def __getitem__(self, index: int) -> SnippetBatch: ...
    @overload
    def __getitem__(self, index: slice) -> list[SnippetBatch]: ...
    def __getitem__(self, index: int | slice) -> SnippetBatch | list[SnippetBatch]:
        """One batch, or several."""
        if isinstance(index, slice):
            return [self[number] for number in range(*index.indices(len(self)))]
        number = range(len(self))[index]  # IndexError ends an iteration
        rows = self._snippets[number * self._size : (number + 1) * self._size]
        return collate(rows).to(self._device)


def rows_of_part(part: tuple[int, int], count: int) -> slice:
    """Slice of a global batch that belongs to one rank.

    Args:
        part: (rank, count) of processes.
        count: Rows of a part.
    """
    return slice(part[0] * count, (part[0] + 1) * count)


def images_to_tensor(images: np.ndarray) -> Tensor:
    """Network inputs of image bytes.

    Args:
        images: ``(..., H, W, 3)`` uint8.

    Returns:
        ``(..., 3, H, W)`` float32 in [0, 1], channels last in memory.
    """
    return torch.from_numpy(images).movedim(-1, -3).to(torch.float32).div_(255.0)


def _stacked(part: Part, arrays: Sequence[np.ndarray | None]) -> Tensor | None:
    """One part of a batch; None where no snippet has it."""
    known = [array for array in arrays if array is not None]
    if not known:
        return None
    dtype = part.kind.dtype
    unknown = np.full(known[0].shape, part.kind.unknown, dtype) if len(known) < len(arrays) else 0
    filled = [unknown if array is None else array for array in arrays]
    stacked = np.stack([np.asarray(array, dtype) for array in filled])
    if part.kind is IMAGE:
        return images_to_tensor(stacked)
    tensor = torch.from_numpy(stacked)
    return tensor.unsqueeze(1) if part.shape == ("H", "W") else tensor
