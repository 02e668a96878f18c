# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Windows of larger images as images of their own: other focal lengths, other places.

Snippets are prepared larger than networks see them; a window of them, scaled down by less, is
what a longer lens would have seen from the same place. Nothing is ever scaled up, so nothing is
blurred, and the intrinsics follow.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional

from sfm_depth_ros.config.networks import size_multiple
from sfm_depth_ros.snippets.batch import SnippetBatch, rows_of_part

WHOLE_SHARE = 0.25  # of the batches: what the robot's own lens sees is seen most often
ROUNDING = 1e-6
ALL_VALID = 0.999  # a mean over valid pixels alone, but for rounding


def whole_view(batch: SnippetBatch, width: int) -> SnippetBatch:
    """All of the images at the networks' size, but for rows at the top (as in ImageLayout).

    Args:
        batch: Snippets; images that are no wider stay as they are.
        width: Columns wanted, a multiple of 32 or of 14.
    """
    if batch.target.shape[-1] <= width:
        return batch
    size = _network_size(batch, width)
    factor = _largest_factor(batch, size)
    spare_rows, spare_columns = _spare(batch, size, factor)
    tops, lefts = (torch.full((len(batch),), n) for n in (spare_rows, spare_columns // 2))
    return _view(batch, size, factor, tops, lefts)


def random_view(
    batch: SnippetBatch, width: int, generator: torch.Generator, part: tuple[int, int] = (0, 1)
) -> SnippetBatch:
    """Windows of the images at the networks' size: one zoom for the batch, a place for each.

    Args:
        batch: Snippets; images that are no wider stay as they are.
        width: Columns wanted, a multiple of 32 or of 14.
        generator: Source of randomness (CPU).
        part: (rank, count) of processes: parts are seen as in the whole batch.
    """
    if batch.target.shape[-1] <= width:
        return batch
    size = _network_size(batch, width)
    if bool(torch.rand((), generator=generator) < WHOLE_SHARE):
        return whole_view(batch, width)
    largest = _largest_factor(batch, size)
    factor = math.exp(math.log(largest) * float(torch.rand((), generator=generator)))
    places = torch.rand(2, part[1] * len(batch), generator=generator)
    places = places[:, rows_of_part(part, len(batch))]
    rows, columns = _spare(batch, size, factor)
    tops, lefts = (places[0] * (rows + 1)).long(), (places[1] * (columns + 1)).long()
    return _view(batch, size, factor, tops, lefts)


def scaled_sources(batch: SnippetBatch, factor: float) -> tuple[Tensor, Tensor]:
    """All of the sources, scaled down.

    Args:
        batch: Snippets.
        factor: By how much, at least 1.

    Returns:
        ``(B, 2, 4, h, w)`` RGB and, as fourth channel, 1 where valid; and their K ``(B, 3, 3)``.
    """
    count, (height, width) = len(batch), batch.target.shape[-2:]
    nowhere = torch.zeros(count, dtype=torch.long)
    window = _Window((int(height / factor), int(width / factor)), factor, nowhere, nowhere)
    valid = batch.target.new_ones(count, 1, height, width) if batch.valid is None else batch.valid
    valid = window.image(valid.to(batch.target.dtype))[:, None].expand(-1, 2, -1, -1, -1)
    return torch.cat((window.image(batch.sources), valid), dim=2), window.intrinsics(batch.K)


def _network_size(batch: SnippetBatch, width: int) -> tuple[int, int]:
    """Height and width of what networks see; as high as the shape and the multiple allow."""
    rows, columns = batch.target.shape[-2:]
    multiple = size_multiple(width)
    return max(multiple, rows * width // columns // multiple * multiple), width


def _largest_factor(batch: SnippetBatch, size: tuple[int, int]) -> float:
    """Largest factor by which windows can be scaled down and still lie in the images."""
    height, width = batch.target.shape[-2:]
    return min(height / size[0], width / size[1])


def _cut_size(size: tuple[int, int], factor: float) -> tuple[int, int]:
    """Rows and columns of a window before it is scaled down."""
    return math.ceil(size[0] * factor - 1e-6), math.ceil(size[1] * factor - 1e-6)


def _spare(batch: SnippetBatch, size: tuple[int, int], factor: float) -> tuple[int, int]:
    """Rows and columns of the images that a window leaves."""
    height, width = batch.target.shape[-2:]
    rows, columns = _cut_size(size, factor)
    return height - rows, width - columns


def _view(
    batch: SnippetBatch, size: tuple[int, int], factor: float, tops: Tensor, lefts: Tensor
) -> SnippetBatch:
    window = _Window(size, factor, tops, lefts)
    seen = batch.by_kind(lambda kind, part: _WINDOWS[kind.window](window, part))
    return dataclasses.replace(seen, K=window.intrinsics(batch.K))


@dataclasses.dataclass(frozen=True)
class _Window:
    """A part of every image of a batch, ``factor`` times ``size``, and how it is scaled."""

    size: tuple[int, int]
    factor: float
    tops: Tensor  # (B,)
    lefts: Tensor

    def cut(self, images: Tensor) -> Tensor:
        """Windows ``(B, C, h, w)`` of ``(B, C, H, W)``, before scaling."""
        rows, columns = _cut_size(self.size, self.factor)
        places = zip(images, self.tops.tolist(), self.lefts.tolist(), strict=True)
        return torch.stack(
            [image[..., top : top + rows, left : left + columns] for image, top, left in places]
        )

    def image(self, images: Tensor) -> Tensor:
        """Scaled ``(B, [N,] C, H, W)``: each pixel is a mean over what it covers."""
        if images.ndim == 5:
            return self.image(images.flatten(1, 2)).unflatten(1, images.shape[1:3])
        cut = self.cut(images)
        if cut.shape[-2:] == self.size:
            return cut
        # 640 x (1 / (640 / 416)) is 415.99..: nothing may be lost to rounding
        scale = ((1 + ROUNDING) / self.factor,) * 2
        scaled = functional.interpolate(
            cut,
            scale_factor=scale,
            mode="bilinear",
            antialias=True,
            align_corners=False,
            recompute_scale_factor=False,
        )
        return scaled[..., : self.size[0], : self.size[1]].clamp_(0, 1)

    def all_of(self, mask: Tensor) -> Tensor:
        """Bool, True where all that a pixel covers is."""
        return self.image(mask.float()) > ALL_VALID

    def intrinsics(self, K: Tensor) -> Tensor:
        """K of the scaled windows; pixel centres lie at integers."""
        moved = K.clone()
        moved[:, :2, :2] /= self.factor
        moved[:, 0, 2] = (K[:, 0, 2] - self.lefts.to(K) + 0.5) / self.factor - 0.5
        moved[:, 1, 2] = (K[:, 1, 2] - self.tops.to(K) + 0.5) / self.factor - 0.5
        return moved

    def nearest(self, values: Tensor) -> Tensor:
        """Value at each pixel's centre, nothing blended."""
        rows, columns = (
            ((torch.arange(wanted) + 0.5) * self.factor).long() for wanted in self.size
        )
        return self.cut(values)[..., rows[:, None], columns]

    def points(self, depth: Tensor) -> Tensor:
        """Known depths ``(B, 1, H, W)`` where they fall; the nearest to the camera stays."""
        cut = self.cut(depth)
        image, _, row, column = torch.nonzero(cut > 0, as_tuple=True)
        height, width = self.size
        row, column = ((row + 0.5) / self.factor).long(), ((column + 0.5) / self.factor).long()
        inside = (row < height) & (column < width)
        flat = ((image * height + row) * width + column)[inside]
        found = torch.full((len(cut) * height * width,), torch.inf, dtype=depth.dtype)
        found = found.to(depth.device).scatter_reduce(0, flat, cut[cut > 0][inside], "amin")
        found = torch.where(found.isinf(), torch.zeros_like(found), found)
        return found.view(len(cut), 1, height, width)


_WINDOWS: dict[str, Callable[[_Window, Tensor], Tensor]] = {
    "mean": _Window.image,
    "all": _Window.all_of,
    "nearest": _Window.nearest,
    "points": _Window.points,
    "": lambda _, same: same,
}
