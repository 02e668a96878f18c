# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The TensorRT engine's own work, on stand-ins for the GPU and for TensorRT that really compute.

No GPU is needed; test_gpu.py tests a real one.
"""

from __future__ import annotations

import logging
import shutil
import threading
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from engines.stand_in_cuda import StandInCuda
from engines.stand_in_tensorrt import Faults, stand_in_tensorrt, stand_in_tensorrt_rtx

from sfm_depth_ros.engines.base import EngineRequest, floats_of
from sfm_depth_ros.engines.factory import create_engine
from sfm_depth_ros.engines.onnxruntime_engine import OnnxRuntimeEngine
from sfm_depth_ros.engines.tensorrt import cuda_driver
from sfm_depth_ros.engines.tensorrt import engine as tensorrt_engine
from sfm_depth_ros.engines.tensorrt import session as tensorrt_session
from sfm_depth_ros.engines.tensorrt.builder import BuildStoppedError
from sfm_depth_ros.engines.tensorrt.cuda_driver import CudaDriver
from sfm_depth_ros.engines.tensorrt.engine import TensorRtEngine
from sfm_depth_ros.engines.tensorrt.plan_cache import PlanCache
from sfm_depth_ros.engines.tensorrt.runtime import TensorRt
from sfm_depth_ros.errors import EngineError
from sfm_depth_ros.model_folder.folder import ModelFolder

SHAPES = {"depth": (1, 3, 64, 96), "pose": (1, 6, 64, 96)}


class Machine:
    """A stand-in GPU with a stand-in TensorRT and a cache of plans."""

    def __init__(self, folder: Path) -> None:
        self.library = StandInCuda()
        self.faults = Faults()
        self.cache = PlanCache(folder)
        self.is_rtx = False

    def engine(
        self, model: ModelFolder, kind: str = "depth", precision: str = "fp32", **options: Any
    ) -> TensorRtEngine:
        module = stand_in_tensorrt_rtx if self.is_rtx else stand_in_tensorrt
        runtime = TensorRt(
            module(self.library, self.faults), "tensorrt_rtx" if self.is_rtx else "tensorrt"
        )
        request = EngineRequest(model, kind, options.pop("shape", SHAPES[kind]), precision)
        return TensorRtEngine(request, runtime, CudaDriver(self.library), self.cache, **options)


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path / "plans")


def reference(model: ModelFolder, kind: str, image: np.ndarray) -> np.ndarray:
    return OnnxRuntimeEngine(EngineRequest(model, kind, image.shape)).infer(image)


def noise(kind: str, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).random(SHAPES[kind], dtype=np.float32)


@pytest.mark.parametrize("kind", ["depth", "pose"])
@pytest.mark.parametrize(("precision", "tolerance"), [("fp32", 1e-4), ("fp16", 1e-2)])
def test_output_is_that_of_the_network(
    machine: Machine, tiny_model: ModelFolder, kind: str, precision: str, tolerance: float
) -> None:
    engine = machine.engine(tiny_model, kind, precision)
    for seed in range(3):  # the graph is replayed on the same buffers
        image = noise(kind, seed)
        expected = reference(tiny_model, kind, image)
        found = engine.infer(image)
        assert found.dtype == np.float32
        np.testing.assert_allclose(found, expected, atol=tolerance * np.abs(expected).max())
    assert machine.library.calls["cuGraphLaunch"] >= 3


def test_outputs_survive_the_next_call(machine: Machine, tiny_model: ModelFolder) -> None:
    engine = machine.engine(tiny_model)
    first = engine.infer(noise("depth"))
    kept = first.copy()
    engine.infer(noise("depth", 1))
    assert np.array_equal(first, kept)


def test_everything_is_freed(machine: Machine, tiny_model: ModelFolder) -> None:
    engine = machine.engine(tiny_model)
    engine.infer(noise("depth"))
    assert machine.library.memory and machine.library.streams and machine.library.graphs
    engine.close()
    engine.close()
    assert not machine.library.memory
    assert not machine.library.streams
    assert not machine.library.graphs
    with pytest.raises(EngineError, match="tensorrt was closed"):
        engine.infer(noise("depth"))
    assert not engine.refit(tiny_model)


def test_another_thread_may_run_it(machine: Machine, tiny_model: ModelFolder) -> None:
    """The GPU must be made current in every thread: the node builds in one, runs in another."""
    engine = machine.engine(tiny_model)
    before = machine.library.calls["cuCtxSetCurrent"]
    outputs: list[np.ndarray] = []
    thread = threading.Thread(target=lambda: outputs.append(engine.infer(noise("depth"))))
    thread.start()
    thread.join()
    assert len(outputs) == 1
    assert machine.library.calls["cuCtxSetCurrent"] > before


def test_without_a_graph_where_the_network_cannot_be_recorded(
    machine: Machine, tiny_model: ModelFolder, caplog: pytest.LogCaptureFixture
) -> None:
    machine.library.failures["cuGraphInstantiateWithFlags"] = 801
    with caplog.at_level(logging.INFO):
        engine = machine.engine(tiny_model)
    assert "without a CUDA graph" in caplog.text
    expected = reference(tiny_model, "depth", noise("depth"))
    np.testing.assert_allclose(engine.infer(noise("depth")), expected, rtol=1e-4)
    engine.close()
    assert not machine.library.graphs


def test_the_second_start_builds_nothing(machine: Machine, tiny_model: ModelFolder) -> None:
    machine.engine(tiny_model).close()
    assert machine.faults.builds == [True]
    machine.engine(tiny_model).close()
    assert machine.faults.builds == [True]
    machine.engine(tiny_model, precision="fp16").close()
    machine.engine(tiny_model, shape=(1, 3, 32, 96)).close()
    machine.library.name = "Another GPU"
    machine.engine(tiny_model).close()
    assert machine.faults.builds == [True] * 4


def test_another_driver_or_version_rebuilds_with_one_line(
    machine: Machine, tiny_model: ModelFolder, caplog: pytest.LogCaptureFixture
) -> None:
    machine.engine(tiny_model).close()
    machine.library.driver = 12080
    machine.engine(tiny_model).close()
    lines = [record.message for record in caplog.records if "is rebuilt" in record.message]
    assert len(lines) == 1
    assert "driver 13.0 instead of 12.8" in lines[0]
    assert len(list(machine.cache.folder.glob("*/plan"))) == 1, "the new one takes its place"


def test_the_timing_cache_grows_and_a_damaged_one_is_begun_again(
    machine: Machine, tiny_model: ModelFolder
) -> None:
    machine.engine(tiny_model).close()
    (timing,) = machine.cache.folder.glob("*.timing")
    assert timing.read_bytes() == b"."
    machine.engine(tiny_model, precision="fp16").close()
    assert timing.read_bytes() == b".."
    timing.write_bytes(b"damaged")
    machine.engine(tiny_model, shape=(1, 3, 32, 96)).close()
    assert timing.read_bytes() == b"."


def test_a_refit_serves_the_new_weights_without_a_build(
    machine: Machine, tiny_model: ModelFolder, other_model: ModelFolder
) -> None:
    engine = machine.engine(tiny_model)
    image = noise("depth")
    for model in (other_model, tiny_model, other_model):  # the two engines change places
        assert engine.refit(model)
        np.testing.assert_allclose(
            engine.infer(image), reference(model, "depth", image), rtol=1e-4
        )
    assert machine.faults.builds == [True]
    engine.close()
    assert not machine.library.memory


def test_a_refit_at_half_precision(
    machine: Machine, tiny_model: ModelFolder, other_model: ModelFolder
) -> None:
    engine = machine.engine(tiny_model, "pose", "fp16")
    assert engine.refit(other_model)
    expected = reference(other_model, "pose", noise("pose"))
    found = engine.infer(noise("pose"))
    np.testing.assert_allclose(found, expected, atol=1e-2 * np.abs(expected).max())


def test_another_model_at_start_takes_the_plan_and_refits_it(
    machine: Machine, tiny_model: ModelFolder, other_model: ModelFolder
) -> None:
    machine.engine(tiny_model).close()
    engine = machine.engine(other_model)
    assert machine.faults.builds == [True]
    image = noise("depth")
    np.testing.assert_allclose(
        engine.infer(image), reference(other_model, "depth", image), rtol=1e-4
    )


def test_a_refit_that_drops_a_bias_is_refused_and_the_old_weights_serve(
    machine: Machine,
    tiny_model: ModelFolder,
    other_model: ModelFolder,
    caplog: pytest.LogCaptureFixture,
) -> None:
    engine = machine.engine(tiny_model)
    image = noise("depth")
    before = engine.infer(image)
    machine.faults.dropped_bias = True
    assert not engine.refit(other_model)
    (line,) = [r.message for r in caplog.records if "keeps its weights" in r.message]
    assert "does not reproduce the depth network" in line
    assert np.array_equal(engine.infer(image), before)
    machine.faults.dropped_bias = False
    assert engine.refit(other_model), "and a later one may succeed"


@pytest.mark.parametrize("kind", ["depth", "pose"])
def test_a_refittable_plan_that_loses_a_bias_is_replaced_by_a_plain_one(
    machine: Machine, tiny_model: ModelFolder, other_model: ModelFolder, kind: str
) -> None:
    """TensorRT 11.3's known fault: the bias is gone as soon as the plan is built."""
    machine.faults.unlisted_bias = True
    engine = machine.engine(tiny_model, kind)
    assert machine.faults.builds == [True, False]
    expected = reference(tiny_model, kind, noise(kind))
    np.testing.assert_allclose(engine.infer(noise(kind)), expected, rtol=1e-4, atol=1e-6)
    assert not engine.refit(other_model), "a plain plan takes no new weights"
    np.testing.assert_allclose(engine.infer(noise(kind)), expected, rtol=1e-4, atol=1e-6)


