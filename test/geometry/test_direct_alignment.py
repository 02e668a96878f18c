# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Direct alignment: Jacobian and gradients by finite differences, motions of a painted hill."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from sfm_depth_ros.geometry.direct_alignment import AlignmentOptions, align, intensity_jacobian
from sfm_depth_ros.geometry.pinhole import backproject
from sfm_depth_ros.geometry.se3 import invert_transform, motion_to_transform
from sfm_depth_ros.geometry.warping import project_points, sample_sources

HEIGHT, WIDTH, FOCAL = 48, 64, 60.0
F64 = torch.float64


def camera(height: int = HEIGHT, width: int = WIDTH) -> Tensor:
    K = [[FOCAL, 0, (width - 1) / 2], [0, FOCAL, (height - 1) / 2], [0, 0, 1]]
    return torch.tensor([K], dtype=F64)


def painted(points: Tensor) -> Tensor:
    """Colours ``(..., 3, H, W)`` of points: smooth, and a function of where they are."""
    x, y, z = points.unbind(-3)
    waves = [
        0.5 + 0.2 * torch.sin(f * x + g * z) + 0.2 * torch.cos(g * y - 0.5 * f * x)
        for f, g in ((3.0, 2.0), (5.0, 4.0), (2.0, 6.0))
    ]
    return torch.stack(waves, dim=-3)


def plane_depth(T_world_camera: Tensor, K: Tensor, height: int, width: int) -> Tensor:
    """Depth ``(1, 1, H, W)`` of the plane n . X = 5 seen from a camera."""
    rays = backproject(torch.ones(1, 1, height, width, dtype=F64), K)  # (1, 3, H, W)
    normal = torch.tensor([0.35, -0.3, 1.0], dtype=F64)
    rotated = torch.einsum("ij,bjhw->bihw", T_world_camera[:3, :3], rays)
    along = (normal.view(3, 1, 1) * rotated).sum(1, keepdim=True)
    return (5.0 - normal @ T_world_camera[:3, 3]) / along


def view(
    T_world_camera: Tensor, height: int = HEIGHT, width: int = WIDTH
) -> tuple[Tensor, Tensor]:
    """Image ``(1, 3, H, W)`` and depth of the painted plane."""
    K = camera(height, width)
    depth = plane_depth(T_world_camera, K, height, width)
    points = backproject(depth, K)
    R, t = T_world_camera[:3, :3], T_world_camera[:3, 3]
    return painted(torch.einsum("ij,bjhw->bihw", R, points) + t.view(3, 1, 1)), depth


