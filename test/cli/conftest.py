# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A model that knows nothing, for commands that need one."""

from __future__ import annotations

import pytest

from sfm_depth_ros.config.schema import DepthNetworkConfig, PoseNetworkConfig
from sfm_depth_ros.networks.model_folder import ModelFolder


@pytest.fixture(scope="session")
def fresh_model(tmp_path_factory: pytest.TempPathFactory) -> ModelFolder:
    """The smallest networks with random weights, trained at 96 pixels' width."""
    pytest.importorskip("onnxscript")
    from sfm_depth_ros.pipeline.model_saving import save_model
    from sfm_depth_ros.training.network_pair import fresh_networks

    pair = fresh_networks(DepthNetworkConfig(width=8), PoseNetworkConfig(width=8), seed=0)
    metadata = {
        "preprocessing": {"width": 96}, "trained_on": ["nothing"], "licence": "Apache-2.0",
        "steps": 0, "metrics": {},
    }
    models_dir = tmp_path_factory.mktemp("models")
    return save_model(models_dir, pair.depth, pair.pose, metadata=metadata)