def test_another_graph_is_not_put_into_the_plan(
    machine: Machine, tiny_model: ModelFolder, tmp_path: Path
) -> None:
    """Here a model that differs in its farthest depth alone: a constant, not a weight."""
    engine = machine.engine(tiny_model)
    path = Path(shutil.copytree(tiny_model.path, tmp_path / "model"))
    graph = onnx.load(path / "depth.onnx")
    constant = next(entry for entry in graph.graph.initializer if entry.name.startswith("val_"))
    constant.raw_data = bytes(len(constant.raw_data))
    onnx.save(graph, path / "depth.onnx")
    assert not engine.refit(ModelFolder(path, tiny_model.metadata))
    engine.infer(noise("depth"))


def test_no_refittable_plan_can_be_built(machine: Machine, tiny_model: ModelFolder) -> None:
    machine.faults.no_refittable_plan = True
    engine = machine.engine(tiny_model)
    assert machine.faults.builds == [True, False]
    assert not engine.refit(tiny_model)


def test_memory_runs_out(machine: Machine, tiny_model: ModelFolder) -> None:
    machine.library.failures["cuMemAlloc_v2"] = 2
    with pytest.raises(EngineError, match=r"out of memory.*lower input_width or set precision"):
        machine.engine(tiny_model)
    assert not machine.library.memory, "what was allocated before is freed"
    machine.library.failures.clear()
    engine = machine.engine(tiny_model)
    machine.library.failures["cuGraphLaunch"] = 2
    with pytest.raises(EngineError, match=r"out of memory.*lower input_width"):
        engine.infer(noise("depth"))
    machine.library.failures.clear()
    engine.infer(noise("depth"))  # and goes on where memory is free again


