# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Format of a model folder: weights, graphs and check frames, hashed in ``model.json``."""

from __future__ import annotations

import json
import math
import os
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from sfm_depth_ros.config.loading import from_mapping
from sfm_depth_ros.config.networks import ONNX
from sfm_depth_ros.config.schema import DepthNetworkConfig, PoseNetworkConfig
from sfm_depth_ros.errors import ConfigError, ModelError
from sfm_depth_ros.model_folder.files import (
    LARGEST_JSON,
    check_file,
    damaged,
    parse_tensors,
    read_file,
    resolved,
    sha256,
)
from sfm_depth_ros.storage import write_folder

FORMAT_VERSION = 1
MODEL_JSON = "model.json"
DEPTH_WEIGHTS, POSE_WEIGHTS = "depth.safetensors", "pose.safetensors"
DEPTH_ONNX, POSE_ONNX = "depth.onnx", "pose.onnx"
CHECK_FRAMES = "check.safetensors"
REQUIRED_FILES = (DEPTH_WEIGHTS, DEPTH_ONNX, CHECK_FRAMES)
POSE_FILES = (POSE_WEIGHTS, POSE_ONNX)  # of a model with a pose network: both or none
HEAD = "head"  # kind of the depth network's output with its A and B; absent = metric

_TYPES: dict[str, type | tuple[type, ...]] = {
    "created": str,
    "architecture": dict,
    "preprocessing": dict,
    "reference_focal": (int, float),
    "depth_range": list,
    "trained_on": list,
    "licence": str,
    "steps": int,
    "metrics": dict,
    "parent": (str, type(None)),
    "files": dict,
}
_Config = TypeVar("_Config", DepthNetworkConfig, PoseNetworkConfig)


def read_metadata(folder: Path) -> dict[str, Any]:
    """Read ``model.json`` and check its version and the types of its entries."""
    if not os.path.lexists(folder / MODEL_JSON):
        raise ModelError(
            f"{folder} is not a model folder: it has no {MODEL_JSON}; give the "
            "path of a folder written by sfm-depth train, export or the "
            "trainer"
        )
    try:
        metadata = json.loads(read_file(folder, MODEL_JSON, LARGEST_JSON))
    except (ValueError, RecursionError) as error:
        raise damaged(folder, f"{MODEL_JSON} cannot be read ({error})") from error
    if not isinstance(metadata, dict):
        raise damaged(folder, f"{MODEL_JSON} is not an object")
    if metadata.get("format_version") != FORMAT_VERSION:
        raise ModelError(
            f"{folder} has format version {metadata.get('format_version')!r}, this program reads "
            f"{FORMAT_VERSION}; update sfm_depth_ros or choose another model"
        )
    check_types(folder, metadata)
    return metadata


def check_types(folder: Path, metadata: dict[str, Any]) -> None:
    """Raise ``ModelError`` unless every entry is there and of its type."""
    for key, expected in _TYPES.items():
        if key not in metadata or not isinstance(metadata[key], expected):
            raise damaged(folder, f"{MODEL_JSON}: {key} is missing or of the wrong type")
    if not isinstance(metadata["preprocessing"].get("width"), int):
        raise damaged(folder, f"{MODEL_JSON}: preprocessing.width is not a whole number")


def check_files(folder: Path, metadata: dict[str, Any]) -> None:
    """Raise ``ModelError`` unless all files that a model needs are listed."""
    required = (*REQUIRED_FILES, *(POSE_FILES if "pose" in metadata["architecture"] else ()))
    for name in required:
        if name not in metadata["files"]:
            raise damaged(folder, f"{MODEL_JSON} does not list {name}")


def architecture_config(
    folder: Path, metadata: dict[str, Any], network: str, config: type[_Config]
) -> _Config:
    """Rebuild the configuration of one network from ``model.json``."""
    try:
        return from_mapping(config, metadata["architecture"][network])
    except (KeyError, AttributeError, ConfigError) as error:
        raise ModelError(
            f"{folder}: unknown architecture of the {network} network ({error}); "
            "update sfm_depth_ros or choose another model"
        ) from error


