# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Every sfm-depth command of README and docs, run as printed on a small bag and a small model."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

pytest.importorskip("torch")
pytest.importorskip("rosbags")

import cv2
import numpy as np
from exact_drive import make_drive, write_bag
from random_model import write_random_model
from test_documents import ALL

from sfm_depth_ros.cli.main import COMMANDS, main

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

BAGS = (
    *("BAG", "OTHER_BAG", "drive_a", "drive_b", "monday.bag", "tuesday.bag"),
    *("odometry_03", "raw_0926_0039"),
)
MODELS = ("MODEL", "models/small", "models/depth_anything", "my_model", "motion", "model")
# Commands that are not run here, by how they begin, and where they are instead
ELSEWHERE = {
    "sfm-depth import ": "test/networks/published, with checkpoints of the published layout",
    "sfm-depth bench ": "test/cli/benchmarks, each part by itself",
    "sfm-depth view": "test/ros/nodes/test_viewer.py, in a browser",
    "sfm-depth doctor --live": "test/ros/nodes/test_graph_doctor.py",
    "sfm-depth train --synthetic": "test/tools/test_shipped_training.py; the page has the recipe",
    "sfm-depth export MODEL [--engine onnx|tensorrt|openvino]": "test/cli/test_export.py",
}
# What makes a command short: the last of two values counts
FEW_STEPS = ["--steps", "2", "--set", "training.batch_size=2", "--set", "training.threads=1"]
SHORTER = {
    "train": [*FEW_STEPS, "--set", "training.width=160", "--set", "training.tensorboard=false"],
    "adapt": [*FEW_STEPS, "--rehearsal", "0"],
}


def _is_whole(command: str) -> bool:
    """Whether it is a command rather than the mention of one."""
    return len(command.split()) > 2 or command in ("sfm-depth info", "sfm-depth doctor")


COMMANDS_OF_DOCS = sorted({
    command for _, command in ALL
    if command.startswith("sfm-depth ") and " | " not in command and _is_whole(command)
})  # fmt: skip
RUN = [c for c in COMMANDS_OF_DOCS if not c.startswith(tuple(ELSEWHERE)) and " NAME " not in c]


@pytest.fixture(scope="module")
def bag(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_bag(tmp_path_factory.mktemp("bags") / "drive", make_drive(40, speed=6.0))


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small model of random weights."""
    return write_random_model(tmp_path_factory.mktemp("models"))


@pytest.fixture
def folder(tmp_path: Path, bag: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that has what the commands name, and is the working one."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    for name in BAGS:
        (tmp_path / name).symlink_to(bag)
    photo = np.random.default_rng(0).integers(0, 256, (120, 480, 3), np.uint8)
    cv2.imwrite("photo.jpg", photo)
    return tmp_path


def _words(command: str, model: Path) -> list[str]:
    words = shlex.split(re.sub(r"\[(--[^\]]*)\]", r"\1", command.replace("...", "")))[1:]
    is_output = [False, *(before in ("--out", "--html") for before in words)]
    filled = [
        str(model) if word in MODELS and not is_output[index] else word
        for index, word in enumerate(words)
    ]
    if "--synthetic" in words:
        filled[words.index("--synthetic") + 1] = "12"  # rendered images take a second each
    return [*filled, *SHORTER.get(words[0], [])]


def test_nothing_is_left_out_without_a_reason() -> None:
    assert len(RUN) > 20
    for command in COMMANDS_OF_DOCS:
        assert command in RUN or " NAME " in command or command.startswith(tuple(ELSEWHERE))
    assert {command.split()[1] for command in COMMANDS_OF_DOCS} <= set(COMMANDS)


@pytest.mark.parametrize("command", RUN)
def test_it_runs_as_printed(
    command: str, folder: Path, model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = _words(command, model)
    if "--init" in words and words[0] == "train":
        words += ["--set", "depth.width=8", "--set", "pose.width=8"]
    if "--resume" in words:  # what was interrupted
        assert main([word for word in words if word != "--resume"]) == 0
        (folder / "my_model").rename(folder / "before")
    status = main(words)
    shown = capsys.readouterr()
    assert status == 0 or (status == 1 and words[0] == "doctor"), shown.err
    for option in ("--out", "--html", "--json"):
        if option in words:
            assert Path(words[words.index(option) + 1]).exists(), shown.out