def test_errors_of_the_run_are_one_line(machine: Machine, tiny_model: ModelFolder) -> None:
    machine.library.failures["cuGraphInstantiateWithFlags"] = 801
    engine = machine.engine(tiny_model)
    machine.faults.run_fails = True
    with pytest.raises(EngineError, match=r"failed to run \(CUDA out of memory\); free GPU"):
        engine.infer(noise("depth"))
    machine.faults.run_fails = False
    machine.library.fault = 700
    with pytest.raises(EngineError, match=r"illegal memory access.*restart the node"):
        engine.infer(noise("depth"))


def test_nan_is_refused(machine: Machine, tiny_model: ModelFolder) -> None:
    engine = machine.engine(tiny_model)
    machine.faults.gives_nan = True
    with pytest.raises(EngineError, match="tensorrt computed NaN or infinity at fp32"):
        engine.infer(noise("depth"))


def test_a_plan_that_cannot_be_loaded_is_rebuilt_once(
    machine: Machine, tiny_model: ModelFolder, caplog: pytest.LogCaptureFixture
) -> None:
    machine.engine(tiny_model).close()
    machine.faults.deserialize_fails = True
    with pytest.raises(EngineError, match=r"cannot load the plan .*another version"):
        machine.engine(tiny_model)
    assert machine.faults.builds == [True, True, False]


