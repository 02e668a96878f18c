# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Evaluation of models that are wrong in a known way, on exact frames and through a bag."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from exact_drive import (
    CAMERA,
    Drive,
    OracleEngine,
    OracleFolder,
    create_oracle_engine,
    make_drive,
    oracle,
    write_bag,
)

from sfm_depth_ros.bags.frames import BagFrame
from sfm_depth_ros.cli.evaluation.table import table
from sfm_depth_ros.config.networks import DepthNetworkConfig
from sfm_depth_ros.config.schema import DepthNodeConfig
from sfm_depth_ros.errors import DataError
from sfm_depth_ros.evaluation.evaluator import EvaluatedFrame, Evaluator
from sfm_depth_ros.evaluation.flip_engine import FlipEngine
from sfm_depth_ros.evaluation.protocol import DepthProtocol
from sfm_depth_ros.evaluation.report import report_of, summarize_drives
from sfm_depth_ros.snippets.values import TrackingImage

CONFIG = DepthNodeConfig(ego_motion="network")


def _evaluator(folder: OracleFolder, **options: object) -> Evaluator:
    return Evaluator(folder, CONFIG, create_engine=create_oracle_engine, **options)


def _frames(drive: Drive) -> list[BagFrame]:
    return [BagFrame(*item) for item in drive]


@pytest.fixture(scope="module")
def straight() -> Drive:
    return make_drive(45, speed=8.0)


def _report(drive: Drive, depth_factor: float, motion_factor: float) -> dict:
    evaluator = _evaluator(oracle(drive, depth_factor, motion_factor))
    return summarize_drives([evaluator.evaluate_frames(_frames(drive))])


def test_report_of_a_wrong_scale(straight: Drive) -> None:
    report = _report(straight, 1.1, 0.9)
    assert report["depth"]["abs_rel"] == pytest.approx(0.1, abs=2e-3)
    assert report["depth"]["frames"] == 45
    assert report["depth_median_scaled"]["abs_rel"] < 2e-3
    assert report["depth_scale_ratio"]["median"] == pytest.approx(1.1, rel=1e-4)
    assert report["translation_scale_ratio"]["median"] == pytest.approx(0.9, rel=1e-4)
    assert report["translation_scale_ratio"]["count"] == 44
    motion = report["ego_motion"]
    assert motion["translation_error_percent"] == pytest.approx(10.0, abs=0.5)
    assert motion["translation_error_percent_scaled"] == pytest.approx(0.0, abs=0.01)
    assert motion["rotation_error_deg_per_100m"] == pytest.approx(0.0, abs=1e-3)
    assert motion["speed_rmse_mps"] == pytest.approx(0.8, rel=1e-3)
    assert motion["segments"] == 2
    assert motion["frames"] == 44
    assert motion["translation_scale_ratio"] == report["translation_scale_ratio"]
    json.dumps(report, allow_nan=False)


def test_the_monitor_agrees_with_the_truth(straight: Drive) -> None:
    evaluator = _evaluator(oracle(straight, 1.25))
    drive = evaluator.evaluate_frames(_frames(straight), straight.velocities)
    report = summarize_drives([drive])
    truth, monitor = report["depth_scale_ratio"], report["depth_scale_monitor"]
    assert monitor["median"] == pytest.approx(truth["median"], rel=0.03)
    assert monitor["count"] > 35


def test_without_truth_there_is_null(straight: Drive) -> None:
    frames = [BagFrame(frame, None, None) for frame in straight.frames[:5]]
    drive = _evaluator(oracle(straight)).evaluate_frames(frames)
    report = summarize_drives([drive])
    assert report["depth"] is None
    assert report["depth_median_scaled"] is None
    assert report["depth_scale_ratio"] is None
    assert report["translation_scale_ratio"] is None
    assert report["ego_motion"]["segments"] == 0
    assert report["ego_motion"]["translation_error_percent"] is None
    with pytest.raises(DataError, match="not one image"):
        _evaluator(oracle(straight)).evaluate_frames([])


def test_a_gap_in_time_breaks_the_path(straight: Drive) -> None:
    frames = _frames(straight)
    drive = _evaluator(oracle(straight)).evaluate_frames([*frames[:10], *frames[30:]])
    assert [len(path.stamps_ns) for path in drive.motion.paths] == [10, 15]


def test_a_bag_gives_the_same_numbers(tmp_path: Path, straight: Drive) -> None:
    bag = write_bag(tmp_path / "drive", straight)
    sparse = write_bag(tmp_path / "sparse", straight, sparse=True)
    seen: list[EvaluatedFrame] = []
    evaluator = _evaluator(oracle(straight, 1.1, 0.9), on_frame=seen.append)
    drives = evaluator.evaluate_bags([bag, sparse])
    report = report_of("oracle", drives, evaluator.protocol)
    assert [done.number for done in seen] == [*range(1, 46), *range(1, 46)]
    assert {(done.bag, done.total) for done in seen} == {("drive", 45), ("sparse", 45)}
    assert set(report["bags"]) == {"drive", "sparse"}
    assert report["frames"] == 90
    for part in (report, *report["bags"].values()):
        assert part["depth"]["abs_rel"] == pytest.approx(0.1, abs=2e-3)
        assert part["depth_scale_ratio"]["median"] == pytest.approx(1.1, rel=1e-3)
        assert part["translation_scale_ratio"]["median"] == pytest.approx(0.9, rel=1e-3)
        assert part["ego_motion"]["translation_error_percent"] == pytest.approx(10.0, abs=0.5)
    points = report["bags"]["sparse"]["depth"]["points"] / 45
    assert 100 < points < 0.011 * CAMERA.width * CAMERA.height


