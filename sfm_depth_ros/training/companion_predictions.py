# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Predictions that only some objectives need, of the networks beside depth and pose."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import torch
from torch import Tensor

from sfm_depth_ros.config.schema import ObjectiveConfig
from sfm_depth_ros.errors import ConfigError
from sfm_depth_ros.losses.inputs import DenseFeatures, Prediction
from sfm_depth_ros.networks.dense_features import encoder_features
from sfm_depth_ros.snippets.batch import SnippetBatch
from sfm_depth_ros.training.companions import Companions


def completed(
    predicted: Prediction,
    observed: SnippetBatch,
    depth_net: Any,
    companions: Companions,
    config: ObjectiveConfig,
) -> Prediction:
    """The prediction with what the objective needs beside depth and motion.

    Args:
        predicted: Depths and motions.
        observed: The same snippets.
        depth_net: The depth network, whose encoder may give features.
        companions: The other networks.
        config: Weights and switches; without a term that needs more, nothing is computed.

    Raises:
        ConfigError: A network that the objective needs is not there.
    """
    if config.feature_weight > 0:
        features = dense_features(observed, _feature_network(depth_net, companions, config))
        predicted = replace(predicted, features=features)
    return predicted


@torch.no_grad()
def dense_features(observed: SnippetBatch, network: Callable[[Tensor], Tensor]) -> DenseFeatures:
    """Features of the target, its sources and, where there is one, the second image."""
    right = [] if observed.right is None else [observed.right]
    images = [observed.target, *observed.sources.unbind(1), *right]
    target, *others = network(torch.cat(images)).chunk(len(images))
    found = None if observed.right is None else others.pop()
    return DenseFeatures(target, torch.stack(others, dim=1), found)


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
