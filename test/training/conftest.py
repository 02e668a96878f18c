# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A small exact world for training tests: a textured street with a ground, sides and an end."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from safetensors.torch import save

from sfm_depth_ros.config.schema import (
    DepthNetworkConfig,
    ObjectiveConfig,
    OnlineTrainingConfig,
    PoseNetworkConfig,
)
from sfm_depth_ros.geometry.camera import Intrinsics
from sfm_depth_ros.model_folder.folder import ModelFolder, write_model_folder
from sfm_depth_ros.model_folder.metadata import DEPTH_WEIGHTS, POSE_WEIGHTS, REQUIRED_FILES
from sfm_depth_ros.snippets.values import Snippet
from sfm_depth_ros.training.network_pair import NetworkPair, fresh_networks
from sfm_depth_ros.training.online.parts import TrainerParts

HEIGHT, WIDTH = 64, 96


class PlaneWorld:
    """A camera drives straight ahead between planes with smooth random textures."""

    def __init__(self, seed: int) -> None:
        rng = np.random.default_rng(seed)
        self._waves = rng.normal(size=(3, 16, 3)) * np.geomspace(0.5, 5.0, 16)[None, :, None]
        self._phases = rng.uniform(0, 2 * np.pi, (3, 16))
        self.camera = Intrinsics.from_hfov(80.0, WIDTH, HEIGHT)

    def render(self, z: float) -> tuple[np.ndarray, np.ndarray]:
        """Image ``(H, W, 3)`` uint8 and depth ``(H, W)`` metres seen from ``z`` metres ahead."""
        v, u = np.mgrid[:HEIGHT, :WIDTH]
        x = (u - self.camera.cx) / self.camera.fx
        y = (v - self.camera.cy) / self.camera.fy
        with np.errstate(divide="ignore"):
            sides = np.where(x > 0, 2.5 / x, -3.0 / np.where(x < 0, x, -1e-9))
            heights = np.where(y > 0, 1.2 / y, -4.0 / np.where(y < 0, y, -1e-9))
        depth = np.minimum(np.minimum(sides, heights), 15.0 - z)
        points = np.stack([x * depth, y * depth, z + depth], -1)  # (H, W, 3) in the world
        angle = np.einsum("hwi,cki->hwck", points, self._waves) + self._phases
        image = 127 + 40 * np.sin(angle).sum(-1) / 2
        return np.clip(image, 0, 255).astype(np.uint8), depth.astype(np.float32)

    def snippet(self, z: float, step: float, with_truth: bool = False) -> Snippet:
        """Three frames, ``step`` metres apart, the middle one ``z`` metres ahead."""
        target, depth = self.render(z)
        earlier, later = self.render(z - step)[0], self.render(z + step)[0]
        T = np.stack([np.eye(4), np.eye(4)])
        T[0, 2, 3], T[1, 2, 3] = step, -step  # points of the target in the sources' frames
        return Snippet(
            target=target,
            sources=np.stack([earlier, later]),
            intrinsics=self.camera,
            displacements=np.full(2, step, np.float32),
            stamps_ns=np.array([0, 1, 2]) + int(1e9 * z),
            depth=depth if with_truth else None,
            T_source_target=T if with_truth else None,
        )


@functools.cache
def _plane_snippets(count: int, seed: int, with_truth: bool) -> tuple[Snippet, ...]:
    world, rng = PlaneWorld(seed), np.random.default_rng(seed + 1000)
    return tuple(
        world.snippet(rng.uniform(0, 6), rng.uniform(0.2, 0.5), with_truth) for _ in range(count)
    )


@pytest.fixture
def plane_snippets() -> Callable[..., list[Snippet]]:
    """Makes snippets of a drive at random places and speeds."""

    def make(count: int, seed: int = 0, with_truth: bool = False) -> list[Snippet]:
        return list(_plane_snippets(count, seed, with_truth))

    return make


@pytest.fixture
def tiny_networks() -> Callable[[int], NetworkPair]:
    """Makes the smallest networks, with a reference focal length that fits the small images."""

    def make(seed: int = 0) -> NetworkPair:
        depth = DepthNetworkConfig(width=8, reference_focal=57.0, max_depth=60.0)
        return fresh_networks(depth, PoseNetworkConfig(width=8, reference_focal=57.0), seed)

    return make


def as_drive(snippets: list[Snippet], spacing_s: float = 0.2) -> list[Snippet]:
    """The same snippets with stamps as if they had been taken one after another."""
    return [
        dataclasses.replace(
            snippet, stamps_ns=np.array([i * spacing_s + dt for dt in (0.0, 0.05, 0.1)]) * 1e9
        )
        for i, snippet in enumerate(snippets)
    ]


@pytest.fixture
def drive(plane_snippets: Callable[..., list[Snippet]]) -> Callable[[int], list[Snippet]]:
    """Makes the snippets of a drive through ever new places."""

    def make(count: int) -> list[Snippet]:
        places = [plane_snippets(2, seed=seed) for seed in range(100, 100 + (count + 1) // 2)]
        return as_drive([snippet for place in places for snippet in place][:count])

    return make


class ModelWriter:
    """Stands for ``pipeline.model_saving.save_model``: real folders, but for empty graphs."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.written: list[ModelFolder] = []

    def __call__(self, depth, pose, *, metadata, parent=None) -> ModelFolder:
        files = dict.fromkeys(REQUIRED_FILES, b"")
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
