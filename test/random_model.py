# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Model folders of networks that nobody has trained."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sfm_depth_ros.config.schema import DepthNetworkConfig, PoseNetworkConfig
from sfm_depth_ros.model_folder.saving import save_model
from sfm_depth_ros.training.network_pair import fresh_networks


def untrained(width: int) -> dict[str, Any]:
    """Metadata of a model for images of that width."""
    return {
        "preprocessing": {"width": width},
        "trained_on": [],
        "licence": "Apache-2.0",
        "steps": 0,
        "metrics": {},
    }


def write_random_model(folder: Path, width: int = 160) -> Path:
    """A small model of random weights below a folder, always the same."""
    networks = fresh_networks(DepthNetworkConfig(width=8), PoseNetworkConfig(width=8), 0)
    return save_model(folder, networks.depth, networks.pose, metadata=untrained(width)).path
