# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A rendered drive: a scene, a camera on a robot, frames with exact depth, motion, velocity."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import torch

from sfm_depth_ros.data.sample import Snippet, Velocity
from sfm_depth_ros.data.synthetic.effects import EffectsSpec, develop
from sfm_depth_ros.data.synthetic.renderer import Renderer, Views
from sfm_depth_ros.data.synthetic.scene import build_scene
from sfm_depth_ros.data.synthetic.trajectory import MotionSpec, Trajectory, rotation_from_euler
from sfm_depth_ros.data.synthetic.visibility import RayGrid
from sfm_depth_ros.geometry.camera import Intrinsics
from sfm_depth_ros.geometry.frames import R_BASE_OPTICAL, matrix_to_pose


@dataclass(frozen=True)
class CameraSpec:
    """A camera on a robot.

    Attributes:
        width: Pixels.
        height: Pixels.
        hfov_deg: Horizontal field of view of the undistorted image.
        height_m: Above the ground.
        pitch_deg: Positive looks down.
        roll_deg: Positive leans to the right.
        forward_m: Offset from ``base_link`` along x.
        distortion: ``plumb_bob`` (k1, k2, p1, p2, k3), or empty.
        centre_px: Offset of the principal point from the image centre.
    """

    width: int
    height: int
    hfov_deg: float
    height_m: float
    pitch_deg: float
    roll_deg: float = 0.0
    forward_m: float = 0.0
    distortion: tuple[float, ...] = ()
    centre_px: tuple[float, float] = (0.0, 0.0)

    @property
    def intrinsics(self) -> Intrinsics:
        """K of the image as it is delivered (before undistortion)."""
        plain = Intrinsics.from_hfov(self.hfov_deg, self.width, self.height)
        cx, cy = plain.cx + self.centre_px[0], plain.cy + self.centre_px[1]
        return Intrinsics(plain.fx, plain.fy, cx, cy, self.width, self.height)

    @property
    def T_base_camera(self) -> np.ndarray:
        """Pose of the optical frame in ``base_link``, ``(4, 4)`` float64."""
        T = np.eye(4)
        roll, pitch = math.radians(self.roll_deg), math.radians(self.pitch_deg)
        T[:3, :3] = rotation_from_euler(roll, pitch, 0.0) @ R_BASE_OPTICAL
        T[:3, 3] = self.forward_m, 0.0, self.height_m
        return T


@dataclass(frozen=True)
class DriveSpec:
    """Everything that a drive is made from; equal specs render equal pixels."""

    seed: int
    seconds: float
    camera: CameraSpec
    rate_hz: float = 10.0
    style: str = "street"
    moving_objects: int = 0
    effects: EffectsSpec = field(default_factory=EffectsSpec)
    motion: MotionSpec = field(default_factory=MotionSpec)


@dataclass(frozen=True)
class RenderedFrame:
    """One frame with its ground truth.

    Attributes:
        stamp_ns: Time of exposure in nanoseconds.
        image: ``(H, W, 3)`` uint8 RGB.
        depth: ``(H, W)`` float32 metres along the optical axis, inf in the sky.
        T_world_camera: ``(4, 4)`` float64 pose of the optical frame.
        T_world_base: ``(4, 4)`` float64 pose of ``base_link``.
    """

    stamp_ns: int
    image: np.ndarray
    depth: np.ndarray
    T_world_camera: np.ndarray
    T_world_base: np.ndarray


