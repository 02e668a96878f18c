# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A rendered drive as the rosbag2 that a robot would have recorded, with the truth."""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from sfm_depth_ros.bags.writer import BagWriter
from sfm_depth_ros.camera.camera_model import CameraModel
from sfm_depth_ros.camera.image_files import encode_jpeg
from sfm_depth_ros.config.extra_inputs import SPARSE_DEPTH
from sfm_depth_ros.world.drive import RenderedFrame, SyntheticDrive

BASE_FRAME = "base_link"
LEFT_FRAME, RIGHT_FRAME = "camera_optical", "camera_right_optical"
LEFT, RIGHT = "/camera", "/camera_right"
ODOMETRY_HZ = 20.0
# A recording starts at some date: stamps near zero mean "no time" to many ROS tools.
START_NS = 1_700_000_000_000_000_000


@dataclass(frozen=True)
class RecordingSpec:
    """Form of a recording: images and ``camera_info``."""

    is_raw: bool = False  # Images as `sensor_msgs/Image` instead of JPEG
    jpeg_quality: int = 95  # 1-100
    # `camera_info` has the true focal length times this, as that of a camera that was never
    # calibrated may
    reported_focal_factor: float = 1.0


def write_drive(
    drive: SyntheticDrive, writer: BagWriter, recording: RecordingSpec
) -> Iterator[None]:
    """Write a drive in the order of time; yields after every image.

    Args:
        drive: What to render.
        writer: An open bag.
        recording: How.
    """
    recorder = _Recorder(drive, writer, recording)
    recorder.write_transforms()
    images = (
        (drive.stamp_ns(i), 1, lambda i=i: recorder.write_frame(drive.frame(i)))
        for i in range(len(drive))
    )
    count = int(drive.spec.seconds * ODOMETRY_HZ) + 1
    odometry = (
        (t, 0, lambda t=t: recorder.write_odometry(t))
        for t in (int(k * 1e9 / ODOMETRY_HZ) for k in range(count))
    )
    for _, is_image, write in heapq.merge(images, odometry, key=lambda message: message[:2]):
        write()
        if is_image:
            yield


class _Recorder:
    """Writes what the sensors of one drive deliver."""

    def __init__(self, drive: SyntheticDrive, writer: BagWriter, recording: RecordingSpec) -> None:
        self._drive, self._writer, self._recording = drive, writer, recording
        factor = recording.reported_focal_factor
        self._left = camera_model(drive, factor)
        self._right = right_camera_model(drive, factor)

    def write_transforms(self) -> None:
        drive = self._drive
        frames = {LEFT_FRAME: drive.T_base_camera}
        if drive.spec.sensors.baseline_m > 0:
            T_camera_right = np.linalg.inv(drive.spec.sensors.T_right_camera)
            frames[RIGHT_FRAME] = drive.T_base_camera @ T_camera_right
        for frame, T_base_frame in frames.items():
            self._writer.write_static_transform(START_NS, BASE_FRAME, frame, T_base_frame)

    def write_odometry(self, t_ns: int) -> None:
        velocity = replace(self._drive.velocity(t_ns), stamp_ns=START_NS + t_ns)
        self._writer.write_odometry(velocity, self._drive.T_world_base(t_ns))

    def write_frame(self, frame: RenderedFrame) -> None:
        stamp, writer = START_NS + frame.stamp_ns, self._writer
        # calibrations first: who reads in the order of the bag knows both before the images
        writer.write_camera_info(stamp, self._left, f"{LEFT}/camera_info")
        if frame.right is not None:
            writer.write_camera_info(stamp, self._right, f"{RIGHT}/camera_info")
        self._write_image(stamp, frame.image, self._left, LEFT)
        if frame.right is not None:
            self._write_image(stamp, frame.right, self._right, RIGHT)
        if self._drive.spec.sensors.instance_masks:
            writer.write_image(stamp, frame.instances, LEFT_FRAME, "mono8", "/instance_mask")
        if frame.lidar is not None:
            writer.write_image(stamp, frame.lidar, LEFT_FRAME, "32FC1", f"/{SPARSE_DEPTH}")
        writer.write_depth_truth(stamp, frame.depth, LEFT_FRAME)
        writer.write_pose_truth(stamp, frame.T_world_base)

    def _write_image(
        self, stamp: int, image: np.ndarray, camera: CameraModel, namespace: str
    ) -> None:
        writer, topic = self._writer, f"{namespace}/image_raw"
        if self._recording.is_raw:
            writer.write_image(stamp, image, camera.frame_id, topic=topic)
        else:
            data = encode_jpeg(image, self._recording.jpeg_quality)
            writer.write_compressed(stamp, data, camera.frame_id, topic=f"{topic}/compressed")


def camera_model(drive: SyntheticDrive, focal_factor: float = 1.0) -> CameraModel:
    """The drive's camera as its CameraInfo reports it."""
    K, spec = drive.intrinsics.matrix.copy(), drive.spec.camera
    K[[0, 1], [0, 1]] *= focal_factor
    D = (*spec.distortion, 0.0, 0.0, 0.0, 0.0, 0.0)[:5]
    return CameraModel.from_matrices(K, spec.width, spec.height, D=D, frame_id=LEFT_FRAME)


def right_camera_model(drive: SyntheticDrive, focal_factor: float = 1.0) -> CameraModel:
    """The second camera: the same optics; ``P[0, 3]`` is minus focal length times baseline."""
    left = camera_model(drive, focal_factor)
    P = left.P.copy()
    P[0, 3] = -left.K[0, 0] * drive.spec.sensors.baseline_m
    return replace(left, P=P, frame_id=RIGHT_FRAME)
