# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The scale-aware self-supervised objective: image reconstruction, smoothness, measured way."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from sfm_depth_ros.config.schema import ObjectiveConfig
from sfm_depth_ros.geometry.depth import inverse_depth
from sfm_depth_ros.geometry.pinhole import backproject
from sfm_depth_ros.geometry.warping import warp_sources
from sfm_depth_ros.losses.joining import reduce_sources
from sfm_depth_ros.losses.photometric import (
    WindowStatistics,
    photometric_error,
    window_statistics,
)
from sfm_depth_ros.losses.smoothness import edge_aware_smoothness
from sfm_depth_ros.losses.velocity import velocity_loss
from sfm_depth_ros.losses.window import box_sum


@dataclass(frozen=True)
class LossTerms:
    """The named parts of the objective, unweighted, and their weighted sum.

    Attributes:
        total: What is minimised.
        photometric: Mean photometric error over used pixels and scales.
        smoothness: Mean over scales of the smoothness, halved at each coarser one.
        velocity: Mean difference in metres between predicted and measured ways.
        depth_supervision: Mean |log depth - log truth|; zero without truth.
        motion_supervision: Relative translation error and weighted angle; zero without truth.
    """

    total: Tensor
    photometric: Tensor
    smoothness: Tensor
    velocity: Tensor
    depth_supervision: Tensor
    motion_supervision: Tensor

    def as_floats(self) -> dict[str, float]:
        """Every term as a number, for logs and diagnostics."""
        return {f.name: float(getattr(self, f.name).detach()) for f in dataclasses.fields(self)}

    def with_supervision(self, depth: Tensor, motion: Tensor, weight: float) -> LossTerms:
        """The same terms with supervised ones added to the total."""
        total = self.total + weight * (depth + motion)
        return dataclasses.replace(
            self, total=total, depth_supervision=depth, motion_supervision=motion
        )


@dataclass(frozen=True)
class _View:
    """What every scale shares of the target and its sources."""

    sources: Tensor  # (B, S, 3, H, W), with a fourth channel 1 = valid where a mask is given
    reference: Tensor  # (B, 1, 3, H, W): the target, ready to broadcast over sources
    statistics: WindowStatistics
    valid: Tensor | None  # (B, 1, H, W) bool
    identity_errors: Tensor | None  # (B, S, H, W)
    K: Tensor
    T_source_target: Tensor
    config: ObjectiveConfig


def self_supervised_objective(
    target: Tensor,
    sources: Tensor,
    depths: Sequence[Tensor],
    K: Tensor,
    T_source_target: Tensor,
    displacements: Tensor,
    valid: Tensor | None,
    config: ObjectiveConfig,
) -> LossTerms:
    """How badly depths and motions explain the images and the measured displacements.

    Args:
        target: ``(B, 3, H, W)`` image in [0, 1].
        sources: ``(B, S, 3, H, W)`` images in [0, 1].
        depths: Each ``(B, 1, h, w)`` metres of the target, finest first; all are compared at full
            resolution.
        K: ``(B, 3, 3)`` intrinsics in pixels at full resolution.
        T_source_target: ``(B, S, 4, 4)`` predicted motions in metres.
        displacements: ``(B, S)`` measured lengths in metres; NaN where unknown.
        valid: ``(B, 1, H, W)`` bool, False where images have no source (padding, undistortion),
            or None.
        config: Weights and switches.

    Returns:
        The named terms.
    """
    _check(target, sources, depths, valid)
    view = _prepare(target, sources, K, T_source_target, valid, config)
    inverse_depths = [inverse_depth(depth) for depth in depths]
    photometric = _mean(
        _reconstruction_error(_full_size(depth, inverse, target), view)
        for depth, inverse in zip(depths, inverse_depths, strict=True)
    )
    smoothness = _mean(
        edge_aware_smoothness(inverse, image) / 2**scale
        for scale, (inverse, image) in enumerate(
            zip(inverse_depths, _image_pyramid(target, inverse_depths), strict=True)
        )
    )
    velocity = velocity_loss(T_source_target[..., :3, 3], displacements)
    total = (
        config.photometric_weight * photometric
        + config.smoothness_weight * smoothness
        + config.velocity_weight * velocity
    )
    zero = torch.zeros_like(total)
    return LossTerms(total, photometric, smoothness, velocity, zero, zero)


