# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import numpy as np
import pytest

from sfm_depth_ros.evaluation.distance import DISTANCE_EDGES, DistanceErrors, join_distances


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
