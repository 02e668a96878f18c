# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The bar without an image: a good model beats it, a model that knows rows alone does not."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from exact_drive import CAMERA, Drive, create_oracle_engine, make_drive, oracle, write_bag

pytest.importorskip("rosbags")

from sfm_depth_ros.bags.frames import BagFrame
from sfm_depth_ros.cli.evaluation.table import table
from sfm_depth_ros.config.schema import DepthNodeConfig
from sfm_depth_ros.errors import DataError
from sfm_depth_ros.evaluation.depth_errors import depth_errors
from sfm_depth_ros.evaluation.evaluator import Evaluator
from sfm_depth_ros.evaluation.image_free import profile_of_bags, verdict, verdict_words
from sfm_depth_ros.evaluation.protocol import DepthProtocol
from sfm_depth_ros.evaluation.report import report_of
from sfm_depth_ros.model_folder.row_profile import RowProfile, RowProfileFit


@pytest.fixture(scope="module")
def drive() -> Drive:
    return make_drive(6, speed=8.0)


@pytest.fixture(scope="module")
def profile() -> RowProfile:
    fit = RowProfileFit()
    for depth in make_drive(4, speed=5.0).depths:
        fit.add(depth, CAMERA)
    found = fit.profile()
    assert found is not None
    return found


def _report(drive: Drive, depths: list[np.ndarray] | None, profile: RowProfile) -> dict:
    known = oracle(drive)
    if depths is not None:
        known = oracle(replace(drive, depths=depths))
    evaluator = Evaluator(
        known,
        DepthNodeConfig(ego_motion="network"),
        DepthProtocol(resize="truth"),
        create_oracle_engine,
        profile=profile,
    )
    found = evaluator.evaluate_frames([BagFrame(*item) for item in drive])
    return report_of("oracle", {"drive": found}, evaluator.protocol)


def test_rows_are_the_errors_of_the_profile(drive: Drive, profile: RowProfile) -> None:
    report = _report(drive, None, profile)
    one = np.full((CAMERA.height, CAMERA.width), profile.everywhere)
    for name, prediction in (("row_profile", profile.image(CAMERA)), ("one_depth", one)):
        errors = [depth_errors(prediction, truth) for truth in drive.depths]
        expected = np.mean([e.abs_rel for e in errors if e])
        assert report[name]["depth"]["abs_rel"] == pytest.approx(expected, rel=1e-6)
        assert report[name]["depth"]["points"] == report["depth"]["points"]


def test_the_truth_beats_it(drive: Drive, profile: RowProfile) -> None:
    report = _report(drive, None, profile)
    assert report["beats_image_free"] == {"metric": True, "shape": True}
    line = next(line for line in table(report) if "the network is" in line)
    assert "better than the row profile" in line


def test_a_model_of_rows_alone_is_told_so(drive: Drive, profile: RowProfile) -> None:
    stripes = np.where(np.arange(CAMERA.width) % 20 < 10, 1.0, 3.0)
    blind = [stripes * profile.image(CAMERA) for _ in drive.depths]
    report = _report(drive, blind, profile)
    assert report["beats_image_free"] == {"metric": False, "shape": False}
    assert any("NOT better than the row profile" in line for line in table(report))


def test_right_shape_in_wrong_metres(drive: Drive, profile: RowProfile) -> None:
    report = _report(drive, [4.0 * depth for depth in drive.depths], profile)
    assert report["beats_image_free"] == {"metric": False, "shape": True}
    assert "better in shape, but NOT in metres" in verdict_words(report)


def test_without_truth_there_is_no_verdict() -> None:
    assert verdict({"row_profile": {"depth": None, "depth_median_scaled": None}}) is None
    assert verdict_words({"beats_image_free": None}) == ""


def test_without_a_profile_the_report_names_the_remedy(drive: Drive) -> None:
    evaluator = Evaluator(
        oracle(drive), DepthNodeConfig(ego_motion="network"), create_engine=create_oracle_engine
    )
    found = evaluator.evaluate_frames([BagFrame(*item) for item in drive])
    report = report_of("oracle", {"drive": found}, evaluator.protocol)
    assert report["row_profile"] is None
    assert report["beats_image_free"] is None
    assert any("give --profile BAG" in line for line in table(report))


def test_profile_of_a_bag(drive: Drive, tmp_path: Path) -> None:
    bag = write_bag(tmp_path / "bag", drive)
    found = profile_of_bags([bag], CAMERA.width)
    fit = RowProfileFit()
    for depth in drive.depths:
        fit.add(np.where(depth < 60, depth, 0.0), CAMERA)
    expected = fit.profile()
    assert expected is not None
    np.testing.assert_allclose(found.image(CAMERA), expected.image(CAMERA), rtol=0.02)


def test_profile_of_tracked_corners_where_there_is_no_truth(tmp_path: Path) -> None:
    drive = make_drive(12, speed=8.0)
    bag = write_bag(tmp_path / "bag", drive, with_truth=False)
    found = profile_of_bags([bag], CAMERA.width)
    assert 5.0 < found.everywhere < 60.0


def test_a_bag_that_gives_no_depth(tmp_path: Path) -> None:
    bag = write_bag(tmp_path / "bag", make_drive(2), with_truth=False)
    with pytest.raises(DataError, match="too few known depths"):
        profile_of_bags([bag], CAMERA.width)
