# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Stereo on a rendered pair, through a bag, judged by the exact depth."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("torch")
pytest.importorskip("rosbags")

from sfm_depth_ros.cli.main import main
from sfm_depth_ros.errors import DataError
from sfm_depth_ros.evaluation.protocol import DepthProtocol
from sfm_depth_ros.evaluation.stereo_baseline import (
    add_stereo_baseline,
    evaluate_stereo,
    stereo_report,
)

WORDS = ["--seconds", "0.5", "--size", "320x96", "--seed", "5", "--style", "yard", "--raw"]


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Path:
    bag = tmp_path_factory.mktemp("bags") / "drive"
    assert main(["synth", str(bag), *WORDS, "--stereo", "0.3"]) == 0
    return bag


def test_stereo_depth_is_near_the_truth(pair: Path) -> None:
    found = evaluate_stereo([f"{pair}@0.1-"], DepthProtocol(max_depth=20.0))
    evaluation = found["drive@0.1-"]
    report = stereo_report([evaluation, evaluation])
    assert report["depth"]["frames"] == 8  # twice four of the five
    assert report["depth"]["abs_rel"] < 0.1
    assert report["depth_scale_ratio"]["median"] == pytest.approx(1.0, abs=0.03)
    assert 0.6 < report["coverage"] < 1.0
    assert report["coverage"] == pytest.approx(report["depth"]["points"] / evaluation.known / 2)


def test_reports_get_a_row_for_every_bag(pair: Path) -> None:
    parts = [f"{pair}@0-0.2", f"{pair}@0.2-"]
    report = {"bags": {"drive@0-0.2": {}, "drive@0.2-": {}}}
    add_stereo_baseline(report, evaluate_stereo(parts, DepthProtocol()))
    frames = [part["stereo_baseline"]["depth"]["frames"] for part in report["bags"].values()]
    assert frames == [2, 3]
    assert report["stereo_baseline"]["depth"]["frames"] == 5


def test_one_camera_is_not_enough(tmp_path: Path) -> None:
    assert main(["synth", str(tmp_path / "drive"), *WORDS]) == 0
    with pytest.raises(DataError, match="has no second camera"):
        evaluate_stereo([tmp_path / "drive"], DepthProtocol())


def test_nothing_compared_is_null() -> None:
    report = stereo_report([])
    assert (report["depth"], report["coverage"]) == (None, None)
