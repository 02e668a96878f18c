# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from sfm_depth_ros.cli.main import main
from sfm_depth_ros.networks.model_folder import ModelFolder


def test_onnx_graphs_are_the_models_own(fresh_model: ModelFolder, tmp_path: Path) -> None:
    assert main(["export", str(fresh_model.path), "--out", str(tmp_path)]) == 0
    for network in ("depth", "pose"):
        exported = (tmp_path / f"{network}.onnx").read_bytes()
        assert exported == fresh_model.onnx(network).read_bytes()


def test_openvino_graph_answers_as_the_check_frames_say(
    fresh_model: ModelFolder, tmp_path: Path
) -> None:
    openvino = pytest.importorskip("openvino")
    assert main(["export", str(fresh_model.path), "--engine", "openvino",
                 "--out", str(tmp_path)]) == 0
    frames = fresh_model.check_frames()
    hint = {"INFERENCE_PRECISION_HINT": "f32"}
    compiled = openvino.Core().compile_model(tmp_path / "depth.xml", "CPU", hint)
    found = compiled({0: frames.image[:1]})[0]
    np.testing.assert_allclose(found, frames.depth[:1], rtol=1e-3)


def test_no_model_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["export", str(tmp_path), "--out", str(tmp_path / "out")]) == 1
    assert "is not a model folder" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
