# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import numpy as np
import pytest
from bags.small_bag import (
    CAMERA,
    SECOND,
    START,
    base_to_mast,
    image,
    mast_to_optical,
    write_small_bag,
)

pytest.importorskip("rosbags")

from sfm_depth_ros.bags.frames import read_frames
from sfm_depth_ros.bags.reader import BagReader
from sfm_depth_ros.bags.rig import read_rig
from sfm_depth_ros.bags.snippets import read_snippets
from sfm_depth_ros.bags.topics import BagTopics
from sfm_depth_ros.bags.writer import BagWriter
from sfm_depth_ros.camera.camera_model import CameraModel
from sfm_depth_ros.errors import DataError


def test_frames_come_with_their_truth(tmp_path):
    frames = read_frames(write_small_bag(tmp_path / "bag"), 64)
    T_base_camera = base_to_mast() @ mast_to_optical()
    np.testing.assert_allclose(frames.rig.T_base_camera, T_base_camera, atol=1e-12)
    assert len(frames) == 10
    for _ in range(2):  # any number of times
        for index, (frame, depth, T_world_camera, _) in enumerate(frames):
            assert frame.stamp_ns == START + index * SECOND // 10
            np.testing.assert_array_equal(frame.image, image(index))
            assert frame.intrinsics == CAMERA.rectified
            assert (depth is None) == (index % 2 == 1)
            if depth is not None:
                np.testing.assert_allclose(depth, 2.0 + index, rtol=1e-6)
            assert T_world_camera is not None
            expected = T_base_camera[0, 3] + 0.2 * index
            assert T_world_camera[0, 3] == pytest.approx(expected)
        assert index == 9


def test_snippets_of_a_bag(tmp_path):
    frames = read_frames(write_small_bag(tmp_path / "bag"), 64, needs_velocity=True)
    snippets = list(read_snippets(frames, 0.05, 5.0, 0.5))
    assert len(snippets) == 8
    for snippet in snippets:
        np.testing.assert_allclose(snippet.displacements, 0.2, rtol=1e-6)


@pytest.mark.parametrize(
    ("without", "words"),
    [
        ("image", "no topic for image"),
        ("camera_info", "no topic for camera_info"),
        ("velocity", "no topic for velocity"),
        ("tf_static", "frames seen: none"),
    ],
)
def test_a_bag_that_lacks_something_is_refused(tmp_path, without, words):
    path = write_small_bag(tmp_path / "bag", frames=2, without=[without])
    with pytest.raises(DataError, match=words):
        read_frames(path, 64, needs_velocity=True)


def test_what_is_missing_can_be_given(tmp_path):
    path = write_small_bag(tmp_path / "bag", without=["camera_info", "tf_static"])
    T = base_to_mast() @ mast_to_optical()
    frames = read_frames(path, 64, camera=CAMERA, base_to_camera=T)
    assert len(list(frames)) == 10
    np.testing.assert_array_equal(frames.velocities.T_base_camera, T)


def test_a_given_calibration_outweighs_the_bags(tmp_path):
    path = write_small_bag(tmp_path / "bag", frames=3)
    other = CameraModel.from_matrices([50.0, 0, 30, 0, 50, 15, 0, 0, 1], 64, 32)
    frames = read_frames(path, 64, camera=other)
    assert {item.frame.intrinsics.fx for item in frames} == {50.0}


def test_images_alone_are_enough_for_inference(tmp_path):
    path = write_small_bag(tmp_path / "bag", without=["velocity", "tf_static", "truth"])
    frames = list(read_frames(path, 64))
    assert len(frames) == 10
    assert frames[0].depth is None
    assert frames[0].T_world_camera is None


def test_damaged_images_are_left_out_and_counted(tmp_path):
    with BagWriter(tmp_path / "bag") as bag:
        bag.write_camera_info(START, CAMERA)
        bag.write_compressed(START, b"no image", "optical")
        bag.write_image(START + 1, image(0), "optical", topic="/other")
    topics = BagTopics(image="/camera/image_raw/compressed")
    frames = read_frames(tmp_path / "bag", 64, topics=topics)
    assert list(frames) == []
    assert frames.dropped == 1


def test_a_new_calibration_within_the_bag_counts(tmp_path):
    other = CameraModel.from_matrices([50.0, 0, 30, 0, 50, 15, 0, 0, 1], 64, 32)
    with BagWriter(tmp_path / "bag") as bag:
        for index, camera in enumerate((CAMERA, CAMERA, other)):
            bag.write_camera_info(START + 2 * index, camera)
            bag.write_image(START + 2 * index + 1, image(index), "optical")
    focals = [item.frame.intrinsics.fx for item in read_frames(tmp_path / "bag", 64)]
    assert focals == [40.0, 40.0, 50.0]


def test_the_rig_knows_where_the_camera_sits(tmp_path):
    with BagReader(write_small_bag(tmp_path / "bag", frames=1)) as reader:
        rig = read_rig(reader, max_gap_s=0.3)
    np.testing.assert_allclose(rig.T_base_camera, base_to_mast() @ mast_to_optical(), atol=1e-12)
    assert rig.base_frame == "base_link"
