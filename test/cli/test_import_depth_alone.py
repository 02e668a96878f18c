# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""``sfm-depth import`` of models of depth alone: they run, and tell what they lack."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper
from published_checkpoints import narrow_networks, write_depth_anything, write_lite_mono

from sfm_depth_ros.camera.camera_model import CameraModel
from sfm_depth_ros.cli.main import main
from sfm_depth_ros.config.networks import DepthNetworkConfig
from sfm_depth_ros.config.schema import DepthNodeConfig
from sfm_depth_ros.errors import DataError, ModelError
from sfm_depth_ros.estimation.depth_estimator import DepthEstimator
from sfm_depth_ros.estimation.depth_result import DepthResult
from sfm_depth_ros.geometry.camera import Intrinsics
from sfm_depth_ros.model_folder.folder import ModelFolder, read_model_folder
from sfm_depth_ros.model_folder.loading import load_network
from sfm_depth_ros.optional import is_available
from sfm_depth_ros.training.network_pair import networks_of

ENGINES = [name for name in ("onnxruntime", "openvino") if is_available(name)]
METRIC = ("--format", "onnx", "--head", "metric")


def imported(capsys: pytest.CaptureFixture[str], *words: object) -> str:
    """Run the command; its standard output, or its one line of error."""
    status = main(["import", *map(str, words)])
    written = capsys.readouterr()
    return written.err if status else written.out


def graph_file(path: Path, size: tuple[Any, Any] = (64, 96), exponent: float = 1.0) -> Path:
    """A graph whose output is the mean of the channels to some power, times ten."""
    nodes = [
        helper.make_node("ReduceMean", ["image"], ["grey"], axes=[1], keepdims=1),
        helper.make_node("Pow", ["grey", "exponent"], ["power"]),
        helper.make_node("Mul", ["power", "ten"], ["out"]),
    ]
    numbers = {"exponent": np.float32(exponent), "ten": np.float32(10.0)}
    proto = helper.make_graph(
        nodes,
        "grey",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, (1, 3, *size))],
        [helper.make_tensor_value_info("out", TensorProto.FLOAT, None)],
        [onnx.numpy_helper.from_array(np.asarray(v), name) for name, v in numbers.items()],
    )
    onnx.save(helper.make_model(proto, opset_imports=[helper.make_opsetid("", 17)]), path)
    return path


def estimate(
    folder: ModelFolder, engine: str, hw: tuple[int, int] = (96, 128)
) -> list[DepthResult]:
    camera = CameraModel.from_intrinsics(Intrinsics.from_hfov(80.0, hw[1], hw[0]))
    config = DepthNodeConfig(
        engine=engine,
        precision="fp32",
        min_depth=0.01,
        max_depth=1000.0,
        tracking_width=0,  # no geometry either
    )
    estimator = DepthEstimator(folder, camera, config)
    picture = np.random.default_rng(0).integers(30, 255, (*hw, 3), np.uint8)
    try:
        assert list(estimator.model.engines) == ["depth"]
        return [estimator.estimate(picture, i * 10**8) for i in range(2)]
    finally:
        estimator.close()


