# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Rendered drives: photometric consistency, velocity, reproducibility."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from single_warp import warp

from sfm_depth_ros.camera.rectification import undistort_map
from sfm_depth_ros.geometry.frames import twist_to_transform
from sfm_depth_ros.world.drive import CameraSpec, DriveSpec, RenderedFrame, SyntheticDrive
from sfm_depth_ros.world.sensors import EffectsSpec
from sfm_depth_ros.world.trajectory import MotionSpec

FAR = 1.0e4


def _drive(style: str = "street", seed: int = 3, **overrides: object) -> SyntheticDrive:
    camera = overrides.pop("camera", CameraSpec(320, 96, 85.0, 1.5, 2.0))
    motion = MotionSpec(speed_mps=8.0 if style in ("street", "country") else 1.2)
    return SyntheticDrive(DriveSpec(seed, 4.0, camera, style=style, motion=motion, **overrides))


def _tensor(frame: RenderedFrame) -> tuple[torch.Tensor, torch.Tensor]:
    image = torch.from_numpy(frame.image).permute(2, 0, 1)[None].float() / 255
    depth = np.where(np.isfinite(frame.depth), frame.depth, FAR)
    return image, torch.from_numpy(depth)[None, None]


@pytest.mark.parametrize(
    ("style", "height_m", "hfov", "pitch"),
    [
        ("street", 1.65, 81.0, 0.0),
        ("street", 0.5, 60.0, 3.0),
        ("country", 1.5, 100.0, 2.0),
        ("yard", 0.3, 70.0, 10.0),
        ("yard", 0.9, 108.0, 0.0),
        ("indoor", 1.8, 90.0, 12.0),
    ],
)
def test_warping_with_the_truth_reproduces_the_target(
    style: str, height_m: float, hfov: float, pitch: float
) -> None:
    drive = _drive(style, camera=CameraSpec(320, 96, hfov, height_m, pitch))
    target, source = drive.frame(15), drive.frame(16)
    (image, depth), (other, other_depth) = _tensor(target), _tensor(source)
    T = np.linalg.inv(source.T_world_camera) @ target.T_world_camera
    args = [torch.from_numpy(m).float()[None] for m in (drive.intrinsics.matrix, T)]
    warped, seen = warp(other, depth, *args), warp(other_depth, depth, *args)
    unoccluded = (seen.image - warped.depth).abs() < 0.02 * warped.depth + 0.02
    ok = warped.valid & unoccluded & (depth < FAR)
    error = (warped.image - image).abs().mean(1, keepdim=True)[ok].mean()
    unmoved = (other - image).abs().mean(1, keepdim=True)[ok].mean()
    assert ok.float().mean() > 0.35
    assert error < 0.02
    assert error < 0.6 * unmoved


@pytest.mark.parametrize("style", ["street", "yard"])
def test_twist_integrates_to_the_pose(style: str) -> None:
    drive = _drive(style)
    start, end, steps = drive.stamp_ns(10), drive.stamp_ns(11), 100
    T = drive.T_world_base(start)
    dt = (end - start) / steps
    for k in range(steps):
        middle = drive.velocity(int(start + (k + 0.5) * dt))
        T = T @ twist_to_transform(middle.linear, middle.angular, dt * 1e-9)
    expected = drive.T_world_base(end)
    assert np.abs(T[:3, 3] - expected[:3, 3]).max() < 1e-4
    assert np.abs(T[:3, :3] - expected[:3, :3]).max() < 1e-5


def test_standing_still_has_no_velocity() -> None:
    motion = MotionSpec(speed_mps=3.0, stop_every_s=4.0)
    drive = SyntheticDrive(DriveSpec(5, 20.0, CameraSpec(64, 32, 80.0, 1.0, 0.0), motion=motion))
    speeds = [np.linalg.norm(drive.velocity(int(t * 1e9)).linear) for t in np.arange(0, 20, 0.1)]
    assert min(speeds) < 1e-6
    assert max(speeds) > 2.0


def test_same_seed_same_pixels_and_another_seed_another_world() -> None:
    effects = EffectsSpec(noise=0.02, jpeg_quality=80, blur_px=0.5, exposure_drift=0.1)
    first, again, other = (
        _drive(seed=seed, effects=effects, moving_objects=3).frame(7) for seed in (3, 3, 4)
    )
    assert np.array_equal(first.image, again.image)
    assert np.array_equal(first.depth, again.depth)
    assert not np.array_equal(first.image, other.image)


def test_a_batch_renders_what_single_frames_render() -> None:
    drive = _drive(moving_objects=4)
    batch = list(drive.frames(batch=5))[:5]
    for index, frame in enumerate(batch):
        single = drive.frame(index)
        assert np.abs(frame.image.astype(int) - single.image).mean() < 0.5
        both = np.isfinite(frame.depth) & np.isfinite(single.depth)
        assert np.median(np.abs(frame.depth[both] - single.depth[both])) < 1e-4


def test_snippet_holds_the_true_motion() -> None:
    drive = _drive()
    snippet = drive.render_snippet(12, 2)
    frames = [drive.frame(index) for index in (10, 12, 14)]
    assert np.array_equal(snippet.target, frames[1].image)
    assert np.array_equal(snippet.sources[1], frames[2].image)
    for k, source in enumerate((frames[0], frames[2])):
        T = np.linalg.inv(source.T_world_camera) @ frames[1].T_world_camera
        assert np.allclose(snippet.T_source_target[k], T, atol=1e-6)
        assert snippet.displacements[k] == pytest.approx(np.linalg.norm(T[:3, 3]), abs=1e-5)
    assert snippet.stamps_ns.tolist() == [10**9, 1_200_000_000, 1_400_000_000]


def test_a_frame_outside_the_drive_is_refused() -> None:
    with pytest.raises(ValueError, match="frame 40 does not exist, expected 0 to 39"):
        _drive().frame(40)


def test_a_distorted_lens_keeps_depth_exact() -> None:
    lens = (-0.25, 0.06, 0.001, -0.001, 0.0)
    plain = CameraSpec(320, 96, 80.0, 1.5, 2.0)
    bent = CameraSpec(320, 96, 80.0, 1.5, 2.0, distortion=lens)
    straight, distorted = (_drive(camera=camera).frame(9) for camera in (plain, bent))
    K = plain.intrinsics.matrix
    map_x, map_y = undistort_map(
        K, np.array(lens), "plumb_bob", np.eye(3), K, (320, 96), (320, 96)
    )
    x, y = np.rint(map_x).astype(int), np.rint(map_y).astype(int)
    inside = (x >= 0) & (x < 320) & (y >= 0) & (y < 96)
    sampled = distorted.depth[y.clip(0, 95), x.clip(0, 319)]
    both = inside & np.isfinite(sampled) & np.isfinite(straight.depth)
    relative = np.abs(sampled[both] / straight.depth[both] - 1)
    assert inside.mean() > 0.9
    assert np.median(relative) < 0.01
    assert np.abs(distorted.image.astype(int) - straight.image).mean() > 5
