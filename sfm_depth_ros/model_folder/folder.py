# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A model is a folder: weights, graphs and check frames, hashed, written whole or not at all."""

from __future__ import annotations

import json
import logging
import os
import uuid
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load as load_tensors

from sfm_depth_ros.config.schema import DepthNetworkConfig, PoseNetworkConfig
from sfm_depth_ros.errors import ModelError
from sfm_depth_ros.model_folder.metadata import (
    CHECK_FRAMES,
    DEPTH_ONNX,
    DEPTH_WEIGHTS,
    FORMAT_VERSION,
    MODEL_JSON,
    POSE_ONNX,
    POSE_WEIGHTS,
    REQUIRED_FILES,
    architecture_config,
    check_hash,
    check_types,
    damaged,
    model_id_of,
    read_metadata,
    sha256,
    without_nan,
)
from sfm_depth_ros.storage import write_folder

CURRENT = "current"

_logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class CheckFrames:
    """Two inputs of each network with the answers that torch gave when the model was saved."""

    image: np.ndarray  # `(2, 3, h, w)` float32 RGB in [0, 1]
    depth: np.ndarray  # `(2, 1, h, w)` float32 canonical depth
    # `(2, 6, h, w)` float32, earlier and later RGB; `(2, 9, h, w)` where the pose network sees
    # three images
    pair: np.ndarray
    motion: np.ndarray  # `(2, 6)` float32 canonical motion; `(2, 12)` likewise


@dataclass(frozen=True)
class ModelFolder:
    """A model folder whose hashes were right when it was read."""

    path: Path  # Absolute path without symbolic links
    metadata: dict[str, Any]  # Content of `model.json`

    @property
    def model_id(self) -> str:
        """Twelve hexadecimal digits that stand for both networks' weights."""
        return model_id_of(self.metadata["files"])

    @property
    def parent(self) -> str | None:
        """Id of the model that this one was trained from."""
        parent: str | None = self.metadata["parent"]
        return parent

    @property
    def width(self) -> int:
        """Width in pixels of the network's image in training."""
        return int(self.metadata["preprocessing"]["width"])

    @property
    def resize_filter(self) -> str:
        """How images were scaled in training: ``"area"``, or what an imported model had."""
        return str(self.metadata["preprocessing"].get("filter", "area"))

    @property
    def depth_config(self) -> DepthNetworkConfig:
        """Architecture of the depth network."""
        return architecture_config(self.path, self.metadata, "depth", DepthNetworkConfig)

    @property
    def pose_config(self) -> PoseNetworkConfig:
        """Architecture of the pose network."""
        return architecture_config(self.path, self.metadata, "pose", PoseNetworkConfig)

    def onnx(self, network: str) -> Path:
        """Graph of a network.

        Args:
            network: ``"depth"`` or ``"pose"``.
        """
        if network not in ("depth", "pose"):
            raise ValueError(f"network: expected 'depth' or 'pose', got {network!r}")
        return self.path / (DEPTH_ONNX if network == "depth" else POSE_ONNX)

    def depth_weights(self) -> dict[str, np.ndarray]:
        """State of the depth network by parameter name."""
        return self._tensors(DEPTH_WEIGHTS)

    def pose_weights(self) -> dict[str, np.ndarray]:
        """State of the pose network by parameter name."""
        return self._tensors(POSE_WEIGHTS)

    def check_frames(self) -> CheckFrames:
        """Inputs with torch's answers."""
        tensors = self._tensors(CHECK_FRAMES)
        try:
            return CheckFrames(**{name: tensors[name] for name in CheckFrames.__annotations__})
        except KeyError as error:
            raise damaged(self.path, f"{CHECK_FRAMES} lacks {error}") from error

    def _tensors(self, name: str) -> dict[str, np.ndarray]:
        try:
            return load_tensors((self.path / name).read_bytes())
        except (OSError, SafetensorError) as error:
            raise damaged(self.path, f"{name} cannot be read ({error})") from error


