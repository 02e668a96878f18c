# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""torch as an engine: its threads, its devices, and on a GPU its recorded graph."""

from __future__ import annotations

import gc
import threading

import numpy as np
import pytest

from sfm_depth_ros.engines import torch_engine
from sfm_depth_ros.engines.base import EngineRequest
from sfm_depth_ros.engines.torch_engine import TorchEngine
from sfm_depth_ros.engines.verification import check_shape, verify_engine
from sfm_depth_ros.errors import EngineError
from sfm_depth_ros.model_folder.folder import ModelFolder

torch = pytest.importorskip("torch")

gpu = pytest.mark.gpu
needs_cuda = pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device")
no_cuda = pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")


def _request(model: ModelFolder, precision: str = "fp32", threads: int = 1) -> EngineRequest:
    return EngineRequest(model, "depth", (1, 3, 32, 96), precision, threads)


def test_two_networks_side_by_side_leave_the_threads_as_they_were() -> None:
    before, inside = torch.get_num_threads(), threading.Barrier(2)
    torch.set_num_threads(2)

    def run(count: int) -> None:
        with torch_engine._THREADS.limited_to(count):
            inside.wait(5)  # both have begun
            inside.wait(5)
        inside.wait(5)

    threads = [threading.Thread(target=run, args=(1,)) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(5)
    assert torch.get_num_threads() == 2
    torch.set_num_threads(before)


@no_cuda
def test_a_device_that_is_not_there_is_said_in_one_line(tiny_model: ModelFolder) -> None:
    with pytest.raises(EngineError, match=r"torch failed \(.*\); choose another engine") as caught:
        TorchEngine(_request(tiny_model), device="cuda")
    assert "\n" not in str(caught.value)


def test_precisions_belong_to_devices(tiny_model: ModelFolder) -> None:
    with pytest.raises(EngineError, match="torch has no fp16 on cpu; set precision: fp32"):
        TorchEngine(_request(tiny_model, "fp16"), device="cpu")
    with pytest.raises(EngineError, match="torch has no int8 on cuda"):
        TorchEngine(_request(tiny_model, "int8"), device="cuda")


def test_too_little_memory_names_the_remedy(
    tiny_model: ModelFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = TorchEngine(_request(tiny_model), device="cpu")

    def fail(image: np.ndarray) -> np.ndarray:
        raise torch.cuda.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB\nmore")

    monkeypatch.setattr(engine, "_run", fail)
    with pytest.raises(EngineError, match=r"out of memory.*lower input_width.*openvino"):
        engine.infer(np.zeros((1, 3, 32, 96), np.float32))


@gpu
@needs_cuda
@pytest.mark.parametrize("precision", ["fp32", "fp16", "bf16"])
def test_a_recorded_graph_passes_the_check_frames(tiny_model: ModelFolder, precision: str) -> None:
    shape = check_shape(tiny_model, "depth")
    engine = TorchEngine(EngineRequest(tiny_model, "depth", shape, precision), device="cuda")
    verify_engine(engine, tiny_model, "depth")
    rng = np.random.default_rng(0)
    first = engine.infer(rng.random(shape, dtype=np.float32))
    kept = first.copy()
    assert not np.array_equal(engine.infer(rng.random(shape, dtype=np.float32)), first)
    np.testing.assert_array_equal(first, kept)
    engine.close()
    with pytest.raises(EngineError, match="closed"):
        engine.infer(kept)


@gpu
@needs_cuda
def test_the_weights_stay_as_long_as_the_recorded_graph(tiny_model: ModelFolder) -> None:
    """The graph knows their addresses alone: freed, others would write there."""
    shape = check_shape(tiny_model, "depth")
    engine = TorchEngine(EngineRequest(tiny_model, "depth", shape), device="cuda")
    image = np.random.default_rng(1).random(shape, dtype=np.float32)
    before = engine.infer(image).copy()
    gc.collect()
    sizes = [2**power for power in range(4, 21)] * 8
    others = [torch.full((size,), float("nan"), device="cuda") for size in sizes]
    np.testing.assert_array_equal(engine.infer(image), before)
    assert len(others) == len(sizes)
