# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Saving networks: quick beside a live node, complete, and without a trace on training."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from sfm_depth_ros.config.schema import DepthNetworkConfig, PoseNetworkConfig
from sfm_depth_ros.engines.building import engine_error
from sfm_depth_ros.errors import ModelError
from sfm_depth_ros.model_folder.folder import ModelFolder, read_model_folder
from sfm_depth_ros.model_folder.loading import load_networks
from sfm_depth_ros.model_folder.saving import procedural_check_images, save_model
from sfm_depth_ros.networks.model import create_depth_network, create_pose_network

METADATA: dict[str, Any] = {
    "preprocessing": {"width": 96},
    "licence": "Apache-2.0",
    "steps": 5,
    "metrics": {"loss": 1.0},
    "trained_on": [{"name": "noise", "licence": "Apache-2.0"}],
}


def networks(pose_width: int = 8) -> tuple[nn.Module, nn.Module]:
    torch.manual_seed(0)
    return (
        create_depth_network(DepthNetworkConfig(width=8)),
        create_pose_network(PoseNetworkConfig(width=pose_width)),
    )


@pytest.fixture
def parent(tiny_model: ModelFolder) -> ModelFolder:
    return tiny_model


def test_what_is_saved_comes_back(parent: ModelFolder) -> None:
    folder = read_model_folder(parent.path)
    assert folder == parent
    assert folder.path.name.endswith(f"Z-{folder.model_id}")
    metadata = folder.metadata
    assert metadata["preprocessing"] == {
        "width": 96,
        "range": [0, 1],
        "filter": "area",
        "multiple": 32,
    }
    assert metadata["reference_focal"] == 200.0
    assert metadata["depth_range"] == [0.1, 120.0]
    assert metadata["parent"] is None
    assert metadata["architecture"]["depth"]["width"] == 8
    for saved, loaded in zip(networks(), load_networks(folder), strict=True):
        assert not loaded.training
        for name, value in saved.state_dict().items():
            assert torch.equal(value, loaded.state_dict()[name]), name


@torch.inference_mode()
def test_check_frames_hold_what_torch_answers(parent: ModelFolder) -> None:
    frames = parent.check_frames()
    depth, pose = load_networks(parent)
    torch.testing.assert_close(
        depth.depth(torch.from_numpy(frames.image)), torch.from_numpy(frames.depth)
    )
    torch.testing.assert_close(
        pose(torch.from_numpy(frames.pair)), torch.from_numpy(frames.motion)
    )


def trained_a_little(parent: ModelFolder) -> tuple[nn.Module, nn.Module]:
    pair = load_networks(parent)
    for network in pair:
        network.train().to(memory_format=torch.channels_last)
        with torch.no_grad():
            network.log_scale.fill_(0.3)
        network(torch.rand(2, 3 if network is pair[0] else 6, 64, 96))  # moves the statistics
    return pair


