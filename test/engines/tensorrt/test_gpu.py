# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""TensorRT on a real GPU; skipped, with the reason, where there is none."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from sfm_depth_ros.engines.base import EngineRequest, floats_of
from sfm_depth_ros.engines.onnxruntime_engine import OnnxRuntimeEngine
from sfm_depth_ros.engines.tensorrt.cuda_driver import CudaDriver, load_cuda
from sfm_depth_ros.engines.tensorrt.engine import TensorRtEngine
from sfm_depth_ros.engines.tensorrt.plan_cache import PlanCache
from sfm_depth_ros.engines.tensorrt.runtime import installed_module, load_tensorrt
from sfm_depth_ros.errors import EngineError
from sfm_depth_ros.model_folder.folder import ModelFolder

pytestmark = pytest.mark.gpu
TOLERANCES = {"fp32": 1e-3, "fp16": 2e-2}


@pytest.fixture(scope="module")
def cuda() -> CudaDriver:
    """The GPU, if TensorRT is installed and knows it."""
    if installed_module() is None:
        pytest.skip("neither tensorrt nor tensorrt_rtx is installed")
    try:
        found = load_cuda()
    except EngineError as error:
        pytest.skip(str(error))
    runtime = load_tensorrt()
    if runtime.builds_ahead and found.capability not in runtime.all_capabilities():
        pytest.skip(f"{runtime} does not build for {found.name} {found.capability}")
    return found


@pytest.mark.parametrize("precision", ["fp32", "fp16"])
@pytest.mark.parametrize(("kind", "channels"), [("depth", 3), ("pose", 6)])
def test_runs_refits_and_takes_bytes(
    cuda: CudaDriver,
    tiny_model: ModelFolder,
    other_model: ModelFolder,
    tmp_path: Path,
    kind: str,
    channels: int,
    precision: str,
) -> None:
    shape = (1, channels, 64, 96)
    request = EngineRequest(tiny_model, kind, shape, precision)
    engine = TensorRtEngine(request, cuda=cuda, cache=PlanCache(tmp_path))
    engine.take_bytes()
    picture = np.random.default_rng(0).integers(0, 256, (channels // 3, 64, 96, 3), dtype=np.uint8)
    for model in (tiny_model, other_model):
        if model is other_model and not engine.refit(model):
            pytest.skip("this TensorRT does not refit here; its output was right before")
        image = floats_of(picture)
        expected = OnnxRuntimeEngine(EngineRequest(model, kind, shape)).infer(image)
        tolerance = TOLERANCES[precision] * np.abs(expected).max()
        np.testing.assert_allclose(engine.infer(image), expected, atol=tolerance)
        np.testing.assert_allclose(engine.infer_bytes(picture), expected, atol=tolerance)
    engine.close()


def test_memory_comes_back(cuda: CudaDriver, tiny_model: ModelFolder, tmp_path: Path) -> None:
    request = EngineRequest(tiny_model, "depth", (1, 3, 64, 96))
    cache = PlanCache(tmp_path)
    TensorRtEngine(request, cuda=cuda, cache=cache).close()  # what the first use keeps for good
    before, _ = cuda.memory_bytes()
    for _ in range(3):
        TensorRtEngine(request, cuda=cuda, cache=cache).close()
    after, _ = cuda.memory_bytes()
    assert before - after < 32 << 20
