# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The heart of training: a batch of snippets in, named loss terms out."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from sfm_depth_ros.config.schema import ObjectiveConfig
from sfm_depth_ros.losses.inputs import Prediction
from sfm_depth_ros.losses.objective import TERMS, needs_source_depths, self_supervised_objective
from sfm_depth_ros.losses.terms import LossTerms
from sfm_depth_ros.networks.model import DepthNet, PoseNet
from sfm_depth_ros.networks.predictions import predict_depths
from sfm_depth_ros.networks.source_motions import SourceMotions, predict_source_motions
from sfm_depth_ros.snippets.batch import SnippetBatch
from sfm_depth_ros.training.device import autocast_dtype
from sfm_depth_ros.training.supervision import supervise


@dataclass(frozen=True)
class StepOptions:
    """How a step is computed."""

    # Changes light and colour of `(B, N, 3, H, W)` frames alike, or None
    jitter: Callable[[Tensor], Tensor] | None = None
    # How many leading snippets are judged by the self-supervised objective; None = all. The others
    # are judged by their truth alone; with 0 a step costs only what the networks do, and of the
    # objective what compares with the odometer is left.
    photometric_rows: int | None = None
    # How many of the finest scales the objective looks at; None = all. Coarse ones guide networks
    # that know nothing yet, and cost as much as the finest.
    photometric_scales: int | None = None
    # Whether the networks compute in half precision (losses stay in float32)
    mixed_precision: bool = False
    # How many times larger than the truth depths and translations are meant to be; the comparison
    # with the truth divides by them. None = the truth is metric.
    truth_scales: tuple[Tensor, Tensor] | None = None

    @property
    def judged(self) -> slice:
        """The snippets that the objective looks at."""
        return slice(self.photometric_rows or None)

    @property
    def terms(self) -> tuple[str, ...]:
        """The terms of the objective that it computes for them."""
        return ("velocity", "rotation") if self.photometric_rows == 0 else tuple(TERMS)


@dataclass(frozen=True)
class StepResult:
    """What one training step found."""

    terms: LossTerms  # Weighted total and named parts; `terms.total` carries the gradient
    depths: list[Tensor]  # Metric depths of the target, finest `(B, 1, H, W)` first
    T_source_target: Tensor  # `(B, 2, 4, 4)` predicted motion


def training_step(
    depth_net: DepthNet,
    pose_net: PoseNet,
    batch: SnippetBatch,
    config: ObjectiveConfig,
    options: StepOptions = StepOptions(),
) -> StepResult:
    """Predict depth and motion of every snippet and say how wrong they are.

    The networks see jittered images, the objective the real ones (as in PackNet-SfM).

    Args:
        depth_net: Depth network.
        pose_net: Pose network.
        batch: Snippets; the true depth and motion of rendered ones supervise as well.
        config: Weights and switches.
        options: How to compute it.
    """
    frames = _frames_for_networks(batch, config, options)
    device = batch.target.device
    with torch.autocast(device.type, autocast_dtype(device), enabled=options.mixed_precision):
        depths, beside = _predict_all_depths(depth_net, frames, batch.K, config, options)
        motions = predict_source_motions(
            pose_net, frames.target, frames.sources, batch.K, both_ways=config.cycle_weight > 0
        )
    K = batch.K if motions.intrinsics is None else motions.intrinsics
    observed = dataclasses.replace(batch, K=K).select(options.judged).contiguous()
    predicted = _prediction(depths, beside, motions, options)
    terms = self_supervised_objective(observed, predicted, config, options.terms)
    if config.supervised_weight > 0:
        by_truth = supervise(batch, depths, motions.T_source_target, options.truth_scales)
        terms = terms.with_supervision(by_truth, config.supervised_weight)
    return StepResult(terms, depths, motions.T_source_target)


@dataclass(frozen=True)
class _Frames:
    """What the networks see: ``(B, 3, H, W)``, ``(B, 2, 3, H, W)`` and ``(B, 3, H, W)``."""

    target: Tensor
    sources: Tensor
    right: Tensor | None


@dataclass(frozen=True)
class _DepthsBeside:
    """Depths of other images than the target, for the judged snippets, where a term asks."""

    sources: Tensor | None = None  # (B, 2, 1, H, W)
    right: Tensor | None = None  # (B, 1, H, W)


def _frames_for_networks(
    batch: SnippetBatch, config: ObjectiveConfig, options: StepOptions
) -> _Frames:
    right = batch.right if config.left_right_weight > 0 and options.photometric_rows != 0 else None
    if options.jitter is None:
        return _Frames(batch.target, batch.sources, right)
    images = [batch.target[:, None], batch.sources, *([] if right is None else [right[:, None]])]
    frames = options.jitter(torch.cat(images, dim=1))
    return _Frames(frames[:, 0], frames[:, 1:3], None if right is None else frames[:, 3])


def _predict_all_depths(
    depth_net: DepthNet, frames: _Frames, K: Tensor, config: ObjectiveConfig, options: StepOptions
) -> tuple[list[Tensor], _DepthsBeside]:
    """Depths of the targets at all scales, and of whatever else is asked for, in one call."""
    beside = []
    if needs_source_depths(config) and options.photometric_rows != 0:
        beside += list(frames.sources[options.judged].unbind(1))
    if frames.right is not None:
        beside.append(frames.right[options.judged])
    if not beside:
        return predict_depths(depth_net, frames.target, K), _DepthsBeside()
    cameras = [K, *(K[options.judged] for _ in beside)]
    everywhere = predict_depths(depth_net, torch.cat([frames.target, *beside]), torch.cat(cameras))
    targets = [depth[: len(K)] for depth in everywhere]
    found = list(everywhere[0][len(K) :].chunk(len(beside)))
    right = None if frames.right is None else found.pop()
    return targets, _DepthsBeside(torch.stack(found, dim=1) if found else None, right)


def _prediction(
    depths: list[Tensor], beside: _DepthsBeside, motions: SourceMotions, options: StepOptions
) -> Prediction:
    """What the networks say of the judged snippets."""
    rows = options.judged

    def of_judged(tensor: Tensor | None) -> Tensor | None:
        return None if tensor is None else tensor[rows]

    masks = motions.explainability
    return Prediction(
        [depth[rows] for depth in depths[: options.photometric_scales]],
        motions.T_source_target[rows],
        beside.sources,
        beside.right,
        None if masks is None else [mask[rows] for mask in masks],
        of_judged(motions.residual_translation),
        of_judged(motions.residual_reverse),
        of_judged(motions.T_target_source),
    )
