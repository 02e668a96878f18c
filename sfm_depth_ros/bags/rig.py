# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What a bag says of the robot itself: camera, where it sits, velocities, true poses."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sfm_depth_ros.bags.events import (
    CameraInfoEvent,
    ImageEvent,
    PoseTruthEvent,
    TransformEvent,
    VelocityEvent,
)
from sfm_depth_ros.bags.pose_track import PoseTrack
from sfm_depth_ros.bags.reader import BagReader
from sfm_depth_ros.bags.static_transforms import StaticTransforms
from sfm_depth_ros.camera.camera_model import CameraModel
from sfm_depth_ros.errors import DataError
from sfm_depth_ros.geometry.frames import R_BASE_OPTICAL
from sfm_depth_ros.snippets.velocity import VelocityBuffer

DEFAULT_BASE_FRAME = "base_link"


@dataclass(frozen=True, eq=False)
class BagRig:
    """The robot of one bag."""

    camera: CameraModel  # The first calibration
    base_frame: str  # Frame in which velocities and true poses are given
    T_base_camera: np.ndarray  # `(4, 4)` pose of the optical frame in the base, metres
    velocities: VelocityBuffer  # All velocities of the bag
    poses: PoseTrack  # True poses of the base


def read_rig(
    reader: BagReader,
    max_gap_s: float,
    camera: CameraModel | None = None,
    base_to_camera: np.ndarray | None = None,
) -> BagRig:
    """Read everything but the images.

    Args:
        reader: The bag.
        max_gap_s: Longest time in seconds between two velocities that is interpolated.
        camera: Calibration to use instead of the bag's.
        base_to_camera: ``(4, 4)`` pose of the optical frame in the base to use instead of the
            bag's ``/tf_static``.

    Raises:
        DataError: No calibration, or no chain of transforms from the base to the camera.
    """
    camera = camera or _first_camera(reader)
    velocities, base_frame = _read_velocities(reader)
    if base_to_camera is None:
        base_to_camera = _find_extrinsics(reader, camera, base_frame)
    buffer = VelocityBuffer(base_to_camera, max_gap_s, horizon_s=float("inf"))
    for event in velocities:
        buffer.add(event.velocity)
    poses = {
        event.stamp_ns: event.T_world_base
        for event in reader.events(PoseTruthEvent)
        if isinstance(event, PoseTruthEvent)
    }
    return BagRig(camera, base_frame, base_to_camera, buffer, PoseTrack(poses))


def _first_camera(reader: BagReader) -> CameraModel:
    for event in reader.events(CameraInfoEvent):
        if isinstance(event, CameraInfoEvent):
            return event.camera
    raise DataError(
        f"{reader.path} has no usable camera_info: record it, or give camera_info_file"
    )


def _read_velocities(reader: BagReader) -> tuple[list[VelocityEvent], str]:
    """All velocities and the frame they are given in."""
    events = [e for e in reader.events(VelocityEvent) if isinstance(e, VelocityEvent)]
    named = [event.frame_id for event in events if event.frame_id]
    return events, named[0] if named else DEFAULT_BASE_FRAME


def _find_extrinsics(reader: BagReader, camera: CameraModel, base_frame: str) -> np.ndarray:
    optical_frame = _optical_frame(reader, camera)
    transforms = StaticTransforms()
    for event in reader.events(TransformEvent):
        if isinstance(event, TransformEvent):
            transforms.add(event.parent, event.child, event.T_parent_child)
    if not (reader.topics.velocity or reader.topics.pose_truth) and not len(transforms):
        # nothing is measured in the base: any place of the camera serves
        T_base_camera = np.eye(4)
        T_base_camera[:3, :3] = R_BASE_OPTICAL
        return T_base_camera
    return transforms.lookup(base_frame, optical_frame)


def _optical_frame(reader: BagReader, camera: CameraModel) -> str:
    for event in reader.events(ImageEvent):
        if isinstance(event, ImageEvent) and event.frame_id:
            return event.frame_id
        break
    return camera.frame_id
