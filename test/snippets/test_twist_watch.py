# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import numpy as np

from sfm_depth_ros.snippets.twist_watch import TwistWatch
from sfm_depth_ros.snippets.values import Velocity


def _fed(positions: list[float], speeds: list[float]) -> TwistWatch:
    watch = TwistWatch()
    for index, (x, speed) in enumerate(zip(positions, speeds, strict=True)):
        velocity = Velocity(index * 50_000_000, np.array([speed, 0.0, 0.0]), np.zeros(3))
        watch.add(velocity, (x, 0.0, 0.0))
    return watch


def test_a_pose_that_moves_without_a_twist_is_named_with_its_metres() -> None:
    watch = _fed([0.1 * index for index in range(21)], [0.0] * 21)
    assert watch.fault.startswith("the odometry's pose moved by 2.0 m while its twist stayed zero")
    assert "fill twist.twist" in watch.fault
    watch.add(Velocity(10**10, np.array([2.0, 0.0, 0.0]), np.zeros(3)), (2.2, 0.0, 0.0))
    assert watch.fault == ""


def test_what_is_right_is_not_named() -> None:
    assert _fed([0.1 * index for index in range(40)], [2.0] * 40).fault == ""  # it drives
    assert _fed([0.0] * 40, [0.0] * 40).fault == ""  # it stands
    assert _fed([0.0] * 20 + [3.0] * 20, [0.0] * 40).fault == ""  # its pose was corrected
    assert _fed([float("nan")] * 40, [0.0] * 40).fault == ""
