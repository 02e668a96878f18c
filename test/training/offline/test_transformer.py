# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A vision transformer learns in part from a bag, at sizes that its patches divide."""

from __future__ import annotations

import dataclasses

import pytest
import torch
from exact_drive import make_drive, write_bag
from tiny_run import CONFIG

from sfm_depth_ros.bags.selection import BagSelection
from sfm_depth_ros.config.schema import DepthNetworkConfig, ObjectiveConfig, PoseNetworkConfig
from sfm_depth_ros.networks.model import create_depth_network, create_pose_network
from sfm_depth_ros.training.network_pair import NetworkPair
from sfm_depth_ros.training.offline.caches import CacheStore
from sfm_depth_ros.training.offline.data import Source, TrainingData
from sfm_depth_ros.training.offline.loop import OfflineTrainer
from sfm_depth_ros.training.offline.recorded_snippets import recorded_caches
from sfm_depth_ros.training.offline.run_parts import RunParts

RELATIVE = DepthNetworkConfig(name="depth_anything_v2_small", head="inverse-affine")


@pytest.mark.parametrize("zoom", [1.0, 2.0])
def test_its_decoder_learns_from_a_bag(tmp_path, zoom: float) -> None:
    bag = BagSelection(write_bag(tmp_path / "drive", make_drive(9, speed=6.0)))
    config = dataclasses.replace(
        CONFIG, width=112, steps=2, trained_part="decoder", zoom=zoom, synthetic_heights=(28.0,)
    )
    store = CacheStore(tmp_path / "cache", 2**30)
    (cache,) = recorded_caches(bag, config, store)
    assert cache.shape.width == zoom * 112
    assert cache.shape.height % 14 == 0
    torch.manual_seed(0)
    pose = create_pose_network(PoseNetworkConfig(width=8))
    networks = NetworkPair(create_depth_network(RELATIVE), pose)
    before = {name: value.clone() for name, value in networks.depth.state_dict().items()}
    data = TrainingData([], [Source.whole(cache)], config)
    trainer = OfflineTrainer(networks, RunParts(tmp_path / "run", config, ObjectiveConfig()))
    report = trainer.run(data.batch, lambda networks: {})
    assert (report["steps"], report["refused"]) == (2, 0)
    moved = {
        name
        for name, value in trainer.average.network.depth.state_dict().items()
        if not torch.equal(value, before[name])
    }
    assert moved
    assert not any(name.startswith("encoder.") for name in moved)
