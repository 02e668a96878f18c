# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""`sfm-depth synth`: what the bag holds, and what bad arguments get."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("rosbags")

from sfm_depth_ros.bags.frames import read_frames
from sfm_depth_ros.bags.reader import BagReader
from sfm_depth_ros.camera.image_layout import NetworkInput
from sfm_depth_ros.cli.main import main

SMALL = ["--seconds", "1", "--size", "160x64", "--seed", "5"]


def test_bag_has_all_topics_and_exact_truth(tmp_path: Path) -> None:
    bag = tmp_path / "drive"
    assert main(["synth", str(bag), *SMALL]) == 0
    with BagReader(bag) as reader:
        topics = {message.topic for message in reader.raw_messages()}
    assert topics >= {
        "/camera/image_raw/compressed", "/camera/camera_info", "/odom", "/tf_static",
        "/ground_truth/depth", "/ground_truth/odom",
    }  # fmt: skip
    frames = list(read_frames(bag, NetworkInput(160)))
    assert len(frames) == 10
    assert all(item.depth is not None and item.T_world_camera is not None for item in frames)
    near = frames[0].depth[-1]
    expected = 1.1 / np.tan(np.radians(6.5) + np.arctan(32 / frames[0].frame.intrinsics.fy))
    assert np.median(near) == pytest.approx(expected, rel=0.15)


def test_raw_images_in_sqlite3_from_a_distorted_lens(tmp_path: Path) -> None:
    bag = tmp_path / "drive"
    words = ["synth", str(bag), *SMALL, "--raw", "--storage", "sqlite3", "--distortion", "-0.2"]
    assert main(words) == 0
    assert len(list(read_frames(bag, NetworkInput(160)))) == 10


def _messages(bag: Path, topic: str) -> list[Any]:
    with BagReader(bag) as reader:
        return [raw.message for raw in reader.raw_messages(topic)]


def test_second_camera_moving_things_and_lidar(tmp_path: Path) -> None:
    bag = tmp_path / "drive"
    words = ["--stereo", "0.2", "--movers", "--convoy", "--sparse-depth", "0.05", "--raw"]
    assert main(["synth", str(bag), *SMALL, "--seconds", "0.3", *words]) == 0
    left, right = (
        _messages(bag, f"/{name}/camera_info")[0] for name in ("camera", "camera_right")
    )
    assert right.p[3] == pytest.approx(-0.2 * left.k[0])
    assert left.p[3] == 0.0
    np.testing.assert_array_equal(np.delete(right.p, 3), np.delete(left.p, 3))
    stamps = {}
    for topic, encoding, pixel in (
        ("/camera/image_raw", "rgb8", 3), ("/camera_right/image_raw", "rgb8", 3),
        ("/instance_mask", "mono8", 1), ("/sparse_depth", "32FC1", 4),
    ):  # fmt: skip
        messages = _messages(bag, topic)
        assert {(m.encoding, m.data.size) for m in messages} == {(encoding, 160 * 64 * pixel)}
        stamps[topic] = [(m.header.stamp.sec, m.header.stamp.nanosec) for m in messages]
    assert len({tuple(times) for times in stamps.values()}) == 1
    assert all(m.data.any() for m in _messages(bag, "/instance_mask"))  # the car ahead
    measured = _messages(bag, "/sparse_depth")[0].data.view(np.float32).reshape(64, 160)
    truth = next(iter(read_frames(bag, NetworkInput(160)))).depth
    both = (measured > 0) & (truth > 0)
    assert both.sum() > 100
    np.testing.assert_allclose(measured[both], truth[both], atol=0.15)


def test_a_camera_may_report_another_focal_length(tmp_path: Path) -> None:
    right_one, wrong_one = tmp_path / "right", tmp_path / "wrong"
    assert main(["synth", str(right_one), *SMALL, "--seconds", "0.1"]) == 0
    words = ["--seconds", "0.1", "--reported-focal-factor", "1.3"]
    assert main(["synth", str(wrong_one), *SMALL, *words]) == 0
    frames = [next(iter(read_frames(bag, NetworkInput(160)))) for bag in (right_one, wrong_one)]
    np.testing.assert_array_equal(frames[0].frame.image, frames[1].frame.image)
    true, reported = (item.frame.intrinsics for item in frames)
    assert reported.fx == pytest.approx(1.3 * true.fx)
    assert reported.cx == true.cx


def test_a_weaving_drive_is_full_of_turns(tmp_path: Path) -> None:
    turns = []
    for number, words in enumerate((["--weave", "0"], [], ["--weave", "1"])):
        bag = tmp_path / str(number)
        assert main(["synth", str(bag), *SMALL, "--seconds", "1", *words]) == 0
        turns.append(np.mean([abs(m.twist.twist.angular.z) for m in _messages(bag, "/odom")]))
    assert turns[0] < turns[1] < 0.1 < turns[2]


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["--movers", "0"], "--movers: expected 1 to 100, got 0"),
        (["--stereo", "-1"], "--stereo: expected 0 to 10, got -1"),
        (["--style", "moon"], "--style: expected one of street"),
        (["--size", "big"], "--size: expected WxH"),
        (["--size", "9999999x9999999"], "--size: expected WxH of 32x32 to 8192x8192"),
        (["--weave", "9"], "--weave: expected 0 to 2, got 9"),
        (["--hfov", "0"], "--hfov: expected 10 to 150, got 0"),
        (["--seconds", "nan"], "--seconds: expected 0.1 to 36000, got nan"),
    ],
)
def test_bad_arguments_are_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], words: list[str], complaint: str
) -> None:
    assert main(["synth", str(tmp_path / "drive"), *words]) == 1
    assert complaint in capsys.readouterr().err
    assert not (tmp_path / "drive").exists()


def test_an_existing_folder_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["synth", str(tmp_path), *SMALL]) == 1
    error = capsys.readouterr().err
    assert "exists already" in error
    assert error.count("\n") == 1
