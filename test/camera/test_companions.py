# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Companions come with the image of the same moment, in the same geometry."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from bags.small_bag import (
    CAMERA,
    HEIGHT,
    SECOND,
    START,
    WIDTH,
    base_to_mast,
    image,
    mast_to_optical,
    write_small_bag,
)

pytest.importorskip("rosbags")

from sfm_depth_ros.bags.frames import BagFrame, read_frames
from sfm_depth_ros.bags.snippets import read_snippets
from sfm_depth_ros.bags.topics import choose_topics
from sfm_depth_ros.bags.writer import BagWriter
from sfm_depth_ros.camera.camera_model import CameraModel
from sfm_depth_ros.camera.companions import CompanionPreparer, StampMatcher
from sfm_depth_ros.camera.image_codec import decode_labels
from sfm_depth_ros.camera.image_layout import NetworkInput
from sfm_depth_ros.camera.preprocessing import Preprocessor
from sfm_depth_ros.errors import DataError
from sfm_depth_ros.snippets.values import Velocity

ALL = ("right_image", "sparse_depth", "instance_mask")
BASELINE = 0.25


def right_camera(camera: CameraModel = CAMERA) -> CameraModel:
    P = camera.P.copy()
    P[0, 3] = -P[0, 0] * BASELINE
    return replace(camera, P=P, frame_id="right_optical")


def labels(index: int) -> np.ndarray:
    mask = np.zeros((HEIGHT, WIDTH), np.uint8)
    mask[10:20, index : index + 10] = 7
    return mask


