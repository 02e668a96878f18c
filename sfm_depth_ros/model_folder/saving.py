# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Saving of networks as a model folder, fast enough next to a running node."""

from __future__ import annotations

import copy
import logging
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.numpy import save as save_arrays
from safetensors.torch import save as save_tensors
from torch import Tensor, nn

from sfm_depth_ros.config.loading import to_dict
from sfm_depth_ros.config.networks import METRIC
from sfm_depth_ros.engines.graphs.agreement import natural_pictures
from sfm_depth_ros.engines.graphs.export import export_onnx, update_onnx
from sfm_depth_ros.engines.graphs.storage import store_half
from sfm_depth_ros.errors import ModelError
from sfm_depth_ros.model_folder.files import sha256
from sfm_depth_ros.model_folder.folder import ModelFolder, write_model_folder
from sfm_depth_ros.model_folder.history import model_folder_name
from sfm_depth_ros.model_folder.metadata import (
    CHECK_FRAMES,
    DEPTH_ONNX,
    DEPTH_WEIGHTS,
    HAS_METRES,
    HEAD,
    POSE_ONNX,
    POSE_WEIGHTS,
    ROW_PROFILE,
    model_id_of,
)
from sfm_depth_ros.model_folder.row_profile import RowProfile

PREPROCESSING = {"range": [0, 1], "filter": "area"}
FILES = {"depth": (DEPTH_WEIGHTS, DEPTH_ONNX), "pose": (POSE_WEIGHTS, POSE_ONNX)}
GIVEN = ("preprocessing", "trained_on", "licence", "steps", "metrics")
INHERITED = ("preprocessing", "trained_on", "licence", HAS_METRES)

_logger = logging.getLogger(__name__)


def save_model(
    models_dir: Path,
    depth_network: nn.Module,
    pose_network: nn.Module | None,
    *,
    metadata: Mapping[str, Any],
    parent: ModelFolder | None = None,
    check_images: tuple[Tensor, Tensor] | None = None,
    profile: RowProfile | None = None,
    name: str = "",
    half_storage: bool = False,
) -> ModelFolder:
    """Write the networks as a new model folder.

    Args:
        models_dir: Folder that the model folder is made in.
        depth_network: Depth network on any device, in training or not; it stays as it is.
        pose_network: Pose network, likewise; None = a model of depth alone.
        metadata: ``preprocessing`` (at least ``width``; ``height`` is that of the check frames),
            ``trained_on``, ``licence``, ``steps``, ``metrics``, and ``has_metres`` where nothing
            tied the depth to metres; all but steps and metrics come from ``parent`` where they
            are not given.
        parent: Model that these weights were trained from; its graphs are reused, which spares
            the export (seconds) where the architecture is the same.
        check_images: Images ``(2, 3, h, w)`` and stacks of images in temporal order
            ``(2, 6 or 9, h, w)`` float32 in [0, 1] of the check frames, the pose network sees
            the last ones; a procedural picture at the training size where none are given.
        profile: Depth by image row of the training drives; None = the parent's.
        name: Name of the folder; empty = UTC time and model id.
        half_storage: Whether weights and check images are rounded to float16 and kept as such, in
            half the space; engines compute as before.

    Raises:
        ModelError: The networks return NaN, or the folder cannot be written.
    """
    networks = {"depth": _detached(depth_network)}
    if pose_network is not None:
        networks["pose"] = _detached(pose_network)
    if half_storage:
        networks = {kind: network.half().float() for kind, network in networks.items()}
    content = _complete(metadata, networks, parent)
    if check_images is None:
        size = content["preprocessing"]
        multiple = int(size["multiple"])
        check_images = procedural_check_images(size["width"], size.get("height"), multiple)
    kept_type = torch.float16 if half_storage else torch.float32
    image, stack = (tensor.cpu().to(kept_type) for tensor in check_images)
    files = {CHECK_FRAMES: save_tensors(_check_frames(networks, image, stack))}
    for kind, network in networks.items():
        files |= _network_files(network, kind, parent, half_storage)
    profile = profile or (parent.row_profile() if parent else None)
    if profile is not None:
        files[ROW_PROFILE] = save_arrays(profile.tensors())
    model_id = model_id_of({name: sha256(data) for name, data in files.items()})
    folder = Path(models_dir).expanduser() / (name or model_folder_name(model_id))
    return write_model_folder(folder, files, content)


