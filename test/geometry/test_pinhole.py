# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Back-projection and projection on tensors, exact in float64."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from sfm_depth_ros.geometry.camera import Intrinsics
from sfm_depth_ros.geometry.pinhole import (
    backproject,
    flip_intrinsics,
    pixel_grid,
    project,
)


@pytest.fixture(name="K")
def _intrinsics() -> Tensor:
    first = [[5.0, 0, 3.5], [0, 4.0, 2.0], [0, 0, 1]]
    second = [[8.0, 0, 3.0], [0, 9.0, 2.5], [0, 0, 1]]
    return torch.tensor([first, second], dtype=torch.float64)


@pytest.fixture
def depth() -> Tensor:
    generator = torch.Generator().manual_seed(0)
    return 2 + torch.rand(2, 1, 5, 7, generator=generator, dtype=torch.float64)


def test_one_pixel_by_hand(K: Tensor) -> None:
    depth = torch.full((2, 1, 5, 7), 2.0, dtype=torch.float64)
    points = backproject(depth, K)
    assert points.shape == (2, 3, 5, 7)
    # Column 6, row 4 of the first camera: ((6 - 3.5) / 5, (4 - 2) / 4, 1) times 2 m.
    assert points[0, :, 4, 6].tolist() == [1.0, 1.0, 2.0]
    assert points[1, :, 0, 3].tolist() == pytest.approx([0.0, -2.5 / 9 * 2, 2.0])


def test_projection_undoes_back_projection(K: Tensor, depth: Tensor) -> None:
    pixels, z = project(backproject(depth, K), K)
    columns, rows = pixel_grid(5, 7, like=depth)
    torch.testing.assert_close(pixels[..., 0], columns.expand(2, 5, 7), atol=1e-12, rtol=0)
    torch.testing.assert_close(pixels[..., 1], rows.expand(2, 5, 7), atol=1e-12, rtol=0)
    torch.testing.assert_close(z, depth, atol=0, rtol=0)


def test_points_behind_give_finite_pixels(K: Tensor) -> None:
    points = torch.zeros(2, 3, 1, 1, dtype=torch.float64)
    points[:, 2] = -1.0
    pixels, z = project(points, K)
    assert pixels.isfinite().all() and (z == -1.0).all()


def test_gradients(K: Tensor, depth: Tensor) -> None:
    depth = depth[:, :, :2, :2].clone().requires_grad_()
    K.requires_grad_()
    assert torch.autograd.gradcheck(backproject, (depth, K))
    points = backproject(depth, K).detach().requires_grad_()
    assert torch.autograd.gradcheck(project, (points, K))


def test_dtype_follows_the_input(K: Tensor, depth: Tensor) -> None:
    assert backproject(depth.float(), K.float()).dtype == torch.float32


def test_flipping_agrees_with_the_value_class() -> None:
    camera = Intrinsics(500.0, 480.0, 320.5, 239.5, 640, 480)
    K = torch.from_numpy(camera.matrix)[None]
    flipped = flip_intrinsics(K, 640)
    torch.testing.assert_close(flipped[0], torch.from_numpy(camera.flipped().matrix))
    assert K[0, 0, 2] == 320.5  # the input is left alone


def test_wrong_shapes_are_refused(K: Tensor, depth: Tensor) -> None:
    with pytest.raises(ValueError, match="depth"):
        backproject(depth[:, 0], K)
    with pytest.raises(ValueError, match="K"):
        backproject(depth, K[:1])
    with pytest.raises(ValueError, match="points"):
        project(depth, K)
