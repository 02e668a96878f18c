# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Augmentation that keeps the geometry true: mirrored images, light and colour."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from sfm_depth_ros.geometry.pinhole import flip_intrinsics
from sfm_depth_ros.snippets.batch import SnippetBatch, rows_of_part

LUMA = (0.299, 0.587, 0.114)  # ITU-R BT.601
# RGB -> YIQ (NTSC): a rotation of the IQ plane changes the hue and leaves the luma alone.
_RGB_TO_YIQ = ((0.299, 0.587, 0.114), (0.5959, -0.2746, -0.3213), (0.2115, -0.5227, 0.3112))


@dataclass(frozen=True)
class JitterStrength:
    """Bounds of the change of light and colour; the defaults are PackNet-SfM's and grey."""

    brightness: float = 0.2  # Largest relative change of brightness
    contrast: float = 0.2  # Largest relative change of contrast about the sample's mean grey
    saturation: float = 0.2  # Largest relative change of saturation
    hue: float = 0.05  # Largest rotation of the hue, as a share of the full circle
    # Share of samples that lose their colour, for the sake of grey cameras
    grey_share: float = 0.2


class PhotometricJitter:
    """Changes light and colour of a sample, identically over its frames.

    Brightness, contrast, saturation and hue are all affine in RGB, so each sample gets one 3x3
    matrix and one offset, applied once.

    Args:
        strength: Bounds of the change.
        generator: Source of randomness (CPU).
        part: (rank, count) of processes: parts of a batch change as in the whole one.
    """

    def __init__(
        self, strength: JitterStrength, generator: torch.Generator, part: tuple[int, int] = (0, 1)
    ) -> None:
        self.strength = strength
        self._generator, self._part = generator, part

    def __call__(self, images: Tensor) -> Tensor:
        """Return changed images.

        Args:
            images: ``(B, N, 3, H, W)`` in [0, 1]; the N frames of a sample change alike.

        Returns:
            The same shape, clamped to [0, 1].
        """
        rows = rows_of_part(self._part, len(images))
        matrix, gain = self._colour_matrices(self._part[1] * len(images))
        matrix, gain = matrix[rows].to(images), gain[rows].to(images)
        luma = torch.tensor(LUMA).to(images)
        middle = images[:, 0, :, ::4, ::4].mean(dim=(2, 3)) @ luma  # (B,) mean grey
        offset = (1 - gain) * middle  # contrast pivots at the mean grey
        planes = images.flatten(3)  # (B, N, 3, HW)
        changed = matrix[:, None] @ planes + offset[:, None, None, None]
        return changed.clamp_(0, 1).reshape(images.shape)

    def _colour_matrices(self, count: int) -> tuple[Tensor, Tensor]:
        """Draw matrices ``(B, 3, 3)`` with the contrast gain in them, and that gain ``(B,)``."""
        s = self.strength
        brightness, gain = 1 + self._draw(count, s.brightness), 1 + self._draw(count, s.contrast)
        saturation, hue = 1 + self._draw(count, s.saturation), self._draw(count, s.hue)
        is_grey = torch.rand(count, generator=self._generator) < s.grey_share
        saturation = torch.where(is_grey, torch.zeros(()), saturation)
        rotation = torch.zeros(count, 3, 3)
        rotation[:, 0, 0] = 1
        rotation[:, 1, 1] = rotation[:, 2, 2] = saturation * torch.cos(2 * torch.pi * hue)
        rotation[:, 2, 1] = saturation * torch.sin(2 * torch.pi * hue)
        rotation[:, 1, 2] = -rotation[:, 2, 1]
        to_yiq = torch.tensor(_RGB_TO_YIQ)
        matrix = torch.linalg.inv(to_yiq) @ rotation @ to_yiq
        return matrix * (brightness * gain)[:, None, None], gain

    def _draw(self, count: int, bound: float) -> Tensor:
        return (2 * torch.rand(count, generator=self._generator) - 1) * bound


def flip_batch(batch: SnippetBatch) -> SnippetBatch:
    """Mirror a batch left to right, with its intrinsics and true motions.

    Mirroring takes x to -x in the camera's frame: the principal point moves to the other side,
    and a motion T becomes S T S with S = diag(-1, 1, 1, 1). A second camera on the right thereby
    becomes one on the left, with ``T_right_target`` to match: no exchange of the images is needed.
    """
    mirrored = batch.by_kind(lambda kind, part: _MIRRORS[kind.mirror](part))
    return dataclasses.replace(mirrored, K=flip_intrinsics(batch.K, batch.target.shape[-1]))


def random_flip(batch: SnippetBatch, generator: torch.Generator) -> SnippetBatch:
    """Mirror the whole batch with probability one half."""
    is_mirrored = bool(torch.rand((), generator=generator) < 0.5)
    return flip_batch(batch) if is_mirrored else batch


def _mirror_motion(T: Tensor) -> Tensor:
    mirror = torch.tensor([-1.0, 1.0, 1.0, 1.0]).to(T)
    return T * mirror[:, None] * mirror


_MIRRORS: dict[str, Callable[[Tensor], Tensor]] = {
    "columns": lambda image: image.flip(-1),
    "motion": _mirror_motion,
    "": lambda same: same,
}
