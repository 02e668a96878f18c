# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A bag becomes a cache once, with its truth; another content becomes another one."""

from __future__ import annotations

import dataclasses
import shutil
from pathlib import Path

import numpy as np
import pytest
from bags.small_bag import SPEED, image, write_small_bag

pytest.importorskip("rosbags")

from sfm_depth_ros.bags.selection import BagSelection
from sfm_depth_ros.config.schema import OfflineTrainingConfig
from sfm_depth_ros.errors import DataError
from sfm_depth_ros.snippets.image_gate import ImageGate
from sfm_depth_ros.training.offline import recorded_snippets
from sfm_depth_ros.training.offline.caches import CacheStore, bag_content_hash, code_hash
from sfm_depth_ros.training.offline.recorded_snippets import recorded_caches

CONFIG = OfflineTrainingConfig(width=64)


@pytest.fixture(autouse=True)
def _open_gate(monkeypatch) -> None:
    """Small bags have images that no corner can be followed through: all pass."""
    monkeypatch.setattr(recorded_snippets, "ImageGate", lambda: None)


@pytest.fixture
def store(tmp_path: Path) -> CacheStore:
    return CacheStore(tmp_path / "cache", 1 << 30)


def test_snippets_with_truth_and_measured_motion(tmp_path: Path, store: CacheStore) -> None:
    write_small_bag(tmp_path / "bag", frames=10)
    (cache,) = recorded_caches(BagSelection(tmp_path / "bag"), CONFIG, store)
    assert (len(cache.rows), cache.shape.height, cache.shape.width) == (8, 32, 64)
    snippet = cache.snippet(1)  # target: image 2, which has true depth
    np.testing.assert_array_equal(snippet.target, image(2))
    np.testing.assert_array_equal(snippet.sources, [image(1), image(3)])
    assert snippet.depth.max() == snippet.depth.min() == 4.0
    ahead = SPEED / 10
    assert snippet.T_source_target[:, 2, 3] == pytest.approx([ahead, -ahead], abs=1e-5)
    assert snippet.T_measured == pytest.approx(snippet.T_source_target, abs=1e-5)
    assert cache.snippet(0).depth is None
    batch = cache.batch([0, 1], with_truth=False)
    assert batch.depth is None
    assert batch.T_measured is not None


def test_images_pass_the_live_trainers_gate(tmp_path: Path, store, monkeypatch) -> None:
    monkeypatch.setattr(recorded_snippets, "ImageGate", ImageGate)
    write_small_bag(tmp_path / "bag", frames=10)
    with pytest.raises(DataError, match=r"7 untrackable.*look for blur, noise and a dirty lens"):
        recorded_caches(BagSelection(tmp_path / "bag"), CONFIG, store)


def test_parts_widths_and_gates_are_entries_of_their_own(tmp_path: Path, store) -> None:
    bag = write_small_bag(tmp_path / "bag", frames=10)
    whole = recorded_caches(BagSelection(bag), CONFIG, store)[0]
    part = recorded_caches(BagSelection(bag, 0.0, 0.55), CONFIG, store)[0]
    again = recorded_caches(BagSelection(bag), CONFIG, store)[0]
    assert len(part.rows) == 4
    assert again.folder == whole.folder != part.folder
    narrow = dataclasses.replace(CONFIG, width=32)
    with pytest.raises(DataError, match="lower input_width"):
        recorded_caches(BagSelection(bag), narrow, store)


def test_zoom_prepares_no_more_than_the_camera_has(tmp_path: Path, store) -> None:
    bag = BagSelection(write_small_bag(tmp_path / "bag", frames=5))
    zoomed = dataclasses.replace(CONFIG, zoom=2.0)
    (cache,) = recorded_caches(bag, zoomed, store)
    assert cache.shape.width == 64  # the images are no wider
    assert cache.folder == recorded_caches(bag, CONFIG, store)[0].folder


def test_a_teacher_whom_nobody_asks_teaches_nothing(tmp_path: Path, store) -> None:
    bag = BagSelection(write_small_bag(tmp_path / "bag", frames=5))
    taught = dataclasses.replace(CONFIG, teacher="tracks")
    plain = recorded_caches(bag, CONFIG, store)[0].folder
    assert recorded_caches(bag, taught, store)[0].folder == plain
    assert recorded_caches(bag, taught, store, ("sparse_depth",))[0].folder != plain


def test_a_copy_is_the_same_content_and_another_drive_is_not(tmp_path: Path) -> None:
    bag = write_small_bag(tmp_path / "bag")
    copy = Path(shutil.copytree(bag, tmp_path / "copy"))
    assert bag_content_hash(bag) == bag_content_hash(copy)
    file = next(copy.glob("*.mcap"))
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)
    assert bag_content_hash(bag) != bag_content_hash(copy)
    assert bag_content_hash(next(bag.glob("*.mcap"))) != bag_content_hash(bag)


def test_code_is_part_of_the_content() -> None:
    assert code_hash("bags") != code_hash("geometry") != code_hash("bags", "geometry")
    assert code_hash("errors.py") != code_hash("geometry", "errors.py")
    with pytest.raises(ValueError, match="folder or a file"):
        code_hash("data")


def test_a_slow_robot_is_paired_over_longer_times(tmp_path: Path, store: CacheStore) -> None:
    bag = BagSelection(write_small_bag(tmp_path / "bag", frames=30))  # 0.2 m an image
    far = dataclasses.replace(CONFIG, min_displacement=1.1)
    with pytest.raises(DataError, match="raise the other for a slow robot"):
        recorded_caches(bag, far, store)  # 1.1 m take 0.6 s
    (cache,) = recorded_caches(bag, dataclasses.replace(far, max_image_gap=1.0), store)
    assert cache.snippet(0).displacements.tolist() == pytest.approx([1.2, 1.2])
