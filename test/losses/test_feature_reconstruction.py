# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Feature reconstruction by loops, on the textured wall, and its gradients."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from losses.textured_wall import (
    FOCAL,
    HEIGHT,
    PLAIN,
    STEP,
    WIDTH,
    features_of,
    sideways,
    value,
    wall,
)
from torch import Tensor

from sfm_depth_ros.losses.context import ReprojectionContext
from sfm_depth_ros.losses.feature_reconstruction import (
    feature_reconstruction,
    sample_features,
    temporal,
)
from sfm_depth_ros.losses.inputs import DenseFeatures, Prediction
from sfm_depth_ros.snippets.batch import SnippetBatch

ON = {"feature_weight": 1.0}


def coarse_features(seed: int = 0) -> DenseFeatures:
    """Features of half the image's size."""
    generator = torch.Generator().manual_seed(seed)
    maps = torch.rand(4, 1, 5, HEIGHT // 2, WIDTH // 2, generator=generator, dtype=torch.float64)
    return DenseFeatures(maps[0], maps[1:3].transpose(0, 1), maps[3])


def sampled(features: np.ndarray, x: float, y: float) -> np.ndarray:
    """Bilinear sample ``(C,)`` of ``(C, h, w)`` at a pixel of the image, twice as large."""
    height, width = features.shape[1:]
    column = min(max((x + 0.5) / 2 - 0.5, 0), width - 1)
    row = min(max((y + 0.5) / 2 - 0.5, 0), height - 1)
    left, top = min(int(column), width - 2), min(int(row), height - 2)
    a, b = column - left, row - top
    upper = (1 - a) * features[:, top, left] + a * features[:, top, left + 1]
    lower = (1 - a) * features[:, top + 1, left] + a * features[:, top + 1, left + 1]
    return (1 - b) * upper + b * lower


def test_the_term_equals_the_reference(observed: SnippetBatch) -> None:
    features, depth, T = coarse_features(), wall(4.0), sideways(-STEP, STEP)
    predicted = Prediction([depth], T, features=features)
    context = ReprojectionContext(observed, predicted, PLAIN)
    target, sources = features.target[0].numpy(), features.sources[0].numpy()
    errors = []
    for v in range(0, HEIGHT, 2):
        for u in range(0, WIDTH, 2):
            of_pixel = []
            for s in range(2):
                x = u + FOCAL * float(T[0, s, 0, 3]) / 4.0
                if 0 <= x <= WIDTH - 1:
                    there, here = sampled(sources[s], x, v), sampled(target, u, v)
                    of_pixel.append(np.abs(there - here).mean())
            errors += [np.mean(of_pixel)] if of_pixel else []
    assert float(temporal(context)) == pytest.approx(np.mean(errors), abs=1e-12)


def test_true_depth_rebuilds_features(observed: SnippetBatch, predicted: Prediction) -> None:
    predicted = replace(predicted, features=features_of(observed))
    true = value("feature", observed, predicted, **ON)
    wrong = value("feature", observed, replace(predicted, depths=[wall(4.0)]), **ON)
    assert true < 0.2 * wrong  # each image is standardised by itself, so the borders differ


def test_light_changes_colours_and_not_features(
    observed: SnippetBatch, predicted: Prediction
) -> None:
    darker = replace(observed, sources=0.5 * observed.sources + 0.1)
    features = features_of(darker)
    before = value("feature", observed, replace(predicted, features=features_of(observed)), **ON)
    after = value("feature", darker, replace(predicted, features=features), **ON)
    assert after == pytest.approx(before, rel=1e-6)
    photometric = [value("photometric", x, predicted) for x in (observed, darker)]
    assert photometric[1] > photometric[0] + 0.1


def test_a_second_image_counts_where_its_place_is_known(
    observed: SnippetBatch, predicted: Prediction
) -> None:
    predicted = replace(predicted, features=features_of(observed))
    unknown = replace(observed, T_right_target=torch.full((1, 4, 4), torch.nan).double())
    alone = replace(observed, T_right_target=None)
    with_pair, without = (value("feature", x, predicted, **ON) for x in (observed, alone))
    assert with_pair != pytest.approx(without, rel=1e-3)
    assert value("feature", unknown, predicted, **ON) == pytest.approx(without / 2)


def test_what_is_outside_or_invalid_does_not_count(
    observed: SnippetBatch, predicted: Prediction
) -> None:
    features = features_of(observed)
    spoilt = features.sources.clone()
    spoilt[..., :6] += 9.0
    valid = torch.ones(1, 1, HEIGHT, WIDTH, dtype=torch.bool)
    valid[..., :9] = False
    masked = replace(observed, valid=valid, T_right_target=None)
    found = [
        value("feature", masked, replace(predicted, features=replace(features, sources=x)), **ON)
        for x in (features.sources, spoilt)
    ]
    assert found[0] == pytest.approx(found[1], rel=1e-9)


def test_standing_pixels_rest_with_the_auto_mask(
    observed: SnippetBatch, predicted: Prediction
) -> None:
    standing = replace(observed, sources=observed.target[:, None].expand(-1, 2, -1, -1, -1))
    standing = replace(standing, T_right_target=None)
    predicted = replace(predicted, features=features_of(standing))
    assert value("feature", standing, predicted, **ON, auto_mask=True, reduction="minimum") < 1e-9
    assert value("feature", standing, predicted, **ON) > 0.1


def test_gradients(observed: SnippetBatch) -> None:
    features, small = coarse_features(), slice(4, 8)

    def loss(depth: Tensor, T: Tensor) -> Tensor:
        whole = wall(4.3).clone()
        whole[..., small, small] = depth
        context = ReprojectionContext(observed, Prediction([whole], T, features=features), PLAIN)
        found = feature_reconstruction(context)
        assert found is not None
        return found

    depth = torch.linspace(4.1, 4.9, 16, dtype=torch.float64).view(1, 1, 4, 4).requires_grad_()
    T = sideways(-0.43, 0.37).requires_grad_()
    assert torch.autograd.gradcheck(loss, (depth, T))


def test_samples_lie_where_the_image_has_them() -> None:
    ramp = torch.arange(6, dtype=torch.float64).expand(1, 1, 1, 4, 6)  # of an image 12 wide
    grid = torch.zeros(1, 1, 1, 3, 2, dtype=torch.float64)
    grid[..., 0] = torch.tensor([0.5, 4.5, 10.5]) / 11 * 2 - 1
    torch.testing.assert_close(
        sample_features(ramp, grid, (8, 12)).flatten(),
        torch.tensor([0.0, 2.0, 5.0], dtype=torch.float64),
    )
