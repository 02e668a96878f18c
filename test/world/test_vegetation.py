# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Vegetation: where it stands, how it rises, how ragged it is."""

from __future__ import annotations

import numpy as np
import pytest

from sfm_depth_ros.world import vegetation
from sfm_depth_ros.world.intersection import foliage_holes
from sfm_depth_ros.world.layout import Roadside
from sfm_depth_ros.world.objects import CYLINDER, FOLIAGE, SolidList, Solids
from sfm_depth_ros.world.props import Place, Props
from sfm_depth_ros.world.road import make_road
from sfm_depth_ros.world.textures import build_atlas

HALF = 3.0


def _props() -> tuple[Props, Roadside]:
    rng = np.random.default_rng(2)
    road = make_road(rng, 80.0, 0.0)  # straight along x
    return Props(SolidList(build_atlas(0), rng), rng), Roadside(road, HALF)


def _corners(solids: Solids) -> np.ndarray:
    """World corners of boxes, ``(N, 8, 3)``."""
    signs = np.array([[(k >> a & 1) * 2.0 - 1 for a in range(3)] for k in range(8)])
    return solids.centres.numpy()[:, None] + np.einsum("kc,nic->nki", signs, solids.axes.numpy())


@pytest.mark.parametrize("sign", [-1, 1])
def test_a_bank_begins_at_the_ground_and_rises_away_from_the_road(sign: int) -> None:
    props, side = _props()
    vegetation.bank(props, side, sign, 4.0, (0.0, 30.0))
    corners = _corners(props.solids.solids())
    lateral = sign * corners[..., 1]
    inner = np.isclose(lateral, lateral.min(), atol=1e-3)
    top = corners[..., 2] > corners[..., 2].mean(1, keepdims=True)
    assert lateral.min() == pytest.approx(4.0, abs=1e-3)
    upper_inner = np.sort(corners[..., 2][inner].reshape(len(corners), -1), 1)[:, -1]
    assert np.allclose(upper_inner, 0.0, atol=1e-4)
    assert 0.5 <= corners[..., 2][top].max() <= 4.0


def test_a_hedge_is_at_its_side_and_no_higher_than_it_grows() -> None:
    props, side = _props()
    vegetation.hedge_wall(props, side, 1, 5.0, (0.0, 40.0))
    solids = props.solids.solids()
    assert (solids.kinds == FOLIAGE).sum() > 20
    assert (solids.centres[:, 1] > HALF).all()
    assert float(solids.centres[:, 2].max()) < 4.4


def test_a_wood_has_trunks_that_stand_on_the_ground_off_the_roadway() -> None:
    props, side = _props()
    vegetation.wood_edge(props, side, -1, 6.0, (0.0, 60.0))
    solids = props.solids.solids()
    centres, axes = solids.centres.numpy(), solids.axes.numpy()
    trunks = (solids.kinds.numpy() == CYLINDER) & (
        np.abs(centres[:, 2] - np.abs(axes[:, 2, 2])) < 1e-4
    )
    assert trunks.sum() >= 3
    assert (centres[trunks, 1] < -6.0).all()


def test_a_branch_ends_where_its_clump_is() -> None:
    props, _ = _props()
    vegetation.branched_tree(props, Place(0.0, 0.0, 0.0), 8.0, "foliage_a", 1.0)
    solids = props.solids.solids()
    ends = (solids.centres + solids.axes[:, :, 2])[solids.kinds == CYLINDER][1:]
    clumps = solids.centres[solids.kinds == FOLIAGE]
    gaps = (ends[:, None] - clumps[None]).norm(dim=2).amin(1)
    assert (gaps < 1e-4).all()


def test_ragged_leaves_have_as_many_holes_as_asked_for() -> None:
    assert float((foliage_holes(3, 0.42, 1.6) > 0).float().mean()) == pytest.approx(0.42, abs=1e-3)
    assert float((foliage_holes(3) > 0).float().mean()) == pytest.approx(0.25, abs=1e-3)
