# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Content of ``model.json``: version, types of its entries, listed files, architecture."""

from __future__ import annotations

import json
import math
import os
from pathlib import Path
from typing import Any, TypeVar

from sfm_depth_ros.config.loading import from_mapping
from sfm_depth_ros.config.schema import DepthNetworkConfig, PoseNetworkConfig
from sfm_depth_ros.errors import ConfigError, ModelError
from sfm_depth_ros.model_folder.files import (
    LARGEST_JSON,
    damaged,
    read_file,
    sha256,
)

FORMAT_VERSION = 1
MODEL_JSON = "model.json"
DEPTH_WEIGHTS, POSE_WEIGHTS = "depth.safetensors", "pose.safetensors"
DEPTH_ONNX, POSE_ONNX = "depth.onnx", "pose.onnx"
CHECK_FRAMES = "check.safetensors"
ROW_PROFILE = "row_profile.safetensors"  # optional: depth by image row of the training drives
REQUIRED_FILES = (DEPTH_WEIGHTS, DEPTH_ONNX, CHECK_FRAMES)
POSE_FILES = (POSE_WEIGHTS, POSE_ONNX)  # of a model with a pose network: both or none
HEAD = "head"  # kind of the depth network's output with its A and B; absent = metric
# whether something in training tied the depth to metres (odometer, measured or rendered depth);
# absent = yes
HAS_METRES = "has_metres"

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
    if not isinstance(metadata.get(HAS_METRES, True), bool):
        raise damaged(folder, f"{MODEL_JSON}: {HAS_METRES} is neither true nor false")


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
