# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What ``model.json`` must say, and the errors that tell how to mend a model folder."""

from __future__ import annotations

import hashlib
import json
import math
from pathlib import Path
from typing import Any, TypeVar

from sfm_depth_ros.config.loading import from_mapping
from sfm_depth_ros.config.schema import DepthNetworkConfig, PoseNetworkConfig
from sfm_depth_ros.errors import ConfigError, ModelError

FORMAT_VERSION = 1
MODEL_JSON = "model.json"
DEPTH_WEIGHTS, POSE_WEIGHTS = "depth.safetensors", "pose.safetensors"
DEPTH_ONNX, POSE_ONNX = "depth.onnx", "pose.onnx"
CHECK_FRAMES = "check.safetensors"
REQUIRED_FILES = (DEPTH_WEIGHTS, POSE_WEIGHTS, DEPTH_ONNX, POSE_ONNX, CHECK_FRAMES)

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
    try:
        metadata = json.loads((folder / MODEL_JSON).read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise ModelError(
            f"{folder} is not a model folder: it has no {MODEL_JSON}; give the "
            "path of a folder written by sfm-depth train, export or the "
            "trainer"
        ) from error
    except (OSError, ValueError) as error:
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


def check_hash(folder: Path, name: str, expected: str) -> None:
    """Raise ``ModelError`` unless a listed file has the SHA-256 it should have."""
    if Path(name).name != name:
        raise damaged(folder, f"{MODEL_JSON} lists {name!r}, which is not a plain file name")
    try:
        found = sha256((folder / name).read_bytes())
    except OSError as error:
        raise damaged(folder, f"{name} is missing or cannot be read ({error})") from error
    if found != expected:
        raise damaged(folder, f"{name} has another SHA-256 than {MODEL_JSON} says")


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
    """Replace what JSON cannot say (NaN, infinity) by null, for example an empty metric."""
    if isinstance(value, dict):
        return {key: without_nan(entry) for key, entry in value.items()}
    if isinstance(value, (list, tuple)):
        return [without_nan(entry) for entry in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def model_id_of(hashes: dict[str, str]) -> str:
    """Twelve hexadecimal digits that stand for both networks' weights, from the files' hashes."""
    return sha256((hashes[DEPTH_WEIGHTS] + hashes[POSE_WEIGHTS]).encode())[:12]


def damaged(folder: Path, what: str) -> ModelError:
    """Error for a damaged folder, with the remedy."""
    return ModelError(
        f"model folder {folder} is damaged: {what}; copy it again, or remove it "
        "to fall back to another model"
    )


def sha256(data: bytes) -> str:
    """SHA-256 in hexadecimal digits."""
    return hashlib.sha256(data).hexdigest()
