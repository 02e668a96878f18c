# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Checkpoints as the published projects write them, with weights by formula."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from published_weights import published_tensor
from safetensors.torch import save_file
from torch import Tensor

from sfm_depth_ros.config.networks import DepthNetworkConfig, PoseNetworkConfig
from sfm_depth_ros.networks import depth_anything, packnet, posenet, resnet
from sfm_depth_ros.networks.model import create_depth_network, create_pose_network
from sfm_depth_ros.networks.published.depth_anything import depth_anything_names
from sfm_depth_ros.networks.published.lite_mono import (
    lite_mono_decoder_names,
    lite_mono_encoder_names,
)
from sfm_depth_ros.networks.published.monodepth2 import (
    monodepth2_decoder_names,
    monodepth2_encoder_names,
    monodepth2_pose_decoder_names,
    monodepth2_pose_encoder_names,
)
from sfm_depth_ros.networks.published.name_map import NameMap
from sfm_depth_ros.networks.published.packnet_sfm import (
    packnet_sfm_depth_names,
    packnet_sfm_pose_names,
)

Config = DepthNetworkConfig | PoseNetworkConfig


def narrow_networks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Few channels, so that a checkpoint is small; names stay."""
    monkeypatch.setitem(packnet.SHAPES, "packnet01", packnet.PackNetShape((32, 16, 16, 32, 64), 4))
    monkeypatch.setitem(
        packnet.SHAPES, "packnet_slim01", packnet.PackNetShape((16, 16, 16, 32, 64), 4)
    )
    monkeypatch.setattr(resnet, "STAGE_CHANNELS", (64, 16, 16, 16))
    monkeypatch.setattr(posenet, "CHANNELS", (16, 16, 16, 32, 32, 32, 32))
    monkeypatch.setattr(posenet, "WIDTH", 16)
    for place, name in enumerate(depth_anything.SHAPES):
        vit = depth_anything.ViTShape(24 + 24 * place, 4, 2, (0, 1, 2, 3))
        shape = depth_anything.DepthAnythingShape(vit, (8, 8, 8, 8), 8)
        monkeypatch.setitem(depth_anything.SHAPES, name, shape)


def published_state(config: Config, names: NameMap, prefix: str = "") -> dict[str, Tensor]:
    """Tensors by their published names."""
    create: Callable[[Any], Any] = (
        create_depth_network if isinstance(config, DepthNetworkConfig) else create_pose_network
    )
    with torch.device("meta"):
        own = create(config).state_dict()
    return OrderedDict(
        (f"{prefix}{name}", published_tensor(name, tuple(own[ours].shape)))
        for name, ours in names.ours.items()
    )


def packnet_sfm_state(
    depth: DepthNetworkConfig | None, pose: PoseNetworkConfig | None
) -> dict[str, Tensor]:
    """Names as in a packnet-sfm ``.ckpt``."""
    state: dict[str, Tensor] = OrderedDict()
    if depth is not None:
        state |= published_state(depth, packnet_sfm_depth_names(depth), "model.depth_net.")
    if pose is not None:
        state |= published_state(pose, packnet_sfm_pose_names(pose), "model.pose_net.")
    return state


def write_packnet_sfm(path: Path, state: dict[str, Tensor], config: Any = None) -> Path:
    """A ``.ckpt`` with what stands beside the weights."""
    torch.save(
        {
            "config": config,
            "epoch": 3,
            "state_dict": state,
            "optimizer": {"state": {0: {"exp_avg": torch.zeros(3)}}},
            "scheduler": {},
        },
        path,
    )
    return path


def write_lite_mono(
    folder: Path, config: DepthNetworkConfig, size: tuple[int, int] = (96, 64)
) -> Path:
    """A folder with ``encoder.pth`` and ``depth.pth``."""
    folder.mkdir()
    encoder: dict[str, Any] = published_state(config, lite_mono_encoder_names(config))
    encoder |= {"width": size[0], "height": size[1], "use_stereo": False}
    torch.save(encoder, folder / "encoder.pth")
    torch.save(published_state(config, lite_mono_decoder_names(config)), folder / "depth.pth")
    return folder


def write_depth_anything(path: Path, config: DepthNetworkConfig) -> Path:
    """A file ``.pth`` or ``.safetensors`` in the authors' layout, with what nothing reads."""
    state = published_state(config, depth_anything_names(config))
    state["pretrained.mask_token"] = torch.zeros(1, 3)
    if path.suffix == ".safetensors":
        save_file(dict(state), path)
    else:
        torch.save(state, path)
    return path


def write_monodepth2(
    folder: Path,
    depth: DepthNetworkConfig,
    pose: PoseNetworkConfig | None,
    size: tuple[int, int] = (96, 64),
    use_stereo: bool = False,
) -> Path:
    """A folder ``weights_19`` with ``encoder.pth`` and the rest."""
    folder.mkdir()
    encoder: dict[str, Any] = published_state(depth, monodepth2_encoder_names(depth))
    encoder |= {"width": size[0], "height": size[1], "use_stereo": use_stereo}
    torch.save(encoder, folder / "encoder.pth")
    torch.save(published_state(depth, monodepth2_decoder_names(depth)), folder / "depth.pth")
    if pose is not None:
        torch.save(
            published_state(pose, monodepth2_pose_encoder_names(pose)), folder / "pose_encoder.pth"
        )
        torch.save(published_state(pose, monodepth2_pose_decoder_names(pose)), folder / "pose.pth")
    torch.save({"state": {}, "param_groups": []}, folder / "adam.pth")
    return folder