def test_a_build_can_be_watched_and_stopped(machine: Machine, tiny_model: ModelFolder) -> None:
    shares: list[float] = []
    with pytest.raises(BuildStoppedError, match="was stopped"):
        machine.engine(tiny_model, progress=lambda share: bool(shares.append(share)))
    assert shares == [0.5], "stopped at the first step, without another attempt"
    machine.engine(tiny_model, progress=lambda share: shares.append(share) or True)
    assert shares == [0.5, 0.5, 1.0]


def test_precisions_that_it_has_not(machine: Machine, tiny_model: ModelFolder) -> None:
    with pytest.raises(EngineError, match="no bf16 here; set precision: fp16 or fp32"):
        machine.engine(tiny_model, precision="bf16")


def test_tensorrt_rtx_records_by_itself_and_keeps_its_kernels(
    machine: Machine, tiny_model: ModelFolder, other_model: ModelFolder
) -> None:
    machine.is_rtx = True
    engine = machine.engine(tiny_model)
    image = noise("depth")
    np.testing.assert_allclose(
        engine.infer(image), reference(tiny_model, "depth", image), rtol=1e-4
    )
    assert engine.refit(other_model)
    np.testing.assert_allclose(
        engine.infer(image), reference(other_model, "depth", image), rtol=1e-4
    )
    assert machine.library.calls["cuStreamBeginCapture_v2"] == 0
    assert not list(machine.cache.folder.glob("*.timing")), "it measures nothing"
    (kernels,) = machine.cache.folder.glob("*/kernels")
    assert kernels.read_bytes() == b"kernels"
    assert set(machine.faults.kernels_loaded) == {True}
    kernels.write_bytes(b"of another GPU")
    machine.engine(tiny_model)
    assert machine.faults.kernels_loaded[-2:] == [False, True]
    engine.close()


def test_a_gpu_that_tensorrt_rtx_does_not_know(machine: Machine, tiny_model: ModelFolder) -> None:
    machine.is_rtx, machine.library.capability = True, (9, 0)
    with pytest.raises(EngineError, match=r"no compute capability 9\.0 \(SM90\), only SM86, SM89"):
        machine.engine(tiny_model)


@pytest.mark.parametrize("is_rtx", [False, True])
@pytest.mark.parametrize(("kind", "images"), [("depth", 1), ("pose", 2)])
def test_bytes_become_floats_on_the_gpu(
    machine: Machine,
    tiny_model: ModelFolder,
    other_model: ModelFolder,
    kind: str,
    images: int,
    is_rtx: bool,
) -> None:
    machine.is_rtx = is_rtx
    engine = machine.engine(tiny_model, kind, shape=(1, 3 * images, 32, 96))
    engine.take_bytes()
    rng = np.random.default_rng(3)
    for model in (tiny_model, other_model):
        if model is other_model:
            assert engine.refit(model), "the bytes go on with the new weights"
        for _ in range(2):
            picture = rng.integers(0, 256, (images, 32, 96, 3), dtype=np.uint8)
            small = floats_of(picture)
            expected = reference(model, kind, small)
            found = engine.infer_bytes(picture)
            np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-6)
            np.testing.assert_allclose(engine.infer(small), expected, rtol=1e-4, atol=1e-6)
    assert machine.faults.builds == [True, False], "one for the network, one for the bytes"
    engine.close()
    assert not machine.library.memory


def test_what_bytes_need(machine: Machine, tiny_model: ModelFolder) -> None:
    engine = machine.engine(tiny_model, shape=(1, 3, 32, 96))
    picture = np.zeros((1, 32, 96, 3), np.uint8)
    with pytest.raises(ValueError, match="expected take_bytes before"):
        engine.infer_bytes(picture)
    engine.take_bytes()
    with pytest.raises(ValueError, match=r"expected uint8 \(1, 32, 96, 3\), got float32"):
        engine.infer_bytes(picture.astype(np.float32))
    with pytest.raises(ValueError, match=r"got uint8 \(1, 72, 200, 3\)"):
        engine.infer_bytes(np.zeros((1, 72, 200, 3), np.uint8))
    engine.close()
    with pytest.raises(EngineError, match="was closed"):
        engine.infer_bytes(picture)
    with pytest.raises(EngineError, match="was closed"):
        engine.take_bytes()


