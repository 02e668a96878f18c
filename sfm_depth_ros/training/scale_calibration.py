# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Metric scale by measurement instead of by gradient: one number for each network.

The translation's scale is the predicted length against the measured displacement. The depth's
own scale comes from triangles: tracked corners and the odometer's motion give depths to compare
with (visual_odometry/alignment). Without an odometer's motion or enough parallax, a line search
over one parameter stands in: with the translation at its measured length, the target is rebuilt
from its sources with all depths times a common factor, and the factor of the smallest photometric
error is the one that is missing. Either takes a second where gradient descent takes minutes, and
leaves the shape of the depth as it is.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import torch
from torch import Tensor

from sfm_depth_ros.config.schema import ObjectiveConfig
from sfm_depth_ros.geometry.camera import Intrinsics
from sfm_depth_ros.geometry.frames import invert
from sfm_depth_ros.geometry.pinhole import backproject
from sfm_depth_ros.geometry.warping import warp_sources
from sfm_depth_ros.losses.photometric import photometric_error, window_statistics
from sfm_depth_ros.losses.reprojection import reduce_sources
from sfm_depth_ros.networks.model import DepthNet, PoseNet
from sfm_depth_ros.networks.predictions import predict_depths, predict_motions
from sfm_depth_ros.snippets.batch import SnippetBatch
from sfm_depth_ros.visual_odometry.alignment import measure_depth_scale

WIDE = tuple(np.linspace(-0.7, 0.7, 15))  # log factors: half to double
NARROW = tuple(np.linspace(-0.12, 0.12, 7))
SHORTEST_RATIO = 1e-4  # below, the network sees no motion at all
SHORTEST = 0.02  # metres: a shorter displacement is no evidence of scale
FEWEST = 4  # snippets that must have enough parallax before their median is believed
MANY_PLACES = 150  # snippets after which half of a measured bias is believed
TOLERANCE = 0.03  # a smaller bias of scale is left to the gradient


@dataclass(frozen=True)
class ScaleMeasurement:
    """Factors that the metric scales lack; 1 for networks that are metric."""

    depth_factor: float  # Depths must be multiplied by this; NaN without displacements
    # Median of predicted / measured length; NaN without displacements
    translation_scale_ratio: float
    photometric: float  # Photometric error at the networks' own depth and measured translation
    translation_deviation: float  # Median over pairs of |predicted / measured length - 1|
    # Snippets whose triangles the depth factor comes from; 0 = from the search
    triangulated: int = 0
    # Median deviation from the median of log(predicted / triangulated depth) over the snippets;
    # 0 without triangles
    spread: float = 0.0
    is_at_limit: bool = False  # Whether the search ended at the first or last factor it tried

    @property
    def is_known(self) -> bool:
        """Whether the depth's factor was measured at all."""
        return math.isfinite(self.depth_factor)

    @property
    def translation_factor(self) -> float:
        """Translations must be multiplied by this; NaN where that is not known."""
        ratio = self.translation_scale_ratio
        return 1.0 / ratio if ratio > SHORTEST_RATIO and math.isfinite(ratio) else math.nan


def calibrate_scale(
    depth_net: DepthNet,
    pose_net: PoseNet,
    batches: Sequence[SnippetBatch],
    config: ObjectiveConfig,
) -> tuple[float, float]:
    """Factors that make both networks metric on these snippets: (depth, translation).

    Without triangles, searches from half to double, then finely around the minimum.

    Args:
        depth_net: Depth network in eval mode.
        pose_net: Pose network in eval mode.
        batches: Snippets with measured displacements; nothing else is needed.
        config: Weights of the photometric error.

    Returns:
        ``(depth_factor, translation_factor)``; 1 where nothing could be measured.
    """
    found = measure_widely(depth_net, pose_net, batches, config)
    depth, translation = found.depth_factor, found.translation_factor
    return (
        depth if math.isfinite(depth) else 1.0,
        translation if math.isfinite(translation) else 1.0,
    )