@torch.no_grad()
def _prepare(
    target: Tensor,
    sources: Tensor,
    K: Tensor,
    T_source_target: Tensor,
    valid: Tensor | None,
    config: ObjectiveConfig,
) -> _View:
    reference = target[:, None]
    statistics = window_statistics(reference)
    identity_errors = None
    if config.auto_mask:
        identity_errors = photometric_error(
            sources, reference, config.ssim_weight, statistics=statistics
        )[:, :, 0]
    if valid is not None:
        # A window that touches an invalid pixel is invalid; so is a sample of the source there.
        valid = box_sum(valid.to(target.dtype)) > 9 - 1e-3
        channel = valid[:, None].to(target.dtype).expand(-1, sources.shape[1], -1, -1, -1)
        sources = torch.cat([sources, channel], dim=2)
    return _View(
        sources, reference, statistics, valid, identity_errors, K, T_source_target, config
    )


def _reconstruction_error(depth: Tensor, view: _View) -> Tensor:
    """Mean photometric error of the target rebuilt from its sources by ``depth``."""
    warped = warp_sources(
        view.sources, backproject(depth, view.K), view.K, view.T_source_target
    )
    image, inside = warped.image, warped.valid[:, :, 0]
    if view.valid is not None:
        inside = inside & (image[:, :, 3].detach() > 1 - 1e-3)
        image = image[:, :, :3]
    errors = photometric_error(
        image, view.reference, view.config.ssim_weight, statistics=view.statistics
    )[:, :, 0]
    error, used = reduce_sources(errors, inside, view.identity_errors, view.config.reduction)
    if view.valid is not None:
        used = used & view.valid
        error = error * used
    return error.sum() / used.sum().clamp(min=1)


def _full_size(depth: Tensor, inverse: Tensor, target: Tensor) -> Tensor:
    """Depth at the target's size: interpolated as inverse depth, which is linear on planes."""
    if depth.shape[-2:] == target.shape[-2:]:
        return depth
    size = (target.shape[-2], target.shape[-1])
    return 1.0 / functional.interpolate(inverse, size, mode="bilinear", align_corners=False)


@torch.no_grad()
def _image_pyramid(image: Tensor, levels: Sequence[Tensor]) -> Iterator[Tensor]:
    """The image area-averaged to each level's size, each from the one before."""
    for level in levels:
        size = (level.shape[-2], level.shape[-1])
        if image.shape[-2:] != size:
            image = functional.interpolate(image, size, mode="area")
        yield image


def _mean(values: Iterator[Tensor]) -> Tensor:
    return torch.stack(list(values)).mean()


def _check(
    target: Tensor, sources: Tensor, depths: Sequence[Tensor], valid: Tensor | None
) -> None:
    batch, size = target.shape[0], target.shape[-2:]
    if target.ndim != 4 or sources.ndim != 5 or sources.shape[2:] != target.shape[1:]:
        raise ValueError(
            "expected target (B, 3, H, W) and sources (B, S, 3, H, W), got "
            f"{tuple(target.shape)} and {tuple(sources.shape)}"
        )
    if not depths or any(depth.shape[:2] != (batch, 1) for depth in depths):
        raise ValueError(f"expected depths ({batch}, 1, h, w), finest first")
    if valid is not None and valid.shape != (batch, 1, *size):
        raise ValueError(f"expected valid {(batch, 1, *size)}, got {tuple(valid.shape)}")
