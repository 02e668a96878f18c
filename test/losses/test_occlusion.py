# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Visibility of points in a source, beside ray casting or a plain loop."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from sfm_depth_ros.geometry.pinhole import backproject
from sfm_depth_ros.geometry.se3 import motion_to_transform
from sfm_depth_ros.geometry.warping import WarpResult, warp_sources
from sfm_depth_ros.losses.occlusion import nearer_mask, principled_mask, splat_occlusion_mask

HEIGHT, WIDTH, FOCAL = 24, 40, 30.0
NEAR, FAR = 3.0, 12.0


def _camera(dtype: torch.dtype = torch.float64) -> Tensor:
    K = [[FOCAL, 0, (WIDTH - 1) / 2], [0, FOCAL, (HEIGHT - 1) / 2], [0, 0, 1]]
    return torch.tensor(K, dtype=dtype)[None]


def _warped(depth: Tensor, motions: list[list[float]]) -> WarpResult:
    K = _camera(depth.dtype)
    T = motion_to_transform(torch.tensor(motions, dtype=depth.dtype))[None]
    sources = depth.new_zeros(1, len(motions), 1, HEIGHT, WIDTH)
    return warp_sources(sources, backproject(depth, K), K, T)


def _board_and_wall(dtype: torch.dtype = torch.float64) -> Tensor:
    """A near board in the middle of a far wall; both face the camera."""
    depth = torch.full((1, 1, HEIGHT, WIDTH), FAR, dtype=dtype)
    depth[..., 8:16, 15:25] = NEAR
    return depth


def _sees(motion: list[float], row: int, column: int) -> tuple[bool, float]:
    """Whether a source moved by ``motion`` (translation) sees a point of the wall, by its ray.

    Also how far from the board's edge the ray passes, in the target's pixels.
    """
    cx, cy = (WIDTH - 1) / 2, (HEIGHT - 1) / 2
    point = np.array([(column - cx) * FAR / FOCAL, (row - cy) * FAR / FOCAL, FAR])
    eye = -np.array(motion)
    at_board = eye + (point - eye) * (NEAR - eye[2]) / (FAR - eye[2])
    x, y = at_board[:2] * FOCAL / NEAR + [cx, cy]
    inside = np.array([x - 14.5, 24.5 - x, y - 7.5, 15.5 - y])
    return bool((inside < 0).any()), float(np.abs(inside).min())


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize(
    "motion", [[0.4, 0, 0], [-0.5, 0.2, 0], [0, 0, -1.2], [0.2, 0.1, -1.4], [0, 0, 1.0]]
)
def test_a_board_hides_what_rays_say(motion: list[float], dtype: torch.dtype) -> None:
    depth = _board_and_wall(dtype)
    warped = _warped(depth, [[*motion, 0, 0, 0]])
    seen = splat_occlusion_mask(warped)[0, 0]
    inside = warped.valid[0, 0, 0]
    hidden = 0
    for row, column in np.ndindex(HEIGHT, WIDTH):
        if not inside[row, column]:
            assert not seen[row, column]
        elif depth[0, 0, row, column] == NEAR:
            assert seen[row, column]
        else:
            expected, clearance = _sees(motion, row, column)
            # A ray within a pixel of the edge may fall on either side of it.
            if clearance > 1:
                assert bool(seen[row, column]) == expected, (row, column)
                hidden += not expected
    assert hidden > 5 or motion[2] > 0  # moving away uncovers, and hides nothing


def test_a_road_hides_nothing_of_itself() -> None:
    """Slanted to the horizon, where depth doubles from row to row; ahead, back, and turning."""
    rows = torch.arange(HEIGHT, dtype=torch.float64) - (HEIGHT - 1) / 2
    depth = torch.where(rows > 0.4, FOCAL * 1.5 / rows.clamp(min=0.4), torch.full_like(rows, 1e3))
    depth = depth.view(1, 1, -1, 1).expand(1, 1, HEIGHT, WIDTH).contiguous()
    motions = [[0, 0, -1.0, 0, 0, 0], [0, 0, 1.0, 0, 0, 0], [0.3, 0, -0.5, 0.01, 0.05, 0]]
    warped = _warped(depth, motions)
    assert torch.equal(splat_occlusion_mask(warped), warped.valid[:, :, 0])
    assert warped.valid.any(-1).any(-1).all()


def test_standing_still_hides_nothing() -> None:
    warped = _warped(_board_and_wall(), [[0.0] * 6, [0.0] * 6])
    assert splat_occlusion_mask(warped).shape == (1, 2, HEIGHT, WIDTH)
    assert splat_occlusion_mask(warped).all()


def test_sources_of_another_size() -> None:
    """Half as many pixels show the same board."""
    warped = _warped(_board_and_wall(), [[0.6, 0, 0, 0, 0, 0]])
    full, half = splat_occlusion_mask(warped), splat_occlusion_mask(warped, (12, 20))
    assert float((full == half).double().mean()) > 0.95
    assert not half.all()


def test_broken_depths_are_not_seen() -> None:
    depth = _board_and_wall()
    depth[..., 0, :3] = torch.tensor([float("nan"), float("inf"), -1.0])
    seen = splat_occlusion_mask(_warped(depth, [[0.1, 0, 0, 0, 0, 0]]))
    assert not seen[..., 0, :3].any() and seen.any()


def test_principled_mask_wants_whole_windows_in_view() -> None:
    warped = _warped(_board_and_wall(), [[0.7, 0, 0, 0, 0, 0]])
    inside = warped.valid[0, 0, 0].numpy()
    assert np.array_equal(principled_mask(warped)[0, 0].numpy(), inside)
    for window in (3, 7):
        radius = window // 2
        padded = np.pad(inside, radius, mode="reflect")
        view = np.lib.stride_tricks.sliding_window_view(padded, (window, window))
        found = principled_mask(warped, window)[0, 0].numpy()
        assert np.array_equal(found, view.all((-1, -2)))
        assert found.sum() < inside.sum()


def test_nearer_is_judged_where_the_source_is_sampled() -> None:
    warped = _warped(_board_and_wall(), [[0.1, 0, 0, 0, 0, 0]])
    sampled = warped.depth.clone()
    sampled[..., :10] *= 0.5  # the source says: there is something before it
    sampled[..., 10, 0] = float("nan")
    seen = nearer_mask(warped, sampled)[0, 0]
    expected = warped.valid[0, 0, 0].clone()
    expected[:, :10] = False
    expected[10, 0] = False
    assert torch.equal(seen, expected)
    with pytest.raises(ValueError, match="depths"):
        nearer_mask(warped, sampled[:, :, 0])