def measure_widely(
    depth_net: DepthNet,
    pose_net: PoseNet,
    batches: Sequence[SnippetBatch],
    config: ObjectiveConfig,
) -> ScaleMeasurement:
    """Measure as :func:`measure_scale`, from half to double and then finely around the minimum.

    Args:
        depth_net: Depth network in eval mode.
        pose_net: Pose network in eval mode.
        batches: Snippets with measured displacements.
        config: Weights of the photometric error.
    """
    found = measure_scale(depth_net, pose_net, batches, config, WIDE)
    if found.triangulated or found.is_at_limit or not found.is_known:
        return found
    finely = tuple(math.log(found.depth_factor) + step for step in NARROW)
    fine = measure_scale(depth_net, pose_net, batches, config, finely)
    return dataclasses.replace(fine, is_at_limit=False)


@torch.no_grad()
def measure_scale(
    depth_net: DepthNet,
    pose_net: PoseNet,
    batches: Sequence[SnippetBatch],
    config: ObjectiveConfig,
    log_factors: Sequence[float] = NARROW,
) -> ScaleMeasurement:
    """Measure the factors that both scales lack, without changing anything.

    Args:
        depth_net: Depth network in eval mode.
        pose_net: Pose network in eval mode.
        batches: Snippets with measured displacements.
        config: Weights of the photometric error.
        log_factors: Evenly spaced logarithms of the depth factors that are tried.
    """
    ratios, curve, weight, own = [], np.zeros(len(log_factors)), 0, 0.0
    triangles: list[float] = []
    for batch in batches:
        depth = predict_depths(depth_net, batch.target, batch.K)[0]
        T = predict_motions(
            pose_net, batch.sources[:, 0], batch.target, batch.sources[:, 1], batch.K
        )
        triangles += triangulated_ratios(batch, depth)
        T, ratio, known = with_measured_length(T, batch.displacements)
        ratios.append(ratio)
        if known.any():
            errors = _error_curve(batch, depth, T, known, config, [0.0, *log_factors])
            own += errors[0] * int(known.sum())
            curve += errors[1:] * int(known.sum())
            weight += int(known.sum())
    ratio = torch.cat(ratios) if ratios else torch.zeros(0)
    if not weight:
        return ScaleMeasurement(math.nan, math.nan, math.nan, math.nan)
    is_seen = len(triangles) >= FEWEST
    searched = math.exp(_minimum(np.asarray(log_factors), curve))
    logs = np.log(triangles) if is_seen else np.zeros(1)
    return ScaleMeasurement(
        depth_factor=1.0 / float(np.median(triangles)) if is_seen else searched,
        translation_scale_ratio=float(ratio.median()),
        photometric=own / weight,
        translation_deviation=float((ratio - 1).abs().median()),
        triangulated=len(triangles) if is_seen else 0,
        spread=float(np.median(np.abs(logs - np.median(logs)))),
        is_at_limit=not is_seen and int(np.argmin(curve)) in (0, len(curve) - 1),
    )


