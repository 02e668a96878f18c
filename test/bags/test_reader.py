# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import contextlib
import errno
import re
import sqlite3
import sys
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

zstd = pytest.importorskip("backports.zstd" if sys.version_info < (3, 14) else "compression.zstd")
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
    with pytest.raises(DataError, match=r"lap #1 has a \?, # or %.*mcap"):
        BagWriter(tmp_path / "lap #1", "sqlite3")


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
    words = "does not exist: give" if content is None else "holds no .mcap or .db3 file"
    with pytest.raises(DataError, match=f"(?s)broken.*{words}"):
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


def splits(path: Path, count: int = 3) -> list[Path]:
    """The small bag in several sqlite3 files of one folder, as a recorder splits them."""
    with BagReader(write_small_bag(path.parent / "whole")) as reader:
        messages = list(reader.raw_messages())
    path.mkdir()
    files = []
    for number in range(count):
        part = messages[len(messages) * number // count : len(messages) * (number + 1) // count]
        with BagWriter(path.parent / f"part_{number}", "sqlite3") as copy:
            for raw in part:
                copy.write_serialized(raw.topic, raw.type_name, raw.time_ns, raw.cdr)
        files.append(path / f"bag_{number}.db3")
        next((path.parent / f"part_{number}").glob("*.db3")).rename(files[-1])
    claims = (path.parent / "part_0" / "metadata.yaml").read_text()
    listed = "".join(f"  - {file.name}.zstd\n" for file in files)
    claims = re.sub(r"(relative_file_paths:\n)(  *- .*\n)+", rf"\1{listed}", claims)
    claims = re.sub(r"compression_format: .*", "compression_format: zstd", claims)
    claims = re.sub(r"compression_mode: .*", "compression_mode: FILE", claims)
    (path / "metadata.yaml").write_text(claims)
    return files


def packed(file: Path) -> Path:
    place = file.with_name(f"{file.name}.zstd")
    place.write_bytes(zstd.compress(file.read_bytes()))
    file.unlink()
    return place


def test_a_compressed_split_that_was_cut_off_is_left_out_by_name(tmp_path, caplog):
    files = [packed(file) for file in splits(tmp_path / "bag")]
    with BagReader(tmp_path / "bag") as reader:
        assert len(list(reader.raw_messages())) == 81
    assert not caplog.records
    torn = files[1]
    torn.write_bytes(torn.read_bytes()[: torn.stat().st_size // 2])
    with BagReader(tmp_path / "bag") as reader:
        assert len(list(reader.raw_messages())) == 54
    (record,) = caplog.records
    assert f"{torn} is left out" in record.getMessage()
    assert f"copy {torn} again" in record.getMessage()
    for file in (files[0], files[2]):
        file.unlink()
    with pytest.raises(DataError, match=rf"copy {re.escape(str(torn))} again"):
        BagReader(tmp_path / "bag")


def test_compression_is_what_the_bytes_show(tmp_path, caplog):
    plain, unnamed, misnamed = splits(tmp_path / "bag")
    unnamed.write_bytes(zstd.compress(unnamed.read_bytes()))
    misnamed.rename(misnamed.with_name(f"{misnamed.name}.zstd"))
    with BagReader(tmp_path / "bag") as reader:
        messages = list(reader.raw_messages())
    assert len(messages) == 81
    assert [m.time_ns for m in messages] == sorted(m.time_ns for m in messages)
    assert "metadata.yaml cannot be used" in caplog.records[0].getMessage()
    for file in (plain, packed(plain.rename(tmp_path / "alone.db3"))):
        if file.exists():
            with BagReader(file) as reader:
                assert len(list(reader.raw_messages())) == 27


@pytest.mark.parametrize("claim", ["MESSAGE", "NONE"])
def test_compression_of_messages_is_what_their_bytes_show(tmp_path, claim):
    path = write_small_bag(tmp_path / "bag", "sqlite3")
    with sqlite3.connect(next(path.glob("*.db3"))) as database:
        rows = database.execute("SELECT id, data FROM messages ORDER BY id").fetchall()
        for number, data in rows[::2]:
            content = zstd.compress(data) if number != rows[2][0] else b"\x28\xb5\x2f\xfd torn"
            database.execute("UPDATE messages SET data = ? WHERE id = ?", (content, number))
    metadata = path / "metadata.yaml"
    text = re.sub(r"compression_format: .*", "compression_format: zstd", metadata.read_text())
    metadata.write_text(re.sub(r"compression_mode: .*", f"compression_mode: {claim}", text))
    with BagReader(path) as reader:
        assert sum(raw.cdr[:2] == b"\x00\x01" for raw in reader.raw_messages()) == len(rows) - 1
        assert len(list(reader.events())) >= len(rows) - 1


def test_damage_within_one_of_several_files_costs_that_file_alone(tmp_path, caplog):
    _, damaged, _ = splits(tmp_path / "bag")
    content = bytearray(damaged.read_bytes())
    for page in range(4096 * 3, len(content), 4096):
        content[page : page + 64] = b"\xff" * 64
    damaged.write_bytes(content)
    with BagReader(tmp_path / "bag") as reader:
        assert 54 <= len(list(reader.raw_messages())) < 81
    assert f"{damaged} is left out" in caplog.text


def test_no_room_to_unpack_is_no_damage(tmp_path, monkeypatch):
    files = [packed(file) for file in splits(tmp_path / "bag")]

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("shutil.copyfileobj", full)
    for place in (tmp_path / "bag", files[0]):
        with pytest.raises(DataError, match=r"No space left on device\): free.*TMPDIR"):
            BagReader(place)


@pytest.mark.parametrize("storage", ["mcap", "sqlite3"])
def test_names_that_sqlite_reads_as_a_query(tmp_path, storage, caplog):
    path = write_small_bag(tmp_path / "bag", storage).rename(tmp_path / "lap #1 100%25?mode=rw")
    for place in (path, next(file for file in path.iterdir() if file.suffix != ".yaml")):
        with BagReader(place) as reader:
            assert len(list(reader.events(ImageEvent))) == 10
    assert not caplog.records


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