def test_an_image_that_the_gpu_converts_wrongly_is_refused(
    machine: Machine, tiny_model: ModelFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = machine.engine(tiny_model, shape=(1, 3, 32, 96))
    monkeypatch.setattr(
        tensorrt_session, "floats_of", lambda image: floats_of(np.roll(image, 1, axis=2))
    )
    with pytest.raises(EngineError, match="converts bytes wrongly"):
        engine.take_bytes()
    engine.infer(np.zeros((1, 3, 32, 96), np.float32))


@pytest.fixture
def installed(machine: Machine, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Machine:
    """The machine as if it were this one."""
    runtime = TensorRt(stand_in_tensorrt(machine.library, machine.faults), "tensorrt")
    monkeypatch.setattr(tensorrt_engine, "load_cuda", lambda: CudaDriver(machine.library))
    monkeypatch.setattr(tensorrt_engine, "load_tensorrt", lambda: runtime)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return machine


def test_asked_by_name_it_is_built_once_and_checked(
    installed: Machine, tiny_model: ModelFolder
) -> None:
    """Its plan serves the check frames' shape too: no other engine is built for the check."""
    engine = create_engine(tiny_model, "depth", (64, 96), "tensorrt", "fp16")
    assert (engine.name, engine.precision) == ("tensorrt", "fp16")
    assert installed.faults.builds == [True, False], "one for the network, one for the bytes"
    engine.close()
    installed.faults.gives_nan = True
    with pytest.raises(EngineError, match="tensorrt computed NaN"):
        create_engine(tiny_model, "depth", (64, 96), "tensorrt", "fp16")


def test_auto_takes_it_and_refits_it(
    installed: Machine, tiny_model: ModelFolder, other_model: ModelFolder
) -> None:
    engine: Any = create_engine(tiny_model, "depth", (64, 96), "auto", "auto")
    assert (engine.name, engine.precision) == ("tensorrt", "fp16")
    assert engine.refit(other_model)
    expected = reference(other_model, "depth", noise("depth"))
    np.testing.assert_allclose(
        engine.infer(noise("depth")), expected, atol=1e-2 * np.abs(expected).max()
    )
    engine.close()


def test_without_a_gpu_tensorrt_is_not_even_loaded(
    tiny_model: ModelFolder, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(cuda_driver, "LIBRARY", "libcuda-that-is-not-there.so.1")
    monkeypatch.setattr(tensorrt_engine, "load_tensorrt", lambda: pytest.fail("loaded"))
    with pytest.raises(EngineError, match="no NVIDIA driver is installed here"):
        create_engine(tiny_model, "depth", (32, 96), "tensorrt")
    cache = tmp_path / "engines.json"
    engine = create_engine(tiny_model, "depth", (32, 96), cache_file=cache)
    assert engine.name != "tensorrt"
    engine.close()


@pytest.fixture(scope="module")
def attention_model(tmp_path_factory: pytest.TempPathFactory) -> ModelFolder:
    """A small vision transformer with a metric head, without a pose network."""
    import torch

    from sfm_depth_ros.config.networks import DepthNetworkConfig
    from sfm_depth_ros.model_folder.saving import save_model
    from sfm_depth_ros.networks import depth_anything
    from sfm_depth_ros.networks.model import create_depth_network

    shape = depth_anything.DepthAnythingShape(
        depth_anything.ViTShape(24, 4, 2, (0, 1, 2, 3)), (8, 8, 8, 8), 8
    )
    torch.manual_seed(0)
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(depth_anything.SHAPES, "depth_anything_v2_small", shape)
        network = create_depth_network(DepthNetworkConfig(name="depth_anything_v2_small"))
        return save_model(
            tmp_path_factory.mktemp("attention"),
            network,
            None,
            metadata={
                "preprocessing": {"width": 84, "height": 56},
                "licence": "Apache-2.0",
                "steps": 0,
                "trained_on": [],
                "metrics": {},
            },
        )


def test_a_runtime_that_computes_attention_wrongly_is_refused(
    machine: Machine, tiny_model: ModelFolder, attention_model: ModelFolder
) -> None:
    shape = (1, 3, 56, 84)
    engine = machine.engine(attention_model, shape=shape)
    image = np.random.default_rng(0).random(shape, dtype=np.float32)
    expected = reference(attention_model, "depth", image)
    np.testing.assert_allclose(engine.infer(image), expected, rtol=1e-4)
    engine.close()
    machine.faults.attention_jumps = True
    for precision in ("fp32", "fp16"):
        with pytest.raises(EngineError, match="does not reproduce the depth network"):
            machine.engine(attention_model, precision=precision, shape=shape)
    machine.engine(tiny_model).close()  # which has no attention
