# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Saving of networks as a model folder, fast enough next to a running node."""

from __future__ import annotations

import copy
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import save as save_tensors
from torch import Tensor, nn

from sfm_depth_ros.config.loading import to_dict
from sfm_depth_ros.engines.graphs.export import export_onnx, update_onnx
from sfm_depth_ros.errors import ModelError
from sfm_depth_ros.model_folder.files import sha256
from sfm_depth_ros.model_folder.folder import (
    CHECK_FRAMES,
    DEPTH_ONNX,
    DEPTH_WEIGHTS,
    POSE_ONNX,
    POSE_WEIGHTS,
    ModelFolder,
    model_id_of,
    write_model_folder,
)
from sfm_depth_ros.model_folder.history import model_folder_name

PREPROCESSING = {"range": [0, 1], "filter": "area", "multiple": 32}
GIVEN = ("preprocessing", "trained_on", "licence", "steps", "metrics")
INHERITED = ("preprocessing", "trained_on", "licence")

_logger = logging.getLogger(__name__)


def save_model(
    models_dir: Path,
    depth_network: nn.Module,
    pose_network: nn.Module,
    *,
    metadata: Mapping[str, Any],
    parent: ModelFolder | None = None,
    check_images: tuple[Tensor, Tensor] | None = None,
    name: str = "",
) -> ModelFolder:
    """Write both networks as a new model folder.

    Args:
        models_dir: Folder that the model folder is made in.
        depth_network: Depth network on any device, in training or not; it stays as it is.
        pose_network: Pose network, likewise.
        metadata: ``preprocessing`` (at least ``width``; ``height`` is that of the check frames),
            ``trained_on``, ``licence``, ``steps``, ``metrics``; the first three come from
            ``parent`` where they are not given.
        parent: Model that these weights were trained from; its graphs are reused, which spares
            the export (seconds) where the architecture is the same.
        check_images: Images ``(2, 3, h, w)`` and stacks of images in temporal order
            ``(2, 6 or 9, h, w)`` float32 in [0, 1] of the check frames, the pose network sees
            the last ones; a procedural picture at the training size where none are given.
        name: Name of the folder; empty = UTC time and model id.

    Raises:
        ModelError: The networks return NaN, or the folder cannot be written.
    """
    networks = {"depth": _detached(depth_network), "pose": _detached(pose_network)}
    content = _complete(metadata, networks, parent)
    if check_images is None:
        size = content["preprocessing"]
        check_images = procedural_check_images(size["width"], size.get("height"))
    check_frames = _check_frames(networks, *check_images)
    files = {
        DEPTH_WEIGHTS: save_tensors(_state(networks["depth"])),
        POSE_WEIGHTS: save_tensors(_state(networks["pose"])),
        DEPTH_ONNX: _graph(networks["depth"], "depth", parent),
        POSE_ONNX: _graph(networks["pose"], "pose", parent),
        CHECK_FRAMES: save_tensors(check_frames),
    }
    model_id = model_id_of({name: sha256(data) for name, data in files.items()})
    folder = Path(models_dir).expanduser() / (name or model_folder_name(model_id))
    return write_model_folder(folder, files, content)


def procedural_check_images(width: int, height: int | None = None) -> tuple[Tensor, Tensor]:
    """Two pictures with the spectrum of natural images (1/f), and each between itself moved.

    Args:
        width: Width in pixels.
        height: Height in pixels; None = about 0.3 of the width, a multiple of 32.

    Returns:
        Images ``(2, 3, h, w)`` and stacks of three ``(2, 9, h, w)``, float32 in [0, 1], always
        the same.
    """
    height = height or max(32, round(width * 0.3 / 32) * 32)
    noise = np.random.default_rng(0).standard_normal((2, 3, height, width))
    rows, columns = np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(width)[None]
    amplitude = 1.0 / np.maximum(np.hypot(rows, columns), 1.0 / width)
    picture = np.fft.irfft2(np.fft.rfft2(noise) * amplitude, s=(height, width))
    low = picture.min(axis=(2, 3), keepdims=True)
    picture = (picture - low) / (picture.max(axis=(2, 3), keepdims=True) - low)
    image = torch.from_numpy(picture.astype(np.float32))
    moved = [torch.roll(image, shifts=(step, 3 * step), dims=(2, 3)) for step in (-1, 0, 1)]
    return image, torch.cat(moved, dim=1)


def _detached(network: nn.Module) -> nn.Module:
    """Copy on the CPU in eval mode, so that saving never disturbs training."""
    return copy.deepcopy(network).cpu().float().eval()


def _state(network: nn.Module) -> dict[str, Tensor]:
    return {name: value.contiguous() for name, value in network.state_dict().items()}


def _complete(
    metadata: Mapping[str, Any], networks: Mapping[str, Any], parent: ModelFolder | None
) -> dict[str, Any]:
    inherited = {key: parent.metadata[key] for key in INHERITED} if parent else {}
    given = {**inherited, **metadata}
    if set(given) != set(GIVEN):
        raise ValueError(f"metadata: expected {sorted(GIVEN)}, got {sorted(given)}")
    depth = networks["depth"].config
    return {
        **given,
        "preprocessing": {**PREPROCESSING, **given["preprocessing"]},
        "architecture": {kind: to_dict(network.config) for kind, network in networks.items()},
        "reference_focal": depth.reference_focal,
        "depth_range": [depth.min_depth, depth.max_depth],
        "parent": parent.model_id if parent else None,
    }


def _graph(network: nn.Module, kind: str, parent: ModelFolder | None) -> bytes:
    if parent is not None:
        config = parent.depth_config if kind == "depth" else parent.pose_config
        if network.config == config:
            try:
                return update_onnx(parent.onnx(kind).read_bytes(), network.state_dict())
            except (OSError, ModelError) as error:
                _logger.warning(
                    "the %s graph of %s is not reused but exported again: %s",
                    kind,
                    parent.path.name,
                    error,
                )
    return export_onnx(network, kind)


@torch.inference_mode()
def _check_frames(networks: Mapping[str, Any], image: Tensor, stack: Tensor) -> dict[str, Tensor]:
    channels = 3 * networks["pose"].images
    if stack.shape[1] < channels:
        raise ValueError(
            f"expected check images with at least {channels} channels for the pose "
            f"network, got {stack.shape[1]}"
        )
    image, pair = image.cpu().float(), stack[:, -channels:].cpu().float()
    depth, motion = networks["depth"].depth(image), networks["pose"](pair)
    if not (torch.isfinite(depth).all() and torch.isfinite(motion).all()):
        raise ModelError(
            "the networks return NaN or infinity, so the model is not saved; go back "
            "to an earlier model"
        )
    tensors = {"image": image, "depth": depth, "pair": pair, "motion": motion}
    return {name: value.contiguous() for name, value in tensors.items()}
