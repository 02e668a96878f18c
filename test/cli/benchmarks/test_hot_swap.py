# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""New models into what runs: right ones serve, a wrong one is caught, and no image is lost."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from sfm_depth_ros.camera.camera_model import CameraModel
from sfm_depth_ros.cli.benchmarks.hot_swap import measure_hot_swap, two_models, wrong_model
from sfm_depth_ros.config.schema import DepthNodeConfig
from sfm_depth_ros.errors import EngineError
from sfm_depth_ros.estimation.depth_estimator import DepthEstimator
from sfm_depth_ros.geometry.camera import Intrinsics
from sfm_depth_ros.model_folder.folder import ModelFolder, read_model_folder

CAMERA = CameraModel.from_intrinsics(Intrinsics(100.0, 100.0, 95.5, 31.5, 192, 64))


@pytest.mark.parametrize("engine", ["onnxruntime", "openvino"])
def test_a_wrong_update_is_caught_and_the_old_model_serves_on(
    tiny_model: ModelFolder, tmp_path: Path, engine: str
) -> None:
    first, second = two_models(tiny_model, tmp_path)
    wrong = wrong_model(second, first, tmp_path)
    assert read_model_folder(wrong.path).model_id == second.model_id, "its hashes are right"
    estimator = DepthEstimator(first, CAMERA, DepthNodeConfig(engine=engine, precision="fp32"))
    image = np.random.default_rng(0).integers(0, 256, (64, 192, 3), dtype=np.uint8)
    before = estimator.estimate(image, 0).depth
    with pytest.raises(EngineError, match=f"{engine} at fp32 does not reproduce"):
        estimator.prepare(wrong)
    np.testing.assert_array_equal(estimator.estimate(image, 1).depth, before)
    estimator.swap(estimator.prepare(second))
    after = estimator.estimate(image, 2).depth
    known = np.isfinite(before) & np.isfinite(after)
    np.testing.assert_allclose(after[known] / before[known], 1.1, rtol=1e-3)
    estimator.close()


@pytest.mark.slow
@pytest.mark.ros
def test_no_image_is_lost_over_many_swaps(tiny_model: ModelFolder, tmp_path: Path) -> None:
    pytest.importorskip("rclpy")
    figures = measure_hot_swap(tiny_model, tmp_path, {"engine": "onnxruntime"}, swaps=10)
    assert figures["swaps"] == 10
    assert figures["received"] >= 10
    assert (figures["dropped"], figures["failed"], figures["lost"]) == (0, 0, 0)
    assert figures["wrong_refused"]
