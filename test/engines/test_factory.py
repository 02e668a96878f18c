# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Choice of the engine: checked, fastest, remembered, logged."""

from __future__ import annotations

import json
import logging
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from sfm_depth_ros.engine_table import ENGINES
from sfm_depth_ros.engines import building, choice, factory
from sfm_depth_ros.engines.base import Engine, EngineRequest
from sfm_depth_ros.engines.building import available_engines
from sfm_depth_ros.engines.choice import Candidate, run_times_ms
from sfm_depth_ros.engines.factory import create_engine
from sfm_depth_ros.engines.verification import RelativeError, measure_error, verify_engine
from sfm_depth_ros.errors import BadImageError, EngineError, MissingDependencyError
from sfm_depth_ros.model_folder.folder import ModelFolder


class FakeEngine(Engine):
    """Output of the check frames, times ``factor``."""

    def __init__(self, name: str, request: EngineRequest, factor: float = 1.0) -> None:
        self.name = name
        self.precision = request.precision
        self.input_shape = request.input_shape
        self.is_open = True
        self._frames = request.folder.check_frames()
        self._factor = factor
        self.failure: EngineError | None = None

    def infer(self, image: np.ndarray) -> np.ndarray:
        if self.failure is not None:
            raise self.failure
        for frame, depth in zip(self._frames.image, self._frames.depth, strict=True):
            if np.array_equal(frame[None], image):
                return depth[None] * np.float32(self._factor)
        return np.ones((1, 1, *self.input_shape[2:]), np.float32)

    def close(self) -> None:
        self.is_open = False


class PlannedEngine(FakeEngine):
    """Has compared itself; takes no bytes."""

    def __init__(self, request: EngineRequest) -> None:
        super().__init__("tensorrt", request)
        self.error = RelativeError(0.0, 0.0, 0.0)

    def take_bytes(self) -> None:
        raise EngineError("this GPU takes no bytes")


