# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A replayed bag holds its input, and depth and motion with the input's stamps."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest
from exact_drive import (
    CAMERA,
    PERIOD_NS,
    Drive,
    base_to_camera,
    create_oracle_engine,
    oracle,
    write_bag,
)

from sfm_depth_ros.bags.reader import BagReader
from sfm_depth_ros.bags.writer import BagWriter
from sfm_depth_ros.camera.image_codec import decode_depth
from sfm_depth_ros.config.schema import DepthNodeConfig
from sfm_depth_ros.errors import DataError
from sfm_depth_ros.estimation.depth_views import LANDMARK_TYPE, POINT_TYPE, depth_to_color
from sfm_depth_ros.estimation.replay import ReplayCounts, replay
from sfm_depth_ros.geometry.frames import invert, pose_to_matrix
from sfm_depth_ros.messages import STAMP_BEGIN, STAMP_END, serialised_stamp, stamp_to_ns


def _messages(path: Path, topic: str) -> list:
    with BagReader(path) as reader:
        return [raw.message for raw in reader.raw_messages(topic)]


@pytest.fixture(scope="module")
def replayed(tmp_path_factory: pytest.TempPathFactory, drive: Drive) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("replay")
    bag = write_bag(folder / "in", drive)
    seen: list[int] = []
    counts = replay(
        oracle(drive),
        bag,
        folder / "out",
        DepthNodeConfig(max_depth=50.0, tracking_width=0),  # the networks alone
        extras=("color", "confidence", "landmarks", "points"),
        create_engine=create_oracle_engine,
        on_image=seen.append,
    )
    assert counts.topics[4:] == [
        "/depth/color",
        "/depth/confidence",
        "/landmarks",
        "/depth/points",
    ]
    assert seen == list(range(1, 13))
    assert (counts.images, counts.written, counts.motions) == (12, 12, 11)
    return bag, folder / "out"


def test_everything_in_the_input_is_copied(replayed: tuple[Path, Path]) -> None:
    bag, out = replayed
    with BagReader(bag) as before, BagReader(out) as after:
        for topic in before.recorded:
            assert after.message_count(topic) == before.message_count(topic)
        kept = [raw for raw in after.raw_messages() if raw.topic in before.recorded]
        assert sorted(raw.cdr for raw in kept) == sorted(raw.cdr for raw in before.raw_messages())


def test_outputs_lie_at_their_images_bag_time(tmp_path: Path, drive: Drive) -> None:
    """Recorded an hour after the stamps, as with a camera whose clock was never set."""
    late = 3600 * 10**9
    bag = write_bag(tmp_path / "in", drive)
    with BagReader(bag) as reader, BagWriter(tmp_path / "late") as writer:
        for raw in reader.raw_messages():
            writer.write_serialized(raw.topic, raw.type_name, raw.time_ns + late, raw.cdr)
    replay(
        oracle(drive), tmp_path / "late", tmp_path / "out", DepthNodeConfig(),
        create_engine=create_oracle_engine,
    )  # fmt: skip
    with BagReader(tmp_path / "out") as reader:
        times: dict[str, list[int]] = {}
        for raw in reader.raw_messages():
            times.setdefault(raw.topic, []).append(raw.time_ns)
    images = times["/camera/image_raw"]
    assert images[0] == drive.frames[0].stamp_ns + late
    assert times["/depth/image_rect"] == times["/depth/camera_info"] == images
    assert times["/ego_motion/odom"] == times["/ego_motion/twist"] == images[1:]
    depths = _messages(tmp_path / "out", "/depth/image_rect")
    assert [stamp_to_ns(m.header.stamp) for m in depths] == [f.stamp_ns for f in drive.frames]


def test_depth_has_the_stamps_and_the_camera(replayed: tuple[Path, Path], drive: Drive) -> None:
    depths = _messages(replayed[1], "/depth/image_rect")
    infos = _messages(replayed[1], "/depth/camera_info")
    assert [stamp_to_ns(m.header.stamp) for m in depths] == [f.stamp_ns for f in drive.frames]
    assert {m.header.frame_id for m in depths} == {"camera"}
    first = decode_depth("32FC1", depths[0].data, 96, 320, depths[0].step)
    near = drive.depths[0] < 50
    np.testing.assert_allclose(first[near], drive.depths[0][near], rtol=1e-5)
    raw = np.frombuffer(depths[0].data, np.float32).reshape(first.shape)
    assert np.isposinf(raw[drive.depths[0] > 51]).all()
    assert infos[0].k[0] == pytest.approx(CAMERA.fx)
    assert (infos[0].width, infos[0].height) == (320, 96)


def test_odometry_is_the_path_of_the_base(replayed: tuple[Path, Path], drive: Drive) -> None:
    odometry = _messages(replayed[1], "/ego_motion/odom")
    last = odometry[-1]
    assert (last.header.frame_id, last.child_frame_id) == ("odom_visual", "base_link")
    p, q = last.pose.pose.position, last.pose.pose.orientation
    pose = pose_to_matrix([p.x, p.y, p.z, q.x, q.y, q.z, q.w])
    expected = drive.poses[-1] @ invert(base_to_camera())
    np.testing.assert_allclose(pose, expected, atol=1e-4)
    assert last.twist.twist.linear.x == pytest.approx(6.0, rel=1e-4)
    assert last.twist.twist.angular.z == pytest.approx(0.1, rel=1e-3)
    covariance = np.reshape(last.pose.covariance, (6, 6))
    assert np.all(np.linalg.eigvalsh(covariance) > 0)


