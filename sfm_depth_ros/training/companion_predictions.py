# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Predictions that only some objectives need: features, flow, its mask, aligned motions.

The moving mask follows Competitive Collaboration (Ranjan et al., CVPR 2019).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import torch
from torch import Tensor

from sfm_depth_ros.config.schema import ObjectiveConfig
from sfm_depth_ros.errors import ConfigError
from sfm_depth_ros.geometry.direct_alignment import align
from sfm_depth_ros.geometry.flow import rigid_flow, warp_by_flow
from sfm_depth_ros.geometry.pinhole import backproject
from sfm_depth_ros.geometry.se3 import invert_transform
from sfm_depth_ros.geometry.warping import project_points
from sfm_depth_ros.losses.inputs import DenseFeatures, FlowPrediction, Prediction
from sfm_depth_ros.losses.objective import needs_rigid_reverse
from sfm_depth_ros.networks.dense_features import encoder_features
from sfm_depth_ros.networks.flow import FlowNetwork
from sfm_depth_ros.networks.moderator import Moderator
from sfm_depth_ros.networks.predictions import predict_depths, predict_source_motions
from sfm_depth_ros.snippets.batch import SnippetBatch
from sfm_depth_ros.training.network_pair import Companions, NetworkPair

MASK_OBJECTIVE = ObjectiveConfig(flow_weight=1.0, moderation_weight=1.0)


def completed(
    predicted: Prediction,
    observed: SnippetBatch,
    depth_net: Any,
    companions: Companions,
    config: ObjectiveConfig,
    is_bootstrap: bool = False,
) -> Prediction:
    """The prediction with what the objective needs beside depth and motion.

    Args:
        predicted: Depths and motions.
        observed: The same snippets.
        depth_net: The depth network, whose encoder may give features.
        companions: The other networks.
        config: Weights and switches; without a term that needs more, nothing is computed.
        is_bootstrap: Whether neither the moderator's mask nor alignment is used yet.

    Raises:
        ConfigError: A network that the objective needs is not there.
    """
    if config.direct_alignment != "off" and not is_bootstrap:
        predicted = aligned(predicted, observed, config.direct_alignment == "alone")
    if config.feature_weight > 0:
        features = dense_features(observed, _feature_network(depth_net, companions, config))
        predicted = replace(predicted, features=features)
    if needs_rigid_reverse(config):
        predicted = replace(predicted, rigid_reverse=rigid_reverse(predicted, observed.K))
    if config.uses_flow and companions.flow is not None:
        rigid = rigid_forward(predicted, observed)
        flow = predicted_flow(predicted, observed, companions.flow, config, rigid)
        if companions.moderator is not None and not is_bootstrap:
            flow = moderated(flow, observed, companions.moderator, rigid)
        predicted = replace(predicted, flow=flow)
    return predicted


def aligned(predicted: Prediction, observed: SnippetBatch, alone: bool) -> Prediction:
    """The prediction with motions by direct alignment through the finest depth (DDVO).

    Args:
        predicted: Depths and the pose network's motions.
        observed: The same snippets.
        alone: Whether alignment begins with no motion instead of the pose network's.
    """
    T = predicted.T_source_target
    start = torch.eye(4, dtype=T.dtype, device=T.device).expand_as(T) if alone else T.detach()
    found = align(observed.target, observed.sources, predicted.depths[0], observed.K, start)
    return replace(predicted, T_source_target=found, T_unaligned=T)


@torch.no_grad()
def dense_features(observed: SnippetBatch, network: Callable[[Tensor], Tensor]) -> DenseFeatures:
    """Features of the target, its sources and, where there is one, the second image."""
    right = [] if observed.right is None else [observed.right]
    images = [observed.target, *observed.sources.unbind(1), *right]
    target, *others = network(torch.cat(images)).chunk(len(images))
    found = None if observed.right is None else others.pop()
    return DenseFeatures(target, torch.stack(others, dim=1), found)


@torch.no_grad()
def rigid_forward(predicted: Prediction, observed: SnippetBatch) -> Tensor:
    """Flow ``(B, S, 2, H, W)`` of the static scene from target to sources, without gradient."""
    points = backproject(predicted.depths[0], observed.K)
    size = (observed.target.shape[-2], observed.target.shape[-1])
    grid, _, _ = project_points(points, observed.K, predicted.T_source_target, size)
    return _bounded(rigid_flow(grid, size))