class Bench:
    """Replaces the real engines and the stopwatch."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.built: list[FakeEngine] = []
        self.factors: dict[str, float] = {}
        self.latencies = {"openvino": 3.0, "onnxruntime": 2.0, "torch": 1.0}
        self.reduced_ms: dict[str, float] = {}
        self.measured: list[str] = []
        self.absent: set[str] = set()
        self.classes = {name: self._builder(name) for name in ENGINES}
        self.classes["tensorrt"] = self._no_gpu
        monkeypatch.setattr(building, "engine_class", self.classes.__getitem__)
        monkeypatch.setattr(choice, "quickest_ms", self._measure)

    def _builder(self, name: str) -> object:
        def build(request: EngineRequest) -> FakeEngine:
            if name in self.absent:
                raise MissingDependencyError(f"type: pip install {name}")
            factor = self.factors.get(f"{name} {request.precision}", self.factors.get(name, 1.0))
            self.built.append(FakeEngine(name, request, factor))
            return self.built[-1]

        return build

    def _no_gpu(self, request: EngineRequest, progress: object = None) -> FakeEngine:
        raise EngineError("no NVIDIA driver is installed here")

    def _measure(self, engines: dict[Candidate, FakeEngine]) -> dict[str, float]:
        self.measured += map(str, engines)
        return {
            str(one): self.reduced_ms.get(str(one), self.latencies[one.name]) for one in engines
        }

    def open_engines(self) -> list[FakeEngine]:
        return [engine for engine in self.built if engine.is_open]


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
    assert bench.measured == ["openvino fp32", "onnxruntime fp32"], "torch is the last resort"
    assert [engine.name for engine in bench.open_engines()] == ["onnxruntime"]
    (line,) = [record.getMessage() for record in caplog.records]
    for part in (
        "onnxruntime fp32 chosen (2.0 ms; relative error p50 0.0e+00, p99 0.0e+00)",
        "1x3x64x96",
        "openvino fp32 (3.0 ms)",
        "tensorrt (",
        "torch (not tried",
    ):
        assert part in line


def test_the_measurement_is_remembered(
    bench: Bench, tiny_model: ModelFolder, tmp_path: Path
) -> None:
    cache = tmp_path / "deep" / "c.json"
    for _ in range(2):
        create_engine(tiny_model, "depth", (64, 96), cache_file=cache)
    assert bench.measured == ["openvino fp32", "onnxruntime fp32"]
    create_engine(tiny_model, "depth", (32, 96), cache_file=cache)
    create_engine(tiny_model, "depth", (64, 96), threads=2, cache_file=cache)
    assert len(bench.measured) == 6, "another shape or thread count is measured by itself"
    assert len(json.loads(cache.read_text())) == 3
    assert [path.name for path in cache.parent.iterdir()] == ["c.json"]


@pytest.mark.parametrize("content", ["{", "[]", '"x"', b"\xff\xfe"])
def test_a_damaged_cache_is_ignored(
    bench: Bench,
    tiny_model: ModelFolder,
    tmp_path: Path,
    content: str | bytes,
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
    for odd in ({"unheard_of": 0.1}, {"openvino fp32": "fast"}, [1], {}):
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
    with pytest.raises(EngineError, match="onnxruntime at fp32 does not reproduce"):
        create_engine(tiny_model, "depth", (64, 96), "onnxruntime")


def test_torch_serves_where_nothing_else_does(
    bench: Bench, tiny_model: ModelFolder, tmp_path: Path
) -> None:
    bench.absent = {"openvino", "onnxruntime"}
    engine = create_engine(tiny_model, "depth", (64, 96), cache_file=tmp_path / "c")
    assert engine.name == "torch"
    assert bench.measured == [], "with one engine there is nothing to measure"
    bench.absent.add("torch")
    with pytest.raises(EngineError, match=r"serves.*openvino fp32: type: pip.*torch fp32: type"):
        create_engine(tiny_model, "depth", (64, 96), cache_file=tmp_path / "c")


def test_a_named_engine_never_falls_back(bench: Bench, tiny_model: ModelFolder) -> None:
    bench.absent = {"openvino"}
    with pytest.raises(EngineError, match="pip install openvino"):
        create_engine(tiny_model, "depth", (64, 96), "openvino")
    with pytest.raises(EngineError, match=r"expected auto, tensorrt, .*, torch, got 'x'"):
        create_engine(tiny_model, "depth", (64, 96), "x")


def test_a_reduced_precision_is_taken_where_it_is_worth_it(
    bench: Bench, tiny_model: ModelFolder, tmp_path: Path
) -> None:
    bench.reduced_ms = {"openvino bf16": 1.0}
    bench.factors = {"openvino bf16": 1.01}
    files = iter(tmp_path / f"{number}.json" for number in range(9))

    def precision_of(**options: object) -> tuple[str, str]:
        engine = create_engine(
            tiny_model, "depth", (64, 96), precision="auto", cache_file=next(files), **options
        )  # type: ignore[arg-type]
        return engine.name, engine.precision

    assert precision_of() == ("openvino", "bf16")
    assert precision_of(name="openvino") == ("openvino", "bf16")
    assert precision_of(name="onnxruntime") == ("onnxruntime", "fp32")
    bench.reduced_ms = {"openvino bf16": 1.9}  # saves less than a tenth of 2.0 ms
    assert precision_of() == ("onnxruntime", "fp32")
    bench.reduced_ms = {"openvino bf16": 0.1}
    bench.factors = {"openvino bf16": 1.03}
    assert precision_of() == ("onnxruntime", "fp32"), "an error of 3 % is too much"


def test_what_one_model_does_not_pass_the_next_one_may(
    bench: Bench, tiny_model: ModelFolder, tmp_path: Path
) -> None:
    bench.reduced_ms = {"openvino bf16": 1.0}
    chosen = []
    for factor in (1.03, 1.0, 1.03):
        bench.factors = {"openvino bf16": factor}
        engine = create_engine(
            tiny_model, "depth", (64, 96), precision="auto", cache_file=tmp_path / "c.json"
        )
        chosen.append(engine.precision)
        assert [one.name for one in bench.open_engines()] == [engine.name]
        engine.close()
    assert chosen == ["fp32", "bf16", "fp32"]
    assert len(bench.measured) == len(set(bench.measured)), "measured once"


def test_a_named_precision_is_never_changed(
    bench: Bench, tiny_model: ModelFolder, tmp_path: Path
) -> None:
    bench.factors = {"openvino bf16": 1.03, "onnxruntime bf16": 1.03, "torch bf16": 1.03}
    with pytest.raises(EngineError, match=r"no engine serves.*does not reproduce"):
        create_engine(
            tiny_model, "depth", (64, 96), precision="bf16", cache_file=tmp_path / "c.json"
        )
    bench.factors = {}
    engine = create_engine(
        tiny_model, "depth", (64, 96), precision="bf16", cache_file=tmp_path / "c.json"
    )
    assert engine.precision == "bf16"


def test_int8_is_tried_only_where_it_was_calibrated(
    bench: Bench, tiny_model: ModelFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.reduced_ms = {"onnxruntime int8": 0.5}
    first = create_engine(
        tiny_model, "depth", (64, 96), precision="auto", cache_file=tmp_path / "c.json"
    )
    assert first.precision == "fp32"
    monkeypatch.setattr(factory, "find_calibration", lambda folder, network: object())
    second = create_engine(
        tiny_model, "depth", (64, 96), precision="auto", cache_file=tmp_path / "c.json"
    )
    assert (second.name, second.precision) == ("onnxruntime", "int8"), "measured anew"


def test_an_engine_that_fails_while_it_runs_is_replaced_by_the_next(
    bench: Bench, tiny_model: ModelFolder, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    engine = create_engine(tiny_model, "depth", (64, 96), cache_file=tmp_path / "c.json")
    image = np.zeros(engine.input_shape, np.float32)
    output = engine.infer(image)
    for failing, following in (("onnxruntime", "openvino"), ("openvino", "torch")):
        (serving,) = bench.open_engines()
        serving.failure = EngineError("out of memory; use a smaller image")
        np.testing.assert_array_equal(engine.infer(image), output)
        assert engine.name == following
        assert [one.name for one in bench.open_engines()] == [following]
        assert f"{failing} fp32 failed (out of memory" in engine.remark
        assert f"{following} fp32 serves" in caplog.text
    bench.open_engines()[0].failure = EngineError("nothing is left")
    with pytest.raises(EngineError, match="nothing is left"):
        engine.infer(image)
    engine.close()
    with pytest.raises(EngineError, match="torch was closed"):
        engine.infer(image)


def test_a_bad_image_is_no_reason_to_change_the_engine(
    bench: Bench, tiny_model: ModelFolder, tmp_path: Path
) -> None:
    engine = create_engine(tiny_model, "depth", (64, 96), cache_file=tmp_path / "c.json")
    (serving,) = bench.open_engines()
    serving.failure = BadImageError("the image holds NaN")
    with pytest.raises(BadImageError):
        engine.infer(np.zeros(engine.input_shape, np.float32))
    assert engine.name == "onnxruntime"
    assert engine.remark == ""


def test_a_named_engine_that_fails_while_it_runs_says_so(
    bench: Bench, tiny_model: ModelFolder
) -> None:
    engine = create_engine(tiny_model, "depth", (64, 96), "openvino")
    bench.open_engines()[0].failure = EngineError("out of memory")
    with pytest.raises(EngineError, match="out of memory"):
        engine.infer(np.zeros(engine.input_shape, np.float32))


def test_the_next_best_serves_until_tensorrt_has_built_its_plan(
    bench: Bench, tiny_model: ModelFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    go = threading.Event()

    def build(request: EngineRequest, progress: object = None) -> FakeEngine:
        assert go.wait(10)
        if request.precision == "fp16":
            raise EngineError("this GPU has no fp16")
        bench.built.append(PlannedEngine(request))
        return bench.built[-1]

    bench.classes["tensorrt"] = build
    monkeypatch.setattr(factory, "PLAN_PATIENCE_S", 0.05)
    engine = create_engine(
        tiny_model, "depth", (64, 96), precision="auto", cache_file=tmp_path / "c.json"
    )
    image = np.zeros(engine.input_shape, np.float32)
    assert engine.infer(image) is not None
    assert engine.name == "onnxruntime"
    go.set()
    end = time.monotonic() + 10
    while engine.name != "tensorrt":
        assert time.monotonic() < end
        engine.infer(image)
        time.sleep(0.01)
    assert engine.precision == "fp32"
    assert [one.name for one in bench.open_engines()] == ["tensorrt"]
    bench.open_engines()[0].failure = EngineError("GPU out of memory")
    engine.infer(image)
    assert engine.name == "openvino"


@pytest.mark.parametrize(
    ("network", "size"), [("flow", (64, 96)), ("depth", (64, 97)), ("depth", (0, 96))]
)
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
    assert 0.0 < max(run_times_ms(engine)) < 1000.0
    (latencies,) = json.loads((tmp_path / "c.json").read_text()).values()
    assert set(latencies) == {"openvino fp32", "onnxruntime fp32"}


def test_available_engines_have_versions() -> None:
    found = available_engines()
    assert list(found) == ["tensorrt", "openvino", "onnxruntime", "torch"]
    assert all(found[name][0].isdigit() for name in ("openvino", "onnxruntime", "torch"))
