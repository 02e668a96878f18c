# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Scale-and-shift-invariant comparison: against numpy in float64, its invariance, its gradient."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from sfm_depth_ros.losses.affine_invariant import SCALES, affine_invariant_loss


def _images(seed: int, size: tuple[int, int] = (17, 23)) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return 0.02 + torch.rand(2, 1, *size, generator=generator, dtype=torch.float64)


def _reference(ours: np.ndarray, theirs: np.ndarray, weight: float) -> float:
    """The loss written out, image by image, in numpy."""
    known = np.isfinite(theirs)

    def normalised(image: np.ndarray, mask: np.ndarray) -> np.ndarray:
        values = np.sort(image[mask])
        away = image - values[(len(values) - 1) // 2]  # torch's median is the lower one
        return away / np.abs(away[mask]).mean()

    residuals = [
        np.where(k, normalised(a, k) - normalised(np.where(k, b, 0), k), 0)
        for a, b, k in zip(ours[:, 0], theirs[:, 0], known[:, 0], strict=True)
    ]
    residual, known = np.stack(residuals), known[:, 0]
    total = np.abs(residual[known]).mean()
    for scale in range(SCALES):
        r, k = (array[:, :: 2**scale, :: 2**scale] for array in (residual, known))
        for axis in (1, 2):
            both = np.delete(k, 0, axis) & np.delete(k, -1, axis)
            total += weight * np.abs(np.diff(r, axis=axis))[both].mean()
    return float(total)


@pytest.mark.parametrize("weight", [0.0, 0.5])
def test_loss_is_that_of_the_reference(weight: float) -> None:
    ours, theirs = _images(0), _images(1)
    theirs[0, 0, :4] = torch.nan
    found = affine_invariant_loss(ours, theirs, weight)
    assert found.item() == pytest.approx(_reference(ours.numpy(), theirs.numpy(), weight), 1e-12)


def test_gain_and_offset_of_either_do_not_matter() -> None:
    ours, theirs = _images(0), _images(1)
    gains = torch.tensor([3.0, 0.2], dtype=torch.float64).view(2, 1, 1, 1)
    expected = affine_invariant_loss(ours, theirs)
    torch.testing.assert_close(affine_invariant_loss(ours, gains * theirs + 7.0), expected)
    torch.testing.assert_close(affine_invariant_loss(gains * ours + 0.3, theirs), expected)
    assert affine_invariant_loss(ours, gains * ours - 1.0).item() < 1e-12


def test_unknown_pixels_do_not_matter() -> None:
    ours, theirs = _images(0), _images(1)
    theirs[:, :, 5:9] = torch.nan
    expected = affine_invariant_loss(ours, theirs)
    ours[:, :, 5:9] = 100.0
    torch.testing.assert_close(affine_invariant_loss(ours, theirs), expected)


def test_gradient() -> None:
    ours, theirs = _images(2, (9, 8)).requires_grad_(), _images(3, (9, 8))
    theirs[0, 0, 0, :3] = torch.nan
    assert torch.autograd.gradcheck(
        lambda disparity: affine_invariant_loss(disparity, theirs), (ours,)
    )


@pytest.mark.parametrize("value", [torch.nan, 0.4])
def test_a_teacher_without_shape_teaches_nothing(value: float) -> None:
    ours = _images(0).requires_grad_()
    loss = affine_invariant_loss(ours, torch.full_like(ours, value).detach())
    loss.backward()
    assert loss.item() == 0
    assert torch.equal(ours.grad, torch.zeros_like(ours))


def test_other_shapes_are_refused() -> None:
    with pytest.raises(ValueError, match="expected a teacher of disparity's shape"):
        affine_invariant_loss(_images(0), _images(0)[..., 1:])
