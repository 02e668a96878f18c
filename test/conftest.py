# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Every test process talks in a domain of its own, on this machine alone; nothing goes home."""

from __future__ import annotations

import atexit
import logging
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[1]


def _isolate() -> None:
    """Set the environment before anything imports rclpy."""
    worker = os.environ.get("PYTEST_XDIST_WORKER", "")
    if not worker or "SFM_DEPTH_TEST_DOMAIN" not in os.environ:
        os.environ["SFM_DEPTH_TEST_DOMAIN"] = str(1 + os.getpid() % 80)
    base = int(os.environ["SFM_DEPTH_TEST_DOMAIN"])
    os.environ["ROS_DOMAIN_ID"] = str(base + (int(worker[2:]) + 1 if worker else 0) % 20)
    os.environ["ROS_AUTOMATIC_DISCOVERY_RANGE"] = "LOCALHOST"
    home = Path(tempfile.mkdtemp(prefix="sfm_depth_test_"))
    atexit.register(shutil.rmtree, home, ignore_errors=True)
    os.environ["ROS_HOME"] = str(home / "ros")
    os.environ["XDG_CACHE_HOME"] = str(home / "cache")
    profile = ROOT / "config" / "fastdds.xml"
    for name in ("FASTDDS_DEFAULT_PROFILES_FILE", "FASTRTPS_DEFAULT_PROFILES_FILE"):
        if profile.exists():
            os.environ.setdefault(name, str(profile))


_isolate()


@pytest.fixture(autouse=True)
def _loggers_as_they_were() -> Iterator[None]:
    """Commands set how much is said, for their whole process; here they share one."""
    loggers = (logging.getLogger(), logging.getLogger("sfm_depth_ros"))
    before = [(logger.level, logger.propagate) for logger in loggers]
    yield
    for logger, (level, propagate) in zip(loggers, before, strict=True):
        logger.setLevel(level)
        logger.propagate = propagate


@pytest.fixture(scope="session")
def source_tree() -> Path:
    """Root of the source tree."""
    return ROOT


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Model folder with random weights, exported once; its check frames are 96x32 pixels."""
    torch = pytest.importorskip("torch")
    from sfm_depth_ros.config.schema import DepthNetworkConfig, PoseNetworkConfig
    from sfm_depth_ros.model_folder.saving import save_model
    from sfm_depth_ros.networks.model import create_depth_network, create_pose_network

    torch.manual_seed(0)
    models_dir: Path = tmp_path_factory.mktemp("models")
    return save_model(
        models_dir,
        create_depth_network(DepthNetworkConfig(width=8)),
        create_pose_network(PoseNetworkConfig(width=8)),
        metadata={
            "preprocessing": {"width": 96},
            "licence": "Apache-2.0",
            "steps": 0,
            "trained_on": [{"name": "noise", "licence": "Apache-2.0"}],
            "metrics": {},
        },
    )


@pytest.fixture(scope="session")
def other_model(tiny_model: Any, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The tiny model with other weights."""
    torch = pytest.importorskip("torch")
    from sfm_depth_ros.model_folder.saving import save_model
    from sfm_depth_ros.networks.model import create_depth_network, create_pose_network

    torch.manual_seed(1)
    return save_model(
        tmp_path_factory.mktemp("other"),
        create_depth_network(tiny_model.depth_config),
        create_pose_network(tiny_model.pose_config),
        metadata={"steps": 1, "metrics": {}},
        parent=tiny_model,
    )
