# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""``sfm-depth import``: a checkpoint of a stranger becomes a model that every engine runs."""

from __future__ import annotations

import math
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from published_checkpoints import (
    narrow_networks,
    packnet_sfm_state,
    write_monodepth2,
    write_packnet_sfm,
)

from sfm_depth_ros.camera.camera_model import CameraModel
from sfm_depth_ros.cli.import_model import FORMATS
from sfm_depth_ros.cli.main import main
from sfm_depth_ros.config.networks import DepthNetworkConfig, PoseNetworkConfig
from sfm_depth_ros.config.schema import DepthNodeConfig
from sfm_depth_ros.estimation.depth_estimator import DepthEstimator
from sfm_depth_ros.estimation.depth_result import DepthResult
from sfm_depth_ros.geometry.camera import Intrinsics
from sfm_depth_ros.model_folder import saving as model_saving
from sfm_depth_ros.model_folder.folder import ModelFolder, read_model_folder
from sfm_depth_ros.model_folder.loading import load_networks
from sfm_depth_ros.networks.published import import_checkpoint as published
from sfm_depth_ros.optional import is_available

SLIM = DepthNetworkConfig(name="packnet_slim01", min_depth=0.5)
RESNET18 = DepthNetworkConfig(name="resnet18", max_depth=100.0)
POSENET = PoseNetworkConfig(name="posenet", convention="packnet_sfm")
POSE_RESNET = PoseNetworkConfig(name="pose_resnet18", convention="monodepth2")


@pytest.fixture(autouse=True)
def narrow(monkeypatch: pytest.MonkeyPatch) -> None:
    narrow_networks(monkeypatch)


class Runs:
    def __init__(self, command: str) -> None:
        self.command = command

    def __reduce__(self) -> Any:
        return os.system, (self.command,)


def imported(capsys: pytest.CaptureFixture[str], *words: object) -> str:
    """Run the command; empty where it succeeded, else its one line."""
    status = main(["import", *map(str, words)])
    said = capsys.readouterr().err
    assert (status == 0) == ("sfm-depth: error:" not in said)
    return said if status else ""


def images(folder: ModelFolder, engine: str) -> list[DepthResult]:
    """Results of the estimator for five images of a camera that shakes."""
    camera = CameraModel.from_intrinsics(Intrinsics.from_hfov(80.0, 192, 128))
    config = DepthNodeConfig(engine=engine, precision="fp32", max_depth=1000.0)
    estimator = DepthEstimator(folder, camera, config)
    picture = np.random.default_rng(0).integers(0, 255, (128, 200, 3), np.uint8)
    try:
        return [
            estimator.estimate(np.ascontiguousarray(picture[:, i : i + 192]), i * 10**8)
            for i in range(5)
        ]
    finally:
        estimator.close()


@pytest.mark.parametrize(
    "depth",
    [
        RESNET18,
        pytest.param(SLIM, marks=pytest.mark.slow),  # a minute to export its graph
    ],
)
def test_packnet_sfm_runs_live_as_in_torch(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], depth: DepthNetworkConfig
) -> None:
    """A pose network of three images: the newest motion, once there are three."""
    path = write_packnet_sfm(tmp_path / "a.ckpt", packnet_sfm_state(depth, POSENET))
    out = tmp_path / "model"
    assert imported(capsys, path, "--format", "packnet-sfm", "--size", "96x64", "--out", out) == ""
    folder = read_model_folder(out)
    assert folder.pose_config.convention == "packnet_sfm"
    assert folder.check_frames().pair.shape[1] == 9
    for engine in filter(is_available, ("onnxruntime", "openvino")):
        results = images(folder, engine)
        alone = [result.ego_motion is None for result in results]
        assert alone == [True, True, False, False, False]
        assert_as_in_torch(folder, results)


