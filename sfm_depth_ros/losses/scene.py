# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What the terms of the objective look at, with what several of them share computed once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor
from torch.nn import functional

from sfm_depth_ros.config.schema import ObjectiveConfig
from sfm_depth_ros.geometry.depth import inverse_depth
from sfm_depth_ros.geometry.pinhole import backproject
from sfm_depth_ros.geometry.warping import WarpResult, sample_sources, warp_sources
from sfm_depth_ros.losses.consistency import depth_consistency
from sfm_depth_ros.losses.instance_motion import motion_of_instances
from sfm_depth_ros.losses.photometric import WindowStatistics, window_statistics
from sfm_depth_ros.losses.window import box_sum


@dataclass(frozen=True)
class Observation:
    """What was seen and measured.

    Attributes:
        target: ``(B, 3, H, W)`` image in [0, 1].
        sources: ``(B, S, 3, H, W)`` images in [0, 1].
        K: ``(B, 3, 3)`` intrinsics in pixels of these images.
        displacements: ``(B, S)`` measured lengths in metres; NaN where unknown.
        valid: ``(B, 1, H, W)`` bool, False where images have no source (padding, undistortion),
            or None.
        T_measured: ``(B, S, 4, 4)`` measured motions, NaN where unknown, or None.
        right: ``(B, 3, H, W)`` image in [0, 1] of a second camera with the same K, or None.
        T_right_target: ``(B, 4, 4)`` target's frame to the second camera's, metres; NaN where a
            snippet has no second image.
        sparse_depth: ``(B, 1, H, W)`` measured metres, 0 where unknown, or None.
        instances: ``(B, 1 + S, H, W)`` numbers of moving things in the target and its sources,
            0 = static, or None.
    """

    target: Tensor
    sources: Tensor
    K: Tensor
    displacements: Tensor
    valid: Tensor | None = None
    T_measured: Tensor | None = None
    right: Tensor | None = None
    T_right_target: Tensor | None = None
    sparse_depth: Tensor | None = None
    instances: Tensor | None = None


@dataclass(frozen=True)
class Prediction:
    """What the networks say of an observation.

    Attributes:
        depths: Each ``(B, 1, h, w)`` metres of the target, finest first; all are compared at full
            resolution.
        T_source_target: ``(B, S, 4, 4)`` motions in metres.
        source_depths: ``(B, S, 1, H, W)`` metres of the sources, where a term asks for them.
        right_depth: ``(B, 1, H, W)`` metres of the second image, likewise.
        explainability: Each ``(B, S, h, w)`` in (0, 1), finest first, or None.
        residual_translation: ``(B, S, 3, H, W)`` metres that the target's points move by
            themselves, in the source frames, or None.
        residual_reverse: ``(B, S, 3, H, W)`` metres, the same from source to target at the
            source's pixels, or None.
        T_target_source: ``(B, S, 4, 4)`` the way back, predicted apart, or None.
    """

    depths: Sequence[Tensor]
    T_source_target: Tensor
    source_depths: Tensor | None = None
    right_depth: Tensor | None = None
    explainability: Sequence[Tensor] | None = None
    residual_translation: Tensor | None = None
    residual_reverse: Tensor | None = None
    T_target_source: Tensor | None = None


