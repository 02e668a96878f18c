# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Measures of networks on snippets they never learn from: with the truth, and without it.

Nothing here decides: the offline run keeps the weights of the lowest score (offline/run.py), the
online trainer deploys by :mod:`~sfm_depth_ros.training.online.guard`.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import torch
from torch import Tensor

from sfm_depth_ros.config.schema import ObjectiveConfig
from sfm_depth_ros.evaluation.depth_errors import DepthErrors, depth_errors, depth_scale_ratio
from sfm_depth_ros.geometry.se3 import matrix_to_axis_angle
from sfm_depth_ros.networks.model import DepthNet, PoseNet
from sfm_depth_ros.networks.predictions import predict_depths, predict_motions
from sfm_depth_ros.snippets.batch import SnippetBatch
from sfm_depth_ros.training.landmark_depth import landmark_depths
from sfm_depth_ros.training.network_pair import NetworkPair
from sfm_depth_ros.training.step import StepOptions, training_step

SHORTEST = 0.1  # metres: relative translation errors are taken of at least this length
FEWEST_LANDMARKS = 12  # of a snippet that is judged by them


@dataclass(frozen=True)
class Validation:
    """Means (ratios: medians) over snippets with known truth; unscaled but for one row."""

    abs_rel: float  # Mean of |depth - truth| / truth
    abs_rel_scaled: float  # The same with each frame's median scaled to the truth's: shape alone
    a1: float  # Share of pixels within a factor of 1.25
    depth_scale_ratio: float  # Median over frames of the median of depth / truth
    translation_scale_ratio: float  # Median of predicted / true length
    translation_error: float  # Mean of |t - truth| / max(|truth|, 0.1 m)
    rotation_error_deg: float  # Mean angle between predicted and true rotation
    frames: int  # Frames compared

    def as_floats(self) -> dict[str, float]:
        """Values by name."""
        return dataclasses.asdict(self)


@dataclass(frozen=True)
class _Frame:
    errors: DepthErrors
    scaled: DepthErrors
    scale: float


@torch.no_grad()
def validate(
    depth_net: DepthNet, pose_net: PoseNet, batches: Iterable[SnippetBatch]
) -> Validation:
    """Compare predictions with the truth of every snippet.

    Args:
        depth_net: Depth network in eval mode.
        pose_net: Pose network in eval mode.
        batches: Snippets with true depth and motion.

    Raises:
        ValueError: No snippet has a true depth.
    """
    frames: list[_Frame] = []
    motions: list[Tensor] = []
    for batch in batches:
        if batch.depth is not None:
            depth = predict_depths(depth_net, batch.target, batch.K)[0]
            for predicted, truth in zip(depth[:, 0], batch.depth[:, 0], strict=True):
                frames += _compare_depth(predicted.cpu().numpy(), truth.cpu().numpy())
        T = predict_motions(
            pose_net, batch.sources[:, 0], batch.target, batch.sources[:, 1], batch.K
        )
        motions.append(_motion_errors(T, batch.T_source_target))
    if not frames:
        raise ValueError("expected snippets with true depth")
    ratio, translation, rotation = torch.cat(motions).unbind(1)
    return Validation(
        abs_rel=float(np.mean([frame.errors.abs_rel for frame in frames])),
        abs_rel_scaled=float(np.mean([frame.scaled.abs_rel for frame in frames])),
        a1=float(np.mean([frame.errors.a1 for frame in frames])),
        depth_scale_ratio=float(np.median([frame.scale for frame in frames])),
        translation_scale_ratio=float(ratio.median()),
        translation_error=float(translation.mean()),
        rotation_error_deg=float(rotation.mean()),
        frames=len(frames),
    )


@dataclass(frozen=True, eq=False)
class LandmarkErrors:
    """Errors against landmarks, one number a snippet; NaN where it has too few of them."""

    abs_rel: np.ndarray  # `(N,)`, unscaled: in metres of the odometer
    abs_rel_scaled: np.ndarray  # `(N,)`, each snippet's median scaled to its landmarks'
    scale_ratio: np.ndarray  # `(N,)`, median of predicted / landmark's depth

    @classmethod
    def joined(cls, parts: Sequence[LandmarkErrors]) -> LandmarkErrors:
        """The snippets of several parts, in their order."""
        columns = ("abs_rel", "abs_rel_scaled", "scale_ratio")
        return cls(*(np.concatenate([getattr(part, name) for part in parts]) for name in columns))

    @property
    def snippets(self) -> int:
        """Snippets that have enough landmarks."""
        return int(np.isfinite(self.abs_rel).sum())

    def as_floats(self) -> dict[str, float]:
        """Means (of the ratio: the median) over snippets with landmarks; NaN without any."""
        known = np.isfinite(self.abs_rel)
        if not known.any():
            values = (math.nan, math.nan, math.nan)
        else:
            values = (
                float(self.abs_rel[known].mean()),
                float(self.abs_rel_scaled[known].mean()),
                float(np.median(self.scale_ratio[known])),
            )
        names = ("landmark_abs_rel", "landmark_abs_rel_scaled", "landmark_scale_ratio")
        return {**dict(zip(names, values, strict=True)), "landmark_snippets": self.snippets}


