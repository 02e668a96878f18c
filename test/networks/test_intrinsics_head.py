# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A camera's intrinsics, said from the bottleneck of a pose network."""

from __future__ import annotations

import math

import pytest
import torch

from sfm_depth_ros.networks.pose_heads import NARROW, SHARED_RATE, IntrinsicsHead

HEIGHT, WIDTH = 64, 192
FEATURES = torch.rand(5, 16, 2, 3, generator=torch.Generator().manual_seed(3))


def test_shape_and_centre_are_parts_of_the_size() -> None:
    head = IntrinsicsHead(16)
    with torch.no_grad():
        head.shared.copy_(torch.tensor([-0.7, 2.0, 1.0, -3.0]) / SHARED_RATE)
    K = head(FEATURES, HEIGHT, WIDTH)[0].tolist()
    fx = math.log(1 + (math.e - 1) * math.exp(-0.7)) * WIDTH
    assert K[0] == pytest.approx([fx, 0.0, (0.5 + NARROW) * WIDTH - 0.5])
    assert K[1] == pytest.approx([0.0, fx * math.exp(2 * NARROW), (0.5 - 3 * NARROW) * 64 - 0.5])
    assert K[2] == [0.0, 0.0, 1.0]


def test_brightness_of_features_says_nothing() -> None:
    head = IntrinsicsHead(16)
    torch.nn.init.normal_(head.linear.weight)
    K = head(FEATURES, HEIGHT, WIDTH)
    torch.testing.assert_close(head(3 * FEATURES, HEIGHT, WIDTH), K)
    assert K[0, 0, 0] != K[1, 0, 0]
    assert head(torch.zeros_like(FEATURES), HEIGHT, WIDTH).isfinite().all()


@pytest.mark.parametrize("focal", [0.6 * WIDTH, 1.6 * WIDTH])
def test_one_camera_is_learnt_as_one(focal: float) -> None:
    """A noisy wish for one focal length: found within the noise, alike for all images."""
    head = IntrinsicsHead(16)
    optimiser = torch.optim.Adam(head.parameters(), lr=3e-4)
    generator = torch.Generator().manual_seed(0)
    for _ in range(400):
        wish = focal * (1 + 0.1 * torch.randn(5, generator=generator))
        loss = (head(FEATURES, HEIGHT, WIDTH)[:, 0, 0] / wish).log().abs().mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    K = head(FEATURES, HEIGHT, WIDTH)
    ratios = K[:, 0, 0] / focal
    assert ratios.median().item() == pytest.approx(1.0, abs=0.03)
    assert ratios.max() - ratios.min() < 0.01
    torch.testing.assert_close(K[:, 1, 1], K[:, 0, 0])


def test_cameras_can_be_told_apart_in_time() -> None:
    head = IntrinsicsHead(16)
    optimiser = torch.optim.Adam(head.linear.parameters(), lr=0.3)
    focals = torch.tensor([120.0, 120.0, 200.0, 200.0, 200.0])
    for _ in range(300):
        loss = (head(FEATURES, HEIGHT, WIDTH)[:, 0, 0] / focals).log().square().mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    torch.testing.assert_close(head(FEATURES, HEIGHT, WIDTH)[:, 0, 0], focals, rtol=0.05, atol=0)
