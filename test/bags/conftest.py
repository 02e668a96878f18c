# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Real recordings, where they are at hand."""

from __future__ import annotations

import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def real_bags() -> Path:
    """Folder of real recordings: SFM_DEPTH_DATA, or shared/data beside the checkout."""
    beside = Path(__file__).resolve().parents[3] / "shared" / "data"
    bags = Path(os.environ.get("SFM_DEPTH_DATA", beside)) / "bags"
    if not bags.is_dir():
        pytest.skip(f"no real recordings under {bags}: set SFM_DEPTH_DATA")
    return bags
