# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The heart of training: a batch of snippets in, named loss terms out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from sfm_depth_ros.config.schema import ObjectiveConfig
from sfm_depth_ros.data.batch import SnippetBatch
from sfm_depth_ros.losses.objective import LossTerms, self_supervised_objective
from sfm_depth_ros.losses.supervised import depth_supervision, motion_supervision
from sfm_depth_ros.losses.velocity import velocity_loss
from sfm_depth_ros.networks.focal import canonical_to_depth
from sfm_depth_ros.networks.model import DepthNet, PoseNet
from sfm_depth_ros.networks.source_motions import predict_source_motions

FAR = 100.0  # metres: what is beyond range (+Inf, REP 117) is taught as this far away


@dataclass(frozen=True)
class StepOptions:
    """How a step is computed.

    Attributes:
        jitter: Changes light and colour of ``(B, 3, 3, H, W)`` frames alike, or None.
        photometric_rows: How many leading snippets are judged by the self-supervised objective;
            None = all. The others are judged by their truth alone; with 0 a step costs only what
            the networks do.
        photometric_scales: How many of the finest scales the objective looks at; None = all.
            Coarse ones guide networks that know nothing yet, and cost as much as the finest.
        mixed_precision: Whether the networks compute in bfloat16 (losses stay in float32).
        truth_scales: How many times larger than the truth depths and translations are meant to
            be; the comparison with the truth divides by them. None = the truth is metric.
    """

    jitter: Callable[[Tensor], Tensor] | None = None
    photometric_rows: int | None = None
    photometric_scales: int | None = None
    mixed_precision: bool = False
    truth_scales: tuple[Tensor, Tensor] | None = None


@dataclass(frozen=True)
class StepResult:
    """What one training step found.

    Attributes:
        terms: Weighted total and named parts; ``terms.total`` carries the gradient.
        depths: Metric depths of the target, finest ``(B, 1, H, W)`` first.
        T_source_target: ``(B, 2, 4, 4)`` predicted motion.
    """

    terms: LossTerms
    depths: list[Tensor]
    T_source_target: Tensor


def training_step(
    depth_net: DepthNet,
    pose_net: PoseNet,
    batch: SnippetBatch,
    config: ObjectiveConfig,
    options: StepOptions = StepOptions(),
) -> StepResult:
    """Predict depth and motion of every snippet and say how wrong they are.

    The networks see jittered images, the objective the real ones (FACTS 1.F1).

    Args:
        depth_net: Depth network.
        pose_net: Pose network.
        batch: Snippets; the true depth and motion of rendered ones supervise as well.
        config: Weights and switches.
        options: How to compute it.
    """
    target, earlier, later = _frames_for_networks(batch, options.jitter)
    with torch.autocast(target.device.type, torch.bfloat16, enabled=options.mixed_precision):
        depths = predict_depths(depth_net, target, batch.K)
        T_source_target = predict_motions(pose_net, earlier, target, later, batch.K)
    if options.photometric_rows == 0:
        terms = _velocity_alone(T_source_target, batch.displacements, config)
    else:
        finest = depths[: options.photometric_scales]
        terms = _self_supervised(
            batch, finest, T_source_target, slice(options.photometric_rows), config
        )
    if config.supervised_weight > 0:
        by_truth = _supervise(batch, depths, T_source_target, options.truth_scales)
        terms = terms.with_supervision(*by_truth, config.supervised_weight)
    return StepResult(terms, depths, T_source_target)


def predict_depths(depth_net: DepthNet, image: Tensor, K: Tensor) -> list[Tensor]:
    """Metric depths at all scales.

    Args:
        depth_net: Depth network.
        image: ``(B, 3, H, W)`` RGB in [0, 1].
        K: ``(B, 3, 3)`` intrinsics in pixels of ``image``.

    Returns:
        Depths in metres, finest ``(B, 1, H, W)`` first.
    """
    focal = K[:, 0, 0].view(-1, 1, 1, 1)
    reference = depth_net.config.reference_focal
    return [canonical_to_depth(depth.float(), focal, reference) for depth in depth_net(image)]


def predict_motions(
    pose_net: PoseNet, earlier: Tensor, target: Tensor, later: Tensor, K: Tensor
) -> Tensor:
    """Motion from the target to both neighbours, without what else the network may say.

    Args:
        pose_net: Pose network.
        earlier: ``(B, 3, H, W)`` image before the target.
        target: ``(B, 3, H, W)``.
        later: ``(B, 3, H, W)`` image after it.
        K: ``(B, 3, 3)`` intrinsics in pixels.

    Returns:
        ``(B, 2, 4, 4)`` of ``T_earlier_target`` and ``T_later_target``.
    """
    sources = torch.stack((earlier, later), dim=1)
    return predict_source_motions(pose_net, target, sources, K).T_source_target


def _frames_for_networks(
    batch: SnippetBatch, jitter: Callable[[Tensor], Tensor] | None
) -> tuple[Tensor, Tensor, Tensor]:
    if jitter is None:
        return batch.target, batch.sources[:, 0], batch.sources[:, 1]
    frames = jitter(torch.cat((batch.target.unsqueeze(1), batch.sources), dim=1))
    return frames[:, 0], frames[:, 1], frames[:, 2]


def _self_supervised(
    batch: SnippetBatch, depths: list[Tensor], T: Tensor, rows: slice, config: ObjectiveConfig
) -> LossTerms:
    batch = batch.select(rows)
    return self_supervised_objective(
        batch.target.contiguous(), batch.sources.contiguous(), [d[rows] for d in depths],
        batch.K, T[rows], batch.displacements, batch.valid, config,
    )


def _velocity_alone(T: Tensor, displacements: Tensor, config: ObjectiveConfig) -> LossTerms:
    zero, velocity = T.new_zeros(()), velocity_loss(T[..., :3, 3], displacements)
    return LossTerms(
        total=config.velocity_weight * velocity, photometric=zero, smoothness=zero,
        velocity=velocity, depth_supervision=zero, motion_supervision=zero,
    )


def _supervise(
    batch: SnippetBatch, depths: list[Tensor], T: Tensor, scales: tuple[Tensor, Tensor] | None
) -> tuple[Tensor, Tensor]:
    """What true depth and motion say, for the snippets that have them."""
    if scales is not None:
        depths = [depth / scales[0] for depth in depths]
        T = _with_translation_divided(T, scales[1])
    by_depth = by_motion = T.new_zeros(())
    if batch.depth is not None:
        by_depth = _supervise_depths(depths, batch.depth)
    if batch.T_source_target is not None:
        known = batch.T_source_target.flatten(1).isfinite().all(dim=1)
        if known.any():
            by_motion = motion_supervision(T[known], batch.T_source_target[known])
    return by_depth, by_motion


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
