# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The package without its ROS room: every offline command works in a copy without ros/."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from sfm_depth_ros.share import SHIPPED_MODEL

pytest.importorskip("torch")
pytest.importorskip("rosbags")

# An editable installation would find the deleted room where the package is developed.
NO_EDITABLE = """
import sys
sys.meta_path = [finder for finder in sys.meta_path if "editable" not in repr(finder).lower()]
"""
TINY_RUN = [
    "training.width=96",
    "training.batch_size=2",
    "training.threads=1",
    "depth.width=8",
    "pose.width=8",
]


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory, source_tree: Path) -> Path:
    """A copy of the package from which ros/ is deleted."""
    root = tmp_path_factory.mktemp("without_ros")
    ignored = shutil.ignore_patterns("__pycache__")
    for folder in ("sfm_depth_ros", "config", "models"):
        shutil.copytree(source_tree / folder, root / folder, ignore=ignored)
    assert (root / "sfm_depth_ros" / "ros" / "depth_node.py").is_file()
    shutil.rmtree(root / "sfm_depth_ros" / "ros")
    (root / "sitecustomize.py").write_text(NO_EDITABLE)
    return root


def _run(tree: Path, *arguments: object) -> str:
    """Output of a command of the copy, which must succeed."""
    environment = {**os.environ, "PYTHONPATH": str(tree), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "sfm_depth_ros.cli.main", *map(str, arguments)]
    ended = subprocess.run(
        command, cwd=tree, env=environment, capture_output=True, text=True, check=False
    )
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


@pytest.fixture(scope="module")
def bag(tree: Path) -> Path:
    """A rendered drive, written by the copy."""
    out = tree / "drive"
    _run(tree, "synth", out, "--seconds", 3, "--size", "96x32", "--rate", 5)
    return out


def test_ros_is_gone(tree: Path) -> None:
    code = "import sys, sfm_depth_ros; print(sfm_depth_ros.__file__); import sfm_depth_ros.ros"
    environment = {**os.environ, "PYTHONPATH": str(tree)}
    ended = subprocess.run(
        [sys.executable, "-c", code], cwd=tree, env=environment, capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    assert ended.stdout.startswith(str(tree))
    assert "No module named 'sfm_depth_ros.ros'" in ended.stderr


def test_info_names_the_shipped_model(tree: Path) -> None:
    assert str(tree / SHIPPED_MODEL) in _run(tree, "info", "--models-dir", tree / "none")


def test_train_reads_a_recipe_and_writes_a_model(tree: Path, bag: Path) -> None:
    settings = [word for option in TINY_RUN for word in ("--set", option)]
    out = tree / "trained"
    recipe = ("--config", "monodepth2", "--set", "depth.name=small", "--set", "pose.name=small")
    _run(tree, "train", bag, "--out", out, "--steps", 2, *recipe, *settings)
    assert json.loads((out / "model.json").read_text())["steps"] == 2


def test_eval_reports_errors(tree: Path, bag: Path, tiny_model) -> None:
    report = tree / "report.json"
    _run(tree, "eval", tiny_model.path, bag, "--json", report, "--engine", "torch")
    assert report.is_file()


def test_infer_writes_depth(tree: Path, tiny_model) -> None:
    import cv2
    import numpy as np

    picture = np.random.default_rng(0).integers(0, 255, (32, 96, 3), dtype=np.uint8)
    assert cv2.imwrite(str(tree / "picture.png"), picture)
    _run(
        tree, "infer", tiny_model.path, tree / "picture.png", "--hfov", 80,
        "--out", tree / "depth", "--engine", "torch",
    )  # fmt: skip
    assert np.load(tree / "depth" / "picture_depth.npy").shape == (32, 96)


def test_export_writes_both_graphs(tree: Path, tiny_model) -> None:
    pytest.importorskip("onnx")
    _run(tree, "export", tiny_model.path, "--engine", "onnx", "--out", tree / "export")
    assert len(list((tree / "export").glob("*.onnx"))) == 2


def test_doctor_looks_at_the_machine(tree: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": str(tree)}
    ended = subprocess.run(
        [sys.executable, "-m", "sfm_depth_ros.cli.main", "doctor"],
        cwd=tree, env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert "engines" in ended.stdout and not ended.stderr
