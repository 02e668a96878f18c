# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Flip fusion against the evaluation's blend, and what training learns through it."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from sfm_depth_ros.config.networks import DepthNetworkConfig
from sfm_depth_ros.evaluation.flip_engine import blend_flipped
from sfm_depth_ros.networks.flip_fusion import fuse_flipped, predict_fused_depths


def depths(count: int, width: int = 40) -> Tensor:
    generator = torch.Generator().manual_seed(count)
    return 1 + 9 * torch.rand(count, 1, 4, width, generator=generator, dtype=torch.float64)


def test_fusion_is_the_evaluations_blend() -> None:
    upright, mirror = depths(2), depths(2) + 1
    expected = blend_flipped(upright.numpy(), mirror.numpy()[..., ::-1])
    torch.testing.assert_close(fuse_flipped(upright, mirror), torch.from_numpy(expected))


def test_inverse_depth_is_the_mean_but_at_the_borders() -> None:
    fused = fuse_flipped(torch.full((1, 1, 1, 41), 2.0), torch.full((1, 1, 1, 41), 4.0))
    assert float(fused[..., 20]) == pytest.approx(1 / (0.5 / 2 + 0.5 / 4))
    assert float(fused[..., 0]) == 4.0 and float(fused[..., -1]) == 2.0


def test_gradients_reach_both() -> None:
    upright, mirror = (x.requires_grad_() for x in depths(2, 8).split(1))
    assert torch.autograd.gradcheck(fuse_flipped, (upright, mirror))


class Columns(nn.Module):
    """Depth grows with the column of the image it is shown."""

    config = DepthNetworkConfig(reference_focal=100.0)

    def forward(self, image: Tensor) -> list[Tensor]:
        return [image[:, :1] * 10 + 1]


def test_the_network_sees_the_mirror_image_and_its_depth_is_mirrored_back() -> None:
    image = torch.rand(2, 3, 4, 40)
    K = torch.tensor([[100.0, 0, 20], [0, 100, 2], [0, 0, 1]]).expand(2, 3, 3)
    (fused,) = predict_fused_depths(Columns(), image, K)  # type: ignore[arg-type]
    torch.testing.assert_close(fused, image[:, :1] * 10 + 1)
