# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A small exact world for these tests: textured ground and walls, and engines that know it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np

from sfm_depth_ros.bags.writer import BagWriter
from sfm_depth_ros.camera.camera_model import CameraModel
from sfm_depth_ros.config.networks import METRIC
from sfm_depth_ros.config.schema import DepthNetworkConfig, PoseNetworkConfig
from sfm_depth_ros.engines.base import Engine
from sfm_depth_ros.geometry.camera import Intrinsics
from sfm_depth_ros.geometry.frames import (
    R_BASE_OPTICAL,
    invert,
    rotation_vector,
    twist_to_transform,
)
from sfm_depth_ros.snippets.values import Frame, Snippet, Velocity
from sfm_depth_ros.snippets.velocity import VelocityBuffer

CAMERA = Intrinsics.from_hfov(80.0, 320, 96)
HEIGHT_M = 1.2
PERIOD_NS = 100_000_000
_TEXELS_PER_M = 12.0
_FAR = np.array([1e6, 1e6])
# Rectangles: axis it stands on, where on it, the axes along it, from and to on those.
_PLANES = (
    (2, 0.0, (0, 1), -_FAR, _FAR),
    (1, 6.0, (0, 2), -_FAR, _FAR),
    (1, -5.0, (0, 2), -_FAR, _FAR),
    (0, 90.0, (1, 2), -_FAR, _FAR),
    *(
        (0, 12.0 + 6.0 * post, (1, 2), np.array([side, 0.0]), np.array([side + 0.7, 3.0]))
        for post in range(4)
        for side in (-4.0, 2.5)
    ),
)


def base_to_camera() -> np.ndarray:
    """Camera looking forward, ahead of and above the base."""
    T_base_camera = np.eye(4)
    T_base_camera[:3, :3] = R_BASE_OPTICAL
    T_base_camera[:3, 3] = (0.5, 0.0, HEIGHT_M)
    return T_base_camera


@dataclass(frozen=True)
class Drive:
    """A drive at constant speed and turn rate between two walls."""

    frames: list[Frame]
    depths: list[np.ndarray]
    poses: list[np.ndarray]  # T_world_camera
    velocities: VelocityBuffer

    def __iter__(self) -> Iterator[tuple[Frame, np.ndarray, np.ndarray]]:
        return iter(zip(self.frames, self.depths, self.poses, strict=True))

    def motion(self, later: int) -> np.ndarray:
        """True ``T_earlier_later`` of the camera that ends at frame ``later``."""
        return invert(self.poses[later - 1]) @ self.poses[later]

    def snippet(self, index: int) -> Snippet:
        """Frame ``index`` between its neighbours, with true motions and true depth."""
        before, target, after = (self.frames[index + step] for step in (-1, 0, 1))
        T_target = self.poses[index]
        motions = [invert(self.poses[index + step]) @ T_target for step in (-1, 1)]
        return Snippet(
            target=target.image,
            sources=np.stack([before.image, after.image]),
            intrinsics=CAMERA,
            displacements=np.array([np.linalg.norm(m[:3, 3]) for m in motions], np.float32),
            stamps_ns=np.array([frame.stamp_ns for frame in (before, target, after)]),
            depth=self.depths[index].astype(np.float32),
            T_measured=np.stack(motions).astype(np.float32),
        )


def make_drive(frames: int, speed: float = 6.0, yaw_rate: float = 0.0) -> Drive:
    """Render ``frames`` images at 10 Hz, with exact depth, poses and 50 Hz velocities."""
    twist = np.array([speed, 0.0, 0.0]), np.array([0.0, 0.0, yaw_rate])
    poses = [twist_to_transform(*twist, 0.1 * index) @ base_to_camera() for index in range(frames)]
    velocities = VelocityBuffer(base_to_camera(), max_gap_s=0.3)
    for index in range(5 * frames + 1):
        velocities.add(Velocity(index * 20_000_000, *twist))
    return drive_of(poses, velocities)


def drive_of(poses: list[np.ndarray], velocities: VelocityBuffer) -> Drive:
    """Render an image at 10 Hz for each ``(4, 4)`` pose of the camera."""
    rendered = [_render(pose) for pose in poses]
    images = [
        Frame(index * PERIOD_NS, image, CAMERA, None, "camera")
        for index, (image, _) in enumerate(rendered)
    ]
    return Drive(images, [depth for _, depth in rendered], poses, velocities)