def write_bag(path: Path, frames: int = 6) -> Path:
    """A drive with everything; companions are written before or after their image."""
    with BagWriter(path) as bag:
        bag.write_static_transform(START, "base_link", "mast", base_to_mast())
        bag.write_static_transform(START, "mast", "optical", mast_to_optical())
        for stamp in range(START - SECOND // 5, START + frames * SECOND // 5, SECOND // 20):
            bag.write_odometry(Velocity(stamp, np.array([2.0, 0, 0]), np.zeros(3)))
        for index in range(frames):
            stamp = START + index * SECOND // 10
            bag.write_camera_info(stamp, CAMERA)
            bag.write_camera_info(stamp, right_camera(), "/camera_right/camera_info")
            sparse = np.zeros((HEIGHT, WIDTH), np.float32)
            sparse[5, index] = 3.0 + index
            if index % 2:
                bag.write_image(stamp, image(index), "optical")
            bag.write_image(
                stamp, image(100 + index), "right_optical", topic="/camera_right/image_raw"
            )
            bag.write_image(stamp, sparse, "optical", "32FC1", "/sparse_depth")
            bag.write_image(stamp, labels(index), "optical", "mono8", "/instance_mask")
            if not index % 2:
                bag.write_image(stamp, image(index), "optical")
    return path


@pytest.fixture(scope="module")
def bag(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_bag(tmp_path_factory.mktemp("bags") / "bag")


def test_every_frame_has_its_own(bag: Path) -> None:
    frames: list[BagFrame] = list(read_frames(bag, NetworkInput(64), companions=ALL))
    assert len(frames) == 6
    for index, (frame, *_) in enumerate(frames):
        np.testing.assert_array_equal(frame.image, image(index))
        np.testing.assert_array_equal(frame.right, image(100 + index))
        np.testing.assert_array_equal(frame.instances, labels(index))
        assert frame.sparse_depth[5, index] == 3.0 + index
        assert np.count_nonzero(frame.sparse_depth) == 1
        assert frame.T_right_target[:3, 3] == pytest.approx([-BASELINE, 0, 0])


def test_what_nobody_asked_for_is_not_read(bag: Path) -> None:
    frame = next(iter(read_frames(bag, NetworkInput(64), companions=("sparse_depth",)))).frame
    assert frame.sparse_depth is not None
    assert frame.right is None
    assert frame.T_right_target is None
    assert frame.instances is None


def test_snippets_carry_them(bag: Path) -> None:
    frames = read_frames(bag, NetworkInput(64), needs_velocity=True, companions=ALL)
    snippet = next(read_snippets(frames, 0.1, 5.0, 0.5))
    np.testing.assert_array_equal(snippet.right, image(101))
    assert [int(np.flatnonzero(mask[10])[0]) for mask in snippet.instances] == [1, 0, 2]
    assert snippet.T_right_target.dtype == np.float32
    assert snippet.sparse_depth[5, 1] == 4.0


def test_a_bag_without_them_gives_plain_frames(tmp_path: Path) -> None:
    frames = list(read_frames(write_small_bag(tmp_path / "bag"), NetworkInput(64), companions=ALL))
    assert len(frames) == 10
    assert frames[0].frame.right is None


def test_topics_by_name() -> None:
    IMAGE, INFO = "sensor_msgs/msg/Image", "sensor_msgs/msg/CameraInfo"
    recorded = {
        "/bright/image_raw": IMAGE, "/cam/right/image_raw": IMAGE, "/bright/camera_info": INFO,
        "/cam/right/camera_info": INFO, "/lidar/sparse_depth": IMAGE, "/instance_mask": IMAGE,
    }  # fmt: skip
    topics = choose_topics(recorded)
    assert (topics.image, topics.camera_info) == ("/bright/image_raw", "/bright/camera_info")
    assert topics.right_image == "/cam/right/image_raw"
    assert topics.right_camera_info == "/cam/right/camera_info"
    assert topics.sparse_depth == "/lidar/sparse_depth"
    assert topics.instance_mask == "/instance_mask"


def test_a_right_camera_with_other_optics_is_rectified_to_the_left_ones() -> None:
    """A point in space falls where the left intrinsics and the baseline say."""
    preprocessor = Preprocessor(CAMERA, NetworkInput(64))
    K = [50.0, 0, 30.0, 0, 50, 14.0, 0, 0, 1]
    P = [40.0, 0, 31.5, -40.0 * BASELINE, 0, 40, 15.5, 0, 0, 0, 1, 0]
    right = CameraModel.from_matrices(K, WIDTH, HEIGHT, P=P, frame_id="r")
    seen = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    X, Y, Z = 0.4, 0.1, 5.0  # in the left frame
    u, v = round(50 * (X - BASELINE) / Z + 30.0), round(50 * Y / Z + 14.0)
    seen[v - 1 : v + 2, u - 1 : u + 2] = 255
    preparer = CompanionPreparer(preprocessor, right)
    frame = preprocessor.frame(image(0), 0)
    frame = preparer.attach(frame, {"right_image": seen})
    K_left, T = frame.intrinsics, frame.T_right_target
    x = K_left.fx * (X + T[0, 3]) / Z + K_left.cx
    y = K_left.fy * Y / Z + K_left.cy
    rows, columns = np.nonzero(frame.right[..., 0] > 127)
    assert abs(columns.mean() - x) < 0.8
    assert abs(rows.mean() - y) < 0.8


def test_no_baseline_and_wrong_sizes_are_said() -> None:
    preprocessor = Preprocessor(CAMERA, NetworkInput(64))
    with pytest.raises(DataError, match="baseline"):
        CompanionPreparer(preprocessor, CAMERA)
    preparer = CompanionPreparer(preprocessor, right_camera())
    frame = preprocessor.frame(image(0), 0)
    for role in ALL:
        wrong = np.zeros((8, 8, 3) if role == "right_image" else (8, 8), np.uint8)
        with pytest.raises(DataError, match="camera_info"):
            preparer.attach(frame, {role: wrong})


def test_labels_are_sampled_and_never_blended() -> None:
    big = CameraModel.from_matrices([80.0, 0, 63.5, 0, 80, 31.5, 0, 0, 1], 128, 64)
    mask = np.zeros((64, 128), np.uint8)
    mask[20:40, 50:90] = 200
    small = Preprocessor(big, NetworkInput(64)).resize_labels(mask)
    assert set(np.unique(small)) == {0, 200}
    assert small[10:20, 25:45].all()
    assert np.count_nonzero(small) == 10 * 20
    bent = CameraModel.from_matrices(big.K, 128, 64, D=[-0.1, 0, 0, 0, 0])
    assert set(np.unique(Preprocessor(bent, NetworkInput(64)).resize_labels(mask))) == {0, 200}


def test_labels_of_16_bits_keep_moving_things_apart() -> None:
    data = np.array([[0, 1, 255, 256, 511]], np.uint16)
    assert decode_labels("16UC1", data.tobytes(), 1, 5, 10).tolist() == [[0, 1, 255, 1, 1]]
    with pytest.raises(DataError, match="mono8"):
        decode_labels("rgb8", b"123", 1, 1, 3)


def test_the_matcher_waits_but_not_for_ever() -> None:
    matcher = StampMatcher[str](frozenset(("a", "b")), delay=2)
    matcher.add(0, "first")
    matcher.add_beside("a", 1_000_000, "its a")  # a millisecond apart: the same moment
    assert not list(matcher.ready())
    matcher.add(100_000_000, "second")
    matcher.add_beside("b", 100_000_000, "second's b")
    assert not list(matcher.ready())
    matcher.add(200_000_000, "third")
    assert list(matcher.ready()) == [("first", {"a": "its a"})]
    matcher.add_beside("a", 100_000_000, "second's a")
    assert list(matcher.ready()) == [("second", {"a": "second's a", "b": "second's b"})]
    assert list(matcher.rest()) == [("third", {})]


def test_the_matcher_forgets_what_nobody_fetches() -> None:
    matcher = StampMatcher[int](frozenset(("a",)), delay=2)
    for stamp in range(100):
        matcher.add_beside("a", stamp * 10**9, stamp)
    assert sum(len(kept) for kept in matcher._beside.values()) == 8
    matcher.clear()
    matcher.add(99 * 10**9, 1)
    assert not list(matcher.ready())


def test_the_matcher_matches_again_after_a_bag_has_started_over() -> None:
    """Companions of images that were lost lie there with later stamps than all that comes."""
    matcher = StampMatcher[str](frozenset(("a",)), delay=2)
    for second in range(100, 120):
        matcher.add_beside("a", second * 10**9, "lost")
    matcher.add_beside("a", 10**9, "mask")
    matcher.add(10**9, "image")
    assert list(matcher.ready()) == [("image", {"a": "mask"})]
