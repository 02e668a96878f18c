# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Window sums equal plain loops, and their transpose is a transpose."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from sfm_depth_ros.losses.photometric import box_sum, box_sum_adjoint


def _double(*shape: int, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(*shape, generator=generator, dtype=torch.float64)


def test_corner_by_hand() -> None:
    image = torch.arange(12.0).view(1, 1, 3, 4)
    # Reflection makes the rows around row 0: 1 0 1, and the columns around column 0: 1 0 1.
    assert box_sum(image)[0, 0, 0, 0] == (5 + 4 + 5) + (1 + 0 + 1) + (5 + 4 + 5)
    assert box_sum(image)[0, 0, 1, 1] == 0 + 1 + 2 + 4 + 5 + 6 + 8 + 9 + 10


@pytest.mark.parametrize("window", [1, 3, 5, 7])
def test_sums_equal_padding_and_looping(window: int) -> None:
    image = _double(2, 3, 8, 9)
    radius = window // 2
    padding = ((0, 0), (0, 0), (radius, radius), (radius, radius))
    padded = np.pad(image.numpy(), padding, mode="reflect")
    windows = np.lib.stride_tricks.sliding_window_view(padded, (window, window), axis=(2, 3))
    np.testing.assert_allclose(box_sum(image, window).numpy(), windows.sum((-1, -2)), atol=1e-13)


@pytest.mark.parametrize("window", [1, 3, 5, 7])
@pytest.mark.parametrize("shape", [(2, 3, 8, 9), (1, 4, 4), (2, 2, 1, 4, 7)])
def test_adjoint_is_the_transpose(window: int, shape: tuple[int, ...]) -> None:
    x, y = _double(*shape), _double(*shape, seed=1)
    forth = (box_sum(x, window) * y).sum()
    back = (x * box_sum_adjoint(y, window)).sum()
    assert float(forth) == pytest.approx(float(back), rel=1e-12)


def test_inputs_are_left_alone() -> None:
    x = _double(1, 1, 5, 5)
    before = x.clone()
    box_sum(x)
    box_sum_adjoint(x)
    assert torch.equal(x, before)