def _render(T_world_camera: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    rows, columns = np.mgrid[: CAMERA.height, : CAMERA.width].astype(np.float64)
    rays = (
        np.stack(
            [
                (columns - CAMERA.cx) / CAMERA.fx,
                (rows - CAMERA.cy) / CAMERA.fy,
                np.ones_like(rows),
            ],
            -1,
        )
        @ T_world_camera[:3, :3].T
    )
    origin = T_world_camera[:3, 3]
    depth, image = np.full(rows.shape, np.inf), np.full((*rows.shape, 3), 200, np.uint8)
    texture = _texture()
    for axis, place, along, low, high in _PLANES:
        if axis == 0 and place < origin[0]:
            continue
        with np.errstate(divide="ignore", invalid="ignore"):
            z = (place - origin[axis]) / rays[..., axis]
            points = origin + rays * z[..., None]
            inside = ((points[..., along] >= low) & (points[..., along] <= high)).all(-1)
        hit = (z > 0.1) & (z < depth) & inside
        if not hit.any():
            continue
        texels = (points[hit][:, along] * _TEXELS_PER_M).astype(np.float32)[None]
        image[hit] = cv2.remap(
            texture, texels, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_WRAP
        )[0]
        depth[hit] = z[hit]
    return image, depth.astype(np.float32)


def _texture() -> np.ndarray:
    """Noise at several sizes, so that corners are found near and far."""
    rng = np.random.default_rng(3)
    texture = np.zeros((1024, 1024), np.float32)
    for size in (16, 32, 64, 128, 256, 512):
        noise = rng.random((size, size), np.float32) - 0.5
        texture += cv2.resize(noise, (1024, 1024), interpolation=cv2.INTER_CUBIC)
    grey = np.clip(128 + 120 * texture, 0, 255).astype(np.uint8)
    return cv2.merge([grey, grey, grey])


@dataclass
class OracleEngine(Engine):
    """Answers what it was given, one answer a call; counts its calls."""

    answers: list[np.ndarray]
    input_shape: tuple[int, int, int, int]
    name: str = "oracle"
    precision: str = "fp32"
    calls: int = 0
    closed: bool = False
    inputs: list[np.ndarray] = field(default_factory=list)

    def infer(self, image: np.ndarray) -> np.ndarray:
        """The next answer, the last one for ever."""
        assert image.shape == self.input_shape
        assert not self.closed
        self.inputs.append(image.copy())
        answer = self.answers[min(self.calls, len(self.answers) - 1)]
        self.calls += 1
        return answer.astype(np.float32)

    def close(self) -> None:
        """Remember it."""
        self.closed = True


@dataclass(frozen=True)
class OracleFolder:
    """Stand-in for a model folder: what a pipeline reads of one, and its engines' outputs."""

    depths: list[np.ndarray]
    motions: list[np.ndarray]
    model_id: str = "oracle"
    path: Path = Path("oracle")
    width: int = CAMERA.width
    resize_filter: str = "area"
    depth_config: DepthNetworkConfig = field(default_factory=DepthNetworkConfig)
    pose_config: PoseNetworkConfig = field(default_factory=PoseNetworkConfig)
    networks: tuple[str, ...] = ("depth", "pose")
    has_pose: bool = True
    multiple: int = 32
    is_foreign: bool = False
    learnt_metres: bool = True
    input_height: int | None = None

    @property
    def has_metres(self) -> bool:
        """Whether its depths are meant to be metres."""
        return self.depth_config.head == METRIC and self.learnt_metres

    @property
    def depth_focal(self) -> float:
        """Focal length at which its depths are metres."""
        return self.depth_config.reference_focal

    def row_profile(self) -> None:
        """No profile of training drives."""


def oracle(drive: Drive, depth_factor: float = 1.0, motion_factor: float = 1.0) -> OracleFolder:
    """A model that knows the drive, in its own canonical unit, times two factors."""
    stretch = CAMERA.fx / DepthNetworkConfig().reference_focal
    depths = [
        np.nan_to_num(depth, posinf=500.0) * (depth_factor / stretch) for depth in drive.depths
    ]
    motions = []
    for later in range(1, len(drive.frames)):
        motion = drive.motion(later)
        translation = motion_factor * motion[:3, 3] / [1.0, 1.0, stretch]
        rotation = rotation_vector(motion[:3, :3]) * [stretch, stretch, 1.0]
        motions.append(np.concatenate([translation, rotation])[None])
    return OracleFolder([depth[None, None] for depth in depths], motions)


def create_oracle_engine(
    folder: OracleFolder, network: str, input_hw: tuple[int, int], **options: object
) -> OracleEngine:
    """Stands for ``engines.factory.create_engine``."""
    del options
    if network == "depth":
        return OracleEngine(folder.depths, (1, 3, *input_hw))
    return OracleEngine(folder.motions, (1, 3 * folder.pose_config.images, *input_hw))


def write_bag(path: Path, drive: Drive, sparse: bool = False, with_truth: bool = True) -> Path:
    """Write the drive as a rosbag2 with its truth, of 1 % of the pixels where ``sparse``."""
    with BagWriter(path) as bag:
        bag.write_static_transform(0, "base_link", "camera", base_to_camera())
        for index in range(5 * len(drive.frames)):
            bag.write_odometry(drive.velocities.at(index * 20_000_000))
        for frame, depth, pose in drive:
            bag.write_camera_info(frame.stamp_ns, CameraModel.from_intrinsics(CAMERA, "camera"))
            bag.write_image(frame.stamp_ns, frame.image, "camera")
            if not with_truth:
                continue
            truth = np.where(depth < 60, depth, 0.0)
            if sparse:
                kept = np.random.default_rng(0).random(depth.shape) < 0.01
                truth = np.where(kept, truth, 0.0)
            bag.write_depth_truth(frame.stamp_ns, truth, "camera")
            bag.write_pose_truth(frame.stamp_ns, pose @ invert(base_to_camera()))
    return path