def read_model_folder(path: Path | str) -> ModelFolder:
    """Read a model folder and check all of it.

    Raises:
        ModelError: Something is missing, damaged, or of a version or architecture that this
            program does not know.
    """
    folder = Path(path).expanduser().resolve()
    metadata = read_metadata(folder)
    for name in REQUIRED_FILES:
        if name not in metadata["files"]:
            raise damaged(folder, f"{MODEL_JSON} does not list {name}")
    for name, expected in metadata["files"].items():
        check_hash(folder, name, expected)
    architecture_config(folder, metadata, "depth", DepthNetworkConfig)
    architecture_config(folder, metadata, "pose", PoseNetworkConfig)
    return ModelFolder(folder, metadata)


def write_model_folder(
    destination: Path, files: dict[str, bytes], metadata: dict[str, Any]
) -> ModelFolder:
    """Write a model folder aside, flush it to disk and rename it: readers see all or nothing.

    Args:
        destination: Folder to make; it must not exist.
        files: Content of every file of ``REQUIRED_FILES``, and of any others, by plain name.
        metadata: Content of ``model.json``; format version, date and hashes are added here.

    Raises:
        ModelError: The folder exists already or cannot be written.
    """
    if missing := [name for name in REQUIRED_FILES if name not in files]:
        raise ValueError(f"a model folder needs {', '.join(missing)}")
    if destination.exists():
        raise ModelError(
            f"{destination} exists already and is never overwritten; "
            "choose another name or remove it first"
        )
    content = {
        "format_version": FORMAT_VERSION,
        "created": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        **without_nan(metadata),
        "files": {name: sha256(data) for name, data in sorted(files.items())},
    }
    check_types(destination, content)
    text = json.dumps(content, indent=2, allow_nan=False) + "\n"
    try:
        write_folder(destination, {**files, MODEL_JSON: text.encode()})
    except OSError as error:
        raise ModelError(
            f"cannot write the model folder {destination} ({error}); "
            "free some disk space or choose a writable folder"
        ) from error
    return ModelFolder(destination.resolve(), content)


def is_inside(models_dir: Path | str, path: Path | str) -> bool:
    """Whether ``path``, symbolic links followed, lies below ``models_dir``."""
    root = Path(models_dir).expanduser().resolve()
    return root in Path(path).expanduser().resolve().parents


def point_current(models_dir: Path, folder: ModelFolder) -> None:
    """Let ``models_dir/current`` name this model, atomically.

    Raises:
        ModelError: The model lies elsewhere, or ``current`` is no link and cannot be replaced.
    """
    root = models_dir.expanduser().resolve()
    if not is_inside(root, folder.path):
        raise ModelError(f"{folder.path} lies outside of {root}; copy it there first")
    link = root / f".{CURRENT}-{uuid.uuid4().hex}"
    try:
        link.symlink_to(folder.path.relative_to(root), target_is_directory=True)
        link.replace(root / CURRENT)
    except OSError as error:
        link.unlink(missing_ok=True)
        raise ModelError(
            f"cannot point {root / CURRENT} at {folder.path.name} ({error}); "
            f"remove {root / CURRENT} if it is no symbolic link"
        ) from error


def resolve_model(model: str, models_dir: str, shipped: Path) -> ModelFolder:
    """Choose the model to start with: the parameter, else ``current``, else the shipped one.

    Args:
        model: Parameter ``model``; empty = not given. A damaged one is an error, since it was
            asked for by name.
        models_dir: Folder of accepted models.
        shipped: The package's own model.

    Raises:
        ModelError: The chosen model is missing or damaged.
    """
    if model:
        return _chosen(read_model_folder(model), "parameter model")
    root = Path(models_dir).expanduser()
    current = root / CURRENT
    if not os.path.lexists(current):
        return _chosen(read_model_folder(shipped), f"shipped; {current} does not exist")
    try:
        if not is_inside(root, current):
            raise ModelError(f"{current} points outside of {root}; point it at a model inside")
        return _chosen(read_model_folder(current), f"newest accepted, {current}")
    except ModelError as error:
        _logger.warning("%s is not used: %s", current, error)
        return _chosen(read_model_folder(shipped), "shipped; the newest accepted is not valid")


def _chosen(folder: ModelFolder, why: str) -> ModelFolder:
    _logger.info("model %s from %s (%s)", folder.model_id, folder.path, why)
    return folder
