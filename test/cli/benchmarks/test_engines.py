# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json
from pathlib import Path

import pytest
from cli.benchmarks.wrong_engine import one_percent_off
from exact_drive import make_drive, write_bag

from sfm_depth_ros.cli.benchmarks import engines
from sfm_depth_ros.cli.benchmarks.engines import measure_agreement
from sfm_depth_ros.cli.benchmarks.report import agreement_lines
from sfm_depth_ros.cli.main import main
from sfm_depth_ros.model_folder.folder import ModelFolder


def test_bench_writes_engines_side_by_side(
    tiny_model: ModelFolder, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    report = tmp_path / "bench.json"
    arguments = ["--only", "engines", "--size", "96x64", "--json", str(report)]
    assert main(["bench", str(tiny_model.path), *arguments]) == 0
    engines = json.loads(report.read_text())["engines"]
    for name in ("openvino", "onnxruntime", "torch"):
        row = engines[name]
        assert row["precision"] == "fp32"
        assert row["frames_per_s"] == pytest.approx(1e3 / row["latency_ms_p50"])
        assert row["relative_error"]["p99"] < 1e-3
        assert row["latency_ms_min"] <= row["latency_ms_p50"] <= row["latency_ms_p99"]
    ratio = engines["eager"]["latency_ms_p50"] / engines["auto"]["latency_ms_p50"]
    assert engines["auto"]["speedup"] == pytest.approx(ratio)
    assert engines["auto"]["engine"] in ("openvino", "onnxruntime", "torch")
    assert "images/s" in capsys.readouterr().out


def test_an_engine_that_is_absent_says_so(
    tiny_model: ModelFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    from sfm_depth_ros.cli.benchmarks import engines
    from sfm_depth_ros.engines import building
    from sfm_depth_ros.errors import EngineError

    def absent(*_: object) -> None:
        raise EngineError("not here; install it")

    monkeypatch.setattr(engines, "ENGINES", {"onnxruntime": engines.ENGINES["onnxruntime"]})
    monkeypatch.setattr(building, "engine_class", lambda name: absent)
    figures = engines.measure_engines(tiny_model, (64, 96), 1)
    assert figures == {"onnxruntime": {"unavailable": "not here; install it"}}


def test_explicit_fp32_agrees_on_frames_of_a_bag(tiny_model: ModelFolder, tmp_path: Path) -> None:
    bag = write_bag(tmp_path / "drive", make_drive(6))
    figures = measure_agreement(tiny_model, bag, width=128)
    assert figures["frames"] == 5
    for network in ("depth", "pose"):
        assert figures[network]["torch fp32"] == {"p50": 0.0, "p99": 0.0, "max": 0.0}
        for engine in ("openvino", "onnxruntime"):
            assert 0 < figures[network][f"{engine} fp32"]["max"] < 1e-3
        assert "no fp16" in figures[network]["openvino fp16"]["unavailable"]
    assert any("onnxruntime fp32" in line for line in agreement_lines(figures))


def test_an_engine_that_is_wrong_is_seen(
    tiny_model: ModelFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch = engines.ENGINES["torch"]
    monkeypatch.setattr(engines, "ENGINES", {"torch": torch, "other": torch})
    monkeypatch.setattr(engines, "build_engine", one_percent_off("other", "torch"))
    figures = measure_agreement(tiny_model, None)
    assert figures["depth"]["other fp32"]["p50"] == pytest.approx(0.01, rel=1e-2)