class SyntheticDrive:
    """Frames of one drive, rendered on demand."""

    def __init__(self, spec: DriveSpec, device: str = "cpu") -> None:
        self.spec = spec
        motion = spec.motion
        length = spec.seconds * motion.speed_mps * 1.3
        scene = build_scene(spec.seed, spec.style, length, spec.moving_objects, motion.speed_mps)
        self._trajectory = Trajectory(
            scene.road, _in_lane(motion, scene.lane_m), spec.seconds, spec.seed
        )
        self._renderer = Renderer(scene, device)
        self._grid = ray_grid(spec.camera).to(device)

    def __len__(self) -> int:
        return round(self.spec.seconds * self.spec.rate_hz)

    @property
    def intrinsics(self) -> Intrinsics:
        """Camera of the images (before undistortion, where the lens distorts)."""
        return self.spec.camera.intrinsics

    @property
    def T_base_camera(self) -> np.ndarray:
        """Pose of the optical frame in ``base_link``, ``(4, 4)``."""
        return self.spec.camera.T_base_camera

    @property
    def base_to_camera(self) -> np.ndarray:
        """The same as ``(7,)``: x, y, z, qx, qy, qz, qw."""
        return matrix_to_pose(self.T_base_camera)

    def stamp_ns(self, index: int) -> int:
        """Time of a frame; the first is at zero."""
        return round(index * 1e9 / self.spec.rate_hz)

    def T_world_base(self, t_ns: int) -> np.ndarray:
        """True pose of ``base_link``, ``(4, 4)`` float64."""
        return self._trajectory.T_world_base(t_ns * 1e-9)

    def velocity(self, t_ns: int) -> Velocity:
        """True twist of ``base_link`` at any time of the drive."""
        exact = self._trajectory.velocity(t_ns * 1e-9)
        return Velocity(t_ns, exact.linear, exact.angular)

    def frame(self, index: int) -> RenderedFrame:
        """Render one frame."""
        return self._render([index])[0]

    def frames(self, batch: int = 1) -> Iterator[RenderedFrame]:
        """All frames in order, ``batch`` at once (1 is fastest on a CPU)."""
        for start in range(0, len(self), batch):
            yield from self._render(range(start, min(start + batch, len(self))))

    def render_snippet(self, index: int, step: int) -> Snippet:
        """Frames ``index - step``, ``index``, ``index + step`` with the truth about them.

        Args:
            index: Target frame.
            step: Distance of the sources in frames.
        """
        return self._snippet(self._render([index - step, index, index + step]))

    def _render(self, indices: Sequence[int]) -> list[RenderedFrame]:
        for index in indices:
            if not 0 <= index < len(self):
                raise ValueError(f"frame {index} does not exist, expected 0 to {len(self) - 1}")
        stamps = [self.stamp_ns(index) for index in indices]
        T_world_base = np.stack([self.T_world_base(stamp) for stamp in stamps])
        T_world_camera = T_world_base @ self.T_base_camera
        times = np.array(stamps) * 1e-9
        images, depths = self._renderer.render(Views(T_world_camera, times), self._grid)
        frames = []
        for k, index in enumerate(indices):
            seed = self.spec.seed * 100_003 + index
            image = develop(images[k], self.spec.effects, times[k], seed)
            depth = depths[k].cpu().numpy()
            frames.append(
                RenderedFrame(stamps[k], image, depth, T_world_camera[k], T_world_base[k])
            )
        return frames

    def _snippet(self, frames: list[RenderedFrame]) -> Snippet:
        earlier, target, later = frames
        sources = (earlier, later)
        T = [np.linalg.inv(s.T_world_camera) @ target.T_world_camera for s in sources]
        lengths = [np.linalg.norm(matrix[:3, 3]) for matrix in T]
        return Snippet(
            target=target.image,
            sources=np.stack([source.image for source in sources]),
            intrinsics=self.intrinsics,
            displacements=np.array(lengths, np.float32),
            stamps_ns=np.array([frame.stamp_ns for frame in frames], np.int64),
            depth=target.depth,
            T_source_target=np.stack(T).astype(np.float32),
        )


def render_snippet(drive: SyntheticDrive, index: int, step: int) -> Snippet:
    """Frames ``index - step``, ``index``, ``index + step`` of a drive, with the truth."""
    return drive.render_snippet(index, step)


def _in_lane(motion: MotionSpec, lane_m: float) -> MotionSpec:
    return replace(motion, lane_m=motion.lane_m + lane_m)


def ray_grid(camera: CameraSpec) -> RayGrid:
    """Rays of every pixel; a distorted lens is inverted by fixed-point iteration."""
    K = camera.intrinsics
    x = (np.arange(camera.width)[None] - K.cx) / K.fx + np.zeros((camera.height, 1))
    y = (np.arange(camera.height)[:, None] - K.cy) / K.fy + np.zeros((1, camera.width))
    if camera.distortion:
        x, y = undistort(x, y, camera.distortion)
    return RayGrid.from_coordinates(
        torch.from_numpy(x.astype(np.float32)), torch.from_numpy(y.astype(np.float32))
    )


def undistort(
    x: np.ndarray, y: np.ndarray, coefficients: tuple[float, ...]
) -> tuple[np.ndarray, np.ndarray]:
    """Inverse of ``plumb_bob`` (Brown-Conrady, as in OpenCV and sensor_msgs/CameraInfo)."""
    k1, k2, p1, p2, k3 = (*coefficients, 0.0, 0.0, 0.0, 0.0, 0.0)[:5]
    u, v = x.copy(), y.copy()
    for _ in range(60):
        r2 = u * u + v * v
        radial = 1 + r2 * (k1 + r2 * (k2 + r2 * k3))
        du = 2 * p1 * u * v + p2 * (r2 + 2 * u * u)
        dv = p1 * (r2 + 2 * v * v) + 2 * p2 * u * v
        u, v = (x - du) / radial, (y - dv) / radial
    return u, v
