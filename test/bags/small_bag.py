# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A small recorded drive for the tests: straight ahead at 2 m/s, 10 images per second."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

import numpy as np

from sfm_depth_ros.bags.writer import BagWriter
from sfm_depth_ros.camera.camera_model import CameraModel
from sfm_depth_ros.camera.image_files import encode_png
from sfm_depth_ros.geometry.frames import R_BASE_OPTICAL
from sfm_depth_ros.snippets.values import Velocity

SECOND = 10**9
START = 1000 * SECOND
WIDTH, HEIGHT = 64, 32
SPEED = 2.0
CAMERA = CameraModel.from_matrices(
    [40.0, 0, 31.5, 0, 40, 15.5, 0, 0, 1], WIDTH, HEIGHT, D=[0.0] * 5, frame_id="optical"
)


def mast_to_optical() -> np.ndarray:
    """Pose of the optical frame on the mast."""
    T = np.eye(4)
    T[:3, :3] = R_BASE_OPTICAL
    T[:3, 3] = 0.1, 0.0, 0.4
    return T


def base_to_mast() -> np.ndarray:
    """Pose of the mast on the base."""
    T = np.eye(4)
    T[:3, 3] = 1.0, 0.0, 0.5
    return T


def image(index: int) -> np.ndarray:
    """Image number ``index``, ``(32, 64, 3)`` uint8."""
    return np.random.default_rng(index).integers(0, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8)


def write_small_bag(
    path: Path,
    storage: str = "mcap",
    frames: int = 10,
    compressed: bool = False,
    velocity: str = "odom",
    without: Collection[str] = (),
) -> Path:
    """Write a drive.

    Args:
        path: The bag's folder.
        storage: mcap or sqlite3.
        frames: Number of images.
        compressed: Whether images are PNG in CompressedImage.
        velocity: odom, twist or twist_with_covariance.
        without: Roles to leave out: image, camera_info, velocity, tf_static, truth.
    """
    with BagWriter(path, storage) as bag:
        if "tf_static" not in without:
            bag.write_static_transform(START - SECOND, "base_link", "mast", base_to_mast())
            bag.write_static_transform(START - SECOND, "mast", "optical", mast_to_optical())
        if "velocity" not in without:
            for stamp in range(START - SECOND // 5, START + frames * SECOND // 5, SECOND // 20):
                _write_velocity(bag, stamp, velocity)
        for index in range(frames):
            _write_frame(bag, index, compressed, without)
    return path


def _write_velocity(bag: BagWriter, stamp: int, kind: str) -> None:
    velocity = Velocity(stamp, np.array([SPEED, 0, 0]), np.zeros(3))
    if kind == "odom":
        bag.write_odometry(velocity)
    else:
        bag.write_twist(velocity, with_covariance=kind == "twist_with_covariance")


def _write_frame(bag: BagWriter, index: int, compressed: bool, without: Collection[str]) -> None:
    stamp = START + index * SECOND // 10
    if "camera_info" not in without:
        bag.write_camera_info(stamp, CAMERA)
    if "image" not in without and compressed:
        bag.write_compressed(stamp, encode_png(image(index)), "optical", "png")
    elif "image" not in without:
        bag.write_image(stamp, image(index), "optical")
    if "truth" not in without:
        T_world_base = np.eye(4)
        T_world_base[0, 3] = SPEED * index / 10
        bag.write_pose_truth(stamp, T_world_base)
        if index % 2 == 0:
            bag.write_depth_truth(stamp, np.full((HEIGHT, WIDTH), 2.0 + index), "optical")
