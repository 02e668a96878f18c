# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The price of not explaining a pixel."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from sfm_depth_ros.losses.reprojection import explainability_regulariser


def _masks(dtype: torch.dtype = torch.float64) -> list[Tensor]:
    generator = torch.Generator().manual_seed(0)
    shapes = ((2, 2, 4, 6), (2, 2, 2, 3))
    return [0.05 + 0.9 * torch.rand(*s, generator=generator, dtype=dtype) for s in shapes]


def test_mean_cross_entropy_equals_the_reference() -> None:
    masks = _masks()
    expected = np.mean([
        np.mean([-math.log(float(mask[index])) for index in np.ndindex(*mask.shape)])
        for mask in masks
    ])  # fmt: skip
    assert float(explainability_regulariser(masks)) == pytest.approx(expected, abs=1e-12)
    single = explainability_regulariser([mask.float() for mask in masks])
    assert single.dtype == torch.float32
    assert float(single) == pytest.approx(expected, abs=1e-6)


def test_certain_masks_cost_nothing_and_doubt_grows() -> None:
    ones = torch.ones(1, 2, 3, 3)
    assert float(explainability_regulariser([ones])) == 0.0
    assert float(explainability_regulariser([ones / 2])) == pytest.approx(math.log(2))


def test_gradients() -> None:
    masks = [mask[:1].contiguous().requires_grad_() for mask in _masks()]
    assert torch.autograd.gradcheck(lambda *m: explainability_regulariser(m), tuple(masks))


def test_a_vanished_mask_stays_finite() -> None:
    mask = torch.tensor([0.0, 0.5, 1.0, 1e-30]).view(1, 1, 2, 2).requires_grad_()
    loss = explainability_regulariser([mask])
    loss.backward()
    assert loss.isfinite()
    assert mask.grad is not None and mask.grad.isfinite().all()


def test_wrong_shapes_are_refused() -> None:
    with pytest.raises(ValueError, match="masks"):
        explainability_regulariser([])
    with pytest.raises(ValueError, match="masks"):
        explainability_regulariser([torch.ones(2, 3, 3)])