@torch.no_grad()
def rigid_reverse(predicted: Prediction, K: Tensor) -> Tensor | None:
    """The same from the sources to the target, by the sources' own depths; None without them."""
    depths = predicted.source_depths
    if depths is None:
        return None
    count, size = depths.shape[1], (depths.shape[-2], depths.shape[-1])
    K = K.repeat_interleave(count, dim=0)
    T = invert_transform(predicted.T_source_target).flatten(0, 1)[:, None]
    grid, _, _ = project_points(backproject(depths.flatten(0, 1), K), K, T, size)
    return _bounded(rigid_flow(grid, size)).view(len(depths), count, 2, *size)


def _bounded(flow: Tensor) -> Tensor:
    """Flow of at most the image's size: points behind the camera would have any."""
    limit = float(max(flow.shape[-2:]))
    return flow.clamp(-limit, limit)


def predicted_flow(
    predicted: Prediction,
    observed: SnippetBatch,
    network: FlowNetwork,
    config: ObjectiveConfig,
    rigid: Tensor,
) -> FlowPrediction:
    """Flow in both directions between the target and its sources.

    The backward flow has a gradient only where a term compares it.
    """
    shape = observed.sources.shape[:2]
    sources = observed.sources.flatten(0, 1)
    targets = observed.target.repeat_interleave(shape[1], dim=0)
    is_residual = config.flow_start == "rigid"
    start = rigid.flatten(0, 1) if is_residual else None
    forward = network(targets, sources, start)
    reverse = predicted.rigid_reverse
    start = reverse.flatten(0, 1) if is_residual and reverse is not None else None
    with torch.set_grad_enabled(config.flow_consistency_weight > 0 and torch.is_grad_enabled()):
        backward = network(sources, targets, start)[0]
    return FlowPrediction([f.unflatten(0, shape) for f in forward], backward.unflatten(0, shape))


def moderated(
    flow: FlowPrediction, observed: SnippetBatch, network: Moderator, rigid: Tensor
) -> FlowPrediction:
    """The flow with the moderator's mask; what it looks at has no gradient."""
    shape, free = flow.backward.shape[:2], flow.forward[0].detach().flatten(0, 1)
    sources, rigid = observed.sources.flatten(0, 1), rigid.flatten(0, 1)
    targets = observed.target.repeat_interleave(shape[1], dim=0)
    by_rigid, by_free = warp_by_flow(sources, rigid), warp_by_flow(sources, free)
    static = network(targets, by_rigid, by_free, free - rigid)
    return replace(flow, static=static.unflatten(0, shape))


def _feature_network(
    depth_net: Any, companions: Companions, config: ObjectiveConfig
) -> Callable[[Tensor], Tensor]:
    if config.features == "encoder" and hasattr(depth_net, "encoder"):
        return partial(encoder_features, depth_net)
    if companions.features is None:
        raise ConfigError(
            f"objective.feature_weight: there are no features of {config.features!r} here; "
            "objective.features=imagenet works in sfm-depth train, encoder with a depth network "
            "that has one"
        )
    return companions.features


@torch.no_grad()
def moving_mask(networks: NetworkPair, observed: SnippetBatch) -> Tensor | None:
    """Probability that the camera's motion does not explain a pixel of the target.

    Args:
        networks: In eval mode.
        observed: Snippets on their device.

    Returns:
        ``(B, 1, H, W)`` in (0, 1), mean over sources; None where there is no moderator.
    """
    companions = networks.companions
    if companions.moderator is None or companions.flow is None:
        return None
    motions = predict_source_motions(networks.pose, observed.target, observed.sources, observed.K)
    depths = predict_depths(networks.depth, observed.target, observed.K)
    predicted = completed(
        Prediction(depths, motions.T_source_target), observed.contiguous(), networks.depth,
        companions, MASK_OBJECTIVE,
    )  # fmt: skip
    assert predicted.flow is not None and predicted.flow.static is not None  # asked for
    return 1 - predicted.flow.static.mean(1)
