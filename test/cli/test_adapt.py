# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""sfm-depth adapt: from a bag to a model and its page, never a worse one, interrupted or not."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from exact_drive import make_drive, write_bag

pytest.importorskip("torch")
pytest.importorskip("rosbags")

from random_model import write_random_model

from sfm_depth_ros.cli.main import main
from sfm_depth_ros.model_folder.folder import read_model_folder
from sfm_depth_ros.training.offline import adaptation_verdict

SETTINGS = (
    "training.batch_size=2", "training.threads=1", "training.zoom=1", "training.largest_turn=0",
    "training.validation_share=0.3", "training.validate_every=2", "training.save_every=1",
    "training.average_decay=0.5", "training.warmup_steps=0", "training.learning_rate=1e-3",
)  # fmt: skip


@pytest.fixture(scope="module")
def bag(tmp_path_factory) -> Path:
    drive = make_drive(60, speed=6.0)
    return write_bag(tmp_path_factory.mktemp("bags") / "drive", drive, with_truth=False)


@pytest.fixture(scope="module")
def start(tmp_path_factory) -> Path:
    return write_random_model(tmp_path_factory.mktemp("models"))


@pytest.fixture(autouse=True)
def _cache(tmp_path_factory, monkeypatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.getbasetemp() / "cache"))


def _adapt(bag: Path, start: Path, out: Path, *more: str, steps: int = 6) -> int:
    settings = [word for setting in SETTINGS for word in ("--set", setting)]
    return main([
        "adapt", str(bag), "--out", str(out), "--init", str(start), "--steps", str(steps),
        "--rehearsal", "0", *settings, *more,
    ])  # fmt: skip


def test_a_model_in_one_command(bag, start, tmp_path, capsys) -> None:
    out, report = tmp_path / "model", tmp_path / "report.json"
    assert _adapt(bag, start, out, "--json", str(report)) == 0
    folder, content = read_model_folder(out), json.loads(report.read_text())
    assert content["model_id"] == folder.model_id
    assert content["is_better"]
    assert content["after"]["landmark_abs_rel"] < content["before"]["landmark_abs_rel"]
    assert folder.parent == read_model_folder(start).model_id == content["began_with"]
    assert folder.row_profile() is not None
    text = (tmp_path / "model.html").read_text()
    assert text.count("<figcaption>landmarks</figcaption>") == 10
    assert "Use it: the mean error of depth at landmarks" in text
    assert f"<td>{100 * content['learnt_share']:g} %</td>" in text
    assert content["learnt_share"] in [mixture["share"] for mixture in content["mixtures"]]
    assert "<h3>drive, " in text  # frames have a name and a time
    assert not re.search(r"""(src|href)=["'](?!data:)""", text)
    assert "Use it" in capsys.readouterr().out


def test_no_worse_model_is_written(bag, start, tmp_path, capsys, monkeypatch) -> None:
    """A rate that ruins the network: the model of the beginning comes back, byte for byte."""
    bad = ("--set", "training.learning_rate=0.1", "--set", "training.validate_every=100")
    out = tmp_path / "model"
    before = adaptation_verdict.verdict_of
    monkeypatch.setattr(
        adaptation_verdict,
        "verdict_of",
        lambda was, now, allowed: before(was, {**now, "score": was["score"]}, allowed),
    )
    assert _adapt(bag, start, out, *bad, steps=2) == 0
    assert read_model_folder(out).model_id == read_model_folder(start).model_id
    assert "written back unchanged" in capsys.readouterr().out


def test_the_same_command_goes_on_after_an_interruption(bag, start, tmp_path, monkeypatch) -> None:
    from sfm_depth_ros.training.offline.loop import OfflineTrainer

    whole, out = tmp_path / "whole", tmp_path / "model"
    assert _adapt(bag, start, whole) == 0
    step = OfflineTrainer._step

    def killed(trainer, batch):
        if trainer.progress.step == 3:
            raise KeyboardInterrupt
        return step(trainer, batch)

    with monkeypatch.context() as patched:
        patched.setattr(OfflineTrainer, "_step", killed)
        assert _adapt(bag, start, out) == 130
    assert not out.exists()
    assert _adapt(bag, start, out) == 0
    assert read_model_folder(out).model_id == read_model_folder(whole).model_id


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--minutes", "0"], "--minutes: expected more than 0"),
        (["--max-forgetting", "-1"], "--max-forgetting: expected 0 or more"),
        (["--teacher", "none"], "none"),
    ],
)
def test_bad_input_is_one_line(bag, start, tmp_path, capsys, more, message) -> None:
    assert _adapt(bag, start, tmp_path / "model", *more) == 1
    assert message in capsys.readouterr().err.strip().splitlines()[-1]


def test_nothing_is_overwritten(bag, start, tmp_path, capsys) -> None:
    (tmp_path / "model").mkdir()
    assert _adapt(bag, start, tmp_path / "model") == 1
    assert "exists already" in capsys.readouterr().err
