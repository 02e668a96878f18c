# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Optional inputs of trainer_node: a second camera, sparse depths, instance masks."""

from __future__ import annotations

import functools
from collections.abc import Collection
from typing import Any, Protocol

import numpy as np
from rclpy.node import Node
from rclpy.subscription import Subscription
from sensor_msgs.msg import CameraInfo, CompressedImage, Image

from sfm_depth_ros.camera.camera_model import MAX_PIXELS, CameraModel
from sfm_depth_ros.camera.image_codec import WHITE_LEVEL
from sfm_depth_ros.config.extra_inputs import INSTANCE_MASK, RIGHT_IMAGE, SPARSE_DEPTH
from sfm_depth_ros.messages import depth_to_metres, mask_to_labels
from sfm_depth_ros.ros import qos
from sfm_depth_ros.ros.conversions import camera_info_to_model, image_to_rgb
from sfm_depth_ros.ros.error_log import ErrorLog

TOPICS = {
    RIGHT_IMAGE: "right/image",
    SPARSE_DEPTH: SPARSE_DEPTH,
    INSTANCE_MASK: "instance_mask",
}


class Receiver(Protocol):
    """Takes what comes; called in the executor's thread, so it only hands over."""

    def add_beside(self, role: str, message: Any) -> None:
        """Take a message that belongs to the image with the same stamp."""

    def set_right_camera(self, camera: CameraModel) -> None:
        """The right images are of this camera from now on."""


class ExtraInputs:
    """Subscriptions to the extra inputs of an objective, and to no others.

    Args:
        node: Who subscribes.
        roles: Which inputs; see :func:`sfm_depth_ros.config.extra_inputs.extra_inputs`.
        is_compressed: Whether the right images are ``CompressedImage``, as the camera's own.
        receiver: Who takes the messages.
        errors: Log of errors.
    """

    def __init__(
        self,
        node: Node,
        roles: Collection[str],
        is_compressed: bool,
        receiver: Receiver,
        errors: ErrorLog,
    ) -> None:
        self.roles = tuple(roles)
        self._node, self._receiver, self._errors = node, receiver, errors
        self._subscriptions: list[Subscription] = []
        for role in self.roles:
            is_right = role == RIGHT_IMAGE
            kind = CompressedImage if is_right and is_compressed else Image
            take = functools.partial(receiver.add_beside, role)
            self._subscribe(kind, TOPICS[role], take, qos.image_input())
        if RIGHT_IMAGE in self.roles:
            self._subscribe(CameraInfo, "right/camera_info", self._on_camera, qos.small_input())

    def close(self) -> None:
        """Unsubscribe."""
        for subscription in self._subscriptions:
            self._node.destroy_subscription(subscription)
        self._subscriptions = []

    def _subscribe(self, kind: Any, topic: str, callback: Any, profile: Any) -> None:
        self._subscriptions.append(
            self._node.create_subscription(
                kind, topic, callback, profile, qos_overriding_options=qos.overrides()
            )
        )

    def _on_camera(self, message: CameraInfo) -> None:
        try:
            images = self._subscriptions[self.roles.index(RIGHT_IMAGE)].topic_name
            self._receiver.set_right_camera(camera_info_to_model(message, images))
            self._errors.clear("right/camera_info")
        except Exception as error:  # a bad message must not end the executor
            self._errors.add("right/camera_info", error)


def decode_extra(
    role: str, message: Any, white_level: int = WHITE_LEVEL, max_pixels: int = MAX_PIXELS
) -> np.ndarray:
    """Decode the message of a role.

    Args:
        role: Which input it came on.
        message: ``Image``, for ``RIGHT_IMAGE`` also ``CompressedImage``.
        white_level: Value of white in 16-bit images.
        max_pixels: Largest image that is decoded.

    Returns:
        ``RIGHT_IMAGE``: ``(H, W, 3)`` uint8 RGB; ``SPARSE_DEPTH``: ``(H, W)`` float32 metres,
        0 = unknown; ``INSTANCE_MASK``: ``(H, W)`` uint8, 0 = static.

    Raises:
        DataError: The encoding is unknown, or the bytes do not fit the message's size and step.
    """
    if role == RIGHT_IMAGE:
        return image_to_rgb(message, white_level, max_pixels)
    return depth_to_metres(message) if role == SPARSE_DEPTH else mask_to_labels(message)
