# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Photometric error against a plain numpy reference."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from sfm_depth_ros.losses.photometric import (
    photometric_error,
    ssim,
    window_statistics,
)


def _double(*shape: int, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(*shape, generator=generator, dtype=torch.float64)


def _reference(a: np.ndarray, b: np.ndarray, ssim_weight: float, window: int) -> np.ndarray:
    """Wang et al. 2004 with means over windows, from the definitions of mean and variance."""
    radius = window // 2

    def windows(image: np.ndarray) -> np.ndarray:
        pad = ((0, 0), (0, 0), (radius, radius), (radius, radius))
        padded = np.pad(image, pad, mode="reflect")
        view = np.lib.stride_tricks.sliding_window_view(padded, (window, window), axis=(2, 3))
        return view.reshape(*image.shape, -1)

    wa, wb = windows(a), windows(b)
    ma, mb = wa.mean(-1), wb.mean(-1)
    va, vb = wa.var(-1), wb.var(-1)
    covariance = ((wa - ma[..., None]) * (wb - mb[..., None])).mean(-1)
    luminance = (2 * ma * mb + 1e-4) / (ma**2 + mb**2 + 1e-4)
    structure = (2 * covariance + 9e-4) / (va + vb + 9e-4)
    part = np.clip((1 - luminance * structure) / 2, 0, 1).mean(1, keepdims=True)
    return ssim_weight * part + (1 - ssim_weight) * np.abs(a - b).mean(1, keepdims=True)


@pytest.mark.parametrize("ssim_weight", [0.0, 0.85, 1.0])
@pytest.mark.parametrize("window", [3, 7])
def test_error_equals_the_reference(ssim_weight: float, window: int) -> None:
    a, b = _double(2, 3, 9, 11), _double(2, 3, 9, 11, seed=1)
    error = photometric_error(a, b, ssim_weight, window)
    expected = _reference(a.numpy(), b.numpy(), ssim_weight, window)
    np.testing.assert_allclose(error.numpy(), expected, atol=1e-12)
    single = photometric_error(a.float(), b.float(), ssim_weight, window)
    assert single.dtype == torch.float32
    np.testing.assert_allclose(single.numpy(), expected, atol=1e-5)


def test_ssim_is_the_structural_part() -> None:
    a, b = _double(2, 3, 9, 11), _double(2, 3, 9, 11, seed=1)
    np.testing.assert_allclose(
        ssim(a, b).numpy(), _reference(a.numpy(), b.numpy(), 1.0, 3), atol=1e-12
    )


def test_equal_images_have_no_error_and_opposite_ones_nearly_all() -> None:
    image = _double(1, 3, 6, 6)
    assert float(photometric_error(image, image, 0.85).max()) < 1e-12
    checker = ((torch.arange(6)[:, None] + torch.arange(6)) % 2).double().expand(1, 3, 6, 6)
    assert float(ssim(checker, 1 - checker).min()) > 0.9


def test_constant_images_by_hand() -> None:
    # No variance: the structure term is 1, luminance (2 * .1 + 1e-4) / (.29 + 1e-4).
    a, b = (torch.full((1, 3, 5, 5), value, dtype=torch.float64) for value in (0.2, 0.5))
    part = (1 - (0.2 + 1e-4) / (0.29 + 1e-4)) / 2
    expected = torch.full((1, 1, 5, 5), 0.85 * part + 0.15 * 0.3, dtype=torch.float64)
    torch.testing.assert_close(photometric_error(a, b, 0.85), expected, atol=1e-9, rtol=0)


def test_charbonnier_difference_equals_the_reference() -> None:
    a, b = _double(2, 3, 9, 11), _double(2, 3, 9, 11, seed=1)
    structural = _reference(a.numpy(), b.numpy(), 1.0, 3)
    rounded = np.sqrt((a.numpy() - b.numpy()) ** 2 + 1e-6).mean(1, keepdims=True)
    error = photometric_error(a, b, 0.85, difference="charbonnier")
    np.testing.assert_allclose(error.numpy(), 0.85 * structural + 0.15 * rounded, atol=1e-12)
    plain = photometric_error(a, b, 0.85)
    assert 0 < float((error - plain).max()) <= 0.15 * 1e-3


def test_charbonnier_gradients_also_where_images_are_equal() -> None:
    a = _double(1, 2, 3, 5, 6).requires_grad_()
    b = a.detach()[:, :1].clone()
    b[..., 2:, :] += 0.1
    b.requires_grad_()
    assert torch.autograd.gradcheck(
        lambda a, b: photometric_error(a, b, 0.5, difference="charbonnier"), (a, b)
    )


def test_unknown_differences_are_refused() -> None:
    image = _double(1, 3, 5, 5)
    with pytest.raises(ValueError, match="charbonnier"):
        photometric_error(image, image, 0.85, difference="l2")


def test_reference_broadcasts_over_sources_with_shared_statistics() -> None:
    images, reference = _double(2, 4, 3, 6, 7), _double(2, 3, 6, 7, seed=1)
    shared = photometric_error(
        images, reference[:, None], 0.85, statistics=window_statistics(reference[:, None])
    )
    assert shared.shape == (2, 4, 1, 6, 7)
    for index in range(4):
        alone = photometric_error(images[:, index], reference, 0.85)
        torch.testing.assert_close(shared[:, index], alone, atol=1e-14, rtol=0)


@pytest.mark.parametrize("window", [3, 5])
def test_gradients_of_both_images_by_finite_differences(window: int) -> None:
    a = _double(1, 2, 3, 5, 6).requires_grad_()
    b = _double(1, 1, 3, 5, 6, seed=1).requires_grad_()  # broadcasts over the two
    for weight in (1.0, 0.85):
        assert torch.autograd.gradcheck(
            lambda a, b, weight=weight: photometric_error(a, b, weight, window), (a, b)
        )


def test_gradient_of_one_image_alone_is_the_same() -> None:
    a, b = _double(2, 3, 5, 6).requires_grad_(), _double(2, 3, 5, 6, seed=1)
    (alone,) = torch.autograd.grad(photometric_error(a, b, 0.85).sum(), a)
    b.requires_grad_()
    both, _ = torch.autograd.grad(photometric_error(a, b, 0.85).sum(), (a, b))
    torch.testing.assert_close(alone, both)


def test_inputs_are_left_alone() -> None:
    a, b = _double(1, 3, 5, 6), _double(1, 3, 5, 6, seed=1)
    statistics = window_statistics(b)
    given = (a, b, statistics.total, statistics.total_square)
    copies = [tensor.clone() for tensor in given]
    a.requires_grad_()
    photometric_error(a, b, 0.85, statistics=statistics).sum().backward()
    assert all(torch.equal(tensor, copy) for tensor, copy in zip(given, copies, strict=True))


@pytest.mark.parametrize("window", [0, 2, 11])
def test_impossible_windows_are_refused(window: int) -> None:
    with pytest.raises(ValueError, match="odd window"):
        ssim(_double(1, 3, 5, 6), _double(1, 3, 5, 6), window)


def test_images_of_different_size_are_refused() -> None:
    with pytest.raises(ValueError, match="two images"):
        ssim(_double(1, 3, 5, 6), _double(1, 3, 5, 7))