def pair(motion: list[float], **size: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Target, sources, depth and the true ``T_source_target``, two sources of opposite motion."""
    T_target_source = motion_to_transform(torch.tensor([motion, [-m for m in motion]], dtype=F64))
    target, depth = view(torch.eye(4, dtype=F64), **size)
    sources = torch.stack([view(T, **size)[0] for T in T_target_source], dim=1)
    return target, sources, depth, invert_transform(T_target_source)[None]


def test_the_jacobian_is_the_finite_difference() -> None:
    target, depth = view(torch.eye(4, dtype=F64))
    K, image = camera(), target.mean(1, keepdim=True)
    points = backproject(depth, K)
    found = intensity_jacobian(image, points, K)[0]
    step = 1e-6

    def seen(xi: Tensor) -> Tensor:
        T = motion_to_transform(xi)[None, None]
        grid, _, _ = project_points(points, K, T, (HEIGHT, WIDTH))
        return sample_sources(image[:, None], grid)[0, 0, 0]

    for axis in range(6):
        xi = torch.zeros(6, dtype=F64)
        xi[axis] = step
        expected = (seen(xi) - seen(-xi)) / (2 * step)
        inner = (slice(2, -2), slice(2, -2))
        torch.testing.assert_close(found[axis][inner], expected[inner], rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("start", ["nothing", "roughly"])
def test_the_motion_of_a_painted_plane_is_found(start: str) -> None:
    motion = [0.12, -0.05, 0.3, 0.01, -0.02, 0.015]
    target, sources, depth, T_true = pair(motion)
    T_start = torch.eye(4, dtype=F64).expand(1, 2, 4, 4)
    if start == "roughly":
        T_start = T_true @ motion_to_transform(torch.full((1, 2, 6), 0.01, dtype=F64))
    found = align(target, sources, depth, camera(), T_start, AlignmentOptions(iterations=8))
    off = invert_transform(T_true) @ found
    assert float(off[..., :3, 3].norm(dim=-1).max()) < 0.01 * math.hypot(*motion[:3])
    assert float((off[..., :3, :3] - torch.eye(3, dtype=F64)).abs().max()) < 1e-3


def test_damping_keeps_the_rotation_small_where_flat_depth_confuses_it_with_translation() -> None:
    target, sources, depth, _ = pair([0.3, -0.1, 0.1, 0, 0, 0])
    flat = torch.full_like(depth, float(1 / (1 / depth).mean()))
    start = torch.eye(4, dtype=F64).expand(1, 2, 4, 4)
    turned = [
        float((align(target, sources, flat, camera(), start, options) - start)[..., :3, :3].norm())
        for options in (AlignmentOptions(), AlignmentOptions(damping=1e-3))
    ]
    assert turned[0] < 0.6 * turned[1]


def test_translation_has_the_unit_of_depth() -> None:
    target, sources, depth, _ = pair([0.1, 0.0, 0.2, 0.0, 0.01, 0.0])
    start = torch.eye(4, dtype=F64).expand(1, 2, 4, 4)
    once, thrice = (align(target, sources, k * depth, camera(), start) for k in (1, 3))
    torch.testing.assert_close(3 * once[..., :3, 3], thrice[..., :3, 3])
    torch.testing.assert_close(once[..., :3, :3], thrice[..., :3, :3])


def test_a_grey_image_moves_nothing() -> None:
    target, sources, depth, T_true = pair([0.1, 0.0, 0.2, 0.0, 0.01, 0.0])
    grey = torch.full_like(target, 0.5), torch.full_like(sources, 0.5)
    torch.testing.assert_close(align(*grey, depth, camera(), T_true), T_true)


def test_an_end_that_is_worse_than_the_start_is_not_taken() -> None:
    target, depth = view(torch.eye(4, dtype=F64))
    sources = torch.stack((target, target), dim=1)  # nothing moved, so the start is the optimum
    start = torch.eye(4, dtype=F64).expand(1, 2, 4, 4)
    torch.testing.assert_close(align(target, sources, depth, camera(), start), start)


def test_gradients_pass_through_the_iterations() -> None:
    size = {"height": 24, "width": 32}
    target, sources, depth, T_true = pair([0.05, 0.0, 0.1, 0.0, 0.01, 0.0], **size)
    K, options = camera(**size), AlignmentOptions(levels=2, iterations=2)
    begin = torch.full((1, 2, 6), 0.004, dtype=F64)
    generator = torch.Generator().manual_seed(0)
    patch = 1 + 0.1 * torch.rand(1, 1, 3, 4, generator=generator, dtype=F64)

    def found(gain: Tensor, xi: Tensor) -> Tensor:
        spread = torch.nn.functional.interpolate(
            gain, (24, 32), mode="bilinear", align_corners=True
        )
        T_start = T_true @ motion_to_transform(xi)
        return align(target, sources, depth * spread, K, T_start, options)[..., :3, :]

    assert torch.autograd.gradcheck(
        found, (patch.requires_grad_(), begin.requires_grad_()), eps=1e-6, atol=1e-4, rtol=1e-3
    )


def test_shapes_that_do_not_fit_are_refused() -> None:
    target, sources, depth, T = pair([0.1, 0.0, 0.2, 0.0, 0.0, 0.0])
    with pytest.raises(ValueError, match="T_start"):
        align(target, sources, depth, camera(), T[:, :1])
