# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Masks and alignment under the exact depth and motion of a rendered street."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional

from sfm_depth_ros.geometry.pinhole import backproject
from sfm_depth_ros.geometry.se3 import motion_to_transform
from sfm_depth_ros.geometry.warping import WarpResult, sample_sources, warp_sources
from sfm_depth_ros.losses.consistency import depth_consistency
from sfm_depth_ros.losses.icp import icp_loss
from sfm_depth_ros.losses.occlusion import splat_occlusion_mask
from sfm_depth_ros.losses.photometric import photometric_error
from sfm_depth_ros.world.drive import CameraSpec, DriveSpec, RenderedFrame, SyntheticDrive
from sfm_depth_ros.world.trajectory import MotionSpec

SKY = 1e3


@dataclass(frozen=True)
class Pair:
    """A target and the frame after it, which is nearer to what lies ahead."""

    target: Tensor  # (1, 3, H, W)
    source: Tensor  # (1, 1, 3, H, W)
    depth: Tensor  # (1, 1, H, W)
    points: Tensor  # (1, 3, H, W)
    source_depth: Tensor  # (1, 1, 1, H, W)
    K: Tensor
    T: Tensor  # (1, 1, 4, 4)
    warped: WarpResult


def _tensors(frame: RenderedFrame) -> tuple[Tensor, Tensor]:
    image = torch.from_numpy(frame.image).permute(2, 0, 1)[None].float() / 255
    depth = np.where(np.isfinite(frame.depth), frame.depth, SKY)
    return image, torch.from_numpy(depth).float()[None, None]


@pytest.fixture(scope="module")
def street() -> Pair:
    camera, motion = CameraSpec(320, 96, 85.0, 1.5, 2.0), MotionSpec(speed_mps=8.0)
    drive = SyntheticDrive(DriveSpec(3, 4.0, camera, style="street", motion=motion))
    frames = drive.frame(20), drive.frame(22)
    (target, depth), (source, source_depth) = map(_tensors, frames)
    K = torch.from_numpy(drive.intrinsics.matrix).float()[None]
    T = np.linalg.inv(frames[1].T_world_camera) @ frames[0].T_world_camera
    T_source_target = torch.from_numpy(T).float()[None, None]
    points = backproject(depth, K)
    warped = warp_sources(source[:, None], points, K, T_source_target)
    return Pair(
        target, source[:, None], depth, points, source_depth[:, None], K, T_source_target, warped
    )


def _hidden_and_visible(pair: Pair) -> tuple[Tensor, Tensor]:
    """By the source's own true depths around the pixel: all before the point, or none."""
    depth, warped = pair.source_depth[:, 0], pair.warped
    farthest = functional.max_pool2d(depth, 3, 1, 1)[:, None]
    nearest = -functional.max_pool2d(-depth, 3, 1, 1)[:, None]
    hidden = sample_sources(farthest, warped.grid) < 0.93 * warped.depth
    visible = sample_sources(nearest, warped.grid) > 0.97 * warped.depth
    return (hidden & warped.valid)[:, :, 0], (visible & warped.valid)[:, :, 0]


def test_splatting_finds_what_is_hidden_and_keeps_what_is_seen(street: Pair) -> None:
    seen = splat_occlusion_mask(street.warped)
    hidden, visible = _hidden_and_visible(street)
    assert hidden.sum() > 1000
    assert (hidden & ~seen).sum() > 0.85 * hidden.sum()
    assert (visible & ~seen).sum() < 0.001 * visible.sum()
    error = photometric_error(street.warped.image, street.target[:, None], 0.85)[:, :, 0]
    left_out = street.warped.valid[:, :, 0] & ~seen
    assert float(error[left_out].mean()) > 3 * float(error[seen].mean())


def test_true_depths_are_consistent_where_both_see(street: Pair) -> None:
    sampled = sample_sources(street.source_depth, street.warped.grid)
    difference, valid = depth_consistency(street.warped, sampled)
    hidden, visible = _hidden_and_visible(street)
    assert float(difference[visible & valid].mean()) < 0.03
    assert float(difference[hidden & valid].mean()) > 0.2  # what its mask makes light of


def test_clouds_of_a_street_say_how_wrong_the_motion_is(street: Pair) -> None:
    source = backproject(street.source_depth[:, 0], street.K)[:, None]

    def residuals(wrong: list[float]) -> tuple[float, float]:
        T = motion_to_transform(torch.tensor([[wrong]])) @ street.T
        transform, points = icp_loss(street.points[..., ::2, ::2], source, T, street.K)
        return float(transform), float(points)

    # Leaves, kerbs and what only one of them sees included; the camera went 1.6 m.
    assert residuals([0.0] * 6)[0] < 0.1
    transform, points = residuals([0, 0, 0.5, 0, 0, 0])
    assert transform == pytest.approx(0.5, abs=0.1) and points < 0.003


def test_the_photometric_error_knows_the_focal_lengths(street: Pair) -> None:
    """From a fifth too short and too long; K is learnt in back-projection and projection alike."""
    factors = torch.tensor([0.8, 1.2], requires_grad=True)
    optimiser = torch.optim.Adam([factors], lr=0.03)
    seen = splat_occlusion_mask(street.warped)
    for _ in range(60):
        optimiser.zero_grad()
        K = street.K * torch.cat([factors, torch.ones(1)]).diag() + street.K.triu(1)
        warped = warp_sources(street.source, backproject(street.depth, K), K, street.T)
        error = photometric_error(warped.image, street.target[:, None], 0.85)[:, :, 0]
        used = seen & warped.valid[:, :, 0]
        (error * used).sum().div(used.sum()).backward()
        optimiser.step()
    torch.testing.assert_close(factors.detach(), torch.ones(2), atol=0.05, rtol=0)
