# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The heart of training: a batch of snippets in, named loss terms out."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from torch import Tensor

from sfm_depth_ros.config.schema import ObjectiveConfig
from sfm_depth_ros.losses.inputs import Prediction
from sfm_depth_ros.losses.objective import (
    TERMS,
    LossTerms,
    needs_source_depths,
    self_supervised_objective,
)
from sfm_depth_ros.losses.supervised import depth_supervision, motion_supervision
from sfm_depth_ros.networks.flip_fusion import predict_fused_depths
from sfm_depth_ros.networks.model import DepthNet, PoseNet
from sfm_depth_ros.networks.predictions import (
    SourceMotions,
    predict_depths,
    predict_source_motions,
)
from sfm_depth_ros.snippets.batch import SnippetBatch
from sfm_depth_ros.training.companion_predictions import completed
from sfm_depth_ros.training.device import autocast_dtype
from sfm_depth_ros.training.network_pair import Companions

FAR = 100.0  # metres: what is beyond range (+Inf, REP 117) is taught as this far away


@dataclass(frozen=True)
class StepOptions:
    """Options of a step's computation."""

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
    # Networks that only training has, where the objective needs them
    companions: Companions = field(default_factory=Companions)
    # Whether neither a moderator's mask nor direct alignment is used yet, see `phases`
    is_bootstrap: bool = False

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
    """Result of one training step."""

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
    """Predict depth and motion of every snippet and evaluate the objective.

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
        depths, others = _predict_all_depths(depth_net, frames, batch.K, config, options)
        motions = predict_source_motions(
            pose_net, frames.target, frames.sources, batch.K, both_ways=config.cycle_weight > 0
        )
    K = batch.K if motions.intrinsics is None else motions.intrinsics
    observed = dataclasses.replace(batch, K=K).select(options.judged).contiguous()
    predicted = _prediction(depths, others, motions, options)
    if options.photometric_rows != 0:
        predicted = completed(
            predicted, observed, depth_net, options.companions, config, options.is_bootstrap
        )
    terms = self_supervised_objective(observed, predicted, config, options.terms)
    if config.supervised_weight > 0:
        by_truth = _supervise(batch, depths, motions.T_source_target, options.truth_scales)
        terms = terms.with_supervision(by_truth, config.supervised_weight)
    return StepResult(terms, depths, motions.T_source_target)


@dataclass(frozen=True)
class _Frames:
    """Images for the networks: ``(B, 3, H, W)``, ``(B, 2, 3, H, W)`` and ``(B, 3, H, W)``."""

    target: Tensor
    sources: Tensor
    right: Tensor | None


@dataclass(frozen=True)
class _OtherDepths:
    """Depths of other images than the target, of the judged snippets, where a term needs them."""

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
) -> tuple[list[Tensor], _OtherDepths]:
    """Depths of the targets at all scales, and of the other images needed, in one call."""
    others = []
    if needs_source_depths(config) and options.photometric_rows != 0:
        others += list(frames.sources[options.judged].unbind(1))
    if frames.right is not None:
        others.append(frames.right[options.judged])
    predict = predict_fused_depths if config.fuse_flipped else predict_depths
    if not others:
        return predict(depth_net, frames.target, K), _OtherDepths()
    cameras = [K, *(K[options.judged] for _ in others)]
    everywhere = predict(depth_net, torch.cat([frames.target, *others]), torch.cat(cameras))
    targets = [depth[: len(K)] for depth in everywhere]
    found = list(everywhere[0][len(K) :].chunk(len(others)))
    right = None if frames.right is None else found.pop()
    return targets, _OtherDepths(torch.stack(found, dim=1) if found else None, right)


def _prediction(
    depths: list[Tensor], others: _OtherDepths, motions: SourceMotions, options: StepOptions
) -> Prediction:
    """Prediction for the judged snippets."""
    rows = options.judged

    def of_judged(tensor: Tensor | None) -> Tensor | None:
        return None if tensor is None else tensor[rows]

    masks = motions.explainability
    return Prediction(
        [depth[rows] for depth in depths[: options.photometric_scales]],
        motions.T_source_target[rows],
        others.sources,
        others.right,
        None if masks is None else [mask[rows] for mask in masks],
        of_judged(motions.residual_translation),
        of_judged(motions.residual_reverse),
        of_judged(motions.T_target_source),
    )


def _supervise(
    batch: SnippetBatch, depths: list[Tensor], T: Tensor, scales: tuple[Tensor, Tensor] | None
) -> dict[str, Tensor]:
    """Supervised loss terms by name; what the batch does not know is left out.

    Args:
        batch: Snippets, some or all with true depth and motion.
        depths: Predicted metres of the targets, finest first.
        T: ``(B, S, 4, 4)`` predicted ``T_source_target``.
        scales: How many times larger than the truth depths and translations are meant to be.
    """
    if scales is not None:
        depths = [depth / scales[0] for depth in depths]
        T = _with_translation_divided(T, scales[1])
    parts = {}
    if batch.depth is not None:
        parts["depth_supervision"] = _supervise_depths(depths, batch.depth)
    if batch.T_source_target is not None:
        parts["motion_supervision"] = motion_supervision(T, batch.T_source_target)
    return parts


def _with_translation_divided(T: Tensor, divisor: Tensor) -> Tensor:
    is_translation = torch.zeros_like(T[0, 0])
    is_translation[:3, 3] = 1
    return T * (1 + is_translation * (1 / divisor - 1))


def _supervise_depths(depths: list[Tensor], truth: Tensor) -> Tensor:
    """Mean over scales; a coarse scale is compared at its own pixels' centres, unblended."""
    truth = truth.clamp(max=FAR)
    losses = []
    for depth in depths:
        step = truth.shape[-1] // depth.shape[-1]
        start = step // 2
        losses.append(depth_supervision(depth, truth[..., start::step, start::step]))
    return torch.stack(losses).mean()
