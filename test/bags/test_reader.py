# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import contextlib
import re
import sqlite3
from pathlib import Path

import numpy as np
import pytest
from bags.small_bag import CAMERA, SECOND, START, base_to_mast, image, write_small_bag

pytest.importorskip("rosbags")

from sfm_depth_ros.bags.events import (
    CameraInfoEvent,
    CompanionEvent,
    DepthTruthEvent,
    ImageEvent,
    PoseTruthEvent,
    TransformEvent,
    VelocityEvent,
)
from sfm_depth_ros.bags.reader import BagReader
from sfm_depth_ros.bags.topics import BagTopics, choose_topics, require_topics
from sfm_depth_ros.bags.writer import BagWriter
from sfm_depth_ros.errors import DataError
from sfm_depth_ros.snippets.values import Velocity

IMAGE, COMPRESSED = "sensor_msgs/msg/Image", "sensor_msgs/msg/CompressedImage"
INFO, ODOMETRY = "sensor_msgs/msg/CameraInfo", "nav_msgs/msg/Odometry"


@pytest.mark.parametrize("storage", ["mcap", "sqlite3"])
@pytest.mark.parametrize("compressed", [False, True])
def test_what_is_written_is_read(tmp_path, storage, compressed):
    path = write_small_bag(tmp_path / "bag", storage, frames=4, compressed=compressed)
    with BagReader(path) as reader:
        events = list(reader.events())
    assert [event.time_ns for event in events] == sorted(event.time_ns for event in events)
    by_kind = {
        kind: [e for e in events if isinstance(e, kind)]
        for kind in (ImageEvent, CameraInfoEvent, DepthTruthEvent, PoseTruthEvent, TransformEvent)
    }
    images = by_kind[ImageEvent]
    assert [e.stamp_ns for e in images] == [START + i * SECOND // 10 for i in range(4)]
    for index, event in enumerate(images):
        assert event.frame_id == "optical"
        np.testing.assert_array_equal(event.decode(), image(index))
    assert all(event.camera.is_same(CAMERA) for event in by_kind[CameraInfoEvent])
    assert [float(e.depth.mean()) for e in by_kind[DepthTruthEvent]] == [2.0, 4.0]
    assert by_kind[PoseTruthEvent][3].T_world_base[0, 3] == pytest.approx(0.6)
    first = by_kind[TransformEvent][0]
    assert (first.parent, first.child) == ("base_link", "mast")
    np.testing.assert_allclose(first.T_parent_child, base_to_mast(), atol=1e-12)


@pytest.mark.parametrize("kind", ["odom", "twist", "twist_with_covariance"])
def test_velocities_of_every_type(tmp_path, kind):
    path = write_small_bag(tmp_path / "bag", frames=2, velocity=kind)
    with BagReader(path) as reader:
        events = list(reader.events(VelocityEvent))
    assert len(events) == 12
    for event in events:
        assert event.frame_id == "base_link"
        assert event.velocity.linear.tolist() == [2, 0, 0]
        assert event.velocity.angular.tolist() == [0, 0, 0]


def test_what_the_bag_holds(tmp_path):
    with BagReader(write_small_bag(tmp_path / "bag")) as reader:
        assert reader.topics == BagTopics(
            image="/camera/image_raw",
            camera_info="/camera/camera_info",
            velocity="/odom",
            tf_static="/tf_static",
            depth_truth="/ground_truth/depth",
            pose_truth="/ground_truth/odom",
        )
        assert reader.recorded["/odom"] == ODOMETRY
        assert reader.message_count("/camera/image_raw") == 10
        assert reader.duration_s == pytest.approx(2.95)
        assert reader.start_ns == START - SECOND


def test_raw_messages_are_what_a_publisher_takes(tmp_path):
    with BagReader(write_small_bag(tmp_path / "bag", frames=2)) as reader:
        messages = list(reader.raw_messages())
        odometry = next(m for m in messages if m.topic == "/odom")
        assert odometry.type_name == ODOMETRY
        assert odometry.cdr[:2] == b"\x00\x01"  # CDR, little endian
        assert odometry.message.twist.twist.linear.x == 2.0
        assert {m.topic for m in reader.raw_messages("/odom")} == {"/odom"}
        assert list(reader.raw_messages("/absent")) == []
    assert [m.time_ns for m in messages] == sorted(m.time_ns for m in messages)


def test_depth_in_metres_and_copied_messages(tmp_path):
    depth = np.array([[1.5, np.nan], [np.inf, 80.0]], np.float32)
    with BagWriter(tmp_path / "bag") as bag:
        bag.write_image(START, depth, "optical", "32FC1", "/depth/image_rect")
        with pytest.raises(ValueError, match="no rgb8 image"):
            bag.write_image(START, depth, "optical", "rgb8")
    roles = BagTopics(depth_truth="/depth/image_rect")
    with BagReader(tmp_path / "bag") as reader, BagWriter(tmp_path / "copy") as copy:
        for raw in reader.raw_messages():
            copy.write_serialized(raw.topic, raw.type_name, raw.time_ns, raw.cdr)
        with pytest.raises(DataError, match="robot_msgs/msg/Mood"):
            copy.write_serialized("/mood", "robot_msgs/msg/Mood", START, b"")
    with BagReader(tmp_path / "copy", roles) as reader:
        truth = next(reader.events(DepthTruthEvent))
    np.testing.assert_array_equal(truth.depth, [[1.5, 0], [0, 80]])


def test_static_transforms_are_offered_to_late_joiners(tmp_path):
    path = write_small_bag(tmp_path / "bag", frames=1)
    assert "durability: transient_local" in (path / "metadata.yaml").read_text()
    with BagReader(path) as reader:
        assert reader.latched == {"/tf_static"}


def test_a_single_storage_file_can_be_read(tmp_path):
    path = write_small_bag(tmp_path / "bag", frames=2)
    with BagReader(next(path.glob("*.mcap"))) as reader:
        assert len(list(reader.events(ImageEvent))) == 2


def test_a_bag_is_never_overwritten(tmp_path):
    path = write_small_bag(tmp_path / "bag", frames=1)
    with pytest.raises(DataError, match="exists already"):
        BagWriter(path)
    with pytest.raises(ValueError, match="storage"):
        BagWriter(tmp_path / "other", "tape")


def test_half_a_drive_does_not_look_like_a_whole_one(tmp_path):
    def fail() -> None:
        with BagWriter(tmp_path / "bag") as bag:
            bag.write_camera_info(START, CAMERA)
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert not (tmp_path / "bag").exists()


def test_messages_that_vanished_are_missed(tmp_path, caplog):
    path = write_small_bag(tmp_path / "bag")
    metadata = path / "metadata.yaml"
    with BagReader(path) as reader:
        assert len(list(reader.raw_messages("/camera/image_raw"))) == 10
    assert "damaged" not in caplog.text
    metadata.write_text(metadata.read_text().replace("message_count: 10\n", "message_count: 40\n"))
    with BagReader(path) as reader:
        assert len(list(reader.raw_messages("/camera/image_raw"))) == 10
    assert "bag is damaged: 10 of 40 messages can be read" in caplog.text


@pytest.mark.parametrize("content", [None, "", "rosbag2_bagfile_information: {version: 9}", ": ["])
def test_damaged_bags_are_named(tmp_path: Path, content: str | None):
    path = tmp_path / "broken"
    if content is not None:
        path.mkdir()
        (path / "metadata.yaml").write_text(content)
    with pytest.raises(DataError, match="broken"):
        BagReader(path)


def test_bad_messages_are_left_out_and_logged(tmp_path, caplog):
    with BagWriter(tmp_path / "bag") as bag:
        bag.write_camera_info(START, CAMERA)
        broken = CAMERA.from_matrices(CAMERA.K, 64, 32)
        broken.K[0, 0] = 0
        bag.write_camera_info(START + 1, broken)
    with BagReader(tmp_path / "bag") as reader:
        assert len(list(reader.events())) == 1
    assert "focal length" in caplog.text


def test_topics_are_chosen_by_type_and_name():
    recorded = {
        "/right/image_raw": IMAGE,
        "/front/image/compressed": COMPRESSED,
        "/front/camera_info": INFO,
        "/right/camera_info": INFO,
        "/front/depth/image": IMAGE,
        "/ground_truth/odom": ODOMETRY,
        "/wheel/odometry": ODOMETRY,
        "/twist": "geometry_msgs/msg/TwistStamped",
    }
    topics = choose_topics(recorded)
    assert topics.image == "/right/image_raw"
    assert topics.camera_info == "/right/camera_info"
    assert topics.velocity == "/wheel/odometry"
    front = choose_topics(recorded, BagTopics(image="/front/image/compressed", velocity="/twist"))
    assert front.camera_info == "/front/camera_info"
    assert front.velocity == "/twist"
    with pytest.raises(DataError, match=r"'/left/image'.*/right/image_raw"):
        choose_topics(recorded, BagTopics(image="/left/image"))


def test_missing_topics_are_named_with_what_is_there():
    recorded = {"/scan": "sensor_msgs/msg/LaserScan"}
    with pytest.raises(DataError, match=r"image, velocity; it has /scan \(sensor_msgs"):
        require_topics(choose_topics(recorded), recorded, "image", "velocity")


@pytest.mark.parametrize("storage", ["mcap", "sqlite3"])
@pytest.mark.parametrize("keep", [0.0, 0.3, 0.9])
def test_a_truncated_bag_says_so(tmp_path, storage, keep):
    path = write_small_bag(tmp_path / "bag", storage)
    file = next(p for p in path.iterdir() if p.suffix in (".mcap", ".db3"))
    file.write_bytes(file.read_bytes()[: int(keep * file.stat().st_size)])
    with pytest.raises(DataError, match="bag"), BagReader(path) as reader:
        list(reader.events())


def test_a_damaged_message_is_left_out(tmp_path, caplog):
    with BagWriter(tmp_path / "bag", "sqlite3") as bag:
        bag.write_camera_info(START, CAMERA)
        bag.write_camera_info(START + 1, CAMERA)
    with sqlite3.connect(next((tmp_path / "bag").glob("*.db3"))) as database:
        database.execute("UPDATE messages SET data = ? WHERE id = 1", (bytes(20),))
    with BagReader(tmp_path / "bag") as reader:
        assert [event.time_ns for event in reader.events()] == [START + 1]
    assert "left out" in caplog.text


def test_topics_without_messages_have_no_role(tmp_path):
    path = write_small_bag(tmp_path / "bag", frames=3)
    with BagWriter(tmp_path / "empty") as bag:
        bag.write_image(START, image(0), "optical", topic="/a_camera/image_raw")
    with BagReader(tmp_path / "empty") as reader:
        (kept,) = reader.raw_messages()
    assert kept.topic == "/a_camera/image_raw"
    with sqlite3_copy(path, tmp_path / "both") as database:
        database.execute(
            "INSERT INTO topics SELECT 99, '/a_camera/image_raw', type, serialization_format, "
            "offered_qos_profiles, type_description_hash FROM topics WHERE name LIKE '%image_raw'"
        )
    with BagReader(tmp_path / "both.db3") as reader:
        assert reader.topics.image == "/camera/image_raw"
        assert "/a_camera/image_raw" not in reader.recorded
    with pytest.raises(DataError, match="no message on '/a_camera/image_raw'"):
        BagReader(tmp_path / "both.db3", BagTopics(image="/a_camera/image_raw"))


@contextlib.contextmanager
def sqlite3_copy(path: Path, name: Path):
    """The small bag as a single sqlite3 file to change."""
    with BagReader(path) as reader, BagWriter(name, "sqlite3") as copy:
        for raw in reader.raw_messages():
            copy.write_serialized(raw.topic, raw.type_name, raw.time_ns, raw.cdr)
    file = next(name.glob("*.db3"))
    with sqlite3.connect(file) as database:
        yield database
    file.rename(name.with_suffix(".db3"))


@pytest.mark.parametrize("storage", ["mcap", "sqlite3"])
def test_the_files_count_and_not_what_metadata_claims(tmp_path, storage):
    path = write_small_bag(tmp_path / "bag", storage)
    metadata = path / "metadata.yaml"
    text = re.sub(
        r"(?m)^(  duration:\n    nanoseconds:) \d+", r"\1 100000000", metadata.read_text()
    )
    assert text != metadata.read_text()
    metadata.write_text(text)
    with BagReader(path) as reader:
        assert reader.duration_s == pytest.approx(2.95)
        assert reader.start_ns == START - SECOND


@pytest.mark.parametrize("storage", ["mcap", "sqlite3"])
def test_a_storage_identifier_that_is_missing_follows_from_the_file(tmp_path, storage):
    path = write_small_bag(tmp_path / "bag", storage)
    metadata = path / "metadata.yaml"
    text = metadata.read_text()
    metadata.write_text(text.replace(f"storage_identifier: {storage}", "storage_identifier: ''"))
    assert metadata.read_text() != text
    with BagReader(path) as reader:
        assert len(list(reader.events(ImageEvent))) == 10
    metadata.unlink()
    with BagReader(path) as reader:
        assert len(list(reader.events(ImageEvent))) == 10


def test_a_recording_that_was_cut_off_names_the_command_that_mends_it(tmp_path, caplog):
    path = write_small_bag(tmp_path / "bag")
    file = next(path.glob("*.mcap"))
    whole = file.read_bytes()
    file.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DataError, match=rf"mcap recover {re.escape(str(file))} -o mended\.mcap"):
        BagReader(path)
    (path / "another.mcap").write_bytes(whole)
    with BagReader(path) as reader:
        assert len(list(reader.events(ImageEvent))) == 10
    assert "mcap recover" in caplog.text


