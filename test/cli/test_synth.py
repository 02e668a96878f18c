# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""`sfm-depth synth`: what the bag holds, and what bad arguments get."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("rosbags")

from sfm_depth_ros.cli.main import main
from sfm_depth_ros.data.bag_frames import read_frames
from sfm_depth_ros.data.bag_reader import BagReader

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
    frames = list(read_frames(bag, 160))
    assert len(frames) == 10
    assert all(item.depth is not None and item.T_world_camera is not None for item in frames)
    near = frames[0].depth[-1]
    expected = 1.1 / np.tan(np.radians(6.5) + np.arctan(32 / frames[0].frame.intrinsics.fy))
    assert np.median(near) == pytest.approx(expected, rel=0.15)


def test_raw_images_in_sqlite3_from_a_distorted_lens(tmp_path: Path) -> None:
    bag = tmp_path / "drive"
    words = ["synth", str(bag), *SMALL, "--raw", "--storage", "sqlite3", "--distortion", "-0.2"]
    assert main(words) == 0
    assert len(list(read_frames(bag, 160))) == 10


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["--style", "moon"], "--style: expected one of street"),
        (["--size", "big"], "--size: expected WxH"),
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


def test_an_existing_folder_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["synth", str(tmp_path), *SMALL]) == 1
    error = capsys.readouterr().err
    assert "exists already" in error
    assert error.count("\n") == 1