def assert_as_in_torch(folder: ModelFolder, results: list[DepthResult]) -> None:
    """The newest depth and motion are those of the networks, brought to this camera."""
    depth_net, pose_net = load_networks(folder)
    last = [torch.from_numpy(result.frame.image) for result in results[2:]]
    stack = torch.cat([image.permute(2, 0, 1) / 255 for image in last])[None]
    with torch.inference_mode():
        depth = depth_net.depth(stack[:, -3:])[0, 0]  # type: ignore[operator]
        motion = pose_net(stack)[0, -6:]
    stretch = results[-1].frame.intrinsics.fx / (0.58 * 96)
    np.testing.assert_allclose(results[-1].frame_depth, depth * stretch, rtol=1e-3)
    ego_motion = results[-1].ego_motion
    assert ego_motion is not None
    np.testing.assert_allclose(
        ego_motion.T_earlier_later[:3, 3], motion[:3] * torch.tensor([1, 1, stretch]), atol=1e-6
    )


@pytest.fixture
def no_graphs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Exporting takes seconds."""
    monkeypatch.setattr(model_saving, "export_onnx", lambda network, kind: b"graph")


@pytest.mark.usefixtures("no_graphs")
def test_monodepth2_says_what_it_is(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    weights = write_monodepth2(tmp_path / "weights", RESNET18, POSE_RESNET, (96, 64), True)
    out = tmp_path / "model"
    assert (
        imported(
            capsys,
            weights,
            "--format",
            "monodepth2",
            "--out",
            out,
            "--scale",
            5.4,
            "--trained-on",
            "KITTI",
            "--reference-focal",
            60,
        )
        == ""
    )
    folder = read_model_folder(out)
    assert folder.metadata["preprocessing"] == {
        "range": [0, 1],
        "filter": "lanczos",
        "multiple": 32,
        "width": 96,
        "height": 64,
    }
    assert "non-commercial" in folder.metadata["licence"]
    assert folder.metadata["trained_on"][0] == "KITTI"
    assert [name.split()[2] for name in folder.metadata["trained_on"][1:]] == [
        "depth.pth",
        "encoder.pth",
        "pose.pth",
        "pose_encoder.pth",
    ]
    assert folder.metadata["reference_focal"] == 60
    for network in load_networks(folder):
        assert network.log_scale.item() == pytest.approx(math.log(5.4))


def test_a_file_that_would_run_code_is_read_and_does_not(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    proof = tmp_path / "proof"
    state = packnet_sfm_state(RESNET18, None)
    path = write_packnet_sfm(tmp_path / "a.ckpt", state, config=Runs(f"touch {proof}"))
    with caplog.at_level("INFO"):
        said = imported(capsys, path, "--format", "packnet-sfm", "--out", tmp_path / "model")
    assert not proof.exists()
    assert f"not loaded: {os.system.__module__}.system" in caplog.text
    assert "no pose network" in said
    assert "--fresh-pose" in said
    assert not (tmp_path / "model").exists()


@pytest.mark.usefixtures("no_graphs")
def test_an_untrained_pose_network_is_asked_for(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    weights = write_monodepth2(tmp_path / "weights", RESNET18, None, use_stereo=True)
    out = tmp_path / "model"
    with caplog.at_level("WARNING"):
        assert (
            imported(capsys, weights, "--format", "monodepth2", "--fresh-pose", "--out", out) == ""
        )
    assert "mean nothing yet" in caplog.text
    assert "--scale 5.4" in caplog.text
    folder = read_model_folder(out)
    assert folder.pose_config == PoseNetworkConfig(reference_focal=0.58 * 96)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--size", "96"], "--size: expected WxH"),
        (["--size", "100x64"], "multiples of 32"),
        (["--scale", "0"], "--scale: expected a number above 0"),
        (["--reference-focal", "nan"], "--reference-focal: expected a number"),
        (["--format", "monodepth2"], "expected a ResNet-18, 34 or 50"),
    ],
)
def test_bad_input_is_one_line_and_leaves_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], words: list[str], message: str
) -> None:
    path = write_packnet_sfm(tmp_path / "a.ckpt", packnet_sfm_state(RESNET18, POSENET))
    out = tmp_path / "out" / "model"
    said = imported(capsys, path, "--format", "packnet-sfm", "--out", out, *words)
    assert message in said
    assert said.count("\n") == 1
    assert not out.parent.exists()


def test_nothing_is_overwritten(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    said = imported(capsys, "none.ckpt", "--format", "packnet-sfm", "--out", tmp_path)
    assert "never overwritten" in said


def test_the_formats_are_those_that_are_known() -> None:
    assert set(FORMATS) == {*published.FORMATS, "onnx"}