def without_nan(value: Any) -> Any:
    """Replace what JSON cannot hold (NaN, infinity) by null, for example an empty metric."""
    if isinstance(value, dict):
        return {key: without_nan(entry) for key, entry in value.items()}
    if isinstance(value, (list, tuple)):
        return [without_nan(entry) for entry in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def model_id_of(hashes: dict[str, str]) -> str:
    """Twelve hexadecimal digits that stand for all networks' weights, from the files' hashes."""
    return sha256((hashes[DEPTH_WEIGHTS] + hashes.get(POSE_WEIGHTS, "")).encode())[:12]


@dataclass(frozen=True)
class CheckFrames:
    """Two inputs of each network, with torch's outputs when the model was saved."""

    image: np.ndarray  # `(2, 3, h, w)` float32 RGB in [0, 1]
    depth: np.ndarray  # `(2, 1, h, w)` float32 canonical depth
    # `(2, 6, h, w)` float32, earlier and later RGB; `(2, 9, h, w)` where the pose network sees
    # three images; None where there is no pose network
    pair: np.ndarray | None = None
    # `(2, 6)` float32 canonical motion; `(2, 12)` likewise
    motion: np.ndarray | None = None

    def of(self, network: str) -> tuple[np.ndarray, np.ndarray]:
        """Inputs and right outputs of a network, ``"depth"`` or ``"pose"``.

        Raises:
            ModelError: There is no pose network.
        """
        if network == "depth":
            return self.image, self.depth
        if self.pair is None or self.motion is None:
            raise ModelError("this model has no pose network; choose one that has")
        return self.pair, self.motion


@dataclass(frozen=True)
class ModelFolder:
    """A model folder whose hashes were right when it was read."""

    path: Path  # Absolute path without symbolic links
    metadata: dict[str, Any]  # Content of `model.json`

    @property
    def model_id(self) -> str:
        """Twelve hexadecimal digits that stand for all networks' weights."""
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
        """Filter that scaled images down in training: ``"area"``, or that of an imported model."""
        return str(self.metadata["preprocessing"].get("filter", "area"))

    @property
    def multiple(self) -> int:
        """What height and width of the network's image must be multiples of."""
        return int(self.metadata["preprocessing"].get("multiple", 32))

    @property
    def networks(self) -> tuple[str, ...]:
        """``("depth", "pose")``, or ``("depth",)`` where there is no pose network."""
        return tuple(name for name in ("depth", "pose") if name in self.metadata["architecture"])

    @property
    def has_pose(self) -> bool:
        """Whether there is a pose network; else motion comes from elsewhere."""
        return "pose" in self.networks

    @property
    def depth_config(self) -> DepthNetworkConfig:
        """Architecture of the depth network."""
        return architecture_config(self.path, self.metadata, "depth", DepthNetworkConfig)

    @property
    def is_foreign(self) -> bool:
        """Whether the depth network is an imported graph, which nothing but an engine can run."""
        return self.depth_config.name == ONNX

    @property
    def input_height(self) -> int | None:
        """Height in pixels of the network's image where the graph takes one size alone."""
        return int(self.metadata["preprocessing"]["height"]) if self.is_foreign else None

    @property
    def depth_focal(self) -> float | None:
        """Focal length in pixels at which depth is in metres; None = at any."""
        config = self.depth_config
        return None if config.focal_rule == "none" else config.reference_focal

    @property
    def pose_config(self) -> PoseNetworkConfig:
        """Architecture of the pose network.

        Raises:
            ModelError: There is none.
        """
        if not self.has_pose:
            raise ModelError(
                f"{self.path} has no pose network; choose a model with one, or import it again "
                "with --fresh-pose to train one"
            )
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
        return self._read_tensors(DEPTH_WEIGHTS)

    def pose_weights(self) -> dict[str, np.ndarray]:
        """State of the pose network by parameter name."""
        return self._read_tensors(POSE_WEIGHTS)

    def check_frames(self) -> CheckFrames:
        """Inputs with the outputs they had when the model was saved."""
        tensors = self._read_tensors(CHECK_FRAMES)
        names = ("image", "depth", *(("pair", "motion") if self.has_pose else ()))
        try:
            return CheckFrames(**{name: tensors[name] for name in names})
        except KeyError as error:
            raise damaged(self.path, f"{CHECK_FRAMES} lacks {error}") from error

    def _read_tensors(self, name: str) -> dict[str, np.ndarray]:
        return parse_tensors(self.path, name, read_file(self.path, name))


def read_model_folder(path: Path | str) -> ModelFolder:
    """Read a model folder and check all of it: hashes, kinds of files, finite weights.

    Raises:
        ModelError: Something is missing, damaged, or of a version or architecture that this
            program does not know.
    """
    folder = resolved(path)
    metadata = read_metadata(folder)
    check_files(folder, metadata)
    for name, expected in metadata["files"].items():
        check_file(folder, name, expected)
    architecture_config(folder, metadata, "depth", DepthNetworkConfig)
    if "pose" in metadata["architecture"]:
        architecture_config(folder, metadata, "pose", PoseNetworkConfig)
    return ModelFolder(folder, metadata)


def write_model_folder(
    destination: Path, files: dict[str, bytes], metadata: dict[str, Any]
) -> ModelFolder:
    """Write a model folder aside, flush it to disk and rename it: readers see all or nothing.

    Args:
        destination: Folder to make; it must not exist.
        files: Content of every file of ``REQUIRED_FILES``, of ``POSE_FILES`` where there is a pose
            network, and of any others, by plain name.
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
