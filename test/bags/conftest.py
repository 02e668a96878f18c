# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Makes the small recorded drive importable by the tests beside it, and finds real ones."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))


@pytest.fixture(scope="session")
def real_bags() -> Path:
    """Folder of real recordings: SFM_DEPTH_DATA, or shared/data beside the checkout."""
    beside = Path(__file__).resolve().parents[3] / "shared" / "data"
    bags = Path(os.environ.get("SFM_DEPTH_DATA", beside)) / "bags"
    if not bags.is_dir():
        pytest.skip(f"no real recordings under {bags}: set SFM_DEPTH_DATA")
    return bags
