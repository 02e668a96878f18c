# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""eval, replay and infer by their command lines, with engines that know the answer."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from exact_drive import CAMERA, Drive, create_oracle_engine, make_drive, oracle, write_bag

from sfm_depth_ros.bags.reader import BagReader
from sfm_depth_ros.cli.arguments import named_model
from sfm_depth_ros.cli.main import main
from sfm_depth_ros.estimation import depth_estimator
from sfm_depth_ros.model_folder import folder as model_folder
from sfm_depth_ros.model_folder import history
from sfm_depth_ros.share import SHIPPED_MODEL, find_share


@pytest.fixture(scope="module")
def drive() -> Drive:
    return make_drive(40, speed=8.0)


@pytest.fixture(autouse=True)
def _know_the_answer(monkeypatch: pytest.MonkeyPatch, drive: Drive) -> None:
    """Every model folder is read as the oracle, and every engine is its."""
    real: Callable[..., Any] = depth_estimator.prepare_model

    def prepare(folder: Any, camera: Any, config: Any, create_engine: Any) -> Any:
        return real(folder, camera, config, create_oracle_engine)

    monkeypatch.setattr(depth_estimator, "prepare_model", prepare)
    monkeypatch.setattr(model_folder, "read_model_folder", lambda path: oracle(drive, 1.1))


@pytest.fixture(scope="module")
def bag(tmp_path_factory: pytest.TempPathFactory, drive: Drive) -> Path:
    return write_bag(tmp_path_factory.mktemp("bags") / "drive", drive)


@pytest.mark.parametrize("name", ["shipped", "current"])
def test_models_are_known_by_name(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, drive: Drive
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    read: list[Path] = []
    monkeypatch.setattr(
        history, "read_model_folder", lambda path: read.append(path) or oracle(drive, 1.0)
    )
    models = tmp_path / ".ros/sfm_depth_ros/models"
    if name == "current":
        assert main(["export", name, "--out", str(tmp_path / "out")]) == 1  # none accepted yet
        models.mkdir(parents=True)
        (models / "current").symlink_to(models / "newest")
    named_model(name)
    assert read == [find_share(SHIPPED_MODEL) if name == "shipped" else models / "current"]


def test_eval_prints_and_writes(
    bag: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    report, paths = tmp_path / "report.json", tmp_path / "paths"
    words = ["eval", "model", str(bag), "--json", str(report), "--trajectories", str(paths)]
    assert main(words) == 0
    content = json.loads(report.read_text(encoding="utf-8"))
    assert content["depth"]["abs_rel"] == pytest.approx(0.1, abs=2e-3)
    assert content["depth_scale_ratio"]["median"] == pytest.approx(1.1, rel=1e-3)
    assert content["ego_motion"]["segments"] >= 1
    shown = capsys.readouterr().out
    assert "0.100" in shown
    assert "1.100 (" in shown
    assert (paths / "drive_0_predicted.tum").read_text(encoding="utf-8").count("\n") == 40
    assert (paths / "drive_0_truth.tum").is_file()


def test_eval_by_another_protocol_with_a_page(
    bag: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    report, page = tmp_path / "report.json", tmp_path / "page.html"
    words = ["eval", "model", f"{bag}@0-0.5", "--json", str(report), "--html", str(page)]
    choices = ["--garg-crop", "--min-depth", "2", "--max-depth", "50", "--resize", "depth",
               "--flip"]  # fmt: skip
    assert main([*words, *choices]) == 0
    content = json.loads(report.read_text(encoding="utf-8"))
    assert content["protocol"] == {
        "min_depth": 2.0, "max_depth": 50.0, "crop": "garg", "resize": "depth", "flip": True
    }  # fmt: skip
    assert content["frames"] == 5
    assert "Garg crop, depth resized" in capsys.readouterr().out
    assert "predicted depth" in page.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["--min-depth", "9", "--max-depth", "3"], "got min_depth 9 and max_depth 3"),
        (["--html", "page.html"], "matplotlib is needed here"),
        (["--html", "page", "--json", "./page"], "expected two files, got page for both"),
    ],
)
def test_eval_says_at_once_what_it_cannot_do(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    words: list[str],
    complaint: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    assert main(["eval", "model", str(tmp_path / "none"), *words]) == 1
    shown = capsys.readouterr().err
    assert shown.count("\n") == 1
    assert complaint in shown


def test_eval_of_nothing_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["eval", "model", str(tmp_path / "none")]) == 1
    shown = capsys.readouterr().err
    assert shown.count("\n") == 1
    assert "does not exist: give the folder of a bag" in shown


