# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Reads the calibration YAML that ``camera_calibration`` writes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from sfm_depth_ros.camera.camera_model import CameraModel
from sfm_depth_ros.errors import DataError


def read_camera_info_file(path: str | Path, frame_id: str = "") -> CameraModel:
    """Read a calibration.

    Args:
        path: File with image_width, image_height, camera_matrix, distortion_model,
            distortion_coefficients, rectification_matrix and projection_matrix; the last two may
            be missing. ``~`` is the home folder.
        frame_id: Name of the optical frame; the file knows none.

    Raises:
        DataError: The file is missing, no YAML, or lacks a field.
    """
    try:
        text = Path(path).expanduser().read_text(encoding="utf-8")
        content = yaml.safe_load(text)
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise DataError(f"camera_info_file {path} cannot be read: {error}") from error
    try:
        return CameraModel.from_matrices(
            content["camera_matrix"]["data"],
            content["image_width"],
            content["image_height"],
            D=_data(content, "distortion_coefficients") or (),
            model=content.get("distortion_model", "plumb_bob"),
            R=_data(content, "rectification_matrix"),
            P=_data(content, "projection_matrix"),
            frame_id=frame_id,
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise DataError(
            f"camera_info_file {path}: {type(error).__name__} {error}; expected the fields that "
            "camera_calibration writes (image_width, image_height, camera_matrix, ...)"
        ) from error


def _data(content: dict[str, Any], name: str) -> list[float] | None:
    matrix = content.get(name)
    return None if matrix is None else matrix["data"]
