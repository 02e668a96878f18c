# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Objectives and pose networks that belong together, and those that do not."""

from __future__ import annotations

import pytest

from sfm_depth_ros.config.schema import ObjectiveConfig, PoseNetworkConfig, RecipeConfig
from sfm_depth_ros.errors import ConfigError


def test_an_even_window_has_no_middle() -> None:
    with pytest.raises(ConfigError, match="odd ssim_window, got 4"):
        ObjectiveConfig(ssim_window=4)


@pytest.mark.parametrize(
    ("objective", "pose", "remedy"),
    [
        ({"explainability_weight": 0.2}, {}, "pose.explainability"),
        ({}, {"explainability": True}, "objective.explainability_weight"),
        ({"residual_sparsity_weight": 0.1}, {}, "residual_sparsity_weight needs pose.residual"),
        ({"use_instance_mask": True}, {}, "use_instance_mask needs pose.residual"),
        ({}, {"residual_translation": True}, "one of objective.residual_sparsity_weight"),
    ],
)
def test_what_does_not_belong_together_is_refused(objective, pose, remedy: str) -> None:
    with pytest.raises(ConfigError, match=remedy):
        RecipeConfig(pose=PoseNetworkConfig(**pose), objective=ObjectiveConfig(**objective))


def test_what_belongs_together_is_not() -> None:
    pose = PoseNetworkConfig(explainability=True, residual_translation=True)
    objective = ObjectiveConfig(explainability_weight=0.2, residual_smoothness_weight=0.1)
    assert RecipeConfig(pose=pose, objective=objective).objective is objective
