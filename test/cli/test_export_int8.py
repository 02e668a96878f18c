# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""int8 from a bag: calibrated, priced, kept for the nodes, and never without a bag."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from exact_drive import make_drive, write_bag

from sfm_depth_ros.cli.export_int8 import read_stacks
from sfm_depth_ros.cli.main import main
from sfm_depth_ros.engines.factory import create_engine
from sfm_depth_ros.model_folder.folder import ModelFolder

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")


@pytest.fixture(scope="module")
def bag(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Ten images of 320x96."""
    return write_bag(tmp_path_factory.mktemp("bag") / "drive", make_drive(10))


def test_graphs_are_written_priced_and_the_node_may_use_int8(
    tiny_model: ModelFolder,
    bag: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    arguments = [
        "export",
        str(tiny_model.path),
        "--precision",
        "int8",
        "--calibrate",
        str(bag),
        "--size",
        "128x64",
        "--insist",
        "--out",
        str(tmp_path / "out"),
    ]
    assert main(arguments) == 0
    said = capsys.readouterr().out
    for network in ("depth", "pose"):
        assert f"{network} int8: relative error against fp32 on 4 frames" in said
        graph = onnx.load(tmp_path / "out" / f"{network}.onnx").graph
        assert {"QuantizeLinear", "DequantizeLinear"} <= {node.op_type for node in graph.node}
    engine = create_engine(tiny_model, "depth", (32, 96), "onnxruntime", "int8")
    assert engine.precision == "int8"


def test_a_stack_holds_images_that_follow_each_other(bag: Path) -> None:
    stacks = read_stacks(bag, 128, 3)
    assert stacks.shape == (8, 9, 64, 128)
    assert stacks.dtype == np.float32
    np.testing.assert_array_equal(stacks[1:, :6], stacks[:-1, 3:])
    assert 0.0 <= stacks.min() < stacks.max() <= 1.0


def test_without_a_bag_it_is_refused(
    tiny_model: ModelFolder, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    arguments = ["export", str(tiny_model.path), "--precision", "int8"]
    assert main([*arguments, "--out", str(tmp_path / "out")]) == 1
    assert "--calibrate BAG" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
