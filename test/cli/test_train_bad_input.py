# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Bags and files that sfm-depth train cannot use: one clear line, and nothing left behind."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("rosbags")


from sfm_depth_ros.bags.writer import BagWriter
from sfm_depth_ros.camera.camera_model import CameraModel
from sfm_depth_ros.cli.main import main
from sfm_depth_ros.snippets.values import Velocity
from sfm_depth_ros.training.offline import recorded_snippets
from sfm_depth_ros.training.offline import run as training_run

SECOND, START, WIDTH, HEIGHT = 10**9, 1000 * 10**9, 64, 32
CAMERA = CameraModel.from_matrices([40.0, 0, 31.5, 0, 40, 15.5, 0, 0, 1], WIDTH, HEIGHT)
TINY = [
    "--set",
    "training.width=64",
    "--set",
    "training.batch_size=2",
    "--set",
    "training.threads=1",
    "--set",
    "depth.width=8",
    "--set",
    "pose.width=8",
    "--steps",
    "2",
    "--set",
    "training.tensorboard=false",
]


def write_bag(
    path: Path,
    frames: int = 40,
    speed: float | None = 2.0,
    size_changes: bool = False,
    with_info: bool = True,
    image_period_s: float = 0.1,
) -> Path:
    """A straight drive of 10 images a second."""
    rng = np.random.default_rng(0)
    large = CameraModel.from_matrices([80.0, 0, 63.5, 0, 80, 31.5, 0, 0, 1], 128, 64)
    with BagWriter(path) as bag:
        bag.write_static_transform(START, "base_link", "camera", np.eye(4))
        for index in range(frames):
            stamp = START + round(index * image_period_s * SECOND)
            is_large = size_changes and index >= frames // 2
            if speed is not None:
                bag.write_odometry(Velocity(stamp, np.array([speed, 0, 0]), np.zeros(3)))
            if index == 0 or with_info:
                bag.write_camera_info(stamp, large if is_large and with_info else CAMERA)
            shape = (64, 128, 3) if is_large else (HEIGHT, WIDTH, 3)
            bag.write_image(stamp, rng.integers(0, 256, shape, np.uint8), "camera")
    return path


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "cache"


@pytest.fixture
def train(
    tmp_path: Path,
    cache: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
):
    """Train into ``tmp_path / model``; status and last line of what was said.

    Networks are not exported, which takes ten seconds and is tested elsewhere.
    """

    def save_without_graphs(models_dir: Path, *networks: object, name: str, **_: object) -> object:
        (models_dir / name).mkdir()
        return SimpleNamespace(path=models_dir / name, model_id="0")

    monkeypatch.setattr(training_run, "save_model", save_without_graphs)
    # images of noise, through which no corner can be followed: all pass
    monkeypatch.setattr(recorded_snippets, "ImageGate", lambda: None)

    def run(*arguments: str | Path) -> tuple[int, str]:
        words = [str(a) for a in arguments]
        place = ["--out", str(tmp_path / "model"), "--set", f"training.cache_dir={cache}"]
        status = main(["train", *words[:1], *TINY, *place, *words[1:]])
        lines = capsys.readouterr().err.strip().splitlines()
        return status, lines[-1] if lines else ""

    return run


def entries(cache: Path) -> list[str]:
    return sorted(p.name for p in cache.iterdir() if p.name != ".locks") if cache.exists() else []


@pytest.mark.parametrize(
    ("options", "messages"),
    [
        ({"speed": None}, ["velocity", "record the missing"]),
        ({"speed": 0.0}, ["no snippet", "39 standing", "must move"]),
        ({"image_period_s": 1.0}, ["39 image_gap", "max_image_gap"]),
        ({"frames": 2}, ["no snippet", "too few"]),
    ],
)
def test_bags_that_cannot_teach(tmp_path, train, cache, options, messages) -> None:
    status, said = train(write_bag(tmp_path / "bag", **options))
    assert status == 1
    for message in messages:
        assert message in said
    assert entries(cache) == []
    assert not (tmp_path / "model").exists()
    assert not (tmp_path / "model.training").exists()


