# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The mean of what counts, of a whole batch and of its parts."""

from __future__ import annotations

import torch

from sfm_depth_ros.losses.masked_mean import counts_shared_by, masked_mean


def test_mean_by_hand() -> None:
    values = torch.tensor([[1.0, 2.0], [3.0, 100.0]])
    used = torch.tensor([[True, True], [True, False]])
    assert float(masked_mean(values, used)) == 2.0
    assert float(masked_mean(values, torch.tensor([[True], [False]]))) == 1.5
    assert float(masked_mean(values, torch.zeros(2, 2, dtype=torch.bool))) == 0.0


def test_parts_of_a_batch_have_the_mean_of_the_whole() -> None:
    values = torch.rand(6, 5, dtype=torch.float64, requires_grad=True)
    used = torch.rand(6, 5) > 0.5
    used[4:] = False  # the last process has nothing at all
    whole = torch.autograd.grad(masked_mean(values, used), values)[0]
    mean = used.sum().double() / 3
    parts = []
    for rows in (slice(0, 2), slice(2, 4), slice(4, 6)):
        with counts_shared_by(lambda count: mean.clone()):
            part = masked_mean(values[rows], used[rows])
        parts.append(torch.autograd.grad(part, values)[0])
    assert torch.allclose(sum(parts) / 3, whole, rtol=1e-12)
    assert masked_mean(values[4:], used[4:]).item() == 0.0  # alone again


def test_gradient() -> None:
    values = torch.rand(3, 4, dtype=torch.float64, requires_grad=True)
    used = torch.rand(3, 4) > 0.3
    assert torch.autograd.gradcheck(lambda x: masked_mean(x, used), values)
