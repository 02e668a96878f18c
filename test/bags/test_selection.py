# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import math
from pathlib import Path

import pytest
from bags.small_bag import SECOND, START, write_small_bag

from sfm_depth_ros.bags.selection import BagSelection, WeightedBag
from sfm_depth_ros.camera.image_layout import NetworkInput
from sfm_depth_ros.errors import DataError

pytest.importorskip("rosbags")

from sfm_depth_ros.bags.frames import read_frames


@pytest.mark.parametrize(
    ("text", "path", "start", "end", "name"),
    [
        ("a/drive", "a/drive", 0.0, math.inf, "drive"),
        ("a/drive@0-66", "a/drive", 0.0, 66.0, "drive@0-66"),
        ("a/drive@66-", "a/drive", 66.0, math.inf, "drive@66-"),
        ("a/drive@-12.5", "a/drive", 0.0, 12.5, "drive@0-12.5"),
        ("a/drive@.5-1.", "a/drive", 0.5, 1.0, "drive@0.5-1"),
        ("me@home/drive", "me@home/drive", 0.0, math.inf, "drive"),
        ("drive@-", "drive@-", 0.0, math.inf, "drive@-"),
        ("drive@1-2@3-4", "drive@1-2", 3.0, 4.0, "drive@1-2@3-4"),
    ],
)  # fmt: skip
def test_parts_are_read(text, path, start, end, name):
    selection = BagSelection.parse(text)
    assert (selection.path, selection.start_s, selection.end_s) == (Path(path), start, end)
    assert selection.name == name
    assert selection.is_whole == (end == math.inf and start == 0.0)


def test_a_path_that_exists_is_taken_as_it_is(tmp_path):
    (tmp_path / "drive@1-2").mkdir()
    assert BagSelection.parse(tmp_path / "drive@1-2") == BagSelection(tmp_path / "drive@1-2")


@pytest.mark.parametrize("text", ["drive@5-5", "drive@6-5"])
def test_a_part_that_ends_before_it_starts_is_refused(text):
    with pytest.raises(DataError, match="must end after it starts; write BAG@START-END"):
        BagSelection.parse(text)


def test_parts_share_no_image_and_leave_none_out(tmp_path):
    bag = write_small_bag(tmp_path / "bag")  # 10 images, a tenth of a second apart
    whole = [frame.frame.stamp_ns for frame in read_frames(bag, NetworkInput(64))]
    first, second = (
        read_frames(f"{bag}@-0.35", NetworkInput(64)),
        read_frames(f"{bag}@0.35-", NetworkInput(64)),
    )
    assert [len(first), len(second)] == [4, 6]
    parts = [frame.frame.stamp_ns for frames in (first, second) for frame in frames]
    assert parts == whole
    assert parts[0] == START
    assert parts[-1] == START + 9 * SECOND // 10


def test_truth_stays_with_its_image(tmp_path):
    bag = write_small_bag(tmp_path / "bag")
    frames = list(read_frames(f"{bag}@0.35-0.75", NetworkInput(64)))
    assert [int((f.frame.stamp_ns - START) // (SECOND // 10)) for f in frames] == [4, 5, 6, 7]
    truths = [None if f.depth is None else round(float(f.depth[0, 0]), 3) for f in frames]
    assert truths == [6.0, None, 8.0, None]


def test_a_part_after_the_end_is_refused(tmp_path):
    bag = write_small_bag(tmp_path / "bag")
    with pytest.raises(DataError, match=r"bag@5- holds no image: .* end after 0\.9 s"):
        read_frames(f"{bag}@5-", NetworkInput(64))


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


def test_a_weighted_path_that_exists_is_taken_as_it_is(tmp_path: Path) -> None:
    odd = tmp_path / "drive=3"
    odd.mkdir()
    assert WeightedBag.parse(str(odd)) == WeightedBag(BagSelection(odd))


def test_a_weight_of_zero_is_refused() -> None:
    with pytest.raises(DataError, match="above 0"):
        WeightedBag.parse("drive=0")
