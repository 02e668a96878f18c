# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest

from sfm_depth_ros import __version__
from sfm_depth_ros.cli.info import collect
from sfm_depth_ros.cli.main import main
from sfm_depth_ros.engine_table import ENGINES
from sfm_depth_ros.model_folder.folder import ModelFolder, read_model_folder
from sfm_depth_ros.model_folder.history import point_current


def test_says_versions_engines_and_the_model_in_use(
    tiny_model: ModelFolder, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    models_dir = tmp_path / "models"
    shutil.copytree(tiny_model.path, models_dir / tiny_model.path.name)
    point_current(models_dir, read_model_folder(models_dir / tiny_model.path.name))
    report = tmp_path / "info.json"
    assert main(["info", "--models-dir", str(models_dir), "--json", str(report)]) == 0
    facts = json.loads(report.read_text())
    assert facts["package"]["sfm_depth_ros"] == __version__
    assert facts["package"]["machine"].endswith(f"{os.cpu_count()} CPUs")
    assert set(facts["engines"]) == set(ENGINES)
    assert facts["model"]["id"] == tiny_model.model_id
    assert facts["model"]["width"] == 96
    assert tiny_model.model_id in capsys.readouterr().out


def test_says_the_gpu_and_the_cache_of_plans(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from engines.stand_in_cuda import StandInCuda

    from sfm_depth_ros.engines.tensorrt import cuda_driver

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(cuda_driver, "LIBRARY", "libcuda-that-is-not-there.so.1")
    facts = collect("")["tensorrt"]
    assert facts["GPU"].startswith("none: no NVIDIA driver is installed here")
    folder = tmp_path / "sfm_depth_ros" / "plans"
    folder.mkdir(parents=True)
    (folder / "0123.plan").write_bytes(bytes(2_500_000))
    library = StandInCuda("A GPU", (8, 7))
    monkeypatch.setattr(cuda_driver.ctypes, "CDLL", lambda name: library)
    facts = collect("")["tensorrt"]
    assert facts["cache of plans"] == f"2.5 MB in {folder}"
    assert facts["GPU"] == "A GPU, compute capability 8.7"
    assert facts["driver"] == "CUDA 13.0"
    assert facts["memory"] == "6.4 of 8.6 GB free"
