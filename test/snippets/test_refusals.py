# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from sfm_depth_ros.snippets.builder import REASONS
from sfm_depth_ros.snippets.image_gate import IMAGE_REASONS
from sfm_depth_ros.snippets.refusals import REMEDIES, main_refusal
from sfm_depth_ros.snippets.velocity_gate import VELOCITY_REASONS


def test_every_reason_has_a_remedy():
    assert set(REMEDIES) == {*REASONS, *IMAGE_REASONS, *VELOCITY_REASONS}


def test_the_reason_that_was_counted_most_is_named_with_its_own_remedy():
    assert main_refusal(dict.fromkeys(REASONS, 0)) == ""
    assert main_refusal({}) == ""
    text = main_refusal({"standing": 3, "velocity": 40, "camera": 0})
    assert text.startswith("most often velocity: odometry must cover the images")
    assert "must move" not in text
