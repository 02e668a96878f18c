# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Ranges of a network's values on real frames: what int8 needs to know, kept between starts.

They belong to an architecture, not to its weights: a model that was trained further reuses them.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from sfm_depth_ros.model_folder.folder import ModelFolder
from sfm_depth_ros.storage import cache_directory, write_whole

_logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Calibration:
    """What the frames showed."""

    # Smallest and largest value by name of a tensor in the graph
    ranges: Mapping[str, tuple[float, float]]
    frames: int  # How many frames were looked at
    model_id: str  # Model whose weights they were looked at with


def calibration_file(folder: ModelFolder, network: str, directory: Path | None = None) -> Path:
    """Where the ranges of a model's architecture are kept."""
    config = folder.depth_config if network == "depth" else folder.pose_config
    architecture = json.dumps(asdict(config), sort_keys=True)
    digest = hashlib.sha256(architecture.encode()).hexdigest()[:12]
    return (directory or cache_directory() / "calibration") / f"{network}-{digest}.json"


def find_calibration(
    folder: ModelFolder, network: str, directory: Path | None = None
) -> Calibration | None:
    """Ranges for a model's architecture; None where none were kept, or they cannot be read."""
    file = calibration_file(folder, network, directory)
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
        ranges = {
            name: (float(low), float(high)) for name, (low, high) in content["ranges"].items()
        }
        return Calibration(ranges, int(content["frames"]), str(content["model_id"]))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        _logger.warning(
            "%s is ignored, for it cannot be read (%s: %s); calibrate again",
            file,
            type(error).__name__,
            error,
        )
        return None


def keep_calibration(
    folder: ModelFolder, network: str, calibration: Calibration, directory: Path | None = None
) -> Path:
    """Write the ranges for this architecture, atomically.

    Raises:
        OSError: The cache cannot be written.
    """
    file = calibration_file(folder, network, directory)
    write_whole(file, json.dumps(asdict(calibration), indent=1))
    return file
