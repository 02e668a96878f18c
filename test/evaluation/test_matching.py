# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Predictions at the truth's pixels, against resizing the whole image and against loops."""

from __future__ import annotations

import math

import numpy as np
import pytest

from sfm_depth_ros.camera.preprocessing import CameraTruth
from sfm_depth_ros.evaluation.matching import bilinear, match_depth
from sfm_depth_ros.evaluation.protocol import DepthProtocol

RNG = np.random.default_rng(4)


def _scaled(depth: np.ndarray, height: int, width: int) -> CameraTruth:
    """A truth whose image the network's shows whole, at another size."""
    columns = (np.arange(depth.shape[1]) + 0.5) * width / depth.shape[1] - 0.5
    rows = (np.arange(depth.shape[0]) + 0.5) * height / depth.shape[0] - 0.5
    return CameraTruth(depth, columns, rows)


def _interpolate(image: np.ndarray, x: float, y: float) -> float:
    """Bilinear at one place in plain arithmetic, clamped at the border."""
    height, width = image.shape
    x, y = min(max(x, 0.0), width - 1.0), min(max(y, 0.0), height - 1.0)
    x0, y0 = math.floor(x), math.floor(y)
    x1, y1 = min(x0 + 1, width - 1), min(y0 + 1, height - 1)
    a, b = x - x0, y - y0
    top = float(image[y0, x0]) * (1 - a) + float(image[y0, x1]) * a
    return top * (1 - b) + (float(image[y1, x0]) * (1 - a) + float(image[y1, x1]) * a) * b


@pytest.mark.parametrize("resize", ["disparity", "depth"])
def test_points_are_those_of_the_resized_prediction(resize: str) -> None:
    torch = pytest.importorskip("torch")
    prediction = RNG.uniform(1.0, 60.0, (12, 20))
    truth = RNG.uniform(1.0, 60.0, (30, 52))
    truth[RNG.random(truth.shape) < 0.5] = 0.0
    quantity = 1 / prediction if resize == "disparity" else prediction
    whole = torch.nn.functional.interpolate(
        torch.from_numpy(quantity)[None, None], (30, 52), mode="bilinear", align_corners=False
    )[0, 0].numpy()
    whole = 1 / whole if resize == "disparity" else whole
    matched = match_depth(prediction, _scaled(truth, 12, 20), DepthProtocol(resize=resize))
    np.testing.assert_array_equal(matched.truth, truth[truth > 0])
    np.testing.assert_allclose(matched.prediction, whole[truth > 0], rtol=1e-12)


def test_crop_and_caps_choose_the_points() -> None:
    truth = RNG.uniform(0.5, 100.0, (40, 60))
    protocol = DepthProtocol(min_depth=2.0, max_depth=50.0, crop="garg")
    matched = match_depth(np.full((40, 60), 7.0), CameraTruth.at_network_size(truth), protocol)
    expected = [
        (row, column)
        for row in range(int(0.40810811 * 40), int(0.99189189 * 40))
        for column in range(int(0.03594771 * 60), int(0.96405229 * 60))
        if 2.0 < truth[row, column] < 50.0
    ]
    found = list(zip(matched.rows, matched.columns, strict=True))
    assert found == expected
    assert len(matched) == len(expected)


def test_truth_at_the_networks_size_takes_the_pixel_itself() -> None:
    prediction = RNG.uniform(1.0, 9.0, (5, 6))
    prediction[2, 3] = np.nan
    truth = CameraTruth.at_network_size(np.full((5, 6), 3.0))
    for resize in ("truth", "depth", "disparity"):
        matched = match_depth(prediction, truth, DepthProtocol(resize=resize))
        np.testing.assert_allclose(matched.prediction, prediction[~np.isnan(prediction)])


def test_what_the_network_did_not_see_does_not_count() -> None:
    truth = CameraTruth(np.full((3, 4), 5.0), np.array([-0.6, -0.4, 3.4, 3.6]), np.arange(3.0))
    matched = match_depth(np.full((3, 4), 2.0), truth, DepthProtocol())
    assert sorted(set(matched.columns)) == [-0.4, 3.4]


def test_bilinear_is_what_plain_arithmetic_gives() -> None:
    image = RNG.normal(size=(4, 5)).astype(np.float32)
    x, y = RNG.uniform(-0.5, 4.5, 50), RNG.uniform(-0.5, 3.5, 50)
    expected = [_interpolate(image, *at) for at in zip(x, y, strict=True)]
    np.testing.assert_allclose(bilinear(image, x, y), expected, rtol=1e-12)
    line = bilinear(np.array([[1.0, 3.0]]), np.array([0.25]), np.array([0.0]))
    np.testing.assert_allclose(line, [1.5])


def test_an_unknown_neighbour_without_weight_does_no_harm() -> None:
    image = np.array([[1.0, np.nan], [2.0, 4.0]])
    values = bilinear(image, np.array([0.0, 0.5, 1.0]), np.array([0.0, 0.5, 1.0]))
    np.testing.assert_array_equal(np.isnan(values), [False, True, False])
