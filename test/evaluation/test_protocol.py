# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest

from sfm_depth_ros.errors import ConfigError
from sfm_depth_ros.evaluation.protocol import DepthProtocol


def test_garg_crop_of_kittis_image_sizes() -> None:
    # 0.40810811 * 375 = 153.04, 0.99189189 * 375 = 371.96; 0.03594771 * 1242 = 44.65, ...
    assert DepthProtocol(crop="garg").window(375, 1242) == (slice(153, 371), slice(44, 1197))
    assert DepthProtocol(crop="garg").window(376, 1241) == (slice(153, 372), slice(44, 1196))
    assert DepthProtocol().window(375, 1242) == (slice(0, 375), slice(0, 1242))


@pytest.mark.parametrize(
    ("choices", "words"),
    [
        ({"min_depth": 0.0}, "0 < min_depth < max_depth"),
        ({"min_depth": 5.0, "max_depth": 5.0}, "got min_depth 5 and max_depth 5"),
        ({"max_depth": float("inf")}, "0 < min_depth < max_depth"),
        ({"crop": "eigen"}, "crop: expected one of none, garg, got 'eigen'"),
        ({"resize": "image"}, "resize: expected one of disparity, depth, truth"),
    ],
)
def test_impossible_choices_are_refused(choices: dict, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        DepthProtocol(**choices)
