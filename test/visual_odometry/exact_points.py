# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Points projected exactly into the views of a moving camera."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sfm_depth_ros.geometry.frames import invert, twist_to_transform

FOCAL = 370.0


@dataclass(frozen=True)
class Views:
    poses: np.ndarray  # (F, 4, 4) T_world_camera
    rays: np.ndarray  # (N, F, 2)
    inverse_depth: np.ndarray  # (N, F)

    def motion(self, index: int) -> np.ndarray:
        return invert(self.poses[index - 1]) @ self.poses[index]


def make_views(frames: int = 6, points: int = 120, seed: int = 0) -> Views:
    """A curved drive of 0.8 m a frame past points 4 to 40 m ahead of its end."""
    rng = np.random.default_rng(seed)
    step = twist_to_transform([0.03, -0.01, 0.8], [0.003, 0.02, -0.002], 1.0)
    poses = [np.eye(4)]
    for _ in range(frames - 1):
        poses.append(poses[-1] @ step)
    depth = rng.uniform(4, 40, points)
    local = np.stack([rng.uniform(-0.8, 0.8, points), rng.uniform(-0.2, 0.2, points)], 1)
    ahead = np.concatenate([local * depth[:, None], depth[:, None]], 1)
    world = ahead @ poses[-1][:3, :3].T + poses[-1][:3, 3]
    seen = np.stack([(world - pose[:3, 3]) @ pose[:3, :3] for pose in poses], 1)
    return Views(np.array(poses), seen[..., :2] / seen[..., 2:], 1.0 / seen[..., 2])
