# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Scale-invariant error and gradient matching by loops, and their gradients."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from torch import Tensor

from sfm_depth_ros.losses.relative_depth import gradient_matching_loss, scale_invariant_loss

SHAPE = (2, 1, 6, 11)


def depths(seed: int) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return 1 + 9 * torch.rand(*SHAPE, generator=generator, dtype=torch.float64)


def measured() -> Tensor:
    """Depth that a third of the pixels know."""
    truth = depths(1)
    truth[torch.rand(SHAPE, generator=torch.Generator().manual_seed(2)) < 0.6] = 0
    truth[0, 0, 0, 0], truth[0, 0, 0, 1], truth[1, 0, 5, 5] = torch.nan, 500.0, torch.inf
    return truth


def known_pixels(truth: Tensor, image: int) -> list[tuple[int, int]]:
    return [
        (v, u)
        for v, u in np.ndindex(SHAPE[2], SHAPE[3])
        if 0 < truth[image, 0, v, u].item() <= 100
    ]


def test_the_scale_invariant_error_is_that_of_all_pairs() -> None:
    predicted, truth = depths(0), measured()
    of_images = []
    for b in range(2):
        ratio = (predicted[b, 0] / truth[b, 0]).numpy()
        R = [np.log(ratio[pixel]) for pixel in known_pixels(truth, b)]
        pairs = [(x - y) ** 2 for x, y in itertools.product(R, R)]
        of_images.append(np.mean(pairs) / 2)
    found = scale_invariant_loss(predicted, truth)
    assert float(found) == pytest.approx(np.mean(of_images), abs=1e-12)
    assert float(scale_invariant_loss(3.7 * predicted, truth)) == pytest.approx(float(found))
    assert float(scale_invariant_loss(3.7 * truth, truth)) < 1e-12


def test_gradients_are_compared_where_both_pixels_are_known() -> None:
    predicted, truth = depths(0), measured()
    total = 0.0
    known = [set(known_pixels(truth, b)) for b in range(2)]
    for stride, axis in itertools.product((1, 2, 4, 8), (0, 1)):
        differences = []
        for b, v, u in np.ndindex(2, SHAPE[2], SHAPE[3]):
            there = (v, u + stride) if axis == 0 else (v + stride, u)
            if (v, u) in known[b] and there in known[b]:
                here, other = (
                    np.log((predicted[b, 0, y, x] / truth[b, 0, y, x]).item())
                    for y, x in ((v, u), there)
                )
                differences.append(abs(other - here))
        total += np.mean(differences) / 4 if differences else 0
    assert float(gradient_matching_loss(predicted, truth)) == pytest.approx(total, abs=1e-12)
    assert float(gradient_matching_loss(2 * truth.clamp(0, 100), truth)) < 1e-12


def test_gradients_and_nothing_known() -> None:
    truth = measured()
    for loss in (scale_invariant_loss, gradient_matching_loss):
        predicted = depths(0).requires_grad_()
        assert torch.autograd.gradcheck(lambda d, loss=loss: loss(d, truth), (predicted,))
        nothing = loss(predicted, torch.zeros(SHAPE, dtype=torch.float64))
        assert float(nothing.detach()) == 0
        nothing.backward()
        assert not predicted.grad.any()


def test_shapes_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ValueError, match="measured"):
        scale_invariant_loss(depths(0), measured()[:1])
