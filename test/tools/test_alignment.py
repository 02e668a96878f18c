# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Errors of motions by hand."""

from __future__ import annotations

import numpy as np
import pytest

from sfm_depth_ros.geometry.frames import rotation_matrix
from tools.alignment import MotionErrors, motion_errors, table


def test_errors_by_hand() -> None:
    truth, found = np.eye(4), np.eye(4)
    truth[:3, 3], found[:3, 3] = (0, 0, 0.5), (0, 0.3, 0.3)
    found[:3, :3] = rotation_matrix(np.radians([0, 2.0, 0]))
    rotation, direction, length = motion_errors(found, truth)
    assert rotation == pytest.approx(2.0) and direction == pytest.approx(45.0)
    assert length == pytest.approx(1 - np.hypot(0.3, 0.3) / 0.5)
    assert motion_errors(truth, truth) == pytest.approx((0, 0, 0), abs=1e-5)


def test_the_table_has_a_row_for_each_method() -> None:
    rows = table({"drive": {"pose network": MotionErrors(7, 0.1, 2.0, 0.05, 1.5)}})
    assert "| drive | pose network | 0.100 | 2.00 | 5.0 % | 1.5 | 7 |" in rows
