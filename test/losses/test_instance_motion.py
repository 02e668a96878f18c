# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Things move as wholes: means over instances, against loops."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from sfm_depth_ros.losses.residual_motion import motion_of_instances


def _scene() -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    field = torch.randn(2, 2, 3, 4, 5, generator=generator, dtype=torch.float64)
    return field, torch.randint(0, 4, (2, 4, 5), generator=generator).to(torch.uint8) * 60


def test_every_instance_has_the_mean_of_its_pixels() -> None:
    field, instances = _scene()
    found = motion_of_instances(field, instances)
    for b, v, u in torch.cartesian_prod(torch.arange(2), torch.arange(4), torch.arange(5)):
        number = instances[b, v, u]
        mean = field[b, :, :, instances[b] == number].mean(-1)
        expected = mean if number else torch.zeros_like(mean)
        assert torch.allclose(found[b, :, :, v, u], expected)


def test_gradient() -> None:
    field, instances = _scene()
    assert torch.autograd.gradcheck(
        lambda x: motion_of_instances(x, instances), field.requires_grad_()
    )


def test_without_instances_nothing_moves() -> None:
    field, instances = _scene()
    assert (motion_of_instances(field, torch.zeros_like(instances)) == 0).all()


def test_another_size_is_refused() -> None:
    field, instances = _scene()
    with pytest.raises(ValueError, match="expected instances"):
        motion_of_instances(field, instances[:, :2])
