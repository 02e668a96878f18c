# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Depth errors against hand-computed numbers."""

from __future__ import annotations

import math

import numpy as np
import pytest

from sfm_depth_ros.evaluation.depth_errors import (
    DISTANCE_EDGES,
    DistanceErrors,
    affine_aligned,
    depth_errors,
    depth_scale_ratio,
    join_distances,
    mean_errors,
)


def test_errors_are_the_hand_computed_ones() -> None:
    truth = np.array([[2.0, 4.0, 10.0]])
    errors = depth_errors(np.array([[2.2, 3.0, 20.0]]), truth)
    assert errors is not None
    assert errors.abs_rel == pytest.approx((0.1 + 0.25 + 1.0) / 3)
    assert errors.sq_rel == pytest.approx((0.04 / 2 + 1 / 4 + 100 / 10) / 3)
    assert errors.rmse == pytest.approx(math.sqrt((0.04 + 1 + 100) / 3))
    logs = [math.log(1.1), math.log(0.75), math.log(2)]
    assert errors.rmse_log == pytest.approx(math.sqrt(sum(x * x for x in logs) / 3))
    assert (errors.a1, errors.a2, errors.a3) == pytest.approx((1 / 3, 2 / 3, 2 / 3))
    assert errors.points == 3


def test_unknown_and_out_of_range_truth_is_left_out() -> None:
    truth = np.array([[0.0, np.nan, np.inf, 90.0, 5.0, 5.0]])
    errors = depth_errors(np.array([[5.0, 5.0, 5.0, 5.0, 5.0, np.nan]]), truth)
    assert errors is not None
    assert errors.points == 1
    assert errors.abs_rel == 0.0


def test_infinite_prediction_counts_as_the_cap() -> None:
    errors = depth_errors(np.array([[np.inf]]), np.array([[40.0]]), max_depth=80.0)
    assert errors is not None
    assert errors.abs_rel == pytest.approx(1.0)


def test_median_scaling_removes_a_wrong_unit() -> None:
    truth = np.linspace(2, 40, 50).reshape(5, 10)
    scaled = depth_errors(0.1 * truth, truth, median_scaled=True)
    unscaled = depth_errors(0.1 * truth, truth)
    assert scaled is not None and unscaled is not None
    assert scaled.abs_rel == pytest.approx(0.0, abs=1e-12)
    assert unscaled.abs_rel == pytest.approx(0.9)


def test_ratio_is_the_median_of_quotients() -> None:
    truth = np.array([[1.0, 2.0, 4.0, 0.0]])
    prediction = np.array([[1.1, 2.4, 8.0, 3.0]])
    assert depth_scale_ratio(prediction, truth) == pytest.approx(1.2)
    assert depth_scale_ratio(prediction, np.zeros((1, 4))) is None


def test_nothing_known_gives_none_and_other_shapes_are_refused() -> None:
    assert depth_errors(np.ones((2, 2)), np.zeros((2, 2))) is None
    with pytest.raises(ValueError, match="truth is"):
        depth_errors(np.ones((2, 2)), np.ones((2, 3)))


def test_mean_weighs_frames_not_points() -> None:
    near = depth_errors(np.full((1, 4), 2.0), np.full((1, 4), 1.0))
    far = depth_errors(np.full((1, 1), 1.0), np.full((1, 1), 1.0))
    assert near is not None and far is not None
    report = mean_errors([near, far])
    assert report is not None
    assert report["abs_rel"] == pytest.approx(0.5)
    assert (report["frames"], report["points"]) == (2, 5)
    assert mean_errors([]) is None


def test_errors_fall_into_their_ranges() -> None:
    errors = DistanceErrors()
    errors.add(np.array([2.0, 4.0, 5.0, 95.0]), np.array([3.0, 3.0, 5.0, 76.0]))
    assert errors.as_dicts() == [
        {"from_m": 0.0, "to_m": 5.0, "abs_rel": 0.375, "bias": 0.125, "points": 2},
        {"from_m": 5.0, "to_m": 10.0, "abs_rel": 0.0, "bias": 0.0, "points": 1},
        {"from_m": 80.0, "to_m": None, "abs_rel": pytest.approx(0.2),
         "bias": pytest.approx(-0.2), "points": 1},
    ]  # fmt: skip


def test_parts_join_and_lose_no_point() -> None:
    rng = np.random.default_rng(0)
    truth = rng.uniform(0.1, 120, (3, 1000))
    said = truth * rng.uniform(0.5, 1.5, truth.shape)
    parts, whole = [DistanceErrors() for _ in truth], DistanceErrors()
    for part, *pair in zip(parts, truth, said, strict=True):
        part.add(*pair)
    whole.add(truth.ravel(), said.ravel())
    joined = join_distances(parts)
    np.testing.assert_allclose(joined.relative, whole.relative)
    assert joined.count.sum() == 3000
    assert len(joined.as_dicts()) == len(DISTANCE_EDGES)
    mean = sum(row["abs_rel"] * row["points"] for row in joined.as_dicts()) / 3000
    assert mean == pytest.approx(np.mean(np.abs(said - truth) / truth))


def test_affine_alignment_finds_gain_and_offset_of_inverse_depth() -> None:
    truth = np.array([2.0, 4.0, 8.0, 30.0, 60.0])
    relative = 1.0 / (0.2 / truth + 0.03)
    np.testing.assert_allclose(affine_aligned(relative, truth), truth, rtol=1e-9)


def test_what_an_affine_fit_takes_beyond_infinity_is_infinitely_far() -> None:
    truth = np.array([1.0, 2.0, 3.0, 50.0])
    prediction = np.array([1.0, 2.0, 3.0, 1e9])
    found = affine_aligned(prediction, truth)
    assert found[3] == np.inf or found[3] > 20.0