def test_the_extras_are_those_of_depth_node(replayed: tuple[Path, Path], drive: Drive) -> None:
    colours = _messages(replayed[1], "/depth/color")
    clouds = _messages(replayed[1], "/depth/points")
    stamps = [frame.stamp_ns for frame in drive.frames]
    for messages in (colours, clouds):
        assert [stamp_to_ns(m.header.stamp) for m in messages] == stamps
    assert colours[0].encoding == "rgb8"
    near = drive.depths[0] < 50
    painted = np.reshape(colours[0].data, (96, 320, 3))
    expected = depth_to_color(drive.depths[0])
    assert np.abs(painted[near].astype(int) - expected[near]).max() <= 8  # rounded index
    points = np.frombuffer(clouds[0].data, POINT_TYPE)
    assert [field.name for field in clouds[0].fields] == ["x", "y", "z", "rgb"]
    known = drive.depths[0][::2, ::2]
    np.testing.assert_allclose(np.sort(points["z"]), np.sort(known[known < 50]), rtol=1e-5)
    for topic in ("/landmarks", "/depth/confidence"):
        assert _messages(replayed[1], topic) == []  # no tracking image, no landmarks
    twists = _messages(replayed[1], "/ego_motion/twist")
    odometry = _messages(replayed[1], "/ego_motion/odom")
    assert [m.twist.twist for m in twists] == [m.twist.twist for m in odometry]
    assert twists[0].header.frame_id == "base_link"


def test_landmarks_and_confidence_are_written_where_corners_are_tracked(
    tmp_path: Path, drive: Drive
) -> None:
    bag = write_bag(tmp_path / "in", drive)
    config = DepthNodeConfig(tracking_width=320)
    counts = replay(
        oracle(drive), bag, tmp_path / "out", config, create_engine=create_oracle_engine
    )
    assert counts.topics[4:] == ["/depth/color", "/depth/confidence", "/landmarks"]
    stamps = [frame.stamp_ns for frame in drive.frames]
    confidences = _messages(tmp_path / "out", "/depth/confidence")
    clouds = _messages(tmp_path / "out", "/landmarks")
    for messages in (confidences, clouds):
        assert [stamp_to_ns(m.header.stamp) for m in messages] == stamps
    confidence = np.frombuffer(confidences[-1].data, np.float32)
    assert 0 <= confidence.min() < confidence.max() <= 1
    names = ["x", "y", "z", "depth_std", "age"]
    assert [field.name for field in clouds[-1].fields] == names
    assert clouds[-1].width > 20
    z = np.frombuffer(clouds[-1].data, LANDMARK_TYPE)["z"]
    assert np.isfinite(z).all() and (z > 0).all()


def test_an_output_that_exists_is_not_overwritten(tmp_path: Path, drive: Drive) -> None:
    bag = write_bag(tmp_path / "in", drive)
    with pytest.raises(DataError, match="exists already"):
        replay(oracle(drive), bag, bag, DepthNodeConfig(), create_engine=create_oracle_engine)


def _restamped(bag: Path, out: Path, shift) -> Path:
    """A copy of a bag with other header stamps, recorded at the same times."""
    with BagReader(bag) as reader, BagWriter(out) as writer:
        for raw in reader.raw_messages():
            cdr = bytes(raw.cdr)
            if raw.topic != "/tf_static":
                stamp = divmod(shift(serialised_stamp(cdr)) + 100 * 10**9, 10**9)
                cdr = cdr[:STAMP_BEGIN] + struct.pack("<iI", *stamp) + cdr[STAMP_END:]
            writer.write_serialized(raw.topic, raw.type_name, raw.time_ns, cdr)
    return out


def _replayed(tmp_path: Path, drive: Drive, shift) -> tuple[ReplayCounts, list[int]]:
    """Replay the drive with shifted stamps: counts, and the stamps of the depth images."""
    bag = _restamped(write_bag(tmp_path / "plain", drive), tmp_path / "in", shift)
    config = DepthNodeConfig(tracking_width=0, ego_motion="network")
    counts = replay(
        oracle(drive), bag, tmp_path / "out", config, create_engine=create_oracle_engine
    )
    depths = _messages(tmp_path / "out", "/depth/image_rect")
    return counts, [stamp_to_ns(message.header.stamp) for message in depths]


def test_a_clock_that_was_set_back_makes_two_stretches(tmp_path: Path, drive: Drive) -> None:
    back_ns = 3 * 10**9

    def shift(stamp_ns: int) -> int:
        return stamp_ns - back_ns if stamp_ns >= 6 * PERIOD_NS else stamp_ns

    counts, stamps = _replayed(tmp_path, drive, shift)
    assert (counts.images, counts.written, counts.late) == (12, 12, 0)
    assert stamps == [shift(frame.stamp_ns) + 100 * 10**9 for frame in drive.frames]
    assert counts.motions == 10  # none spans the jump


def test_a_late_image_is_skipped_as_live(tmp_path: Path, drive: Drive) -> None:
    def shift(stamp_ns: int) -> int:
        return stamp_ns - 150_000_000 if stamp_ns == 6 * PERIOD_NS else stamp_ns

    counts, stamps = _replayed(tmp_path, drive, shift)
    assert (counts.images, counts.written, counts.late) == (12, 11, 1)
    assert stamps == sorted(stamps) and len(stamps) == 11
