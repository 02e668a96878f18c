# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Evaluation of models that are wrong in a known way, on exact frames and through a bag."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from exact_drive import (
    CAMERA,
    Drive,
    create_oracle_engine,
    make_drive,
    oracle,
    write_bag,
)

from sfm_depth_ros.config.schema import DepthNodeConfig
from sfm_depth_ros.errors import DataError
from sfm_depth_ros.pipeline.evaluation import (
    evaluate_bags,
    evaluate_frames,
    report_of,
    summarize_drives,
)

CONFIG = DepthNodeConfig()


@pytest.fixture(scope="module")
def straight() -> Drive:
    return make_drive(45, speed=8.0)


def _report(drive: Drive, depth_factor: float, motion_factor: float) -> dict:
    folder = oracle(drive, depth_factor, motion_factor)
    return summarize_drives(
        [evaluate_frames(folder, drive, CONFIG, create_engine=create_oracle_engine)]
    )


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
    json.dumps(report, allow_nan=False)


def test_the_monitor_agrees_with_the_truth(straight: Drive) -> None:
    folder = oracle(straight, 1.25)
    report = summarize_drives(
        [
            evaluate_frames(
                folder,
                straight,
                CONFIG,
                velocities=straight.velocities,
                create_engine=create_oracle_engine,
            )
        ]
    )
    truth, monitor = report["depth_scale_ratio"], report["depth_scale_monitor"]
    assert monitor["median"] == pytest.approx(truth["median"], rel=0.03)
    assert monitor["count"] > 35


def test_without_truth_there_is_null(straight: Drive) -> None:
    frames = [(frame, None, None) for frame in straight.frames[:5]]
    drive = evaluate_frames(oracle(straight), frames, CONFIG, create_engine=create_oracle_engine)
    report = summarize_drives([drive])
    assert report["depth"] is None
    assert report["depth_median_scaled"] is None
    assert report["depth_scale_ratio"] is None
    assert report["translation_scale_ratio"] is None
    assert report["ego_motion"]["segments"] == 0
    assert report["ego_motion"]["translation_error_percent"] is None
    with pytest.raises(DataError, match="not one image"):
        evaluate_frames(oracle(straight), [], CONFIG, create_engine=create_oracle_engine)


def test_a_gap_in_time_breaks_the_path(straight: Drive) -> None:
    triples = list(straight)
    frames = [*triples[:10], *triples[30:]]
    folder = oracle(straight)
    drive = evaluate_frames(folder, frames, CONFIG, create_engine=create_oracle_engine)
    assert [len(path.stamps_ns) for path in drive.paths] == [10, 15]


def test_a_bag_gives_the_same_numbers(tmp_path: Path, straight: Drive) -> None:
    bag = write_bag(tmp_path / "drive", straight)
    sparse = write_bag(tmp_path / "sparse", straight, sparse=True)
    counted: list[int] = []
    folder = oracle(straight, 1.1, 0.9)
    drives = evaluate_bags(
        folder,
        [bag, sparse],
        CONFIG,
        create_engine=create_oracle_engine,
        on_frame=counted.append,
    )
    report = report_of(folder, drives)
    assert counted == [*range(1, 46), *range(1, 46)]
    assert set(report["bags"]) == {"drive", "sparse"}
    assert report["frames"] == 90
    for part in (report, *report["bags"].values()):
        assert part["depth"]["abs_rel"] == pytest.approx(0.1, abs=2e-3)
        assert part["depth_scale_ratio"]["median"] == pytest.approx(1.1, rel=1e-3)
        assert part["translation_scale_ratio"]["median"] == pytest.approx(0.9, rel=1e-3)
        assert part["ego_motion"]["translation_error_percent"] == pytest.approx(10.0, abs=0.5)
    points = report["bags"]["sparse"]["depth"]["points"] / 45
    assert 100 < points < 0.011 * CAMERA.width * CAMERA.height