def test_images_of_another_size_than_their_camera_info_are_left_out(
    tmp_path, train, cache, caplog
) -> None:
    path = write_bag(tmp_path / "bag", size_changes=True, with_info=False)
    assert train(path, "--set", "training.validation_share=0")[0] == 0
    assert "image is 128x64 but camera_info is for 64x32" in caplog.text
    assert "could not be used: image 20" in caplog.text


def test_a_size_that_changes_with_its_camera_info_is_learnt_from(tmp_path, train, cache) -> None:
    status, _ = train(
        write_bag(tmp_path / "bag", 60, size_changes=True),
        "--json",
        tmp_path / "r.json",
        "--set",
        "training.validation_share=0",
    )
    assert status == 0
    (entry,) = entries(cache)
    assert sorted(p.name for p in (cache / entry).iterdir()) == ["64x32"]  # both become this size
    report = json.loads((tmp_path / "r.json").read_text())
    assert report["steps"] == 2
    assert report["validations"] == []
    assert report["ended"] == "finished"


def test_the_cache_serves_the_next_run(tmp_path, train, cache) -> None:
    bag = write_bag(tmp_path / "bag")
    assert train(bag)[0] == 0
    (first,) = entries(cache)
    before = (cache / first / "64x32" / "000000000.safetensors").stat().st_mtime_ns
    (tmp_path / "model").rename(tmp_path / "model_1")
    (tmp_path / "model.training").rename(tmp_path / "model_1.training")
    assert train(bag)[0] == 0
    assert entries(cache) == [first]
    assert (cache / first / "64x32" / "000000000.safetensors").stat().st_mtime_ns == before


def test_a_network_of_another_architecture(tmp_path, train, tiny_model) -> None:
    bag = write_bag(tmp_path / "bag")
    status, said = train(bag, "--init", tiny_model.path, "--set", "depth.width=24")
    assert status == 1
    assert "leave --init out" in said
    assert train(bag, "--init", tiny_model.path, "--set", "training.keep=last")[0] == 0


def test_a_state_of_another_architecture_is_kept(tmp_path, train) -> None:
    bag = write_bag(tmp_path / "bag")
    assert train(bag)[0] == 0
    (tmp_path / "model").rmdir()
    state = tmp_path / "model.training" / "state.safetensors"
    before = state.read_bytes()
    status, said = train(bag, "--resume", "--set", "depth.width=16")
    assert status == 1
    assert "depth.width was 8 and is 16" in said
    assert state.read_bytes() == before
    assert train(bag, "--resume")[0] == 0  # finished long ago: only the model is written again


def test_a_bound_that_is_too_small(tmp_path, train, cache) -> None:
    status, said = train(write_bag(tmp_path / "bag"), "--set", "training.cache_gib=0.0001")
    assert status == 1
    assert "training.cache_gib" in said
    assert entries(cache) == []


def test_a_full_disk_leaves_no_model_and_no_half_state(tmp_path, cache) -> None:
    """Files may grow to 300 kB: enough for the snippets, too little for the state."""
    script = (
        "import resource, sys; resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, 300_000)); "
        "from sfm_depth_ros.training.offline import recorded_snippets; "
        "recorded_snippets.ImageGate = lambda: None; "  # images of noise
        "from sfm_depth_ros.cli.main import main; sys.exit(main(sys.argv[1:]))"
    )
    bag = write_bag(tmp_path / "bag", 20)
    said = subprocess.run(
        [
            sys.executable,
            "-c",
            script,
            "train",
            str(bag),
            "--out",
            str(tmp_path / "model"),
            *TINY,
            "--set",
            f"training.cache_dir={cache}",
            "--set",
            "training.save_every=1",
        ],
        capture_output=True,
        text=True,
        timeout=120,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        check=False,
    )
    assert said.returncode == 1
    assert "free some disk space" in said.stderr.splitlines()[-1]
    assert not (tmp_path / "model").exists()
    assert list((tmp_path / "model.training").iterdir()) == []
