# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import dataclasses
import itertools
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

from rosbags.typesys import Stores, get_typestore

from sfm_depth_ros.bags.frames import read_frames
from sfm_depth_ros.bags.options import BagOptions
from sfm_depth_ros.bags.reader import BagReader
from sfm_depth_ros.bags.rig import read_rig
from sfm_depth_ros.bags.snippets import read_snippets
from sfm_depth_ros.bags.topics import BagTopics
from sfm_depth_ros.bags.writer import BagWriter
from sfm_depth_ros.camera.camera_model import CameraModel
from sfm_depth_ros.camera.image_files import encode_depth
from sfm_depth_ros.camera.image_layout import NetworkInput
from sfm_depth_ros.errors import DataError, VelocityGapError
from sfm_depth_ros.snippets.values import Velocity


def test_frames_come_with_their_truth(tmp_path):
    frames = read_frames(write_small_bag(tmp_path / "bag"), NetworkInput(64))
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


def test_a_narrow_camera_is_taken_as_it_is_or_refused(tmp_path, caplog):
    path = write_small_bag(tmp_path / "bag")  # 64 columns
    with pytest.raises(DataError, match="lower input_width"):
        read_frames(path, NetworkInput(96))
    with caplog.at_level("INFO"):
        frames = read_frames(path, NetworkInput(96, narrows=True))
    assert next(iter(frames)).frame.image.shape == (32, 64, 3)
    assert caplog.text.count("64 columns wide instead of the model's 96") == 1


def test_snippets_of_a_bag(tmp_path):
    frames = read_frames(write_small_bag(tmp_path / "bag"), NetworkInput(64), needs_velocity=True)
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
        read_frames(path, NetworkInput(64), needs_velocity=True)


def test_what_is_missing_can_be_given(tmp_path):
    path = write_small_bag(tmp_path / "bag", without=["camera_info", "tf_static"])
    T = base_to_mast() @ mast_to_optical()
    frames = read_frames(
        path, NetworkInput(64), options=BagOptions(camera=CAMERA, T_base_camera=T)
    )
    assert len(list(frames)) == 10
    np.testing.assert_array_equal(frames.velocities.T_base_camera, T)


def test_a_given_calibration_outweighs_the_bags(tmp_path):
    path = write_small_bag(tmp_path / "bag", frames=3)
    other = CameraModel.from_matrices([50.0, 0, 30, 0, 50, 15, 0, 0, 1], 64, 32)
    frames = read_frames(path, NetworkInput(64), options=BagOptions(camera=other))
    assert {item.frame.intrinsics.fx for item in frames} == {50.0}


def test_images_alone_are_enough_for_inference(tmp_path):
    path = write_small_bag(tmp_path / "bag", without=["velocity", "tf_static", "truth"])
    frames = list(read_frames(path, NetworkInput(64)))
    assert len(frames) == 10
    assert frames[0].depth is None
    assert frames[0].T_world_camera is None


def test_damaged_images_are_left_out_and_counted(tmp_path):
    with BagWriter(tmp_path / "bag") as bag:
        bag.write_camera_info(START, CAMERA)
        bag.write_compressed(START, b"no image", "optical")
        bag.write_image(START + 1, image(0), "optical", topic="/other")
    topics = BagTopics(image="/camera/image_raw/compressed")
    frames = read_frames(tmp_path / "bag", NetworkInput(64), options=BagOptions(topics=topics))
    assert list(frames) == []
    assert frames.dropped == 1


def test_a_new_calibration_within_the_bag_counts(tmp_path):
    other = CameraModel.from_matrices([50.0, 0, 30, 0, 50, 15, 0, 0, 1], 64, 32)
    with BagWriter(tmp_path / "bag") as bag:
        for index, camera in enumerate((CAMERA, CAMERA, other)):
            bag.write_camera_info(START + 2 * index, camera)
            bag.write_image(START + 2 * index + 1, image(index), "optical")
    focals = [item.frame.intrinsics.fx for item in read_frames(tmp_path / "bag", NetworkInput(64))]
    assert focals == [40.0, 40.0, 50.0]


def test_the_rig_knows_where_the_camera_sits(tmp_path):
    with BagReader(write_small_bag(tmp_path / "bag", frames=1)) as reader:
        rig = read_rig(reader, max_gap_s=0.3)
    np.testing.assert_allclose(rig.T_base_camera, base_to_mast() @ mast_to_optical(), atol=1e-12)
    assert rig.base_frame == "base_link"


