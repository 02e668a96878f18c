# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Options of bags, from the command line to the frames."""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import pytest
from bags.small_bag import HEIGHT, WIDTH, base_to_mast, mast_to_optical, write_small_bag

pytest.importorskip("rosbags")

from sfm_depth_ros.bags.frames import read_frames
from sfm_depth_ros.camera.image_layout import NetworkInput
from sfm_depth_ros.cli.bag_options import add_bag_arguments, bag_options, selected
from sfm_depth_ros.cli.main import main
from sfm_depth_ros.errors import ConfigError, DataError
from sfm_depth_ros.geometry.frames import matrix_to_pose

CALIBRATION = f"""
image_width: {WIDTH}
image_height: {HEIGHT}
camera_matrix: {{rows: 3, cols: 3, data: {[50.0, 0, 31.5, 0, 50.0, 15.5, 0, 0, 1]}}}
distortion_model: plumb_bob
distortion_coefficients: {{rows: 1, cols: 5, data: [0, 0, 0, 0, 0]}}
"""


def parsed(*words: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    add_bag_arguments(parser)
    return parser.parse_args(words)


def test_by_default_the_bag_counts() -> None:
    assert bag_options(parsed()) is None
    assert selected(parsed(), ["drive@1-2"])[0].name == "drive@1-2"


def test_pose_calibration_and_topics_reach_the_frames(tmp_path: Path) -> None:
    path = write_small_bag(tmp_path / "bag", without=["tf_static", "camera_info"])
    (tmp_path / "camera.yaml").write_text(CALIBRATION)
    T = base_to_mast() @ mast_to_optical()
    pose = [f"{number:.9f}" for number in matrix_to_pose(T)]
    options = parsed(
        "--camera-info-file", str(tmp_path / "camera.yaml"), "--base-to-camera", *pose,
        "--image", "/camera/image_raw", "--odom", "/odom", "--white-level", "4095",
        "--base-frame", "base_footprint", "--truth-tolerance", "0.01",
    )  # fmt: skip
    (selection,) = selected(options, [f"{path}@0-0.5"])
    frames = read_frames(selection, NetworkInput(WIDTH))
    assert len(list(frames)) == 5
    assert frames.rig.camera.rectified.fx == 50.0
    assert frames.rig.base_frame == "base_footprint"
    np.testing.assert_allclose(frames.rig.T_base_camera, T, atol=1e-6)
    assert selection.options.white_level == 4095
    assert selection.options.topics.velocity == "/odom"
    (selection,) = selected(parsed("--odom", "/wheels"), [str(path)])
    with pytest.raises(DataError, match=r"no message on '/wheels' \(velocity\)"):
        read_frames(selection, NetworkInput(WIDTH))


@pytest.mark.parametrize(
    ("words", "match"),
    [
        (["--white-level", "0"], "--white-level"),
        (["--truth-tolerance", "nan"], "--truth-tolerance"),
        (["--base-to-camera", "0", "0", "0", "0", "0", "0", "0"], "--base-to-camera"),
    ],
)
def test_impossible_values_are_refused(words: list[str], match: str) -> None:
    with pytest.raises(ConfigError, match=match):
        bag_options(parsed(*words))


@pytest.mark.parametrize("command", ["eval", "replay", "train"])
def test_every_command_that_reads_bags_has_them(command: str, capsys) -> None:
    with pytest.raises(SystemExit):
        main([command, "--help"])
    text = capsys.readouterr().out
    for option in ("--image", "--camera-info ", "--odom", "--truth ", "--base-to-camera"):
        assert option in text


def test_content_tells_options_apart() -> None:
    same = [bag_options(parsed("--white-level", "4095")).content() for _ in range(2)]
    assert same[0] == same[1]
    assert bag_options(parsed("--white-level", "4094")).content() != same[0]