def test_replay_writes_a_bag(
    bag: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    words = ["replay", "model", str(bag), "--out", str(out), "--depth-encoding", "16UC1"]
    assert main(words) == 0
    assert "40 depth images of 40 images, 39 motions" in capsys.readouterr().out
    with BagReader(out) as reader:
        assert reader.message_count("/depth/image_rect") == 40
        assert next(reader.raw_messages("/depth/image_rect")).message.encoding == "16UC1"
    assert main(words) == 1
    assert "exists already" in capsys.readouterr().err


@pytest.mark.parametrize("command", ["eval", "replay", "infer"])
def test_a_model_wider_than_the_camera_runs_at_the_cameras_width(
    command: str, bag: Path, tmp_path: Path, drive: Drive, monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    wide = replace(oracle(drive, 1.1), width=CAMERA.width + 96)
    monkeypatch.setattr(model_folder, "read_model_folder", lambda path: wide)
    image, out = tmp_path / "street.png", tmp_path / "out"
    cv2.imwrite(str(image), drive.frames[0].image)
    words = {
        "eval": [str(bag), "--json", str(out)],
        "replay": [str(bag), "--out", str(out)],
        "infer": [str(image), "--hfov", "80", "--out", str(out)],
    }[command]
    with caplog.at_level("INFO"):
        assert main([command, "model", *words]) == 0
    told = f"{CAMERA.width} columns wide instead of the model's {CAMERA.width + 96}"
    assert caplog.text.count(told) == 1
    if command == "eval":
        depth = json.loads(out.read_text())["depth"]
        assert depth["abs_rel"] == pytest.approx(0.1, abs=2e-3)
    assert main([command, "model", *words, "--input-width", str(CAMERA.width + 96)]) == 1
    assert "lower input_width" in capsys.readouterr().err


def test_infer_follows_the_orientation_of_a_photograph(tmp_path: Path, drive: Drive) -> None:
    """EXIF 6: the pixels lie on their side; with a calibration they stay as they are."""
    sideways = np.rot90(drive.frames[0].image[..., ::-1])
    jpeg = cv2.imencode(".jpg", np.ascontiguousarray(sideways))[1].tobytes()
    exif = b"Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0"
    header = b"\xff\xe1" + (len(exif) + 2).to_bytes(2, "big") + exif
    image, out = tmp_path / "photo.jpg", tmp_path / "out"
    image.write_bytes(jpeg[:2] + header + jpeg[2:])
    assert main(["infer", "model", str(image), "--hfov", "80", "--out", str(out)]) == 0
    assert np.load(out / "photo_depth.npy").shape == (CAMERA.height, CAMERA.width)


def test_infer_writes_three_files(tmp_path: Path, drive: Drive) -> None:
    image = tmp_path / "street.png"
    cv2.imwrite(str(image), drive.frames[0].image)
    out = tmp_path / "out"
    assert main(["infer", "model", str(image), "--hfov", "80", "--out", str(out)]) == 0
    depth = np.load(out / "street_depth.npy")
    near = drive.depths[0] < 60
    np.testing.assert_allclose(depth[near], 1.1 * drive.depths[0][near], rtol=1e-4)
    millimetres = cv2.imread(str(out / "street_depth.png"), cv2.IMREAD_UNCHANGED)
    assert millimetres.dtype == np.uint16
    np.testing.assert_allclose(millimetres[near], 1000 * depth[near], rtol=1e-3, atol=1)
    assert cv2.imread(str(out / "street_color.png")).shape == (CAMERA.height, CAMERA.width, 3)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["missing.png", "--hfov", "80"], "cannot be read"),
        (["a/x.png", "b/x.png", "--hfov", "80"], "different folders"),
    ],
)
def test_infer_refuses_in_one_line(
    words: list[str], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["infer", "model", *words, "--out", str(tmp_path / "out")]) == 1
    shown = capsys.readouterr().err
    assert said in shown
    assert shown.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_infer_refuses_an_impossible_field_of_view(
    tmp_path: Path, drive: Drive, capsys: pytest.CaptureFixture[str]
) -> None:
    image = tmp_path / "street.png"
    cv2.imwrite(str(image), drive.frames[0].image)
    assert main(["infer", "m", str(image), "--hfov", "200", "--out", str(tmp_path / "o")]) == 1
    assert "--hfov" in capsys.readouterr().err