def test_depth_anything_runs_without_a_pose_network(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    narrow_networks(monkeypatch)
    path = write_depth_anything(
        tmp_path / "a.safetensors", DepthNetworkConfig(name="depth_anything_v2_base")
    )
    out = tmp_path / "model"
    told = imported(
        capsys, path, "--format", "depth-anything-v2", "--head", "metric", "--max-depth", 20,
        "--size", "112x84", "--out", out,
    )  # fmt: skip
    assert "no pose network" in told
    assert "licence: CC-BY-NC-4.0" in told
    folder = read_model_folder(out)
    assert folder.networks == ("depth",)
    assert folder.multiple == 14
    assert folder.metadata["head"] == {"kind": "metric"}
    with pytest.raises(ModelError, match="has no pose network"):
        networks_of(folder)
    network: Any = load_network(folder, "depth")
    for engine in ENGINES:
        result = estimate(folder, engine)[-1]
        assert result.ego_motion is None
        assert "no ego-motion: this model has no pose network" in result.remarks
        assert result.frame_depth.shape == (84, 112)
        image = torch.from_numpy(result.frame.image).permute(2, 0, 1)[None] / 255
        with torch.inference_mode():
            depth = network.depth(image)[0, 0].numpy()
        stretch = result.frame.intrinsics.fx / (112 * 886.81 / 1024)
        np.testing.assert_allclose(result.frame_depth, depth * stretch, rtol=1e-4)


def test_lite_mono_without_its_pose_files(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    weights = write_lite_mono(tmp_path / "w", DepthNetworkConfig(name="lite_mono_tiny"))
    words = (weights, "--format", "lite-mono", "--out", tmp_path / "model")
    assert "--without-pose for a model of depth alone" in imported(capsys, *words)
    monkeypatch.setattr(
        "sfm_depth_ros.model_folder.saving.export_onnx", lambda network, kind: b"graph"
    )
    assert "licence: MIT (Lite-Mono)" in imported(capsys, *words, "--without-pose")
    assert read_model_folder(tmp_path / "model").depth_config.name == "lite_mono_tiny"


@pytest.mark.parametrize("engine", ENGINES)
def test_own_graph_gives_metres_by_its_focal_rule(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], engine: str
) -> None:
    path = graph_file(tmp_path / "a.onnx")
    rules = {"fixed": ("--focal-rule", "none"), "grows": ("--reference-focal", 50)}
    for name, rule in rules.items():
        out = tmp_path / name
        told = imported(capsys, path, *METRIC, *rule, "--licence", "own", "--out", out)
        assert "licence: own" in told
        result = estimate(read_model_folder(out), engine)[-1]
        grey = result.frame.image.astype(np.float32).mean(axis=2) / 255
        factor = 1.0 if name == "fixed" else result.frame.intrinsics.fx / 50
        np.testing.assert_allclose(result.frame_depth[8:], 10 * factor * grey[8:], rtol=1e-4)


def test_own_graph_with_an_affine_head(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    path = graph_file(tmp_path / "a.onnx", ("height", "width"))
    out = tmp_path / "model"
    told = imported(
        capsys, path, "--format", "onnx", "--head", "inverse-affine", "--affine", 0.02, 0.05,
        "--size", "96x64", "--out", out,
    )  # fmt: skip
    assert "inverse-affine (A 0.02, B 0.05): metres once landmarks" in told
    assert "--licence is not given" in caplog.text
    folder = read_model_folder(out)
    assert folder.metadata["head"] == {"kind": "inverse-affine", "A": 0.02, "B": 0.05}
    result = estimate(folder, ENGINES[0])[-1]
    grey = result.frame.image.astype(np.float32).mean(axis=2) / 255
    np.testing.assert_allclose(result.frame_depth, 1 / (0.02 * 10 * grey + 0.05), rtol=1e-4)


def test_own_graph_cannot_be_trained_and_takes_one_size(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = graph_file(tmp_path / "a.onnx")
    imported(capsys, path, *METRIC, "--focal-rule", "none", "--out", tmp_path / "model")
    folder = read_model_folder(tmp_path / "model")
    with pytest.raises(ModelError, match=r"imported ONNX graph: .*cannot run or train it"):
        load_network(folder, "depth")
    camera = CameraModel.from_intrinsics(Intrinsics.from_hfov(80.0, 400, 100))
    with pytest.raises(DataError, match="takes 96x64 alone, but the image of 400x100 would be"):
        DepthEstimator(folder, camera, DepthNodeConfig(precision="fp32"))
    camera = CameraModel.from_intrinsics(Intrinsics.from_hfov(80.0, 80, 60))
    with pytest.raises(DataError, match=r"image is 80x60 .*expected at least 96 columns"):
        DepthEstimator(folder, camera, DepthNodeConfig(precision="fp32"))  # no narrower graph
    camera = CameraModel.from_intrinsics(Intrinsics.from_hfov(80.0, 128, 96))
    with pytest.raises(DataError, match="input_width: this imported graph takes 96 columns"):
        DepthEstimator(folder, camera, DepthNodeConfig(precision="fp32", input_width=128))


@pytest.mark.parametrize(("words", "message"), [
    (("--format", "onnx"), "--head: a graph does not record"),
    (METRIC, "give --reference-focal PIXELS where depth grows"),
    ((*METRIC, "--focal-rule", "scale"), "give --reference-focal PIXELS too"),
    ((*METRIC, "--focal-rule", "none", "--reference-focal", "9"), "leave --reference-focal out"),
    ((*METRIC, "--focal-rule", "none", "--affine", "2", "0"), "a metric head has --scale"),
    ((*METRIC, "--focal-rule", "none", "--deviation", "0", "1", "1"), "deviations above 0"),
    ((*METRIC, "--focal-rule", "none", "--fresh-pose"), "cannot be trained; leave it out"),
    ((*METRIC, "--focal-rule", "none", "--size", "32x32"), "--size is 32x32; leave --size out"),
    ((*METRIC, "--focal-rule", "none", "--output", "sky"), "outputs out, not sky"),
    ((*METRIC, "--focal-rule", "none", "--mean", "2", "2", "2"), "wrong sign for --head metric"),
])  # fmt: skip
def test_bad_declarations_are_one_line_and_leave_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], words: tuple[str, ...], message: str
) -> None:
    path = graph_file(tmp_path / "a.onnx")
    said = imported(capsys, path, *words, "--out", tmp_path / "model")
    assert message in said
    assert said.strip().count("\n") == 0
    assert not (tmp_path / "model").exists()
