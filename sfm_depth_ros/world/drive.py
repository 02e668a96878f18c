# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A rendered drive: a scene, a camera on a robot, frames with exact depth, motion, velocity."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from sfm_depth_ros.geometry.camera import Intrinsics
from sfm_depth_ros.geometry.frames import matrix_to_pose
from sfm_depth_ros.snippets.values import Snippet, Velocity
from sfm_depth_ros.world.camera_spec import CameraSpec, ray_grid
from sfm_depth_ros.world.renderer import Renderer, Views
from sfm_depth_ros.world.scene import Leader, Scene, build_scene
from sfm_depth_ros.world.sensors import EffectsSpec, SensorsSpec, develop, lidar_returns
from sfm_depth_ros.world.trajectory import MotionSpec, Trajectory

__all__ = ["CameraSpec", "DriveSpec", "RenderedFrame", "SyntheticDrive", "render_snippet"]


_RIGHT = 1  # number of the second camera


@dataclass(frozen=True)
class DriveSpec:
    """Everything that a drive is made from; equal specs render equal pixels."""

    seed: int  # Of the place, the path and the noise
    seconds: float  # Length
    camera: CameraSpec  # The camera, and where it sits
    rate_hz: float = 10.0  # Images a second
    style: str = "street"  # One of `STYLES`
    moving_objects: int = 0  # Things that move by themselves, per 100 m
    effects: EffectsSpec = field(default_factory=EffectsSpec)  # What the camera does to its images
    motion: MotionSpec = field(default_factory=MotionSpec)  # How the robot drives
    # Sensors of the robot besides the camera
    sensors: SensorsSpec = field(default_factory=SensorsSpec)
    convoy: bool = False  # Whether a car drives ahead, at the robot's own pace
    leader_ahead_m: float = 9.0  # Mean distance of that car


@dataclass(frozen=True)
class RenderedFrame:
    """One frame with its ground truth."""

    stamp_ns: int  # Time of exposure in nanoseconds
    image: np.ndarray  # `(H, W, 3)` uint8 RGB
    depth: np.ndarray  # `(H, W)` float32 metres along the optical axis, inf in the sky
    T_world_camera: np.ndarray  # `(4, 4)` float64 pose of the optical frame
    T_world_base: np.ndarray  # `(4, 4)` float64 pose of `base_link`
    instances: np.ndarray  # `(H, W)` uint8, 0 = stands still, else the number of the moving thing
    # `(H, W, 3)` uint8 RGB of the second camera, or None without one
    right: np.ndarray | None = None
    # `(H, W)` float32 metres by the lidar, 0 = unknown, or None without one
    lidar: np.ndarray | None = None


class SyntheticDrive:
    """Frames of one drive, rendered on demand.

    Attributes:
        spec: What it is made from.
        movers: What moves; mover ``k`` has the number ``k + 1`` in instance masks.
    """

    def __init__(self, spec: DriveSpec, device: str = "cpu") -> None:
        self.spec = spec
        motion = spec.motion
        length = spec.seconds * motion.speed_mps * 1.3
        scene = build_scene(
            spec.seed, spec.style, length, spec.moving_objects, motion.speed_mps, spec.convoy
        )
        self._trajectory = Trajectory(
            scene.road, _in_lane(motion, scene.lane_m), spec.seconds, spec.seed
        )
        if spec.convoy:
            scene = _with_leader(scene, self._trajectory, spec.leader_ahead_m)
        self.movers = scene.movers
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
        seen = self._renderer.render(Views(T_world_camera, times), self._grid)
        rights = self._render_right(T_world_camera, times, indices)
        frames = []
        for k, index in enumerate(indices):
            depth = seen.depth[k].cpu().numpy()
            moving = np.zeros(depth.shape, np.uint8)
            frames.append(
                RenderedFrame(
                    stamps[k],
                    develop(seen.image[k], self.spec.effects, times[k], self._seed(index)),
                    depth,
                    T_world_camera[k],
                    T_world_base[k],
                    moving if seen.instances is None else seen.instances[k].cpu().numpy(),
                    rights[k],
                    self._lidar(depth, index),
                )
            )
        return frames

    def _render_right(
        self, T_world_camera: np.ndarray, times: np.ndarray, indices: Sequence[int]
    ) -> list[np.ndarray] | list[None]:
        sensors = self.spec.sensors
        if sensors.baseline_m <= 0:
            return [None] * len(indices)
        T_world_right = T_world_camera @ np.linalg.inv(sensors.T_right_camera)
        images = self._renderer.render(Views(T_world_right, times), self._grid).image
        return [
            develop(images[k], self.spec.effects, times[k], self._seed(index), _RIGHT)
            for k, index in enumerate(indices)
        ]

    def _lidar(self, depth: np.ndarray, index: int) -> np.ndarray | None:
        share = self.spec.sensors.lidar_share
        return lidar_returns(depth, share, self._seed(index)) if share > 0 else None

    def _seed(self, index: int) -> int:
        """Of everything random in one frame."""
        return self.spec.seed * 100_003 + index

    def _snippet(self, frames: list[RenderedFrame]) -> Snippet:
        earlier, target, later = frames
        sources = (earlier, later)
        T = [np.linalg.inv(s.T_world_camera) @ target.T_world_camera for s in sources]
        lengths = [np.linalg.norm(matrix[:3, 3]) for matrix in T]
        sensors = self.spec.sensors
        order = (target, earlier, later)
        return Snippet(
            target=target.image,
            sources=np.stack([source.image for source in sources]),
            intrinsics=self.intrinsics,
            displacements=np.array(lengths, np.float32),
            stamps_ns=np.array([frame.stamp_ns for frame in frames], np.int64),
            depth=target.depth,
            T_source_target=np.stack(T).astype(np.float32),
            right=target.right,
            T_right_target=(
                None if target.right is None else sensors.T_right_camera.astype(np.float32)
            ),
            sparse_depth=target.lidar,
            instances=(
                np.stack([frame.instances for frame in order]) if sensors.instance_masks else None
            ),
        )


def render_snippet(drive: SyntheticDrive, index: int, step: int) -> Snippet:
    """Frames ``index - step``, ``index``, ``index + step`` of a drive, with the truth."""
    return drive.render_snippet(index, step)


def _with_leader(scene: Scene, trajectory: Trajectory, ahead_m: float) -> Scene:
    """The scene with the car ahead bound to how the robot drives."""
    leader = Leader(scene.road, scene.lane_m, ahead_m, trajectory.distance)
    return replace(scene, movers=(*scene.movers, leader))


def _in_lane(motion: MotionSpec, lane_m: float) -> MotionSpec:
    return replace(motion, lane_m=motion.lane_m + lane_m)