def procedural_check_images(
    width: int, height: int | None = None, multiple: int = 32
) -> tuple[Tensor, Tensor]:
    """Two pictures with the spectrum of natural images (1/f), and each between itself moved.

    Args:
        width: Width in pixels.
        height: Height in pixels; None = about 0.3 of the width.
        multiple: What the height is a multiple of where it is not given.

    Returns:
        Images ``(2, 3, h, w)`` and stacks of three ``(2, 9, h, w)``, float32 in [0, 1], always
        the same.
    """
    height = height or max(1, round(width * 0.3 / multiple)) * multiple
    image = torch.from_numpy(natural_pictures(width, height))
    moved = [torch.roll(image, shifts=(step, 3 * step), dims=(2, 3)) for step in (-1, 0, 1)]
    return image, torch.cat(moved, dim=1)


def _network_files(
    network: nn.Module, kind: str, parent: ModelFolder | None, half_storage: bool
) -> dict[str, bytes]:
    """Weights and graph of one network by the names of their files."""
    weights, graph = FILES[kind]
    state = (network.half() if half_storage else network).state_dict()
    tensors = save_tensors({name: value.contiguous() for name, value in state.items()})
    content = _graph(network.float(), kind, parent)
    return {weights: tensors, graph: store_half(content) if half_storage else content}


def _detached(network: nn.Module) -> nn.Module:
    """Copy on the CPU in eval mode, so that saving never disturbs training."""
    return copy.deepcopy(network).cpu().float().eval()


def _complete(
    metadata: Mapping[str, Any], networks: Mapping[str, Any], parent: ModelFolder | None
) -> dict[str, Any]:
    known = parent.metadata if parent else {}
    given = {**{key: known[key] for key in INHERITED if key in known}, **metadata}
    if set(given) - {HAS_METRES} != set(GIVEN):
        raise ValueError(f"metadata: expected {sorted(GIVEN)}, got {sorted(given)}")
    depth = networks["depth"].config
    return {
        **given,
        "preprocessing": {
            **PREPROCESSING,
            **given["preprocessing"],
            "multiple": depth.multiple,
        },
        HEAD: head_of(networks["depth"]),
        "architecture": {kind: to_dict(network.config) for kind, network in networks.items()},
        "reference_focal": depth.reference_focal,
        "depth_range": [depth.min_depth, depth.max_depth],
        "parent": parent.model_id if parent else None,
    }


def head_of(network: Any) -> dict[str, Any]:
    """Kind of the depth network's output, for ``model.json``.

    An affine head has A and B: inverse depth is A out + B with A = exp(-log_scale) and
    B = A shift, as the parameters of the network have them.
    """
    if network.config.head == METRIC:
        return {"kind": METRIC}
    A = math.exp(-network.log_scale.item())
    return {"kind": network.config.head, "A": A, "B": A * network.shift.item()}


def _graph(network: nn.Module, kind: str, parent: ModelFolder | None) -> bytes:
    if parent and kind in parent.networks and network.config == parent.network_config(kind):
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
    tensors = {"image": image, "depth": networks["depth"].depth(image.float())}
    if "pose" in networks:
        tensors |= _pose_frames(networks["pose"], stack)
    if not all(torch.isfinite(tensor).all() for tensor in tensors.values()):
        raise ModelError(
            "the networks compute NaN or infinity, so the model is not saved; go back "
            "to an earlier model"
        )
    return {name: value.contiguous() for name, value in tensors.items()}


def _pose_frames(network: Any, stack: Tensor) -> dict[str, Tensor]:
    channels = 3 * network.images
    if stack.shape[1] < channels:
        raise ValueError(
            f"expected check images with at least {channels} channels for the pose "
            f"network, got {stack.shape[1]}"
        )
    pair = stack[:, -channels:]
    return {"pair": pair, "motion": network(pair.float())}