def test_a_child_needs_no_export_and_leaves_training_alone(
    parent: ModelFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    depth, pose = trained_a_little(parent)
    before = {name: value.clone() for name, value in depth.state_dict().items()}
    monkeypatch.setattr("sfm_depth_ros.model_folder.saving.export_onnx", None)
    child = save_model(tmp_path, depth, pose, metadata={"steps": 9, "metrics": {}}, parent=parent)
    assert depth.training and pose.training
    assert all(torch.equal(value, before[name]) for name, value in depth.state_dict().items())
    assert child.parent == parent.model_id != child.model_id
    assert child.metadata["trained_on"] == METADATA["trained_on"]
    assert read_model_folder(child.path) == child
    for kind in ("depth", "pose"):
        assert engine_error("onnxruntime", child, kind).max < 1e-4


def test_another_architecture_is_exported(parent: ModelFolder, tmp_path: Path) -> None:
    child = save_model(
        tmp_path, *networks(pose_width=9), metadata=METADATA, parent=parent, name="wide"
    )
    assert child.path == tmp_path / "wide"
    assert child.pose_config.width == 9
    assert engine_error("onnxruntime", child, "pose").max < 1e-4


def test_a_graph_that_cannot_be_reused_is_said(
    parent: ModelFolder,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(
        "sfm_depth_ros.model_folder.saving.export_onnx",
        lambda _, kind: b"exported again: " + kind.encode(),
    )
    broken = ModelFolder(tmp_path / "gone", parent.metadata)
    with caplog.at_level(logging.WARNING):
        child = save_model(tmp_path, *networks(), metadata=METADATA, parent=broken)
    assert "the pose graph of gone is not reused" in caplog.text
    assert child.onnx("depth").read_bytes() == b"exported again: depth"


def test_networks_that_answer_nan_are_not_saved(parent: ModelFolder, tmp_path: Path) -> None:
    depth, pose = load_networks(parent)
    with torch.no_grad():
        depth.log_scale.fill_(float("nan"))
    with pytest.raises(ModelError, match=r"NaN.*not saved"):
        save_model(tmp_path, depth, pose, metadata=METADATA, parent=parent)
    assert not list(tmp_path.iterdir())


def test_own_check_images(parent: ModelFolder, tmp_path: Path) -> None:
    image, pair = torch.rand(2, 3, 64, 64), torch.rand(2, 6, 64, 64)
    child = save_model(
        tmp_path, *networks(), metadata=METADATA, parent=parent, check_images=(image, pair)
    )
    assert np.array_equal(child.check_frames().image, image.numpy())


def test_a_child_has_its_parents_metres_unless_it_learnt_some(
    parent: ModelFolder, tmp_path: Path
) -> None:
    learnt = {"steps": 9, "metrics": {}}
    without = {**METADATA, "has_metres": False}
    relative = save_model(tmp_path, *networks(), metadata=without, parent=parent, name="relative")
    child = save_model(tmp_path, *networks(), metadata=learnt, parent=relative, name="child")
    metric = {**learnt, "has_metres": True}
    taught = save_model(tmp_path, *networks(), metadata=metric, parent=relative, name="taught")
    assert [folder.has_metres for folder in (parent, relative, child, taught)] == [
        True,
        False,
        False,
        True,
    ]


def test_metadata_must_be_complete(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"expected.*'licence'"):
        save_model(tmp_path, *networks(), metadata={"steps": 1, "metrics": {}})


def test_procedural_images_look_natural_and_stay_the_same() -> None:
    image, stack = procedural_check_images(320)
    assert image.shape == (2, 3, 96, 320)
    assert stack.shape == (2, 9, 96, 320)
    assert image.min() == 0.0
    assert image.max() == 1.0
    step = (image[..., 1:] - image[..., :-1]).abs().mean()
    spread = (image - image.mean()).abs().mean()
    assert step < 0.7 * spread, "neighbours are alike; white noise has 1.4"
    assert torch.equal(image, procedural_check_images(320)[0])
    assert not torch.equal(stack[:, :3], stack[:, 3:6])
    assert not torch.equal(stack[:, 3:6], stack[:, 6:])


def test_load_networks_refuses_weights_of_another_architecture(parent: ModelFolder) -> None:
    architecture = parent.metadata["architecture"]
    wide = {**architecture, "depth": {**architecture["depth"], "width": 16}}
    with pytest.raises(ModelError, match="depth weights do not fit"):
        load_networks(ModelFolder(parent.path, {**parent.metadata, "architecture": wide}))


def test_half_storage_takes_half_the_space_and_computes_the_same(
    parent: ModelFolder, tmp_path: Path
) -> None:
    half = save_model(tmp_path, *networks(), metadata=METADATA, name="half", half_storage=True)
    for name in ("depth.safetensors", "pose.safetensors"):
        assert (half.path / name).stat().st_size < 0.65 * (parent.path / name).stat().st_size
    for saved, loaded in zip(networks(), load_networks(half), strict=True):
        for name, value in saved.state_dict().items():
            read = loaded.state_dict()[name]
            assert read.dtype == value.dtype, name
            torch.testing.assert_close(read, value, rtol=1e-3, atol=1e-6)
    for kind in ("depth", "pose"):
        assert engine_error("onnxruntime", half, kind).p99 < 5e-3


def test_a_child_of_half_storage_keeps_whole_weights(parent: ModelFolder, tmp_path: Path) -> None:
    half = save_model(tmp_path, *networks(), metadata=METADATA, name="half", half_storage=True)
    depth, pose = trained_a_little(half)
    child = save_model(tmp_path, depth, pose, metadata={"steps": 9, "metrics": {}}, parent=half)
    for kind in ("depth", "pose"):
        assert engine_error("onnxruntime", child, kind).max < 1e-4
