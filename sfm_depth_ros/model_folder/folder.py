# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Format of a model folder: weights, graphs and check frames, hashed in ``model.json``."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import numpy as np

from sfm_depth_ros.config.networks import METRIC, ONNX
from sfm_depth_ros.config.schema import DepthNetworkConfig, PoseNetworkConfig
from sfm_depth_ros.errors import ModelError
from sfm_depth_ros.model_folder.files import (
    check_file,
    damaged,
    parse_tensors,
    read_file,
    resolved,
    sha256,
)
from sfm_depth_ros.model_folder.metadata import (
    CHECK_FRAMES,
    DEPTH_ONNX,
    DEPTH_WEIGHTS,
    FORMAT_VERSION,
    HAS_METRES,
    MODEL_JSON,
    POSE_ONNX,
    POSE_WEIGHTS,
    REQUIRED_FILES,
    ROW_PROFILE,
    architecture_config,
    check_files,
    check_types,
    model_id_of,
    read_metadata,
    without_nan,
)
from sfm_depth_ros.model_folder.row_profile import RowProfile
from sfm_depth_ros.storage import write_folder


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
        """Divisor of height and width of the network's image."""
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
    def has_metres(self) -> bool:
        """Whether depth is meant to be in metres: by its head, and by its training."""
        return self.depth_config.head == METRIC and bool(self.metadata.get(HAS_METRES, True))

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

    def network_config(self, network: str) -> DepthNetworkConfig | PoseNetworkConfig:
        """Architecture of a network, ``"depth"`` or ``"pose"``."""
        return self.depth_config if network == "depth" else self.pose_config

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
            return CheckFrames(**{name: tensors[name].astype(np.float32) for name in names})
        except KeyError as error:
            raise damaged(self.path, f"{CHECK_FRAMES} lacks {error}") from error

    def row_profile(self) -> RowProfile | None:
        """Median depth by image row of the training drives; None where it is not known."""
        if ROW_PROFILE not in self.metadata["files"]:
            return None
        try:
            return RowProfile.of_tensors(self._read_tensors(ROW_PROFILE))
        except KeyError as error:
            raise damaged(self.path, f"{ROW_PROFILE} lacks {error}") from error

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
