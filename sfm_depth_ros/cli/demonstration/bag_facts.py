# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What the nodes must be told about a bag: its topics, their types, and where the camera sits."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sfm_depth_ros.bags.reader import BagReader
from sfm_depth_ros.bags.rig import read_rig
from sfm_depth_ros.bags.topics import require_topics
from sfm_depth_ros.geometry.frames import matrix_to_pose

TRANSPORTS = {"sensor_msgs/msg/Image": "raw", "sensor_msgs/msg/CompressedImage": "compressed"}
VELOCITY_SOURCES = {
    "nav_msgs/msg/Odometry": "odom",
    "geometry_msgs/msg/TwistStamped": "twist",
    "geometry_msgs/msg/TwistWithCovarianceStamped": "twist_with_covariance",
}
VELOCITY_TOPICS = {"odom": "odom", "twist": "twist", "twist_with_covariance": "twist"}
MAX_VELOCITY_GAP_S = 0.3


@dataclass(frozen=True)
class BagFacts:
    """One bag, as far as playing it to the nodes goes."""

    path: Path  # The bag
    duration_s: float  # Seconds from the first message to the last
    images: int  # Images recorded
    parameters: dict[str, Any]  # Parameters of both nodes that depend on the bag
    remappings: dict[str, str]  # Topic of the nodes -> topic of the bag

    @property
    def topics(self) -> list[str]:
        """What is played: never the ground truth."""
        return list(self.remappings.values())


def read_facts(path: Path) -> BagFacts:
    """Look into a bag.

    Raises:
        DataError: Images, calibration, odometry or the static transforms are missing.
    """
    with BagReader(path) as reader:
        topics, recorded = reader.topics, reader.recorded
        require_topics(topics, recorded, "image", "camera_info", "velocity")
        rig = read_rig(reader, MAX_VELOCITY_GAP_S)
        source = VELOCITY_SOURCES[recorded[topics.velocity]]
        return BagFacts(
            path=path,
            duration_s=reader.duration_s,
            images=reader.message_count(topics.image),
            parameters={
                "image_transport": TRANSPORTS[recorded[topics.image]],
                "velocity_source": source,
                "base_frame": rig.base_frame,
                "base_to_camera": [float(number) for number in matrix_to_pose(rig.T_base_camera)],
            },
            remappings={
                "image": topics.image,
                "camera_info": topics.camera_info,
                VELOCITY_TOPICS[source]: topics.velocity,
            },
        )
