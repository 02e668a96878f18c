# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The right camera of a rectified stereo pair in a bag, known by its calibration."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from sfm_depth_ros.data.bag_reader import BagReader
from sfm_depth_ros.data.bag_topics import IMAGE_TYPES, NOT_A_CAMERA, BagTopics
from sfm_depth_ros.data.camera_model import CameraModel
from sfm_depth_ros.data.events import CameraInfoEvent


@dataclass(frozen=True)
class SecondCamera:
    """A camera whose images are rectified to another one's.

    Attributes:
        image: Its image topic.
        camera_info: Its calibration's topic.
        camera: Its first calibration.
    """

    image: str
    camera_info: str
    camera: CameraModel

    @property
    def baseline_m(self) -> float:
        """How far to the right of the first camera it sits, metres."""
        P = self.camera.P
        return float(-P[0, 3] / P[0, 0])


def find_second_camera(path: str | Path, topics: BagTopics | None = None) -> SecondCamera | None:
    """Look for a camera to the right of the bag's own.

    Names say nothing: a camera is one of a pair, and on the right, where its camera_info has a
    negative ``P[0, 3]`` (minus focal length times baseline, as in ``sensor_msgs/CameraInfo``).

    Args:
        path: The rosbag2.
        topics: The first camera's topics where they shall not be chosen by type.

    Returns:
        The nearest such camera, or None where there is none.
    """
    with BagReader(path, topics) as reader:
        own, recorded = reader.topics, dict(reader.recorded)
    found = []
    for image, info in _other_cameras(own, recorded):
        with BagReader(path, BagTopics(image=image, camera_info=info)) as reader:
            events = (e for e in reader.events(CameraInfoEvent) if isinstance(e, CameraInfoEvent))
            first = next(events, None)
        if first is not None and first.camera.P[0, 3] < 0:
            found.append(SecondCamera(image, info, first.camera))
    return min(found, key=lambda camera: camera.baseline_m, default=None)


def _other_cameras(own: BagTopics, recorded: dict[str, str]) -> Iterator[tuple[str, str]]:
    """Image topics beside a calibration that is not the bag's own camera's."""
    for image, kind in recorded.items():
        info = f"{image.removesuffix('/compressed').rpartition('/')[0]}/camera_info"
        is_image = kind in IMAGE_TYPES and not any(word in image for word in NOT_A_CAMERA)
        if is_image and info in recorded and info != own.camera_info:
            yield image, info
