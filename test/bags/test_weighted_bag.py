# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Bags of a mixture as they are typed."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from sfm_depth_ros.bags.selection import BagSelection
from sfm_depth_ros.bags.weighted_bag import WeightedBag
from sfm_depth_ros.errors import DataError


@pytest.mark.parametrize(
    ("text", "path", "start", "end", "weight"),
    [
        ("a/drive", "a/drive", 0, math.inf, 1),
        ("drive@0-66", "drive", 0, 66, 1),
        ("drive=2", "drive", 0, math.inf, 2),
        ("drive@66-=.5", "drive", 66, math.inf, 0.5),
        ("a=b/drive", "a=b/drive", 0, math.inf, 1),
    ],
)
def test_syntax(text: str, path: str, start: float, end: float, weight: float) -> None:
    expected = WeightedBag(BagSelection(Path(path), start, end), weight)
    assert WeightedBag.parse(text) == expected


def test_a_path_that_exists_is_taken_as_it_is(tmp_path: Path) -> None:
    odd = tmp_path / "drive=3"
    odd.mkdir()
    assert WeightedBag.parse(str(odd)) == WeightedBag(BagSelection(odd))


def test_a_weight_of_zero_is_refused() -> None:
    with pytest.raises(DataError, match="above 0"):
        WeightedBag.parse("drive=0")
