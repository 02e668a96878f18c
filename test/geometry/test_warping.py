# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Inverse warping against a slow reference, exact shifts, and finite differences."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from single_warp import warp, warp_points
from torch import Tensor

from sfm_depth_ros.geometry.pinhole import backproject
from sfm_depth_ros.geometry.se3 import motion_to_transform
from sfm_depth_ros.geometry.warping import grid_to_pixels, sample_sources, warp_sources

HEIGHT, WIDTH = 6, 9


def _double(*shape: int, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(*shape, generator=generator, dtype=torch.float64)


def _intrinsics(batch: int = 2) -> Tensor:
    K = torch.tensor([[10.0, 0, 4.2], [0, 8.0, 2.7], [0, 0, 1]], dtype=torch.float64)
    return K.repeat(batch, 1, 1)


def _motions(batch: int = 2, count: int = 2) -> Tensor:
    return motion_to_transform((_double(batch, count, 6, seed=5) - 0.5) * 0.3)


def _reference_pixel(
    source: np.ndarray, depth: float, u: int, v: int, K: np.ndarray, T: np.ndarray
) -> tuple[np.ndarray, bool, float]:
    """One pixel by the book, in plain numpy: colour with a replicated border, validity, depth."""
    point = depth * np.linalg.inv(K) @ np.array([u, v, 1.0])
    x, y, z = K @ (T[:3, :3] @ point + T[:3, 3])
    x, y = x / z, y / z
    valid = 0 <= x <= WIDTH - 1 and 0 <= y <= HEIGHT - 1 and z > 0
    x, y = np.clip(x, 0, WIDTH - 1), np.clip(y, 0, HEIGHT - 1)
    x0, y0 = min(int(x), WIDTH - 2), min(int(y), HEIGHT - 2)
    a, b = x - x0, y - y0
    top = source[:, y0, x0] * (1 - a) + source[:, y0, x0 + 1] * a
    bottom = source[:, y0 + 1, x0] * (1 - a) + source[:, y0 + 1, x0 + 1] * a
    return top * (1 - b) + bottom * b, valid, z


def test_every_pixel_equals_the_reference() -> None:
    sources, depth = _double(2, 2, 3, HEIGHT, WIDTH), 2 + _double(2, 1, HEIGHT, WIDTH, seed=1)
    K, T = _intrinsics(), _motions()
    result = warp_sources(sources, backproject(depth, K), K, T)
    assert not result.valid.all() and result.valid.any()
    for b, s, v, u in np.ndindex(2, 2, HEIGHT, WIDTH):
        colour, valid, z = _reference_pixel(
            sources[b, s].numpy(), float(depth[b, 0, v, u]), u, v, K[b].numpy(), T[b, s].numpy()
        )
        np.testing.assert_allclose(result.image[b, s, :, v, u].numpy(), colour, atol=1e-12)
        assert bool(result.valid[b, s, 0, v, u]) == valid
        assert float(result.depth[b, s, 0, v, u]) == pytest.approx(z, abs=1e-12)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_no_motion_reproduces_the_image(dtype: torch.dtype) -> None:
    image, depth = _double(2, 3, HEIGHT, WIDTH).to(dtype), _double(2, 1, HEIGHT, WIDTH).to(dtype)
    result = warp(image, depth + 0.5, _intrinsics().to(dtype),
                  torch.eye(4, dtype=dtype).repeat(2, 1, 1))  # fmt: skip
    torch.testing.assert_close(result.image, image, atol=1e-5, rtol=0)
    torch.testing.assert_close(result.depth, depth + 0.5)
    assert result.valid.all()
    assert result.image.dtype == dtype


def test_sideways_motion_shifts_by_whole_pixels() -> None:
    # fx = 10 and 5 m away: 1 m to the right in the source frame is 2 pixels.
    image = _double(1, 3, HEIGHT, WIDTH)
    depth = torch.full((1, 1, HEIGHT, WIDTH), 5.0, dtype=torch.float64)
    T = motion_to_transform(torch.tensor([[1.0, 0, 0, 0, 0, 0]], dtype=torch.float64))
    result = warp(image, depth, _intrinsics(1), T)
    torch.testing.assert_close(result.image[..., :-2], image[..., 2:], atol=1e-12, rtol=0)
    assert result.valid[..., :-2].all() and not result.valid[..., -2:].any()
    # border padding repeats the last column, zeros padding ends the image
    last = image[..., -1:].expand_as(image[..., -2:])
    torch.testing.assert_close(result.image[..., -2:], last, atol=1e-12, rtol=0)
    assert (warp(image, depth, _intrinsics(1), T, padding="zeros").image[..., -2:] == 0).all()


def test_points_behind_the_source_are_invalid() -> None:
    image = _double(1, 3, HEIGHT, WIDTH)
    depth = torch.full((1, 1, HEIGHT, WIDTH), 5.0, dtype=torch.float64)
    T = motion_to_transform(torch.tensor([[0, 0, -6.0, 0, 0, 0]], dtype=torch.float64))
    result = warp(image, depth.requires_grad_(), _intrinsics(1), T)
    assert not result.valid.any() and (result.depth == -1).all()
    result.image.sum().backward()
    assert depth.grad is not None and depth.grad.isfinite().all()


def test_one_source_at_a_time_is_the_same() -> None:
    sources, depth = _double(2, 2, 3, HEIGHT, WIDTH), 2 + _double(2, 1, HEIGHT, WIDTH, seed=1)
    K, T = _intrinsics(), _motions()
    points = backproject(depth, K)
    together = warp_sources(sources, points, K, T)
    for index in range(2):
        alone = warp_points(sources[:, index], points, K, T[:, index])
        torch.testing.assert_close(alone.image, together.image[:, index])
        torch.testing.assert_close(alone.valid, together.valid[:, index])
        torch.testing.assert_close(alone.depth, together.depth[:, index])


def test_source_of_another_size() -> None:
    source = _double(1, 3, 2 * HEIGHT, 2 * WIDTH)
    depth = torch.full((1, 1, HEIGHT, WIDTH), 5.0, dtype=torch.float64)
    points = backproject(depth, _intrinsics(1))
    double = torch.tensor([[20.0, 0, 8.4], [0, 16.0, 5.4], [0, 0, 1]], dtype=torch.float64)[None]
    result = warp_points(source, points, double, torch.eye(4, dtype=torch.float64)[None])
    torch.testing.assert_close(result.image, source[..., ::2, ::2], atol=1e-12, rtol=0)


def test_gradients_by_finite_differences() -> None:
    sources, K = _double(1, 2, 2, HEIGHT, WIDTH), _intrinsics(1)
    depth = (2 + _double(1, 1, HEIGHT, WIDTH, seed=1)).requires_grad_()
    motion = ((_double(1, 2, 6, seed=5) - 0.5) * 0.3).requires_grad_()

    def rebuild(depth: Tensor, motion: Tensor) -> tuple[Tensor, Tensor]:
        result = warp_sources(sources, backproject(depth, K), K, motion_to_transform(motion))
        return result.image, result.depth

    assert torch.autograd.gradcheck(rebuild, (depth, motion))


def test_wrong_shapes_are_refused() -> None:
    image, depth, K = _double(2, 3, HEIGHT, WIDTH), _double(2, 1, HEIGHT, WIDTH), _intrinsics()
    points, T = backproject(depth, K), _motions()
    with pytest.raises(ValueError, match="source images"):
        warp_sources(image, points, K, T)
    with pytest.raises(ValueError, match="points"):
        warp_points(image, depth, K, T[:, 0])
    with pytest.raises(ValueError, match="T_source_target"):
        warp_points(image, points, K, T[:1, 0])
    with pytest.raises(ValueError, match="K"):
        warp_points(image, points, K[:1], T[:, 0])


def _with_camera_of_each_source() -> tuple[Tensor, Tensor, Tensor, Tensor]:
    scale = torch.tensor([[1.0, 1, 1], [1.1, 0.9, 1]], dtype=torch.float64)
    K_source = _intrinsics()[:, None] * torch.diag_embed(scale)
    residual = 0.2 * (_double(2, 2, 3, HEIGHT, WIDTH, seed=7) - 0.5)
    depth = 2 + _double(2, 1, HEIGHT, WIDTH, seed=1)
    return depth, residual, _double(2, 2, 3, HEIGHT, WIDTH), K_source


def test_residual_translation_and_cameras_of_their_own_equal_the_reference() -> None:
    depth, residual, sources, K_source = _with_camera_of_each_source()
    K, T = _intrinsics(), _motions()
    result = warp_sources(sources, backproject(depth, K), K, T, residual, K_source)
    pixels = grid_to_pixels(result.grid, HEIGHT, WIDTH)
    assert result.valid.any() and not result.valid.all()
    for b, s, v, u in np.ndindex(2, 2, HEIGHT, WIDTH):
        point = float(depth[b, 0, v, u]) * np.linalg.inv(K[b].numpy()) @ [u, v, 1.0]
        moved = (T[b, s].numpy() @ [*point, 1.0])[:3] + residual[b, s, :, v, u].numpy()
        x, y, z = K_source[b, s].numpy() @ moved
        assert float(result.depth[b, s, 0, v, u]) == pytest.approx(z, abs=1e-12)
        np.testing.assert_allclose(pixels[b, s, v, u].numpy(), [x / z, y / z], atol=1e-12)
        inside = 0 <= x / z <= WIDTH - 1 and 0 <= y / z <= HEIGHT - 1
        assert bool(result.valid[b, s, 0, v, u]) == inside


def test_zero_residual_changes_nothing() -> None:
    depth, residual, sources, _ = _with_camera_of_each_source()
    K, T = _intrinsics(), _motions()
    points = backproject(depth, K)
    plain = warp_sources(sources, points, K, T)
    both = K[:, None].repeat(1, 2, 1, 1)
    same = warp_sources(sources, points, K, T, torch.zeros_like(residual), both)
    torch.testing.assert_close(same.image, plain.image)
    assert torch.equal(same.valid, plain.valid)


def test_more_of_the_source_is_sampled_at_the_same_places() -> None:
    sources, depth = _double(2, 2, 3, HEIGHT, WIDTH), 2 + _double(2, 1, HEIGHT, WIDTH, seed=1)
    K, T = _intrinsics(), _motions()
    result = warp_sources(sources, backproject(depth, K), K, T)
    assert torch.equal(sample_sources(sources, result.grid), result.image)
    assert not torch.equal(sample_sources(sources, result.grid, "zeros"), result.image)


@pytest.mark.parametrize("apart", [False, True])
def test_gradients_reach_the_intrinsics_and_the_residual(apart: bool) -> None:
    """Learned intrinsics: K matters twice, where points come from and where they fall."""
    depth, residual, sources, K_source = (x[:1] for x in _with_camera_of_each_source())
    T = _motions()[:1]

    def rebuild(K: Tensor, residual: Tensor, K_source: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        points = backproject(depth, K)
        camera = K_source if apart else None
        result = warp_sources(sources, points, K, T, residual, camera)
        return result.image, result.depth, result.grid

    given = (_intrinsics(1), residual.contiguous(), K_source.contiguous())
    assert torch.autograd.gradcheck(rebuild, tuple(x.requires_grad_() for x in given))


def test_wrong_shapes_of_the_extras_are_refused() -> None:
    depth, residual, sources, _ = _with_camera_of_each_source()
    points, K, T = backproject(depth, _intrinsics()), _intrinsics(), _motions()
    with pytest.raises(ValueError, match="residual_translation"):
        warp_sources(sources, points, K, T, residual[:, :1])
    with pytest.raises(ValueError, match="K_source"):
        warp_sources(sources, points, K, T, K_source=K)
    with pytest.raises(ValueError, match="grid"):
        sample_sources(sources, points)
    with pytest.raises(ValueError, match="sources"):
        warp_sources(sources[:, :1], points, K, T)