def with_measured_length(T: Tensor, displacements: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Stretch translations to their measured lengths.

    Returns:
        The stretched ``(B, 2, 4, 4)``; predicted / measured length of every known pair; and
        ``(B,)`` bool, whether both pairs of a snippet are known.
    """
    length = T[..., :3, 3].norm(dim=-1).clamp(min=1e-9)
    known = displacements.isfinite() & (displacements > SHORTEST)
    stretch = torch.where(known, displacements / length, torch.ones_like(length))
    stretched = T.clone()
    stretched[..., :3, 3] *= stretch.unsqueeze(-1)
    return stretched, (length / displacements)[known], known.all(dim=1)


def _error_curve(
    batch: SnippetBatch,
    depth: Tensor,
    T: Tensor,
    known: Tensor,
    config: ObjectiveConfig,
    log_factors: Sequence[float],
) -> np.ndarray:
    """Photometric error at each depth factor, over the pixels that are usable at all of them."""
    target = batch.target[known].contiguous().unsqueeze(1)
    sources = batch.sources[known].contiguous()
    statistics = window_statistics(target)
    identity = photometric_error(sources, target, config.ssim_weight, statistics=statistics)
    points = backproject(depth[known], batch.K[known])
    errors, usable = [], torch.ones_like(depth[known], dtype=torch.bool)
    for log_factor in log_factors:
        warped = warp_sources(sources, points * math.exp(log_factor), batch.K[known], T[known])
        inside = warped.valid[:, :, 0]
        error = photometric_error(warped.image, target, config.ssim_weight, statistics=statistics)[
            :, :, 0
        ]
        errors.append(reduce_sources(error, inside, identity[:, :, 0], config.reduction)[0])
        usable = usable & inside.any(dim=1, keepdim=True)
    if batch.valid is not None:
        usable = usable & batch.valid[known]
    count = usable.sum().clamp(min=1)
    return np.array([float((error * usable).sum() / count) for error in errors])


def _minimum(positions: np.ndarray, values: np.ndarray) -> float:
    """Position of the smallest value, refined by the parabola through its neighbours."""
    best = int(np.argmin(values))
    if best in (0, len(values) - 1):
        return float(positions[best])
    left, middle, right = values[best - 1 : best + 2]
    bend = left - 2 * middle + right
    shift = 0.5 * (left - right) / bend if bend > 0 else 0.0
    return float(positions[best] + shift * (positions[1] - positions[0]))


def triangulated_ratios(batch: SnippetBatch, depth: Tensor) -> list[float]:
    """Predicted over triangulated depth, one number for every snippet with enough parallax.

    Args:
        batch: Snippets; those whose motion the odometer measured are looked at.
        depth: ``(B, 1, H, W)`` predicted depth of the targets, metres.
    """
    if batch.T_measured is None:
        return []
    ratios = []
    for row, T_source_target in enumerate(batch.T_measured.cpu().double().numpy()):
        T_target_later = T_source_target[1]
        if not np.isfinite(T_target_later).all():
            continue
        scale = measure_depth_scale(
            _grey(batch.target[row]),
            _grey(batch.sources[row, 1]),
            _known(batch, depth, row),
            _intrinsics(batch, row),
            invert(T_target_later),
        )
        if scale is not None:
            ratios.append(scale.ratio)
    return ratios


def _grey(image: Tensor) -> np.ndarray:
    rgb = (image.movedim(0, -1) * 255).round().byte().cpu().contiguous().numpy()
    return cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY)


def _known(batch: SnippetBatch, depth: Tensor, row: int) -> np.ndarray:
    """Depth of one target, NaN where its image has no source."""
    metres = depth[row, 0].float().cpu().numpy().copy()
    if batch.valid is not None:
        metres[~batch.valid[row, 0].cpu().numpy()] = np.nan
    return metres


def _intrinsics(batch: SnippetBatch, row: int) -> Intrinsics:
    K = batch.K[row].cpu().double().numpy()
    height, width = batch.target.shape[-2:]
    return Intrinsics(K[0, 0], K[1, 1], K[0, 2], K[1, 2], width, height)


def trusted_factor(factor: float, snippets: int) -> float:
    """The part of a measured factor that is applied.

    The scale bias of a good model varies from place to place, so few snippets of one place count
    little; a bias within the tolerance is left to the gradient.

    Args:
        factor: Measured factor that would make depths or translations metric.
        snippets: Snippets that the measurement is of.
    """
    bias = math.log(factor) if math.isfinite(factor) else 0.0
    if abs(bias) <= TOLERANCE:
        return 1.0
    return math.exp(bias * snippets / (snippets + MANY_PLACES))
