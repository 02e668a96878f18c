# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Choice of topics: camera, calibration, odometry and truth of a bag, by type and name."""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping
from dataclasses import dataclass, fields

from sfm_depth_ros.errors import DataError

IMAGE_TYPES = ("sensor_msgs/msg/Image", "sensor_msgs/msg/CompressedImage")
CAMERA_INFO_TYPES = ("sensor_msgs/msg/CameraInfo",)
# in the order of preference
VELOCITY_TYPES = (
    "nav_msgs/msg/Odometry",
    "geometry_msgs/msg/TwistWithCovarianceStamped",
    "geometry_msgs/msg/TwistStamped",
)
NOT_A_CAMERA = ("ground_truth", "depth", "mask", "disparity", "confidence")
_DEPTH_CAMERA = re.compile(r"depth_?cam(era)?")  # a sensor that has a colour camera too
_RIGHT = re.compile(r"(?<![a-z])right(?![a-z])")  # a word of the name, as in /camera_right
_NOT_AN_ODOMETER = ("ground_truth", "ego_motion", "cmd_vel")

_logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class BagTopics:
    """Topic names by role; empty = not recorded."""

    image: str = ""  # The camera's images, raw or compressed
    camera_info: str = ""  # The camera's calibration
    velocity: str = ""  # Odometry, TwistStamped or TwistWithCovarianceStamped
    tf_static: str = ""  # Fixed transforms
    depth_truth: str = ""  # True depth
    pose_truth: str = ""  # True poses
    right_image: str = ""  # Images of a second camera at the same moments
    right_camera_info: str = ""  # Its calibration, with the baseline in P
    sparse_depth: str = ""  # Measured depth in the camera's image (lidar, stereo)
    instance_mask: str = ""  # Labels of moving things


def choose_topics(recorded: Mapping[str, str], wanted: BagTopics | None = None) -> BagTopics:
    """Choose by type and name; what ``wanted`` names is taken as it is.

    Args:
        recorded: Topic name -> type name of the topics that have messages.
        wanted: Names that the user gave.

    Raises:
        DataError: A wanted topic is not in the bag.
    """
    wanted = wanted or BagTopics()
    for field in fields(wanted):
        name = getattr(wanted, field.name)
        if name and name not in recorded:
            raise DataError(
                f"the bag has no message on {name!r} ({field.name}); it has {describe(recorded)}"
            )
    image = wanted.image or _choose(recorded, IMAGE_TYPES, NOT_A_CAMERA, "image")
    right_image = wanted.right_image or _right_image_beside(image, recorded)
    return BagTopics(
        image=image,
        camera_info=wanted.camera_info or _camera_info_of(image, recorded),
        velocity=wanted.velocity
        or _choose(recorded, VELOCITY_TYPES, _NOT_AN_ODOMETER, "velocity"),
        tf_static=wanted.tf_static or _if_recorded("/tf_static", recorded),
        depth_truth=wanted.depth_truth or _if_recorded("/ground_truth/depth", recorded),
        pose_truth=wanted.pose_truth or _if_recorded("/ground_truth/odom", recorded),
        right_image=right_image,
        right_camera_info=wanted.right_camera_info
        or (_camera_info_of(right_image, recorded) if right_image else ""),
        sparse_depth=wanted.sparse_depth or _image_called("sparse_depth", recorded),
        instance_mask=wanted.instance_mask or _image_called("instance_mask", recorded),
    )


def require_topics(topics: BagTopics, recorded: Mapping[str, str], *roles: str) -> None:
    """Refuse a bag that lacks a role.

    Raises:
        DataError: Names the missing roles and what the bag has.
    """
    if not recorded:
        raise DataError(
            "the bag has not one message: look whether the topics were published, under these "
            "names and this quality of service, while it was recorded"
        )
    missing = [role for role in roles if not getattr(topics, role)]
    if missing:
        raise DataError(
            f"the bag has no topic for {', '.join(missing)}; it has {describe(recorded)}: name "
            "the topics by options, or record the missing ones too"
        )


def describe(recorded: Mapping[str, str]) -> str:
    """All topics with their types, for a message."""
    return ", ".join(f"{name} ({kind})" for name, kind in sorted(recorded.items())) or "no topics"


def _choose(
    recorded: Mapping[str, str], types: tuple[str, ...], unfit: tuple[str, ...], role: str
) -> str:
    candidates = [
        name
        for kind in types
        for name in sorted(recorded, key=_is_right)
        if recorded[name] == kind and not _is_named(name, unfit)
    ]
    if len(candidates) > 1:
        _logger.info("%s: chose %s among %s", role, candidates[0], ", ".join(candidates))
    return candidates[0] if candidates else ""


def _camera_info_of(image: str, recorded: Mapping[str, str]) -> str:
    """``camera_info`` in the image's namespace, else the only one."""
    infos = [name for name, kind in recorded.items() if kind in CAMERA_INFO_TYPES]
    camera = image.removesuffix("/compressed").rpartition("/")[0]
    if f"{camera}/camera_info" in infos:
        return f"{camera}/camera_info"
    infos = [
        name
        for name in infos
        if not _is_named(name, NOT_A_CAMERA) and _is_right(name) == _is_right(image)
    ]
    return infos[0] if len(infos) == 1 else ""


def _is_named(name: str, words: tuple[str, ...]) -> bool:
    """Whether a topic's own name or the one above it holds a word; "ground_truth" anywhere."""
    own = "/".join(_DEPTH_CAMERA.sub("", name).removesuffix("/compressed").split("/")[-2:])
    return any(word in own or (word == "ground_truth" and word in name) for word in words)


def _is_right(name: str) -> bool:
    return _RIGHT.search(name.lower()) is not None


def _right_image_beside(image: str, recorded: Mapping[str, str]) -> str:
    """The second camera's images, of the same type as the first one's."""
    names = [
        name for name, kind in recorded.items()
        if kind == recorded.get(image) and name != image and _is_right(name)
        and not _is_named(name, NOT_A_CAMERA)
    ]  # fmt: skip
    return names[0] if len(names) == 1 and not _is_right(image) else ""


def _image_called(role: str, recorded: Mapping[str, str]) -> str:
    """The image topic whose last word (before ``/compressed``) is the role."""
    for name, kind in recorded.items():
        if kind in IMAGE_TYPES and name.removesuffix("/compressed").rpartition("/")[2] == role:
            return name
    return ""


def _if_recorded(name: str, recorded: Mapping[str, str]) -> str:
    return name if name in recorded else ""
