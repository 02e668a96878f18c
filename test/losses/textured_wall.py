# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A scene whose truth is known to the pixel, for tests of the objective's terms.

A textured wall 5 m ahead, focal length 10 pixels; half a metre to the side moves the image by one
pixel, exactly.
"""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from sfm_depth_ros.config.schema import ObjectiveConfig
from sfm_depth_ros.losses.inputs import DenseFeatures, FlowPrediction, Prediction
from sfm_depth_ros.losses.objective import LossTerms, self_supervised_objective
from sfm_depth_ros.networks.dense_features import joined
from sfm_depth_ros.snippets.batch import SnippetBatch

HEIGHT, WIDTH, DEPTH, FOCAL, STEP = 16, 24, 5.0, 10.0, 0.5
THING = (..., slice(5, 11), slice(8, 15))  # pixels of a thing in the target
PLAIN = ObjectiveConfig(
    auto_mask=False, reduction="mean", smoothness_weight=0.0, velocity_weight=0.0
)


def texture_of(seed: int) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(1, 3, HEIGHT, WIDTH + 8, generator=generator, dtype=torch.float64)


def seen_from(x: float, texture: Tensor) -> Tensor:
    """The wall from ``x`` metres to the right."""
    start = 4 + round(x * FOCAL / DEPTH)
    return texture[..., start : start + WIDTH].clone()


def wall(depth: float = DEPTH, count: int = 1) -> Tensor:
    return torch.full((count, 1, HEIGHT, WIDTH), depth, dtype=torch.float64)


def sideways(*x: float) -> Tensor:
    """``(1, S, 4, 4)``: T_source_target of cameras ``x`` metres to the right of the target's."""
    T = torch.eye(4, dtype=torch.float64).repeat(1, len(x), 1, 1)
    T[0, :, 0, 3] = -torch.tensor(x, dtype=torch.float64)
    return T


def true_observation() -> SnippetBatch:
    """The wall from a camera, from both its sides, and from a second camera to the right."""
    texture = texture_of(0)
    sources = torch.stack([seen_from(x, texture) for x in (-STEP, STEP)], dim=1)
    K = torch.tensor([[[FOCAL, 0, 11.5], [0, FOCAL, 7.5], [0, 0, 1]]], dtype=torch.float64)
    way = torch.full((1, 2), STEP, dtype=torch.float64)
    return SnippetBatch(
        seen_from(0.0, texture),
        sources,
        K,
        way,
        right=seen_from(2 * STEP, texture),
        T_right_target=sideways(2 * STEP)[:, 0],
        T_measured=sideways(-STEP, STEP),
    )


def true_prediction() -> Prediction:
    both = torch.stack([wall(), wall()], dim=1)
    return Prediction(
        [wall()],
        sideways(-STEP, STEP),
        source_depths=both,
        right_depth=wall(),
        T_target_source=torch.linalg.inv(sideways(-STEP, STEP)),
    )


def with_moving_thing(observed: SnippetBatch) -> SnippetBatch:
    """A patch of the wall slides by one more pixel a frame, to the right."""
    other = texture_of(1)
    images = [observed.target.clone(), *observed.sources.clone().unbind(1)]
    # In the earlier image the wall is seen one pixel farther right, where the thing was one
    # farther left; in the later one the other way round: it stays in its place in the image.
    for image in images:
        image[THING] = other[THING]
    instances = torch.zeros(1, 3, HEIGHT, WIDTH, dtype=torch.uint8)
    instances[THING] = 7
    return replace(
        observed, target=images[0], sources=torch.stack(images[1:], dim=1), instances=instances
    )


def features_of(observed: SnippetBatch) -> DenseFeatures:
    """Features as fine as the images: the colours, standardised."""

    def of(image: Tensor) -> Tensor:
        return joined([image])

    assert observed.right is not None
    sources = torch.stack([of(image) for image in observed.sources.unbind(1)], dim=1)
    return DenseFeatures(of(observed.target), sources, of(observed.right))


def sliding_flow() -> FlowPrediction:
    """Flow about as the wall's, not the same on both ways, and a mask that is not sure."""
    generator = torch.Generator().manual_seed(3)
    field = torch.rand(1, 2, 2, HEIGHT, WIDTH, generator=generator, dtype=torch.float64) - 0.5
    static = torch.full((1, 2, 1, HEIGHT, WIDTH), 0.7, dtype=torch.float64)
    return FlowPrediction([field], -0.9 * field, static)


def own_motion() -> Tensor:
    """Residual translation ``(1, 2, 3, H, W)`` of the thing in both sources' frames, metres."""
    field = torch.zeros(1, 2, 3, HEIGHT, WIDTH, dtype=torch.float64)
    field[:, 0, 0][THING] = -STEP
    field[:, 1, 0][THING] = STEP
    return field


def terms(observed: SnippetBatch, predicted: Prediction, **options: object) -> LossTerms:
    return self_supervised_objective(observed, predicted, replace(PLAIN, **options))


def value(name: str, observed: SnippetBatch, predicted: Prediction, **options: object) -> float:
    return terms(observed, predicted, **options).as_floats()[name]


def photometric(observed: SnippetBatch, predicted: Prediction, **options: object) -> float:
    return value("photometric", observed, predicted, **options)
