# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The smallest networks, models and drives of the plane world."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from plane_world import WIDTH, plane_snippets
from safetensors.torch import save

from sfm_depth_ros.config.schema import (
    DepthNetworkConfig,
    ObjectiveConfig,
    OnlineTrainingConfig,
    PoseNetworkConfig,
)
from sfm_depth_ros.model_folder.folder import ModelFolder, write_model_folder
from sfm_depth_ros.model_folder.metadata import (
    CHECK_FRAMES,
    DEPTH_WEIGHTS,
    POSE_FILES,
    POSE_WEIGHTS,
    REQUIRED_FILES,
)
from sfm_depth_ros.snippets.values import Snippet
from sfm_depth_ros.training.network_pair import NetworkPair, fresh_networks
from sfm_depth_ros.training.online.parts import TrainerParts

__all__ = ["plane_snippets"]


@pytest.fixture
def tiny_networks() -> Callable[[int], NetworkPair]:
    """Makes the smallest networks, with a reference focal length that fits the small images."""

    def make(seed: int = 0) -> NetworkPair:
        depth = DepthNetworkConfig(width=8, reference_focal=57.0, max_depth=60.0)
        return fresh_networks(depth, PoseNetworkConfig(width=8, reference_focal=57.0), seed)

    return make


def as_drive(
    snippets: list[Snippet], spacing_s: float = 0.2, slip: float = 1.0, begin_s: float = 0.0
) -> list[Snippet]:
    """The same snippets with stamps as if they had been taken one after another.

    Their true motion becomes what an odometer measured, too long by the factor ``slip``.
    """
    driven = []
    for i, snippet in enumerate(snippets):
        assert snippet.T_source_target is not None
        T = snippet.T_source_target.astype(np.float32)
        T[:, :3, 3] *= slip
        stamps = np.array([begin_s + i * spacing_s + dt for dt in (0.0, 0.05, 0.1)]) * 1e9
        driven.append(
            dataclasses.replace(
                snippet,
                depth=None,
                T_source_target=None,
                T_measured=T,
                displacements=snippet.displacements * np.float32(slip),
                stamps_ns=stamps.astype(np.int64),
            )
        )
    return driven


@pytest.fixture
def drive(plane_snippets: Callable[..., list[Snippet]]) -> Callable[..., list[Snippet]]:
    """Makes the snippets of a drive through ever new places."""

    def make(
        count: int,
        slip: float = 1.0,
        begin_s: float = 0.0,
        place: int = 100,
        spacing_s: float = 0.2,
    ) -> list[Snippet]:
        seeds = range(place, place + (count + 1) // 2)
        places = [plane_snippets(2, seed=seed, with_truth=True) for seed in seeds]
        snippets = [snippet for place in places for snippet in place][:count]
        return as_drive(snippets, spacing_s, slip, begin_s)

    return make


class ModelWriter:
    """Stands for ``pipeline.model_saving.save_model``: real folders, but for empty graphs."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.written: list[ModelFolder] = []

    def __call__(self, depth, pose, *, metadata, parent=None) -> ModelFolder:
        files = dict.fromkeys((*REQUIRED_FILES, *POSE_FILES), b"")
        files[CHECK_FRAMES] = save({"nothing": torch.zeros(1)})
        files[DEPTH_WEIGHTS] = save({k: v.contiguous() for k, v in depth.state_dict().items()})
        files[POSE_WEIGHTS] = save({k: v.contiguous() for k, v in pose.state_dict().items()})
        content = {
            "licence": "test",
            **metadata,
            "reference_focal": 57.0,
            "depth_range": [0.1, 60.0],
            "architecture": {"depth": vars(depth.config), "pose": vars(pose.config)},
            "parent": parent.model_id if parent else None,
        }
        path = self.folder / f"model_{len(self.written)}"
        self.written.append(write_model_folder(path, files, content))
        return self.written[-1]


@pytest.fixture
def writer(tmp_path: Path) -> ModelWriter:
    """Writes models under ``tmp_path``."""
    return ModelWriter(tmp_path / "models")


@pytest.fixture
def make_parts(
    writer: ModelWriter, tiny_networks: Callable[[int], NetworkPair], tmp_path: Path
) -> Callable[..., TrainerParts]:
    """Makes what an online trainer is made of, with a model to begin with."""

    def make(make_world=None, objective: ObjectiveConfig | None = None, **training):
        settings = {
            "min_snippets": 6,
            "validate_every": 4,
            "batch_size": 2,
            "warmup_steps": 2,
            "holdout_share": 0.3,
            "average_decay": 0.5,
            "learning_rate": 1e-3,
        }
        networks = tiny_networks()
        facts = {"preprocessing": {"width": WIDTH}, "trained_on": [], "steps": 100, "metrics": {}}
        first = writer(networks.depth, networks.pose, metadata=facts)
        return TrainerParts(
            training=OnlineTrainingConfig(**{**settings, **training}),
            objective=objective or ObjectiveConfig(),
            folder=first,
            work_dir=tmp_path / "work",
            save=writer,
            deploy=lambda folder: None,
            make_world=make_world,
        )

    return make
