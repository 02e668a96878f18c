# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import onnx
import pytest

from sfm_depth_ros.cli.main import main
from sfm_depth_ros.engines.graphs.agreement import open_session
from sfm_depth_ros.model_folder.folder import ModelFolder


def test_onnx_graphs_are_the_models_own(tiny_model: ModelFolder, tmp_path: Path) -> None:
    assert main(["export", str(tiny_model.path), "--out", str(tmp_path)]) == 0
    for network in ("depth", "pose"):
        exported = (tmp_path / f"{network}.onnx").read_bytes()
        assert exported == tiny_model.onnx(network).read_bytes()


def test_openvino_graph_passes_the_check_frames(tiny_model: ModelFolder, tmp_path: Path) -> None:
    openvino = pytest.importorskip("openvino")
    assert (
        main(["export", str(tiny_model.path), "--engine", "openvino", "--out", str(tmp_path)]) == 0
    )
    frames = tiny_model.check_frames()
    hint = {"INFERENCE_PRECISION_HINT": "f32"}
    compiled = openvino.Core().compile_model(tmp_path / "depth.xml", "CPU", hint)
    found = compiled({0: frames.image[:1]})[0]
    np.testing.assert_allclose(found, frames.depth[:1], rtol=1e-3)


def test_no_model_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["export", str(tmp_path), "--out", str(tmp_path / "out")]) == 1
    assert "is not a model folder" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def answer(graph: bytes, image: np.ndarray) -> np.ndarray:
    return open_session(graph).run(None, {"image": image})[0]


def test_precision_size_and_the_agreement_are_said(
    tiny_model: ModelFolder, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert (
        main(
            [
                "export",
                str(tiny_model.path),
                "--precision",
                "fp16",
                "--size",
                "96x64",
                "--out",
                str(tmp_path),
            ]
        )
        == 0
    )
    said = capsys.readouterr().out
    assert re.search(
        r"depth fp16: relative error against torch p50 \d\.\de-\d\d, p99 .* max", said
    )
    assert f"{tmp_path / 'pose.onnx'} " in said
    content = (tmp_path / "depth.onnx").read_bytes()
    sizes = onnx.load_model_from_string(content).graph.input[0].type.tensor_type.shape.dim
    assert [size.dim_value for size in sizes] == [1, 3, 64, 96]
    image = np.random.default_rng(0).random((1, 3, 64, 96), dtype=np.float32)
    expected = answer(tiny_model.onnx("depth").read_bytes(), image)
    found = answer(content, image)
    assert 0 < np.abs(found / expected - 1).max() < 2e-2
    assert len(content) < 0.6 * tiny_model.onnx("depth").stat().st_size


@pytest.mark.parametrize(("batch", "images"), [("dynamic", (1, 3)), ("2", (2,))])
def test_batches(
    tiny_model: ModelFolder, tmp_path: Path, batch: str, images: tuple[int, ...]
) -> None:
    assert main(["export", str(tiny_model.path), "--batch", batch, "--out", str(tmp_path)]) == 0
    single = tiny_model.onnx("pose").read_bytes()
    for count in images:
        image = np.random.default_rng(0).random((count, 6, 64, 96), dtype=np.float32)
        found = answer((tmp_path / "pose.onnx").read_bytes(), image)
        expected = np.concatenate([answer(single, one[None]) for one in image])
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-7)


def test_plans_are_built_without_a_gpu(
    tiny_model: ModelFolder, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("tensorrt_rtx", reason="the extra tensorrt is not installed")
    assert (
        main(
            [
                "export",
                str(tiny_model.path),
                "--engine",
                "tensorrt",
                "--precision",
                "fp16",
                "--size",
                "96x64",
                "--capability",
                "8.6",
                "--out",
                str(tmp_path),
            ]
        )
        == 0
    )
    assert "built it in" in capsys.readouterr().out
    assert (tmp_path / "depth.plan").stat().st_size > 10_000
    assert (tmp_path / "pose.plan").stat().st_size > 10_000


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--engine", "tensorrt", "--capability", "6.0"], "no compute capability 6.0"),
        (["--engine", "tensorrt", "--batch", "dynamic"], "a TensorRT plan is built for one batch"),
    ],
)
def test_what_cannot_be_is_one_line(
    tiny_model: ModelFolder,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    said: str,
) -> None:
    if "--capability" in arguments:
        pytest.importorskip("tensorrt_rtx", reason="the extra tensorrt is not installed")
    assert main(["export", str(tiny_model.path), *arguments, "--out", str(tmp_path)]) == 1
    error = capsys.readouterr().err
    assert said in error and len(error.splitlines()) == 1
    assert not list(tmp_path.glob("*.plan"))


@pytest.mark.parametrize(
    ("arguments", "status"),
    [
        (["--batch", "0"], 2),
        (["--size", "100x96"], 1),
        (["--size", "96"], 1),
        (["--capability", "8"], 2),
    ],
)
def test_arguments_that_are_none(
    arguments: list[str], status: int, capsys: pytest.CaptureFixture[str]
) -> None:
    try:
        found = main(["export", "model", *arguments])
    except SystemExit as leaving:
        found = leaving.code
    assert found == status
    assert f"{arguments[0]}: expected" in capsys.readouterr().err