def moved(stamp: int) -> Velocity:
    return Velocity(stamp, np.array([2.0, 0, 0]), np.zeros(3))


def test_a_given_pose_replaces_static_transforms_and_frames_can_be_named(tmp_path):
    path = write_small_bag(tmp_path / "bag", without=["tf_static"])
    T = base_to_mast() @ mast_to_optical()
    with pytest.raises(DataError, match="--base-to-camera"):
        read_frames(path, NetworkInput(64))
    frames = read_frames(path, NetworkInput(64), options=BagOptions(T_base_camera=T))
    np.testing.assert_array_equal(frames.rig.T_base_camera, T)
    path = write_small_bag(tmp_path / "named")
    frames = read_frames(
        path, NetworkInput(64), options=BagOptions(base_frame="mast", camera_frame="base_link")
    )
    expected = np.linalg.inv(base_to_mast())
    np.testing.assert_allclose(frames.rig.T_base_camera, expected, atol=1e-12)
    assert frames.rig.base_frame == "mast"


def test_odometry_without_child_frame_is_base_links(tmp_path):
    with BagWriter(tmp_path / "bag") as bag:
        bag.write_static_transform(START, "base_link", "optical", base_to_mast())
        bag.write_camera_info(START, CAMERA)
        bag.write_image(START, image(0), "optical")
        bag.write_odometry(moved(START), base_frame="")
    frames = read_frames(tmp_path / "bag", NetworkInput(64), needs_velocity=True)
    assert frames.rig.base_frame == "base_link"
    np.testing.assert_allclose(frames.rig.T_base_camera, base_to_mast(), atol=1e-12)


def test_a_calibration_without_k_is_a_rectified_stream(tmp_path):
    info = dataclasses.replace(CAMERA, K=np.zeros((3, 3)), D=np.full(5, 0.1))
    with BagWriter(tmp_path / "bag") as bag:
        bag.write_camera_info(START, info)
        bag.write_image(START, image(0), "optical")
    (given,) = read_frames(tmp_path / "bag", NetworkInput(64))
    assert given.frame.intrinsics == CAMERA.rectified
    np.testing.assert_array_equal(given.frame.image, image(0))


def test_rectified_images_beside_the_raw_calibration_are_not_rectified_again(tmp_path):
    raw = CameraModel.from_matrices(
        [36.0, 0, 31, 0, 36, 15.5, 0, 0, 1], WIDTH, HEIGHT, D=[0.02, 0, 0, 0, 0], P=CAMERA.P
    )
    for name, is_kept in (("image_rect_color", True), ("image_raw", False)):
        with BagWriter(tmp_path / name) as bag:
            bag.write_camera_info(START, raw)
            bag.write_image(START, image(0), "optical", topic=f"/camera/{name}")
        (given,) = read_frames(tmp_path / name, NetworkInput(64))
        assert np.array_equal(given.frame.image, image(0)) == is_kept
        if is_kept:
            assert given.frame.intrinsics == CAMERA.rectified


def test_intrinsics_follow_autofocus_and_snippets_are_made(tmp_path):
    with BagWriter(tmp_path / "bag") as bag:
        bag.write_static_transform(START, "base_link", "optical", base_to_mast())
        for index in range(10):
            stamp = START + index * SECOND // 10
            K = CAMERA.K.copy()
            K[0, 0] = K[1, 1] = 40 * (1 + 0.001 * index)
            camera = CameraModel.from_matrices(K, WIDTH, HEIGHT, frame_id="optical")
            bag.write_odometry(moved(stamp))
            bag.write_camera_info(stamp, camera)
            bag.write_image(stamp, image(index), "optical")
    frames = read_frames(tmp_path / "bag", NetworkInput(64), needs_velocity=True)
    focals = [item.frame.intrinsics.fx for item in frames]
    np.testing.assert_allclose(focals, 40 * (1 + 0.001 * np.arange(10)))
    assert len(list(read_snippets(frames, 0.05, 5.0, 0.5))) == 8
    assert frames.refused["camera"] == 0


