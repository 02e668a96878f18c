# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The whole demo on a short drive: both nodes, the player, the evaluation, the figures."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from sfm_depth_ros.cli.main import main

pytest.importorskip("rclpy")


@pytest.mark.slow
@pytest.mark.ros
@pytest.mark.timeout(900)
def test_demo_accounts_for_every_image(tmp_path: Path) -> None:
    assert main(["demo", "--seconds", "30", "--out", str(tmp_path)]) == 0
    summary = json.loads((tmp_path / "summary.json").read_text())
    frames = summary["frames"]
    assert frames["played"] == 300
    assert frames["played"] == frames["received"] + frames["lost"]
    assert frames["received"] == frames["published"] + frames["dropped"] + frames["failed"]
    assert frames["failed"] == 0
    for name in ("abs_rel", "depth_scale_ratio", "translation_scale_ratio"):
        assert set(summary[name]) == {"before", "after"}
    for picture in ("depth.png", "depth_second_drive.png", "history.png"):
        assert (tmp_path / picture).stat().st_size > 10_000


def test_a_bag_without_an_odometer_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    import numpy as np

    from sfm_depth_ros.bags.writer import BagWriter

    with BagWriter(tmp_path / "bag") as writer:
        writer.write_image(1, np.zeros((64, 96, 3), np.uint8), "camera_optical")
    earlier = tmp_path / "out" / "summary.json"
    earlier.parent.mkdir()
    earlier.write_text("{}", encoding="utf-8")
    assert main(["demo", str(tmp_path / "bag"), "--out", str(earlier.parent)]) == 1
    assert "no topic for camera_info, velocity" in capsys.readouterr().err
    assert earlier.exists(), "nothing was played, so nothing of an earlier run is removed"


@pytest.mark.parametrize(
    ("option", "value"),
    [("--seconds", "0"), ("--seconds", "nan"), ("--held-out", "1"), ("--loops", "0")],
)
def test_impossible_options_are_refused_before_anything_is_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], option: str, value: str
) -> None:
    assert main(["demo", option, value, "--out", str(tmp_path / "out")]) == 1
    shown = capsys.readouterr().err
    assert option in shown
    assert shown.count("\n") == 1
    assert not (tmp_path / "out").exists()
