# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from sfm_depth_ros import __version__
from sfm_depth_ros.cli.main import main
from sfm_depth_ros.networks.model_folder import ModelFolder, point_current


def test_says_versions_engines_and_the_model_in_use(
    fresh_model: ModelFolder, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    models_dir = fresh_model.path.parent
    point_current(models_dir, fresh_model)
    report = tmp_path / "info.json"
    assert main(["info", "--models-dir", str(models_dir), "--json", str(report)]) == 0
    facts = json.loads(report.read_text())
    assert facts["package"]["sfm_depth_ros"] == __version__
    assert facts["package"]["machine"].endswith(f"{os.cpu_count()} CPUs")
    assert set(facts["engines"]) == {"openvino", "onnxruntime", "torch"}
    assert facts["model"]["id"] == fresh_model.model_id
    assert facts["model"]["width"] == 96
    assert fresh_model.model_id in capsys.readouterr().out
