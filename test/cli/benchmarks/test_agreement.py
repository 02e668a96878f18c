# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Engines are compared with torch, and a difference is seen."""

from __future__ import annotations

from pathlib import Path

import pytest
from cli.benchmarks.wrong_engine import one_percent_off
from exact_drive import make_drive, write_bag

from sfm_depth_ros.cli.benchmarks import agreement
from sfm_depth_ros.cli.benchmarks.agreement import measure_agreement
from sfm_depth_ros.cli.benchmarks.report import agreement_lines
from sfm_depth_ros.model_folder.folder import ModelFolder


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
    torch = agreement.ENGINES["torch"]
    monkeypatch.setattr(agreement, "ENGINES", {"torch": torch, "other": torch})
    monkeypatch.setattr(agreement, "build_engine", one_percent_off("other", "torch"))
    figures = measure_agreement(tiny_model, None)
    assert figures["depth"]["other fp32"]["p50"] == pytest.approx(0.01, rel=1e-2)
