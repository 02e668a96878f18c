# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Images go to a GPU as bytes and to a CPU as floats, with the same outputs.

The GPU and TensorRT are stand-ins that compute.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from engines.stand_in_cuda import StandInCuda
from engines.stand_in_tensorrt import Faults, stand_in_tensorrt

from sfm_depth_ros.camera.camera_model import CameraModel
from sfm_depth_ros.config.schema import DepthNodeConfig
from sfm_depth_ros.engines import factory
from sfm_depth_ros.engines.base import Engine
from sfm_depth_ros.engines.tensorrt import engine as tensorrt_engine
from sfm_depth_ros.engines.tensorrt.cuda_driver import CudaDriver
from sfm_depth_ros.engines.tensorrt.runtime import TensorRt
from sfm_depth_ros.errors import EngineError
from sfm_depth_ros.estimation.depth_estimator import DepthEstimator
from sfm_depth_ros.estimation.depth_result import DepthResult
from sfm_depth_ros.estimation.prepared_model import prepare_model
from sfm_depth_ros.model_folder.folder import ModelFolder

K = np.array([[120.0, 0.0, 100.0], [0.0, 120.0, 36.0], [0.0, 0.0, 1.0]])


@pytest.fixture
def faults(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Faults:
    """A machine with a GPU; what is wrong with its TensorRT."""
    library, faults = StandInCuda(), Faults()
    runtime = TensorRt(stand_in_tensorrt(library, faults), "tensorrt")
    monkeypatch.setattr(tensorrt_engine, "load_cuda", lambda: CudaDriver(library))
    monkeypatch.setattr(tensorrt_engine, "load_tensorrt", lambda: runtime)
    monkeypatch.setattr(factory, "_has_gpu", lambda: True)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return faults


def _estimator(model: ModelFolder, engine: str, distortion: float = 0.0) -> DepthEstimator:
    camera = CameraModel.from_matrices(
        K, 200, 72, D=np.array([distortion, 0.0, 0.0, 0.0, 0.0]), model="plumb_bob"
    )
    config = DepthNodeConfig(
        engine=engine, precision="fp32", input_width=96, min_depth=0.01, max_depth=1e4
    )
    return DepthEstimator(model, camera, config)


def _run(estimator: DepthEstimator, first: int = 0, count: int = 3) -> list[DepthResult]:
    return [
        estimator.estimate(
            np.random.default_rng(index).integers(0, 256, (72, 200, 3), dtype=np.uint8),
            index * 10**8,
        )
        for index in range(first, first + count)
    ]


def _assert_same(found: list[DepthResult], expected: list[DepthResult]) -> None:
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one.depth, other.depth, rtol=1e-3)
        assert (one.ego_motion is None) == (other.ego_motion is None)
        if one.ego_motion is not None and other.ego_motion is not None:
            np.testing.assert_allclose(
                one.ego_motion.T_earlier_later, other.ego_motion.T_earlier_later, atol=1e-5
            )


@pytest.mark.parametrize("distortion", [0.0, -0.1])
def test_a_gpu_is_handed_bytes(
    faults: Faults, tiny_model: ModelFolder, monkeypatch: pytest.MonkeyPatch, distortion: float
) -> None:
    expected = _run(_estimator(tiny_model, "onnxruntime", distortion))
    estimator = _estimator(tiny_model, "tensorrt", distortion)

    def floats(engine: Engine, image: np.ndarray) -> np.ndarray:
        raise AssertionError("floats were handed over")

    monkeypatch.setattr(tensorrt_engine.TensorRtEngine, "infer", floats)
    _assert_same(_run(estimator), expected)


def test_new_weights_are_fed_bytes_too(
    faults: Faults, tiny_model: ModelFolder, other_model: ModelFolder,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    estimator = _estimator(tiny_model, "tensorrt")
    builds = len(faults.builds)
    _run(estimator)
    estimator.swap(estimator.prepare(other_model))
    assert len(faults.builds) == builds, "refitted"
    monkeypatch.delattr(tensorrt_engine.TensorRtEngine, "infer")
    _assert_same(_run(estimator, 3)[1:], _run(_estimator(other_model, "onnxruntime"), 3)[1:])


def test_a_gpu_that_fails_is_followed_by_an_engine_that_takes_floats(
    faults: Faults, tiny_model: ModelFolder
) -> None:
    expected = _run(_estimator(tiny_model, "onnxruntime"), count=6)
    estimator = _estimator(tiny_model, "auto")
    found = _run(estimator, count=2)
    assert set(estimator.model.engine_names.values()) == {"tensorrt fp32"}
    faults.gives_nan = True
    found += _run(estimator, 2, 1)
    assert "tensorrt fp32" not in estimator.model.engine_names.values()
    found += _run(estimator, 3)
    assert found[3].ego_motion is None, "images are held as floats from here on"
    _assert_same(found[:3] + found[4:], expected[:3] + expected[4:])
    np.testing.assert_allclose(found[3].depth, expected[3].depth, rtol=1e-3)


def test_where_bytes_cannot_be_taken_floats_are(
    faults: Faults, tiny_model: ModelFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(engine: Engine) -> None:
        raise EngineError("the GPU is out of memory")

    monkeypatch.setattr(tensorrt_engine.TensorRtEngine, "take_bytes", refuse)
    found = _run(_estimator(tiny_model, "tensorrt"))
    _assert_same(found, _run(_estimator(tiny_model, "onnxruntime")))


def test_a_network_trained_without_metres_has_an_unknown_unit(tiny_model: ModelFolder) -> None:
    """Its landmarks give it one; it is no witness of the odometer's."""
    without = ModelFolder(tiny_model.path, {**tiny_model.metadata, "has_metres": False})
    camera = CameraModel.from_matrices(K, 200, 72)
    config = DepthNodeConfig(engine="onnxruntime", precision="fp32", input_width=96)
    for folder, output in ((tiny_model, "metric"), (without, "up_to_scale")):
        model = prepare_model(folder, camera, config, factory.create_engine)
        assert model.output == output
        model.close()
