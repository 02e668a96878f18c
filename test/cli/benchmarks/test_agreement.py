# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Engines are compared with torch, and a difference is seen."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from exact_drive import make_drive, write_bag

from sfm_depth_ros.cli.benchmarks import agreement
from sfm_depth_ros.cli.benchmarks.agreement import measure_agreement
from sfm_depth_ros.cli.benchmarks.report import agreement_lines
from sfm_depth_ros.engines.base import EngineRequest
from sfm_depth_ros.networks.model_folder import ModelFolder


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
    honest = agreement.ENGINES["torch"]

    def wrong(request: EngineRequest) -> object:
        engine = honest(request)
        infer = engine.infer
        engine.infer = lambda image: infer(image) * np.float32(1.01)  # type: ignore[method-assign]
        return engine

    monkeypatch.setattr(agreement, "ENGINES", {"torch": honest, "other": wrong})
    figures = measure_agreement(tiny_model, None)
    assert figures["depth"]["other fp32"]["p50"] == pytest.approx(0.01, rel=1e-2)
