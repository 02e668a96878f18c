# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Faults planted into a recording, each found and named; nothing where nothing is wrong."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("rosbags")

from sfm_depth_ros.bags.options import BagOptions
from sfm_depth_ros.bags.reader import BagReader
from sfm_depth_ros.bags.writer import BagWriter
from sfm_depth_ros.camera.camera_model import CameraModel
from sfm_depth_ros.camera.image_files import encode_png
from sfm_depth_ros.cli.main import main
from sfm_depth_ros.geometry.frames import R_BASE_OPTICAL, rotation_matrix, twist_to_transform
from sfm_depth_ros.inspection.facts import facts_of_bag
from sfm_depth_ros.inspection.report import findings_of
from sfm_depth_ros.snippets.values import Velocity

SECOND = 10**9
START = 1000 * SECOND
SPEED, TURN = 2.0, 0.2


def _mounting(roll_deg: float = 0.0) -> np.ndarray:
    T = np.eye(4)
    T[:3, :3] = R_BASE_OPTICAL @ rotation_matrix(np.radians([0.0, 0.0, roll_deg]))
    T[:3, 3] = 0.3, 0.0, 0.8
    return T


@dataclasses.dataclass
class Robot:
    """A robot on a circle for four seconds: 10 images and 20 velocities a second."""

    image_hz: float = 10.0
    size: tuple[int, int] = (64, 32)
    camera_size: tuple[int, int] = (64, 32)
    focal: float = 40.0
    image_frame: str = "optical"
    camera_frame: str = "optical"
    base_frame: str = "base_link"
    odom_hz: float = 20.0
    twist_factor: float = 1.0
    turn_factor: float = 1.0
    pose_factor: float = 1.0
    bright: int = 255
    distortion: tuple[float, ...] = ()
    image_late_s: float = 0.0
    stamp: Callable[[int], int] = lambda stamp: stamp
    mounting: np.ndarray | None = dataclasses.field(default_factory=_mounting)
    with_images: bool = True
    with_camera: bool = True
    nan_every: int = 0
    world_twist: bool = False
    frozen: bool = False

    def write(self, path: Path) -> Path:
        with BagWriter(path) as bag:
            if self.mounting is not None:
                bag.write_static_transform(START, self.base_frame, "optical", self.mounting)
            for index in range(round(4 * self.image_hz)):
                self._write_image(bag, START + round(index * SECOND / self.image_hz))
            for index in range(round(4 * self.odom_hz)):
                self._write_odometry(bag, round(index * SECOND / self.odom_hz), index)
        return path

    def _write_image(self, bag: BagWriter, now: int) -> None:
        width, height = self.camera_size
        K = [self.focal, 0, width / 2, 0, self.focal, height / 2, 0, 0, 1]
        stamp = self.stamp(now - round(self.image_late_s * SECOND))
        if self.with_camera:
            camera = CameraModel.from_matrices(
                K, width, height, D=self.distortion, frame_id=self.camera_frame
            )
            bag.write_camera_info(now, camera)
        if self.with_images:
            rng = np.random.default_rng(0 if self.frozen else now // 10**6)
            shape = (self.size[1], self.size[0], 3)
            pixels = rng.integers(0, self.bright + 1, shape).astype(np.uint8)
            header = bag._messages.header(stamp, self.image_frame)
            message = bag._messages.image(pixels, "rgb8", header)
            bag._write("/camera/image_raw", now, message)

    def _write_odometry(self, bag: BagWriter, elapsed: int, index: int) -> None:
        linear, angular = np.array([SPEED, 0.0, 0.0]), np.array([0.0, 0.0, TURN])
        pose = twist_to_transform(linear * self.pose_factor, angular, elapsed * 1e-9)
        if self.world_twist:
            linear = pose[:3, :3] @ rotation_matrix(np.array([0.0, 0.0, 1.4])) @ linear
        if self.nan_every and index % self.nan_every == 0:
            linear = linear * np.nan
        twist = Velocity(START + elapsed, linear * self.twist_factor, angular * self.turn_factor)
        bag.write_odometry(twist, pose, base_frame=self.base_frame)


def _findings(path: Path, **options: Any) -> list[Any]:
    return findings_of(facts_of_bag(path, BagOptions(**options)))


def test_nothing_is_said_of_a_right_set_up(tmp_path: Path, capsys: Any) -> None:
    bag = Robot().write(tmp_path / "bag")
    assert {finding.state for finding in _findings(bag)} == {"ok"}
    assert main(["doctor", "--bag", str(bag)]) == 0
    assert "nothing to mend" in capsys.readouterr().out


FAULTS: dict[str, tuple[dict[str, Any], str, str]] = {
    "no images": ({"with_images": False}, "nobody publishes a topic for image", "record that"),
    "no calibration": ({"with_camera": False}, "nobody publishes a topic for camera_info", ""),
    "slow images": ({"image_hz": 1.0}, "comes at 1.0 a second", "raise the rate"),
    "slow odometry": ({"odom_hz": 2.0}, "comes at 2.0 a second", "max_velocity_gap"),
    "zero stamps": ({"stamp": lambda _: 0}, "have the stamp 0.000 s", "fill header.stamp"),
    "stamps go back": (
        {"stamp": lambda t: t - 2 * SECOND if t > START + 2 * SECOND else t},
        "go back 1 times, by 1.900 s",
        "second publisher",
    ),
    "recorded twice": (
        {"stamp": lambda t: t - t % (SECOND // 5)},
        "20 of 40 messages on /camera/image_raw have the stamp of the one before",
        "second recorder",
    ),
    "frozen camera": ({"frozen": True}, "39 of 40 images", "restart the camera driver"),
    "two clocks": ({"image_late_s": 0.8}, "images are stamped 0.80 s before", "one clock"),
    "other size": (
        {"camera_size": (128, 64)},
        "camera_info is for 128x64, images are 64x32",
        "exactly this image",
    ),
    "no focal length": ({"focal": 10.0}, "the focal length is 10 pixels", "calibrate"),
    "other frame": ({"camera_frame": "left"}, "images are in 'optical', camera_info in", "same"),
    "empty frame": ({"image_frame": ""}, "empty frame_id", "driver"),
    "no transform": ({"mounting": None}, "no chain of transforms", "static_transform_publisher"),
    "millimetres": (
        {"mounting": _mounting(0.0) + np.eye(4, k=3) * 1500.0},
        "the camera is 1500 m from the base, as if TF",
        "give metres",
    ),
    "empty lens": ({"distortion": (100.0,) * 5}, "shows nothing", "calibrate the camera again"),
    "speed of light": (
        {"twist_factor": 3e8},
        "80 of 80 messages on /odom cannot be used",
        "check",
    ),
    "upside down": ({"mounting": _mounting(180.0)}, "mounted upside down", "image_rotate"),
    "no optical frame": ({"mounting": np.eye(4)}, "is no optical frame", "z forward"),
    "km/h": ({"twist_factor": 3.6}, "3.60 times as fast as the pose moves: km/h?", "metres per"),
    "mph": ({"twist_factor": 2.237}, "mph?", "metres per second"),
    "sign": ({"twist_factor": -1.0}, "points against the motion", "flip the sign"),
    "wheel radius": ({"twist_factor": 1.6}, "1.60 times as fast", "wheel radius"),
    "zero twist": ({"twist_factor": 0.0}, "the twist stays zero", "fill twist.twist"),
    "world frame": ({"world_twist": True}, "points elsewhere than the pose moves", "body frame"),
    "turn's sign": ({"turn_factor": -1.0}, "points against the rotation", "counter-clockwise"),
    "no turn": ({"turn_factor": 0.0}, "angular.z stays zero", "fill twist.twist.angular.z"),
    "degrees": ({"turn_factor": 57.3}, "angular.z is in degrees", "radians"),
    "too fast": ({"twist_factor": 100.0, "pose_factor": 100.0}, "speed is 200 m/s", "metres"),
    "NaN": ({"nan_every": 3}, "27 of 80 messages on /odom cannot be used", "publisher"),
    "dark": ({"bright": 10}, "nearly black", "lens cap"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_planted_fault_is_named_with_its_remedy(tmp_path: Path, fault: str) -> None:
    changes, detail, remedy = FAULTS[fault]
    found = _findings(Robot(**changes).write(tmp_path / "bag"))
    problems = [finding for finding in found if finding.state == "problem"]
    assert any(detail in one.detail and remedy in one.remedy for one in problems), found
    assert len(problems) <= 2, problems  # and little else is said


def test_a_damaged_message_is_named_and_ends_nothing(tmp_path: Path) -> None:
    whole = Robot().write(tmp_path / "whole")
    with BagReader(whole) as reader, BagWriter(tmp_path / "bag") as bag:
        for raw in reader.raw_messages():
            cdr = raw.cdr[:30] if raw.time_ns == START + SECOND else raw.cdr
            bag.write_serialized(raw.topic, raw.type_name, raw.time_ns, cdr)
    found = [finding for finding in _findings(tmp_path / "bag") if finding.state == "problem"]
    assert any("their bytes are no sensor_msgs/msg/Image" in one.detail for one in found), found
    assert all("record again" in one.remedy for one in found)


def test_compressed_images_are_looked_at_by_their_headers(tmp_path: Path) -> None:
    with BagWriter(tmp_path / "bag") as bag:
        for index in range(30):
            size = (1, 1, 3) if index % 15 == 7 else (32, 64, 3)
            data = b"" if index % 15 == 3 else encode_png(np.full(size, index, np.uint8))
            bag.write_compressed(START + index * SECOND // 10, data, "optical")
    details = [finding.detail for finding in _findings(tmp_path / "bag")]
    assert any("2 of 30 messages" in detail and "cannot be used" in detail for detail in details)
    assert "images have several sizes: 26 of 64x32, 2 of 1x1" in details


def test_a_file_that_is_cut_off_is_named(tmp_path: Path) -> None:
    bag = Robot().write(tmp_path / "bag")
    file = next(bag.glob("*.mcap"))
    (bag / "torn.mcap").write_bytes(file.read_bytes()[: file.stat().st_size // 2])
    (bag / "metadata.yaml").unlink()
    found, *others = _findings(bag)
    assert (found.name, found.state) == ("bag", "problem")
    assert f"{bag / 'torn.mcap'} is left out" in found.detail
    assert "mcap recover" in found.remedy
    assert {finding.state for finding in others} == {"ok"}


def test_another_base_frame_is_named(tmp_path: Path) -> None:
    bag = Robot(base_frame="chassis").write(tmp_path / "bag")
    assert all(finding.state == "ok" for finding in _findings(bag))
    (fault, *_) = [f for f in _findings(bag, base_frame="base_link") if f.state == "problem"]
    assert "velocities are in 'chassis', base_frame is 'base_link'" in fault.detail


def test_a_planted_fault_ends_the_command_with_1(tmp_path: Path, capsys: Any) -> None:
    bag = Robot(twist_factor=3.6).write(tmp_path / "bag")
    assert main(["doctor", "--bag", str(bag)]) == 1
    printed = capsys.readouterr().out
    assert "km/h?" in printed and "-> publish metres per second" in printed
    assert printed.endswith("1 to mend\n")
