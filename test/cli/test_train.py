# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""sfm-depth train: from rendered drives to a model folder, and what bad input gets."""

from __future__ import annotations

import json
import re

import pytest

from sfm_depth_ros.cli.main import main
from sfm_depth_ros.model_folder.folder import read_model_folder

pytest.importorskip("torch")

TINY = [
    "--synthetic",
    "12",
    "--set",
    "training.width=64",
    "--set",
    "training.synthetic_heights=[32]",
    "--set",
    "training.synthetic_validation=3",
    "--set",
    "training.batch_size=2",
    "--set",
    "training.render_processes=1",
    "--set",
    "training.threads=1",
    "--set",
    "depth.width=8",
    "--set",
    "pose.width=8",
    "--set",
    "training.log_every=1",
]


def test_trains_saves_and_reports(tmp_path) -> None:
    model, report, page = (tmp_path / name for name in ("model", "report.json", "page.html"))
    files = ["--json", str(report), "--html", str(page)]
    status = main(["train", "--out", str(model), "--steps", "2", *files, *TINY])
    assert status == 0
    folder = read_model_folder(model)
    assert folder.width == 64
    assert folder.metadata["steps"] == 2
    assert folder.metadata["licence"] == "Apache-2.0"
    assert folder.metadata["trained_on"] == ["12 rendered snippets, seed 0"]
    assert folder.metadata["metrics"]["abs_rel"] > 0
    content = json.loads(report.read_text())
    assert content["model_id"] == folder.model_id
    assert content["steps"] == 2
    assert {"step_s", "data_wait_share", "peak_mib", "validations"} <= set(content)
    text = page.read_text()
    assert f"Training of model {folder.model_id}" in text
    assert "<td>training.width</td><td>64</td>" in text
    score = content["validations"][-1]["score"]
    assert f"<td>{score:.4g}</td>" in text
    assert text.count("<figcaption>predicted depth</figcaption>") == 1  # one validation
    assert not re.search(r"""(src|href)=["'](?!data:)""", text)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "nothing to learn from"),
        (["--synthetic", "4", "--set", "training.nonsense=1"], "training.nonsense"),
        (["--synthetic", "4", "--resume"], "no interrupted run"),
        (["no/such/bag"], "no/such/bag"),
    ],
)
def test_bad_input_is_one_line_and_status_1(tmp_path, capsys, arguments, message) -> None:
    assert main(["train", "--out", str(tmp_path / "model"), *arguments]) == 1
    error = capsys.readouterr().err.strip().splitlines()[-1]
    assert message in error


def test_nothing_is_overwritten(tmp_path, capsys) -> None:
    (tmp_path / "model").mkdir()
    assert main(["train", "--out", str(tmp_path / "model"), "--synthetic", "4"]) == 1
    assert "exists already" in capsys.readouterr().err
    work = tmp_path / "other.training"
    work.mkdir()
    (work / "state.safetensors").write_bytes(b"")
    assert main(["train", "--out", str(tmp_path / "other"), "--synthetic", "4"]) == 1
    assert "--resume" in capsys.readouterr().err


def test_a_teacher_sets_its_options(tmp_path) -> None:
    from sfm_depth_ros.cli.arguments import teacher_options
    from sfm_depth_ros.config.loading import load_config
    from sfm_depth_ros.config.schema import RecipeConfig

    assert teacher_options(None) == []
    recipe = load_config(RecipeConfig, None, teacher_options("models/large"))
    assert recipe.training.teacher_model == "models/large"
    assert recipe.objective.teacher_weight == pytest.approx(0.1 / 0.9, abs=1e-3)
