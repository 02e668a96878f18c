# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The choice of the engine: checked, fastest, remembered, never silent."""

from __future__ import annotations

import json
import logging
from pathlib import Path

import numpy as np
import pytest

from sfm_depth_ros.engines import factory
from sfm_depth_ros.engines.base import EngineRequest
from sfm_depth_ros.engines.factory import available_engines, create_engine, measure_latency
from sfm_depth_ros.engines.verification import RelativeError, measure_error, verify_engine
from sfm_depth_ros.errors import EngineError, MissingDependencyError
from sfm_depth_ros.networks.model_folder import ModelFolder


class FakeEngine:
    """Answers the check frames' truth, times ``factor``, after counting how often it was built."""

    def __init__(self, name: str, request: EngineRequest, factor: float = 1.0) -> None:
        self.name = name
        self.precision = "fp32"
        self.input_shape = request.input_shape
        self.is_open = True
        self._frames = request.folder.check_frames()
        self._factor = factor

    def infer(self, image: np.ndarray) -> np.ndarray:
        for frame, depth in zip(self._frames.image, self._frames.depth, strict=True):
            if np.array_equal(frame[None], image):
                return depth[None] * np.float32(self._factor)
        return np.ones((1, 1, *self.input_shape[2:]), np.float32)

    def close(self) -> None:
        self.is_open = False


