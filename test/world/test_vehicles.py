# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Cars: sizes, clearance under the body, wheels that touch the ground."""

from __future__ import annotations

import numpy as np
import pytest

from sfm_depth_ros.world import vehicles
from sfm_depth_ros.world.objects import BALL, BOX, CYLINDER, SolidList, Solids
from sfm_depth_ros.world.props import Place, Props
from sfm_depth_ros.world.textures import build_atlas


def _car(seed: int, yaw: float = 0.0) -> Solids:
    rng = np.random.default_rng(seed)
    props = Props(SolidList(build_atlas(0), rng), rng)
    vehicles.car(props, Place(0.0, 0.0, yaw))
    return props.solids.solids()


def _reach(solids: Solids, kind: int) -> tuple[np.ndarray, np.ndarray]:
    """Centres and half extents along the world's axes of the solids of a kind."""
    axes, chosen = solids.axes.numpy(), solids.kinds.numpy() == kind
    if kind == BOX:
        half = np.abs(axes).sum(2)
    elif kind == BALL:
        half = np.linalg.norm(axes, axis=2)
    else:
        half = np.linalg.norm(axes[..., :2], axis=2) + np.abs(axes[..., 2])
    return solids.centres.numpy()[chosen], half[chosen]


@pytest.mark.parametrize("seed", range(6))
def test_four_wheels_carry_a_body_that_is_off_the_ground(seed: int) -> None:
    solids = _car(seed)
    wheels, half = _reach(solids, CYLINDER)
    assert len(wheels) == 8  # tyres and rims
    tyres = np.isclose(half[:, 2], vehicles.WHEEL_M, atol=1e-6)
    assert tyres.sum() == 4
    assert np.allclose((wheels - half)[tyres, 2], 0.0, atol=1e-6)
    boxes, box_half = _reach(solids, BOX)
    bottoms = (boxes - box_half)[:, 2]
    assert (bottoms[bottoms > 0.01] >= vehicles.CLEARANCE_M - 1e-6).all()
    assert (boxes + box_half)[bottoms < 0.01, 2] == pytest.approx(0.015)  # the dark gap


@pytest.mark.parametrize("seed", range(6))
def test_a_car_has_a_cars_size(seed: int) -> None:
    solids = _car(seed)
    balls, half = _reach(solids, BALL)
    low, high = (balls - half).min(0), (balls + half).max(0)
    assert 3.6 <= high[0] - low[0] <= 4.9
    assert 1.38 <= high[2] <= 1.85
    boxes, box_half = _reach(solids, BOX)
    assert 1.62 <= (boxes + box_half)[:, 1].max() * 2 <= 2.0


def test_a_turned_car_is_as_long_across() -> None:
    along, across = _car(3), _car(3, np.pi / 2)
    half_along, half_across = _reach(along, BALL)[1], _reach(across, BALL)[1]
    assert np.allclose(half_along[:, [1, 0, 2]], half_across, atol=1e-5)
