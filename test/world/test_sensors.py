# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Second camera, moving things and lidar: each against geometry worked out beside it."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from single_warp import warp

from sfm_depth_ros.world.drive import CameraSpec, DriveSpec, SyntheticDrive
from sfm_depth_ros.world.sensors import SensorsSpec, lidar_returns
from sfm_depth_ros.world.trajectory import MotionSpec

CAMERA = CameraSpec(320, 96, 80.0, 1.3, 4.0)


def _drive(style: str, **overrides: object) -> SyntheticDrive:
    speed = 6.0 if style in ("street", "country") else 1.0
    return SyntheticDrive(
        DriveSpec(7, 4.0, CAMERA, style=style, motion=MotionSpec(speed), **overrides)
    )


def _tensor(image: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(image).permute(2, 0, 1)[None].float() / 255


def _seen_from_the_right(depth: np.ndarray, shift: np.ndarray) -> np.ndarray:
    """Pixels that nothing nearer hides, by a depth buffer of the second camera's columns."""
    height, width = depth.shape
    rows, columns = np.mgrid[:height, :width]
    landing = np.rint(columns - shift).astype(int)
    inside = (landing >= 0) & (landing < width)
    nearest = np.full((height, width + 2), np.inf)
    np.minimum.at(nearest, (rows[inside], landing[inside] + 1), depth[inside])
    around = np.minimum(np.minimum(nearest[:, :-2], nearest[:, 1:-1]), nearest[:, 2:])
    hidden_by = around[rows, landing.clip(0, width - 1)]
    return inside & (depth < 1.05 * hidden_by + 0.02)


@pytest.mark.parametrize("style", ["street", "yard", "posts"])
def test_the_right_image_is_the_left_one_moved_by_the_baseline(style: str) -> None:
    drive = _drive(style, sensors=SensorsSpec(baseline_m=0.25))
    snippet = drive.render_snippet(12, 1)
    assert snippet.right is not None
    assert snippet.T_right_target is not None
    assert snippet.T_right_target[:3, 3].tolist() == [-0.25, 0.0, 0.0]
    depth = np.where(np.isfinite(snippet.depth), snippet.depth, 1e4)
    matrices = (snippet.intrinsics.matrix, snippet.T_right_target)
    args = [torch.from_numpy(np.asarray(m)).float()[None] for m in matrices]
    warped = warp(_tensor(snippet.right), torch.from_numpy(depth)[None, None], *args)
    visible = _seen_from_the_right(depth, 0.25 * snippet.intrinsics.fx / depth)
    ok = warped.valid[0, 0].numpy() & visible & (depth < 1e4)
    target = _tensor(snippet.target)
    error = (warped.image - target).abs().mean(1)[0].numpy()[ok].mean()
    unmoved = (_tensor(snippet.right) - target).abs().mean(1)[0].numpy()[ok].mean()
    assert ok.mean() > 0.5
    assert error < 0.02
    assert error < 0.5 * unmoved


def test_warping_holds_on_static_pixels_and_moving_ones_follow_their_own_motion() -> None:
    drive = _drive("street", convoy=True, sensors=SensorsSpec(instance_masks=True))
    target, source = drive.frame(15), drive.frame(16)
    T = np.linalg.inv(source.T_world_camera) @ target.T_world_camera
    K = drive.intrinsics.matrix
    depth = np.where(np.isfinite(target.depth), target.depth, 1e4)
    args = [torch.from_numpy(m).float()[None] for m in (K, T)]
    warped = warp(_tensor(source.image), torch.from_numpy(depth)[None, None], *args)
    error = (warped.image - _tensor(target.image)).abs().mean(1)[0].numpy()
    known = warped.valid[0, 0].numpy() & (depth < 1e4)
    # without an occlusion mask a few pixels at edges are wrong, so the median speaks
    assert np.median(error[known & (target.instances == 0)]) < 0.02
    number = len(drive.movers)
    moving = target.instances == number
    assert moving.mean() > 0.01
    pixels, z = _follow(drive, target, source, moving, K)
    columns, rows = np.rint(pixels).astype(int).T
    inside = (columns >= 0) & (columns < 320) & (rows >= 0) & (rows < 96)
    found = source.instances[rows[inside], columns[inside]] == number
    assert found.mean() > 0.95
    seen = source.depth[rows[inside], columns[inside]][found]
    assert np.median(np.abs(seen / z[inside][found] - 1)) < 0.01
    # what stands still at the same place would be seen elsewhere: the car keeps its distance
    still = (T @ _points(target.depth, moving, K))[2]
    assert np.median(z - still) > 0.3


def _points(depth: np.ndarray, mask: np.ndarray, K: np.ndarray) -> np.ndarray:
    """``(4, N)`` homogeneous points of some pixels in the optical frame."""
    rows, columns = np.nonzero(mask)
    rays = np.linalg.inv(K) @ np.stack([columns, rows, np.ones_like(rows)])
    return np.vstack([rays * depth[mask], np.ones(len(rows))])


def _follow(drive, target, source, mask, K):
    """Positions and depths at which the last mover's points are seen next."""
    mover = drive.movers[-1]
    before, after = (mover.pose(frame.stamp_ns * 1e-9) for frame in (target, source))
    moved = after @ np.linalg.inv(before) @ target.T_world_camera
    points = np.linalg.inv(source.T_world_camera) @ moved @ _points(target.depth, mask, K)
    pixels = K @ points[:3]
    return (pixels[:2] / pixels[2]).T, points[2]


def test_snippets_carry_masks_in_the_order_target_earlier_later() -> None:
    drive = _drive(
        "street", convoy=True, moving_objects=3, sensors=SensorsSpec(instance_masks=True)
    )
    snippet = drive.render_snippet(10, 2)
    for mask, index in zip(snippet.instances, (10, 8, 12), strict=True):
        np.testing.assert_array_equal(mask, drive.frame(index).instances)
    plain = _drive("street", convoy=True).render_snippet(10, 2)
    assert (plain.instances, plain.right, plain.sparse_depth) == (None, None, None)


def test_extra_sensors_do_not_change_the_camera() -> None:
    sensors = SensorsSpec(0.2, 0.05, True)
    plain, equipped = _drive("yard").frame(9), _drive("yard", sensors=sensors).frame(9)
    np.testing.assert_array_equal(plain.image, equipped.image)
    np.testing.assert_array_equal(plain.depth, equipped.depth)
    assert not plain.instances.any()


@pytest.mark.parametrize("share", [0.005, 0.04, 0.25, 1.0])
def test_the_lidar_aims_at_the_share_and_measures_the_depth(share: float) -> None:
    depth = np.full((192, 640), 12.0, np.float32)
    depth[:, :40] = 90.0
    depth[:, 40:80] = np.inf
    measured = lidar_returns(depth, share, 3)
    known = measured > 0
    assert not known[:, :80].any()  # too far, and sky
    assert known[:, 80:].mean() == pytest.approx(share, rel=0.35)
    np.testing.assert_allclose(measured[known], 12.0, atol=0.12)
    if share < 1:
        assert measured[known].std() == pytest.approx(0.02, rel=0.3)
        assert np.unique(np.nonzero(known)[0]).size < 192 * 0.7
    np.testing.assert_array_equal(measured, lidar_returns(depth, share, 3))


def test_seeds_still_make_the_drives_that_the_shipped_model_learnt_from() -> None:
    """Grey levels and depths noted before the sensors came; a pixel moved would show."""
    grey_levels = [
        [129.45, 129.43, 186.74, 115.93],
        [16.87, 100.56, 109.93, 101.17],
        [24.11, 93.94, 129.13, 168.66],
        [116.24, 115.06, 113.82, 117.78],
    ]
    depths = [
        [np.inf, 27.40152, np.inf, np.inf],
        [4.67151, 5.79018, 24.82049, 35.83112],
        [3.44076, 5.50514, 5.54783, 5.59118],
        [2.9941, 3.00668, 3.01937, 3.03216],
    ]
    frame = SyntheticDrive(
        DriveSpec(5, 2.0, CameraSpec(160, 64, 80.0, 1.1, 6.5), moving_objects=4)
    ).frame(7)
    blocks = frame.image.astype(float).reshape(4, 16, 4, 40, 3).mean((1, 3, 4))
    np.testing.assert_allclose(blocks, grey_levels, atol=0.5)
    np.testing.assert_allclose(frame.depth[8::16, ::40], depths, rtol=1e-3)