def test_a_compressed_split_that_was_cut_off_names_what_keeps_the_others(tmp_path):
    path = tmp_path / "bag"
    path.mkdir()
    (path / "metadata.yaml").write_text("rosbag2_bagfile_information: {}\n")
    (path / "bag_0.db3.zstd").write_bytes(b"\x28\xb5\x2f\xfd")
    with pytest.raises(DataError, match=rf"zstd -d {re.escape(str(path))}/\*\.zstd.*metadata"):
        BagReader(path)


def test_many_bad_messages_are_two_lines_in_the_log(tmp_path, caplog):
    with BagWriter(tmp_path / "bag") as bag:
        bag.write_image(START, image(0), "optical")
        for index in range(50):
            velocity = Velocity(START + index, np.full(3, np.nan), np.zeros(3))
            bag.write_odometry(velocity)
    with BagReader(tmp_path / "bag") as reader:
        assert len(list(reader.events())) == 1
    assert [r.getMessage().count("left out") for r in caplog.records] == [1, 1]
    assert "50 messages of /odom left out" in caplog.text


@pytest.mark.parametrize(
    ("names", "chosen"),
    [
        (["/depth_cam/rgb/image_raw", "/depth_cam/depth/image_raw"], "/depth_cam/rgb/image_raw"),
        (["/depth_camera/depth/image_raw", "/depth_camera/image_raw"], "/depth_camera/image_raw"),
        (["/camera/aligned_depth_to_color/image_raw"], ""),
        (["/ground_truth/rgb/image_raw"], ""),
        (
            ["/oak/depth/image/compressed", "/oak/rgb/image/compressed"],
            "/oak/rgb/image/compressed",
        ),
    ],
)
def test_colour_cameras_of_depth_sensors(names, chosen):
    assert choose_topics(dict.fromkeys(names, IMAGE)).image == chosen


def test_one_topic_may_have_several_roles(tmp_path):
    path = write_small_bag(tmp_path / "bag", frames=2)
    topics = BagTopics(sparse_depth="/ground_truth/depth")
    with BagReader(path, topics) as reader:
        kinds = [type(event) for event in reader.events(DepthTruthEvent, CompanionEvent)]
    assert kinds == [DepthTruthEvent, CompanionEvent]