@pytest.mark.parametrize("resize", ["disparity", "depth", "truth"])
def test_every_way_of_resizing_sees_a_prediction_that_is_right(
    tmp_path: Path, straight: Drive, resize: str
) -> None:
    bag = write_bag(tmp_path / "drive", straight)
    evaluator = _evaluator(oracle(straight), protocol=DepthProtocol(resize=resize))
    report = summarize_drives(list(evaluator.evaluate_bags([f"{bag}@0-1"]).values()))
    assert report["frames"] == 10
    assert report["depth"]["frames"] == 10
    assert report["depth"]["abs_rel"] < 2e-3
    assert report["depth_by_distance"][0]["bias"] == pytest.approx(0.0, abs=2e-3)


def test_caps_and_crop_take_points_away(tmp_path: Path, straight: Drive) -> None:
    bag = write_bag(tmp_path / "drive", straight)
    points = []
    for protocol in (
        DepthProtocol(), DepthProtocol(max_depth=20.0), DepthProtocol(crop="garg"),
    ):  # fmt: skip
        drives = _evaluator(oracle(straight), protocol=protocol).evaluate_bags([f"{bag}@0-0.3"])
        report = report_of("oracle", drives, protocol)
        assert list(report["bags"]) == ["drive@0-0.3"]
        assert report["protocol"]["max_depth"] == report["max_depth"] == protocol.max_depth
        points.append(report["depth"]["points"])
    known = [(depth > 1e-3) & (depth < 60) for depth in straight.depths[:3]]
    assert points[0] == sum(int(mask.sum()) for mask in known)
    near = [(depth > 1e-3) & (depth < 20) for depth in straight.depths[:3]]
    assert points[1] == pytest.approx(sum(int(mask.sum()) for mask in near), abs=20)  # millimetres
    cropped = [mask[int(0.40810811 * 96) : int(0.99189189 * 96), 11:308] for mask in known]
    assert points[2] == sum(int(mask.sum()) for mask in cropped)


def test_flip_shows_the_network_both_images(straight: Drive) -> None:
    engines = []

    def create(*arguments: object, **options: object) -> OracleEngine:
        engines.append(create_oracle_engine(*arguments, **options))
        return engines[-1]

    frames = _frames(straight)[:2]
    folder = replace(oracle(straight), depths=[np.full((1, 1, 96, 320), 3.0)])
    evaluator = Evaluator(folder, CONFIG, DepthProtocol(flip=True), create)
    evaluator.evaluate_frames(frames)
    depth, pose = engines
    assert (depth.calls, pose.calls) == (4, 1)
    assert depth.closed
    np.testing.assert_array_equal(depth.inputs[1], depth.inputs[0][..., ::-1])


def test_flip_blends_the_mirror_images_depth_the_right_way_round() -> None:
    slope = np.tile(np.linspace(2.0, 8.0, 320, dtype=np.float32), (1, 1, 96, 1))
    engine = FlipEngine(OracleEngine([slope, slope[..., ::-1]], (1, 3, 96, 320)))
    np.testing.assert_allclose(
        engine.infer(np.zeros((1, 3, 96, 320), np.float32)), slope, rtol=1e-6
    )


def test_names_of_parts_are_kept_apart(tmp_path: Path, straight: Drive) -> None:
    bag = write_bag(
        tmp_path / "drive",
        replace(
            straight,
            frames=straight.frames[:3],
            depths=straight.depths[:3],
            poses=straight.poses[:3],
        ),
    )
    drives = _evaluator(oracle(straight)).evaluate_bags([bag, f"{bag}@0.1-", bag, bag])
    assert list(drives) == ["drive", "drive@0.1-", str(bag), f"{bag} (2)"]
    assert [drive.frames for drive in drives.values()] == [3, 2, 3, 3]


def test_a_relative_network_has_gain_and_offset_by_landmarks(straight: Drive) -> None:
    """Inverse depth times 0.2 plus 0.05: the report finds what takes both back."""
    gain, offset = 0.2, 0.05
    relative = [1.0 / (gain / np.minimum(depth, 500.0) + offset) for depth in straight.depths]
    folder = oracle(replace(straight, depths=relative))
    config = DepthNetworkConfig(name="depth_anything_v2_small", head="inverse-affine")
    folder = replace(folder, depth_config=config)
    evaluator = Evaluator(
        folder, DepthNodeConfig(tracking_width=320), create_engine=create_oracle_engine
    )
    frames = [_tracked(BagFrame(*item)) for item in straight]
    report = report_of(
        "oracle", {"drive": evaluator.evaluate_frames(frames, straight.velocities)},
        evaluator.protocol,
    )  # fmt: skip
    assert not report["is_metric"]
    assert report["depth_affine_aligned"]["abs_rel"] < 1e-3
    assert report["depth"]["abs_rel"] > 0.3
    assert report["inverse_factor"]["median"] == pytest.approx(1 / gain, rel=0.1)
    assert report["inverse_shift"]["median"] == pytest.approx(-offset / gain, rel=0.1)
    assert report["depth_anchored"]["abs_rel"] < 0.1
    lines = table(report)
    assert any("network, affine to truth" in line for line in lines)
    assert any("inverse_shift" in line and "by landmarks" in line for line in lines)


def _tracked(given: BagFrame) -> BagFrame:
    """The frame with a tracking image of its own."""
    frame = given.frame
    grey = cv2.cvtColor(frame.image, cv2.COLOR_RGB2GRAY)
    tracking = TrackingImage(grey, frame.intrinsics)
    return given._replace(frame=replace(frame, tracking=tracking))
