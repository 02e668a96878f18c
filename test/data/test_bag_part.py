# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Parts of bags as they are typed."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from sfm_depth_ros.data.bag_part import BagPart, parse_bag_part
from sfm_depth_ros.errors import DataError

SECOND = 10**9


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("drive", ("drive", 0, math.inf, 1)),
        ("a/drive@0-66", ("a/drive", 0, 66, 1)),
        ("drive@66-", ("drive", 66, math.inf, 1)),
        ("drive@-66.5", ("drive", 0, 66.5, 1)),
        ("drive=2", ("drive", 0, math.inf, 2)),
        ("drive@1.5-3=.5", ("drive", 1.5, 3, 0.5)),
        ("me@home/drive", ("me@home/drive", 0, math.inf, 1)),
        ("me@home/drive@2-3", ("me@home/drive", 2, 3, 1)),
        ("drive@-", ("drive", 0, math.inf, 1)),
    ],
)
def test_syntax(text: str, expected: tuple[str, float, float, float]) -> None:
    path, start, end, weight = expected
    assert parse_bag_part(text) == BagPart(Path(path), start, end, weight)


def test_a_path_that_exists_is_taken_as_it_is(tmp_path: Path) -> None:
    odd = tmp_path / "drive@1-2=3"
    odd.mkdir()
    assert parse_bag_part(str(odd)) == BagPart(odd)


@pytest.mark.parametrize(
    ("text", "word"), [("d@5-5", "START"), ("d@6-5", "START"), ("d=0", "above 0")]
)
def test_empty_parts_are_refused(text: str, word: str) -> None:
    with pytest.raises(DataError, match=word):
        parse_bag_part(text)


def test_a_snippet_belongs_where_all_its_images_lie() -> None:
    part = BagPart(Path("drive"), 1.0, 2.0)
    stamps = np.array([[0.9, 1.1, 1.2], [1.0, 1.1, 1.2], [1.5, 1.9, 2.0], [1.9, 2.0, 2.1]])
    first_ns = 7 * SECOND
    inside = part.contains((stamps * SECOND).astype(np.int64) + first_ns, first_ns)
    assert inside.tolist() == [False, True, True, False]


def test_names() -> None:
    assert BagPart(Path("a/drive")).name == "drive"
    assert BagPart(Path("a/drive"), 66.0).name == "drive@66-"
    assert BagPart(Path("a/drive"), 0, 66.5).name == "drive@0-66.5"