class Bench:
    """Replaces the real engines and the stopwatch."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.built: list[FakeEngine] = []
        self.factors: dict[str, float] = {}
        self.latencies = {"openvino": 3.0, "onnxruntime": 2.0, "torch": 1.0}
        self.measured: list[str] = []
        self.absent: set[str] = set()
        monkeypatch.setattr(factory, "ENGINES", {name: self._builder(name)
                                                 for name in self.latencies})
        monkeypatch.setattr(factory, "run_times_ms", self._measure)

    def _builder(self, name: str) -> object:
        def build(request: EngineRequest) -> FakeEngine:
            if name in self.absent:
                raise MissingDependencyError(f"type: pip install 'sfm_depth_ros[{name}]'")
            self.built.append(FakeEngine(name, request, self.factors.get(name, 1.0)))
            return self.built[-1]
        return build

    def _measure(self, engine: FakeEngine) -> list[float]:
        self.measured.append(engine.name)
        disturbed = 100.0 / self.latencies[engine.name]
        return [disturbed, self.latencies[engine.name], disturbed]


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch) -> Bench:
    return Bench(monkeypatch)


def test_auto_takes_the_fastest_and_says_why(
    bench: Bench, tiny_model: ModelFolder, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO):
        engine = create_engine(tiny_model, "depth", (64, 96), cache_file=tmp_path / "c.json")
    assert engine.name == "onnxruntime"
    assert engine.input_shape == (1, 3, 64, 96)
    assert bench.measured == ["openvino", "onnxruntime"], "torch is the last resort"
    assert [open_.name for open_ in bench.built if open_.is_open] == ["onnxruntime"]
    (line,) = [record.getMessage() for record in caplog.records]
    for part in ("onnxruntime chosen (2.0 ms)", "fp32", "1x3x64x96", "openvino (3.0 ms)",
                 "torch (not tried"):
        assert part in line


def test_the_measurement_is_remembered(
    bench: Bench, tiny_model: ModelFolder, tmp_path: Path
) -> None:
    cache = tmp_path / "deep" / "c.json"
    for _ in range(2):
        create_engine(tiny_model, "depth", (64, 96), cache_file=cache)
    assert bench.measured == ["openvino", "onnxruntime"]
    create_engine(tiny_model, "depth", (32, 96), cache_file=cache)
    create_engine(tiny_model, "depth", (64, 96), threads=2, cache_file=cache)
    assert len(bench.measured) == 6, "another shape or thread count is measured by itself"
    assert len(json.loads(cache.read_text())) == 3
    assert [path.name for path in cache.parent.iterdir()] == ["c.json"]


@pytest.mark.parametrize("content", ["{", "[]", '"x"', b"\xff\xfe"])
def test_a_damaged_cache_is_ignored(
    bench: Bench, tiny_model: ModelFolder, tmp_path: Path, content: str | bytes,
    caplog: pytest.LogCaptureFixture,
) -> None:
    cache = tmp_path / "c.json"
    cache.write_bytes(content if isinstance(content, bytes) else content.encode())
    engine = create_engine(tiny_model, "depth", (64, 96), cache_file=cache)
    assert engine.name == "onnxruntime"
    assert "is ignored" in caplog.text
    assert len(json.loads(cache.read_text())) == 1


def test_odd_entries_of_the_cache_are_measured_again(
    bench: Bench, tiny_model: ModelFolder, tmp_path: Path
) -> None:
    cache = tmp_path / "c.json"
    create_engine(tiny_model, "depth", (64, 96), cache_file=cache)
    (key,) = json.loads(cache.read_text())
    for odd in ({"unheard_of": 0.1}, {"openvino": "fast"}, [1], {}):
        cache.write_text(json.dumps({key: odd}))
        engine = create_engine(tiny_model, "depth", (64, 96), cache_file=cache)
        assert engine.name == "onnxruntime"


def test_a_wrong_engine_is_never_chosen(
    bench: Bench, tiny_model: ModelFolder, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    cache = tmp_path / "c.json"
    create_engine(tiny_model, "depth", (64, 96), cache_file=cache)
    bench.factors["onnxruntime"] = 1.01
    with caplog.at_level(logging.INFO):
        engine = create_engine(tiny_model, "depth", (64, 96), cache_file=cache)
    assert engine.name == "openvino"
    assert "relative error p99 1.0e-02, allowed 1e-03" in caplog.text
    with pytest.raises(EngineError, match="onnxruntime at fp32 answers something else"):
        create_engine(tiny_model, "depth", (64, 96), "onnxruntime")


def test_torch_serves_where_nothing_else_does(
    bench: Bench, tiny_model: ModelFolder, tmp_path: Path
) -> None:
    bench.absent = {"openvino", "onnxruntime"}
    engine = create_engine(tiny_model, "depth", (64, 96), cache_file=tmp_path / "c")
    assert engine.name == "torch"
    assert bench.measured == [], "with one engine there is nothing to measure"
    bench.absent.add("torch")
    with pytest.raises(EngineError, match=r"no engine serves.*openvino: type: pip.*torch: type"):
        create_engine(tiny_model, "depth", (64, 96), cache_file=tmp_path / "c")


def test_a_named_engine_never_falls_back(bench: Bench, tiny_model: ModelFolder) -> None:
    bench.absent = {"openvino"}
    with pytest.raises(EngineError, match=r"pip install 'sfm_depth_ros\[openvino\]'"):
        create_engine(tiny_model, "depth", (64, 96), "openvino")
    with pytest.raises(EngineError, match="expected auto, openvino, onnxruntime, torch, got 'x'"):
        create_engine(tiny_model, "depth", (64, 96), "x")


@pytest.mark.parametrize(("network", "size"), [("flow", (64, 96)), ("depth", (64, 97)),
                                               ("depth", (0, 96))])
def test_programmers_mistakes(
    tiny_model: ModelFolder, network: str, size: tuple[int, int]
) -> None:
    with pytest.raises(ValueError, match="multiples of 32"):
        create_engine(tiny_model, network, size)


def test_relative_error_by_hand(tiny_model: ModelFolder) -> None:
    engine = FakeEngine("fake", EngineRequest(tiny_model, "depth", (1, 3, 32, 96)), factor=1.0005)
    error = measure_error(engine, tiny_model, "depth")
    assert error.p50 == pytest.approx(5e-4, rel=1e-2)
    assert error.max == pytest.approx(5e-4, rel=1e-2)
    assert isinstance(verify_engine(engine, tiny_model, "depth"), RelativeError)


def test_real_engines_with_auto(tiny_model: ModelFolder, tmp_path: Path) -> None:
    engine = create_engine(tiny_model, "pose", (64, 96), cache_file=tmp_path / "c.json")
    assert engine.name in ("openvino", "onnxruntime")
    assert 0.0 < measure_latency(engine) < 1000.0
    (latencies,) = json.loads((tmp_path / "c.json").read_text()).values()
    assert set(latencies) == {"openvino", "onnxruntime"}


def test_available_engines_have_versions() -> None:
    found = available_engines()
    assert list(found) == ["openvino", "onnxruntime", "torch"]
    assert all(version[0].isdigit() for version in found.values())