def test_an_image_of_another_size_is_left_out_and_counted(tmp_path):
    with BagWriter(tmp_path / "bag") as bag:
        bag.write_camera_info(START, CAMERA)
        for index in range(10):
            pixels = image(index)[:16] if index == 4 else image(index)
            bag.write_image(START + index * SECOND // 10, pixels, "optical")
    frames = read_frames(tmp_path / "bag", NetworkInput(64))
    assert len(list(frames)) == 9
    assert frames.problems == {"image": 1}


def test_late_images_come_in_the_order_of_their_stamps(tmp_path):
    with BagWriter(tmp_path / "sorted") as bag:
        bag.write_camera_info(START, CAMERA)
        for index in range(10):
            bag.write_image(START + index * SECOND // 10, image(index), "optical")
    with BagReader(tmp_path / "sorted") as reader, BagWriter(tmp_path / "bag") as bag:
        for raw in reader.raw_messages():
            late = SECOND // 4 if raw.time_ns in (START + SECOND // 10, START + SECOND // 2) else 0
            bag.write_serialized(raw.topic, raw.type_name, raw.time_ns + late, raw.cdr)
    stamps = [item.frame.stamp_ns for item in read_frames(tmp_path / "bag", NetworkInput(64))]
    assert stamps == [START + index * SECOND // 10 for index in range(10)]


def test_an_image_that_was_recorded_twice_is_taken_once(tmp_path, caplog):
    with BagWriter(tmp_path / "bag") as bag:
        bag.write_camera_info(START, CAMERA)
        for index in (0, 1, 1, 2, 2, 2, 3):
            bag.write_image(START + index * SECOND // 10, image(index), "optical")
    frames = read_frames(tmp_path / "bag", NetworkInput(64))
    for _ in range(2):
        stamps = [item.frame.stamp_ns for item in frames]
        assert stamps == [START + index * SECOND // 10 for index in range(4)]
        assert frames.problems == {"repeated image": 3}
    assert "its stamp is that of the one before" in caplog.text


def test_a_mounting_on_tf_serves_where_tf_static_has_none(tmp_path):
    with BagWriter(tmp_path / "static") as bag:
        bag.write_static_transform(START - 1, "mast", "optical", mast_to_optical())
        bag.write_camera_info(START, CAMERA)
        for index in range(4):
            stamp = START + index * SECOND // 10
            bag.write_static_transform(stamp, "base_link", "mast", base_to_mast())
            bag.write_odometry(moved(stamp))
            bag.write_image(stamp, image(index), "optical")
    with BagReader(tmp_path / "static") as reader, BagWriter(tmp_path / "bag") as bag:
        for raw in reader.raw_messages():
            is_moving = raw.topic == "/tf_static" and raw.time_ns >= START
            topic = "/tf" if is_moving else raw.topic
            bag.write_serialized(topic, raw.type_name, raw.time_ns, raw.cdr)
    frames = read_frames(tmp_path / "bag", NetworkInput(64))
    np.testing.assert_allclose(frames.rig.T_base_camera, base_to_mast() @ mast_to_optical())


def test_a_bag_without_a_message_is_named(tmp_path):
    with BagWriter(tmp_path / "bag"):
        pass
    with pytest.raises(DataError, match="not one message"):
        read_frames(tmp_path / "bag", NetworkInput(64))


def test_stamps_that_do_not_move_are_named(tmp_path):
    def write(name: str, image_stamp: int, velocity_stamp: int) -> Path:
        with BagWriter(tmp_path / name) as bag:
            bag.write_static_transform(0, "base_link", "optical", base_to_mast())
            bag.write_camera_info(0, CAMERA)
            for index in range(3):
                bag.write_odometry(moved(velocity_stamp * index))
                bag.write_image(image_stamp * index, image(index), "optical")
        return tmp_path / name

    with pytest.raises(DataError, match=r"all 3 messages of /camera/image_raw.*header\.stamp"):
        read_frames(write("images", 0, SECOND), NetworkInput(64))
    with pytest.raises(DataError, match=r"all 3 messages of velocities.*header\.stamp"):
        read_frames(write("velocities", SECOND, 0), NetworkInput(64))
    assert len(list(read_frames(write("none", SECOND, SECOND), NetworkInput(64)))) == 3


def test_a_clock_that_is_set_back_makes_two_stretches(tmp_path, caplog):
    """The robot drives at 2 m/s, and at 4 m/s after the clock was set back by 3 s."""
    path = write_small_bag(tmp_path / "first", frames=50)
    with BagReader(path) as reader, BagWriter(tmp_path / "bag") as bag:
        for raw in reader.raw_messages():
            bag.write_serialized(raw.topic, raw.type_name, raw.time_ns, raw.cdr)
        end = START + 11 * SECOND
        with BagWriter(tmp_path / "second") as second:
            for index in range(50):
                stamp = START + 2 * SECOND + index * SECOND // 10
                second.write_odometry(Velocity(stamp, np.array([4.0, 0, 0]), np.zeros(3)))
                second.write_image(stamp, image(index), "optical")
        with BagReader(tmp_path / "second") as reader:
            for raw in reader.raw_messages():
                time_ns = raw.time_ns - START - 2 * SECOND + end
                bag.write_serialized(raw.topic, raw.type_name, time_ns, raw.cdr)
    frames = read_frames(tmp_path / "bag", NetworkInput(64), needs_velocity=True)
    stamps = [item.frame.stamp_ns for item in frames]
    assert stamps == sorted(stamps)
    assert len(stamps) == 100
    for stretch, step in ((stamps[:50], 0.2), (stamps[50:], 0.4)):
        for a, b in itertools.pairwise(stretch):
            assert frames.velocities.displacement(a, b).length == pytest.approx(step)
    with pytest.raises(VelocityGapError):
        frames.velocities.displacement(stamps[49], stamps[50])
    assert "2 stretches" in caplog.text


def test_truth_beside_the_images_is_counted_and_found_by_option(tmp_path, caplog):
    with BagWriter(tmp_path / "bag") as bag:
        bag.write_camera_info(START, CAMERA)
        for index in range(10):
            stamp = START + index * SECOND // 10
            bag.write_image(stamp, image(index), "optical")
            truth = np.full((HEIGHT // 2, WIDTH // 2), 3.0 + index)
            bag.write_depth_truth(stamp + SECOND // 50, truth, "optical")
    frames = read_frames(tmp_path / "bag", NetworkInput(64))
    assert [item.depth for item in frames] == [None] * 10
    assert frames.problems == {"depth_truth without image": 10}
    assert "the nearest stamps are 20.0 ms apart" in caplog.text
    frames = read_frames(
        tmp_path / "bag", NetworkInput(64), options=BagOptions(truth_tolerance_s=0.03)
    )
    for index, item in enumerate(frames):
        np.testing.assert_allclose(item.depth, np.full((HEIGHT, WIDTH), 3.0 + index), rtol=1e-3)
        assert item.camera_truth.depth.shape == (HEIGHT, WIDTH)
    assert not frames.problems


def test_a_damaged_truth_costs_the_truth_alone(tmp_path):
    with BagWriter(tmp_path / "bag") as bag:
        bag.write_camera_info(START, CAMERA)
        for index in range(4):
            stamp = START + index * SECOND // 10
            bag.write_image(stamp, image(index), "optical")
            data = encode_depth(np.full((HEIGHT, WIDTH), 2.0))
            data = data[:30] if index == 1 else data
            bag.write_compressed(stamp, data, "optical", "16UC1; png", "/ground_truth/depth")
        bag.write_image(START + SECOND, image(9), "optical")
        bag.write_depth_truth(START + SECOND, np.ones((10, WIDTH)), "optical")
    frames = read_frames(tmp_path / "bag", NetworkInput(64))
    assert [item.depth is None for item in frames] == [False, True, False, False, True]
    assert frames.problems == {"depth_truth": 2}


def test_twelve_bits_are_remarked_on_and_scaled_by_option(tmp_path, caplog):
    grey = image(0)[..., 0].astype(np.uint16)
    store = get_typestore(Stores.ROS2_JAZZY)
    with BagWriter(tmp_path / "bag") as bag:
        bag.write_camera_info(START, CAMERA)
        bag.write_image(START, grey * 16, "optical", "16UC1", "/camera/image_raw")
    with BagReader(tmp_path / "bag") as reader, BagWriter(tmp_path / "mono16") as bag:
        bag.write_camera_info(START, CAMERA)
        (raw,) = reader.raw_messages("/camera/image_raw")
        message = dataclasses.replace(raw.message, encoding="mono16")
        cdr = store.serialize_cdr(message, raw.type_name)
        bag.write_serialized(raw.topic, raw.type_name, START, cdr)
    frames = read_frames(tmp_path / "mono16", NetworkInput(64))
    assert next(iter(frames)).frame.image.max() < 32
    assert "--white-level" in caplog.text
    frames = read_frames(
        tmp_path / "mono16", NetworkInput(64), options=BagOptions(white_level=255 * 16)
    )
    np.testing.assert_array_equal(next(iter(frames)).frame.image[..., 0], grey)
