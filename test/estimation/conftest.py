# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Drives that several tests look at."""

from __future__ import annotations

import pytest
from exact_drive import Drive, make_drive


@pytest.fixture(scope="session")
def drive() -> Drive:
    """Twelve frames on a gentle curve."""
    return make_drive(12, speed=6.0, yaw_rate=0.1)
