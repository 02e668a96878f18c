# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The bare engines of the frame path: run for every image of a camera, and failures are said."""

from __future__ import annotations

from pathlib import Path

import pytest

from sfm_depth_ros.cli.benchmarks import frame_path
from sfm_depth_ros.cli.benchmarks.frame_path import PathSetting, bare_engines_ms, last_line
from sfm_depth_ros.cli.demonstration.processes import ros_environment
from sfm_depth_ros.errors import SfmDepthError
from sfm_depth_ros.model_folder.folder import ModelFolder

pytest.importorskip("rclpy", reason="rclpy is not installed")
pytestmark = pytest.mark.ros

RECEIVE_BUFFER = Path("/proc/sys/net/core/rmem_max")


def test_bare_engines_run_when_an_image_has_come(
    tiny_model: ModelFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if int(RECEIVE_BUFFER.read_text()) < 4_000_000:
        pytest.skip("net.core.rmem_max is too small for raw images over UDP")
    monkeypatch.setattr(frame_path, "COUNT", 8)
    figures = bare_engines_ms(
        PathSetting(tiny_model, engine="onnxruntime"), ros_environment(tmp_path)
    )
    assert 3 <= figures["images"] <= 8
    assert 0 < figures["pose_ms_p50"] < figures["both_ms_p50"]
    assert 0 < figures["depth_ms_p50"] < figures["both_ms_p50"]


def test_an_engine_that_is_not_there_is_said_in_one_line(
    tiny_model: ModelFolder, tmp_path: Path
) -> None:
    setting = PathSetting(tiny_model, engine="onnxruntime", precision="fp16")
    with pytest.raises(SfmDepthError, match=r"failed: .*onnxruntime has no fp16") as caught:
        bare_engines_ms(setting, ros_environment(tmp_path))
    assert "\n" not in str(caught.value)


def test_the_last_line_of_nothing() -> None:
    assert last_line(" a\nb\n") == "b"
    assert last_line("\n") == "no output"
