# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A small exact world for training tests: a textured street with a ground, sides and an end."""

from __future__ import annotations

import functools
from collections.abc import Callable

import numpy as np
import pytest

from sfm_depth_ros.geometry.camera import Intrinsics
from sfm_depth_ros.snippets.values import Snippet

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
