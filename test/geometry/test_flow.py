# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Flow: of a static scene by projection, warping, and round trips by loops."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from sfm_depth_ros.geometry.flow import (
    consistent_by_round_trip,
    coverage,
    lands_inside,
    rigid_flow,
    round_trip,
    visible_by_coverage,
    visible_by_round_trip,
    warp_by_flow,
)
from sfm_depth_ros.geometry.pinhole import backproject
from sfm_depth_ros.geometry.se3 import motion_to_transform
from sfm_depth_ros.geometry.warping import project_points

HEIGHT, WIDTH = 8, 12
F64 = torch.float64


def random_flow(seed: int, size: float = 2.0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return size * (torch.rand(2, 2, HEIGHT, WIDTH, generator=generator, dtype=F64) - 0.5)


def bilinear(image: np.ndarray, x: float, y: float) -> np.ndarray:
    height, width = image.shape[-2:]
    x, y = min(max(x, 0), width - 1), min(max(y, 0), height - 1)
    left, top = min(int(x), width - 2), min(int(y), height - 2)
    a, b = x - left, y - top
    rows = [
        (1 - a) * image[..., row, left] + a * image[..., row, left + 1] for row in (top, top + 1)
    ]
    return (1 - b) * rows[0] + b * rows[1]


def test_rigid_flow_is_where_points_go() -> None:
    K = torch.tensor([[[10.0, 0, 5.5], [0, 9.0, 3.5], [0, 0, 1]]], dtype=F64)
    depth = 4 + torch.rand(1, 1, HEIGHT, WIDTH, dtype=F64, generator=torch.Generator())
    motion = torch.tensor([[0.1, -0.05, 0.4, 0.01, 0.02, -0.03], [0, 0, -0.3, 0, 0, 0.0]])
    T = motion_to_transform(motion.double())[None]
    grid, _, _ = project_points(backproject(depth, K), K, T, (HEIGHT, WIDTH))
    found = rigid_flow(grid, (HEIGHT, WIDTH))[0].numpy()
    for s, v, u in np.ndindex(2, HEIGHT, WIDTH):
        X = float(depth[0, 0, v, u]) * np.linalg.inv(K[0].numpy()) @ np.array([u, v, 1.0])
        q = K[0].numpy() @ (T[0, s, :3, :3].numpy() @ X + T[0, s, :3, 3].numpy())
        assert found[s, :, v, u] == pytest.approx(q[:2] / q[2] - (u, v), abs=1e-9)


def test_warping_samples_where_the_flow_points() -> None:
    image, flow = torch.rand(2, 3, HEIGHT, WIDTH, dtype=F64), random_flow(0, 6.0)
    found = warp_by_flow(image, flow)
    for n, v, u in np.ndindex(2, HEIGHT, WIDTH):
        x, y = u + float(flow[n, 0, v, u]), v + float(flow[n, 1, v, u])
        assert found[n, :, v, u].numpy() == pytest.approx(bilinear(image[n].numpy(), x, y))


@pytest.mark.parametrize("size", [2.0, 12.0])
def test_round_trips_by_loops(size: float) -> None:
    forward, backward = random_flow(1, size), -random_flow(1, size) + 0.3 * random_flow(2, size)
    trip = round_trip(forward, backward)
    seen, agrees = (
        check(forward, backward) for check in (visible_by_round_trip, consistent_by_round_trip)
    )
    inside = lands_inside(forward)
    for n, v, u in np.ndindex(2, HEIGHT, WIDTH):
        f = forward[n, :, v, u].numpy()
        x, y = u + f[0], v + f[1]
        b = bilinear(backward[n].numpy(), x, y)
        is_inside = 0 <= x <= WIDTH - 1 and 0 <= y <= HEIGHT - 1
        assert bool(inside[n, 0, v, u]) == is_inside
        assert trip[n, :, v, u].numpy() == pytest.approx(f + b)
        left = ((f + b) ** 2).sum()
        limit = 0.01 * ((f**2).sum() + (b**2).sum()) + 0.5
        assert bool(seen[n, 0, v, u]) == (is_inside and left < limit)
        near = np.sqrt(left) < max(3.0, 0.05 * np.linalg.norm(f))
        assert bool(agrees[n, 0, v, u]) == (is_inside and near)


def test_gradients() -> None:
    image, flow = torch.rand(1, 1, 4, 5, dtype=F64), 0.3 + 0.2 * random_flow(3)[:1, :, :4, :5]
    assert torch.autograd.gradcheck(
        warp_by_flow, (image.requires_grad_(), flow.clone().requires_grad_())
    )
    back = (-flow + 0.05).detach().clone().requires_grad_()
    assert torch.autograd.gradcheck(round_trip, (flow.clone().requires_grad_(), back))


def test_coverage_equals_the_reference() -> None:
    flow = random_flow(3, 8.0)
    found = coverage(flow)
    for n in range(2):
        expected = np.zeros((HEIGHT, WIDTH))
        for v, u in np.ndindex(HEIGHT, WIDTH):
            x, y = u + float(flow[n, 0, v, u]), v + float(flow[n, 1, v, u])
            for row, column in np.ndindex(HEIGHT, WIDTH):
                expected[row, column] += max(1 - abs(x - column), 0) * max(1 - abs(y - row), 0)
        np.testing.assert_allclose(found[n, 0].numpy(), expected, atol=1e-12)


def test_what_is_magnified_is_covered_and_what_is_hidden_is_not() -> None:
    nothing = torch.zeros(1, 2, HEIGHT, WIDTH, dtype=F64)
    assert visible_by_coverage(nothing, nothing).all()
    nearer = nothing.clone()  # the other image shows the middle at 1.5 times the size
    nearer[0, 0] = (torch.arange(WIDTH) - 5.5) / 2
    nearer[0, 1] = ((torch.arange(HEIGHT) - 3.5) / 2)[:, None]
    assert visible_by_coverage(nothing, nearer).all()
    away = nothing.clone()
    away[0, :, 2:5, 4:8] = 100.0  # nothing there points into the first image
    found = visible_by_coverage(nothing, away)[0, 0]
    assert not found[2:5, 4:8].any() and found.sum() == HEIGHT * WIDTH - 12