class Scene:
    """One observation under one prediction; what is asked for is computed once.

    Args:
        observed: What was seen and measured.
        predicted: What the networks say of it.
        config: Weights and switches.
    """

    def __init__(
        self, observed: Observation, predicted: Prediction, config: ObjectiveConfig
    ) -> None:
        _check(observed, predicted)
        self.observed, self.predicted, self.config = observed, predicted, config
        self.depths = predicted.depths[: config.scales]

    @cached_property
    def inverse_depths(self) -> list[Tensor]:
        """Of the target at every scale, 1/m."""
        return [inverse_depth(depth) for depth in self.depths]

    @cached_property
    def reference(self) -> Tensor:
        """The target ``(B, 1, 3, H, W)``, ready to broadcast over sources."""
        return self.observed.target[:, None]

    @cached_property
    def statistics(self) -> WindowStatistics:
        """Of the reference."""
        return window_statistics(self.reference, self.config.ssim_window)

    @cached_property
    @torch.no_grad()
    def valid(self) -> Tensor | None:
        """Pixels ``(B, 1, H, W)`` whose window touches no invalid one."""
        if self.observed.valid is None:
            return None
        window = self.config.ssim_window
        whole = box_sum(self.observed.valid.to(self.reference.dtype), window)
        return whole > window**2 - 1e-3

    @torch.no_grad()
    def with_validity(self, images: Tensor) -> Tensor:
        """Images ``(B, S, 3, H, W)`` with a fourth channel, 1 where valid, if there is a mask."""
        if self.valid is None:
            return images
        channel = self.valid[:, None].to(images.dtype).expand(-1, images.shape[1], -1, -1, -1)
        return torch.cat([images, channel], dim=2)

    def points(self, scale: int) -> Tensor:
        """The target's points ``(B, 3, H, W)`` at full size as a scale has them, metres."""
        return self.finest_points if scale == 0 else self._points(scale)

    def warped(self, scale: int) -> WarpResult:
        """The sources, with their validity, as seen from the target at a scale's depth."""
        return self.finest_warped if scale == 0 else self._warped(scale)

    @cached_property
    def finest_points(self) -> Tensor:
        """The target's points ``(B, 3, H, W)``, metres."""
        return self._points(0)

    @cached_property
    def finest_warped(self) -> WarpResult:
        """The sources, with their validity, as seen from the target."""
        return self._warped(0)

    @cached_property
    def residual(self) -> Tensor | None:
        """What moves by itself ``(B, S, 3, H, W)``, metres; None = nothing.

        With ``use_instance_mask`` each instance moves as a whole, by the mean over its pixels, and
        all else rests; without a mask nothing is known to move.
        """
        field = self.predicted.residual_translation
        if field is None or not self.config.use_instance_mask:
            return field
        instances = self.observed.instances
        return None if instances is None else motion_of_instances(field, instances[:, 0])

    @cached_property
    def disagreement(self) -> tuple[Tensor, Tensor] | None:
        """How unlike target's and sources' depths are ``(B, S, H, W)``; where that is known."""
        sampled = self.sampled_depths
        return None if sampled is None else depth_consistency(self.finest_warped, sampled)

    @cached_property
    def sampled_depths(self) -> Tensor | None:
        """The sources' own depths ``(B, S, 1, H, W)`` where the target's points fall in them."""
        depths = self.predicted.source_depths
        return None if depths is None else sample_sources(depths, self.finest_warped.grid)

    @cached_property
    def sampled_residual_reverse(self) -> Tensor | None:
        """What moves by itself on the way back ``(B, S, 3, H, W)``, for the target's pixels.

        Which pixel is looked up is not learnt through: fields must agree, not move together.
        """
        field = self.predicted.residual_reverse
        if field is None or self.residual is None:
            return None
        if self.config.use_instance_mask and self.observed.instances is not None:
            of_each_source = self.observed.instances[:, 1:].flatten(0, 1)
            field = motion_of_instances(field.flatten(0, 1)[:, None], of_each_source).view_as(field)
        return sample_sources(field, self.finest_warped.grid.detach())

    def _points(self, scale: int) -> Tensor:
        depth, inverse = self.depths[scale], self.inverse_depths[scale]
        return backproject(_full_size(depth, inverse, self.observed.target), self.observed.K)

    def _warped(self, scale: int) -> WarpResult:
        return warp_sources(
            self._sources, self.points(scale), self.observed.K, self.predicted.T_source_target,
            self.residual,
        )

    @cached_property
    def _sources(self) -> Tensor:
        return self.with_validity(self.observed.sources)


def _full_size(depth: Tensor, inverse: Tensor, target: Tensor) -> Tensor:
    """Depth at the target's size: interpolated as inverse depth, which is linear on planes."""
    if depth.shape[-2:] == target.shape[-2:]:
        return depth
    size = (target.shape[-2], target.shape[-1])
    return 1.0 / functional.interpolate(inverse, size, mode="bilinear", align_corners=False)


def _check(observed: Observation, predicted: Prediction) -> None:
    target, sources, valid = observed.target, observed.sources, observed.valid
    batch, size = target.shape[0], target.shape[-2:]
    if target.ndim != 4 or sources.ndim != 5 or sources.shape[2:] != target.shape[1:]:
        raise ValueError(
            "expected target (B, 3, H, W) and sources (B, S, 3, H, W), got "
            f"{tuple(target.shape)} and {tuple(sources.shape)}"
        )
    depths = predicted.depths
    if not depths or any(depth.shape[:2] != (batch, 1) for depth in depths):
        raise ValueError(f"expected depths ({batch}, 1, h, w), finest first")
    if valid is not None and valid.shape != (batch, 1, *size):
        raise ValueError(f"expected valid {(batch, 1, *size)}, got {tuple(valid.shape)}")
