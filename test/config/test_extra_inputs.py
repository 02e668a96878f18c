# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Only what an objective uses is read."""

from __future__ import annotations

import pytest

from sfm_depth_ros.config.extra_inputs import extra_inputs
from sfm_depth_ros.config.schema import ObjectiveConfig


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, ()),
        ({"stereo_weight": 1.0}, ("right_image",)),
        ({"left_right_weight": 1.0}, ("right_image",)),
        ({"sparse_depth_weight": 0.1, "use_instance_mask": True},
         ("sparse_depth", "instance_mask")),
    ],
)  # fmt: skip
def test_inputs_of_an_objective(options: dict[str, float], expected: tuple[str, ...]) -> None:
    assert extra_inputs(ObjectiveConfig(**options)) == expected