@torch.no_grad()
def landmark_errors(
    depth_net: DepthNet,
    batches: Iterable[SnippetBatch],
    landmarks: Sequence[Tensor] | None = None,
    on_edges: bool = False,
) -> LandmarkErrors:
    """Compare predicted depth with landmarks, in metres, where nobody knows the truth.

    Args:
        depth_net: Depth network in eval mode.
        batches: Snippets with measured motion, held out from training.
        landmarks: ``(B, 1, H, W)`` metres of every batch as ``landmark_depths`` returns them, for
            networks that are judged on the same snippets; None = triangulated here.
        on_edges: Whether a landmark is compared with the nearest depth of the 3 x 3 pixels around
            it (but for ``scale_ratio``): corners lie on silhouettes, whose other side may be ten
            times as far, and a few of them would outweigh all others.
    """
    if landmarks is None:
        batches = list(batches)
        landmarks = landmark_depths(batches)
    rows: list[tuple[float, float, float]] = []
    for batch, points in zip(batches, landmarks, strict=True):
        depth = predict_depths(depth_net, batch.target, batch.K)[0]
        for predicted, sparse in zip(depth[:, 0], points[:, 0], strict=True):
            points_of = predicted.float().cpu().numpy(), sparse.cpu().numpy()
            rows.append(_landmark_errors(*points_of, on_edges))
    return LandmarkErrors(*np.array(rows, float).reshape(-1, 3).T)


@torch.no_grad()
def measure_without_truth(
    networks: NetworkPair, batches: Iterable[SnippetBatch], objective: ObjectiveConfig
) -> dict[str, float]:
    """Measures from images and an odometer alone.

    Args:
        networks: In eval mode.
        batches: Snippets with measured displacements.
        objective: Weights of the photometric error.

    Returns:
        photometric: Mean photometric error of the finest depth; translation_error: mean of
        |predicted - measured| length of translations, relative to the measured (at least 0.1 m);
        measured_scale_ratio: median of predicted / measured length; snippets: how many; and
        those of :meth:`LandmarkErrors.as_floats`.
    """
    errors, counts, lengths, landmarks = [], [], [], []
    objective = dataclasses.replace(objective, photometric_weight=1.0)  # measured, if not learnt
    objective = objective.without_companions()  # a moderator's mask would leave out what is wrong
    for batch in batches:
        options = StepOptions(photometric_scales=1)
        result = training_step(networks.depth, networks.pose, batch, objective, options)
        errors.append(float(result.terms.as_floats()["photometric"]))
        counts.append(len(batch))
        landmarks.append(landmark_errors(networks.depth, [batch]))
        predicted = result.T_source_target[..., :3, 3].norm(dim=-1).flatten().cpu()
        lengths.append(torch.stack((predicted, batch.displacements.flatten().cpu())))
    predicted, measured = torch.cat(lengths, dim=1)
    known = measured.isfinite()
    predicted, measured = predicted[known], measured[known]
    error = (predicted - measured).abs() / measured.clamp(min=SHORTEST)
    ratio = predicted[measured > 0] / measured[measured > 0]
    return {
        "photometric": float(np.average(errors, weights=counts)),
        "translation_error": float(error.mean()) if len(error) else math.nan,
        "measured_scale_ratio": float(ratio.median()) if len(ratio) else math.nan,
        "snippets": sum(counts),
        **LandmarkErrors.joined(landmarks).as_floats(),
    }


def _compare_depth(predicted: np.ndarray, truth: np.ndarray) -> list[_Frame]:
    """The comparison of one frame, or nothing where no truth is known."""
    errors, scale = depth_errors(predicted, truth), depth_scale_ratio(predicted, truth)
    scaled = depth_errors(predicted, truth, median_scaled=True)
    if errors is None or scaled is None or scale is None:
        return []
    return [_Frame(errors, scaled, scale)]


def _landmark_errors(
    predicted: np.ndarray, sparse: np.ndarray, on_edges: bool
) -> tuple[float, float, float]:
    """abs_rel, scaled abs_rel and scale ratio of one snippet."""
    scale = depth_scale_ratio(predicted, sparse)
    if scale is None:
        return math.nan, math.nan, math.nan
    if on_edges:
        errors = depth_errors(_nearest(predicted, sparse), sparse)
        scaled = depth_errors(_nearest(predicted / scale, sparse), sparse)
    else:
        errors = depth_errors(predicted, sparse)
        scaled = depth_errors(predicted, sparse, median_scaled=True)
    if errors is None or scaled is None or errors.points < FEWEST_LANDMARKS:
        return math.nan, math.nan, math.nan
    return errors.abs_rel, scaled.abs_rel, scale


def _nearest(predicted: np.ndarray, sparse: np.ndarray) -> np.ndarray:
    """Depth nearest to each landmark within the range of the 3 x 3 pixels around it."""
    window = np.ones((3, 3), np.uint8)
    return np.clip(sparse, cv2.erode(predicted, window), cv2.dilate(predicted, window))


def _motion_errors(T: Tensor, truth: Tensor | None) -> Tensor:
    """Length ratio, relative translation error and angle in degrees, ``(n, 3)``."""
    if truth is None:
        return T.new_zeros(0, 3)
    T, truth = T.flatten(0, 1), truth.flatten(0, 1)
    known = truth.flatten(1).isfinite().all(1) & (truth[:, :3, 3].norm(dim=1) > SHORTEST / 2)
    T, truth = T[known], truth[known]
    length = truth[:, :3, 3].norm(dim=1)
    off = (T[:, :3, 3] - truth[:, :3, 3]).norm(dim=1) / length.clamp(min=SHORTEST)
    angle = matrix_to_axis_angle(truth[:, :3, :3].mT @ T[:, :3, :3]).norm(dim=1)
    return torch.stack((T[:, :3, 3].norm(dim=1) / length, off, torch.rad2deg(angle)), dim=1)
