# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest

from sfm_depth_ros.cli.benchmarks.geometry import (
    GEOMETRY,
    NETWORKS,
    GeometrySetting,
    measure_geometry,
)
from sfm_depth_ros.cli.benchmarks.report import geometry_lines
from sfm_depth_ros.model_folder.folder import ModelFolder


def test_every_stage_takes_time_and_the_sums_are_theirs(tiny_model: ModelFolder) -> None:
    setting = GeometrySetting(tiny_model.path, "onnxruntime", "fp32", input_width=128, seconds=2.5)
    figures = measure_geometry(setting)
    stages = figures["core_ms_p50"]
    assert set(stages) == {*NETWORKS, *GEOMETRY}
    assert min(stages.values()) > 0
    assert figures["geometry_ms"] == pytest.approx(sum(stages[name] for name in GEOMETRY))
    assert figures["networks_ms"] == pytest.approx(sum(stages[name] for name in NETWORKS))
    for rates in figures["images_per_s"].values():
        assert set(rates) == {"alone", "with_geometry"}
    lines = geometry_lines(figures)
    assert len(lines) == len(stages) + 3
    assert "with geometry" in lines[-1]
