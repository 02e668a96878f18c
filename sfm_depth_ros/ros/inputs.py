# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Inputs of both nodes: images, their calibration, and the robot's velocity."""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from geometry_msgs.msg import TwistStamped, TwistWithCovarianceStamped
from nav_msgs.msg import Odometry
from rclpy.event_handler import SubscriptionEventCallbacks
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, ReliabilityPolicy
from rclpy.subscription import Subscription
from sensor_msgs.msg import CameraInfo, CompressedImage, Image

from sfm_depth_ros.camera.camera_model import CameraModel, read_camera_info_file
from sfm_depth_ros.config.schema import NodeConfig
from sfm_depth_ros.errors import DataError
from sfm_depth_ros.ros import qos
from sfm_depth_ros.ros.conversions import camera_info_to_model, velocity_frame, velocity_of
from sfm_depth_ros.ros.error_log import ErrorLog
from sfm_depth_ros.ros.stream_faults import (
    CameraChanges,
    ImageFrames,
    LossShare,
    TwinWatch,
    VelocityFrames,
    clock_fault,
    feedback_fault,
    publisher_faults,
    require_distinct,
    stamp_fault,
    why_nothing_arrives,
)
from sfm_depth_ros.ros.streams import ARRIVALS, LossCounter, is_overdue
from sfm_depth_ros.snippets.values import Velocity
from sfm_depth_ros.snippets.velocity_gate import TwistWatch

_logger = logging.getLogger(__name__)
_IMAGE_TYPES: dict[str, Any] = {"raw": Image, "compressed": CompressedImage}
_VELOCITY_TYPES: dict[str, tuple[Any, str]] = {
    "odom": (Odometry, "odom"),
    "twist": (TwistStamped, "twist"),
    "twist_with_covariance": (TwistWithCovarianceStamped, "twist"),
}
SILENCE_S, TOGETHER_S = 3.0, 0.5  # the latter between an image and a velocity to be compared


@dataclass
class InputState:
    """Inputs received so far."""

    received: int = 0  # Images that reached the callback
    losses: LossCounter = field(default_factory=LossCounter)  # Images that did not
    velocities: int = 0  # Velocities that were taken
    images_at: deque[float] = field(default_factory=lambda: deque(maxlen=ARRIVALS))  # Monotonic
    velocity_at: float | None = None  # Monotonic time of the newest velocity taken, or None
    velocity_stamp_ns: int | None = None  # Stamp of the newest velocity, or None
    camera: CameraModel | None = None  # The newest calibration, or None
    image_frame: str | None = None  # frame_id of the newest image, or None
    image_stamp_ns: int | None = None  # Stamp of the newest image, or None


@dataclass(frozen=True)
class InputHandlers:
    """Receivers of the inputs; called in the executor's thread, so they only hand over."""

    on_image: Callable[[Any], None]  # Takes a raw or compressed image message
    # Takes a calibration that is new or has changed; it may be the same camera, refocused
    on_camera: Callable[[CameraModel], None]
    on_velocity: Callable[[Velocity], None]  # Takes a body velocity


class Inputs:
    """Subscriptions of a node; bad messages are counted, reported, and passed over."""

    def __init__(
        self,
        node: Node,
        config: NodeConfig,
        handlers: InputHandlers,
        state: InputState,
        errors: ErrorLog,
    ) -> None:
        """Subscribe.

        Raises:
            SfmDepthError: ``camera_info_file`` cannot be used, or two inputs are one topic.
        """
        self._node, self.config, self._handlers = node, config, handlers
        self._state, self._errors = state, errors
        self._losses, self._twists = LossShare(), TwistWatch()
        self._cameras, self._image_frames = CameraChanges(), ImageFrames()
        self._frames, self._twins = VelocityFrames(config.base_frame), TwinWatch(node)
        self._began_at, self._are_resent = time.monotonic(), False
        if config.camera_info_file:
            self._set_camera(read_camera_info_file(config.camera_info_file))
        velocity_type, velocity_topic = _VELOCITY_TYPES[config.velocity_source]
        require_distinct(node, "image", "camera_info", velocity_topic)
        image_type = _IMAGE_TYPES[config.image_transport]
        self._events = SubscriptionEventCallbacks(message_lost=state.losses.on_event)
        self._subscriptions = [
            self._subscribe(image_type, "image", self._on_image, qos.image_input(), self._events),
            self._subscribe(velocity_type, velocity_topic, self._on_velocity, qos.small_input()),
        ]
        if not config.camera_info_file:
            self._subscriptions.append(
                self._subscribe(CameraInfo, "camera_info", self._on_camera, qos.small_input())
            )

    def look_at_publishers(self) -> None:
        """Subscribe as the publishers need it; called once a second."""
        self._follow_camera()
        self._look_for_latched_camera()
        self._have_images_resent()

    def _have_images_resent(self) -> None:
        """Ask for lost images again, where many are lost and every publisher can send again.

        Best effort is right for what fits a few packets. An image of 25 MB is hundreds of
        fragments, of which one is always missing. What the user has chosen stays.
        """
        active = [at for at in self._state.images_at.copy() if at >= self._began_at]
        is_silent = is_overdue(active or (self._began_at,), SILENCE_S)
        if self._are_resent or not self._subscriptions or not (is_silent or self._losses.is_high):
            return
        before = self._subscriptions[0]
        topic, profile = before.topic_name, before.qos_profile
        if qos.is_overridden(self._node, topic, "reliability"):
            return
        kind = _IMAGE_TYPES[self.config.image_transport]
        reliable = ReliabilityPolicy.RELIABLE
        fits = [
            publisher.qos_profile.reliability == reliable
            and publisher.topic_type.endswith(f"/{kind.__name__}")
            for publisher in self._node.get_publishers_info_by_topic(topic)
        ]
        if not fits or not all(fits):
            return
        self._are_resent = True
        self._node.destroy_subscription(before)
        take: Any = self._on_image  # with the middleware's information
        self._subscriptions[0] = self._node.create_subscription(
            kind, "image", take, qos.resent(profile), event_callbacks=self._events
        )  # no overriding options: the profile has them already
        _logger.info("images on %s do not arrive whole: lost parts are sent again now", topic)

    def _look_for_latched_camera(self) -> None:
        """Subscribe to a calibration that was published once, before this node was there.

        A volatile subscription never gets it; one that is latched gets nothing from a volatile
        publisher, and both sides would warn. So the publishers are looked at first.
        """
        if self._state.camera is not None or len(self._subscriptions) != 3:
            return
        publishers = self._node.get_publishers_info_by_topic(self._subscriptions[2].topic_name)
        latched = DurabilityPolicy.TRANSIENT_LOCAL
        if any(publisher.qos_profile.durability == latched for publisher in publishers):
            self._subscriptions.append(  # no overrides: they are the other subscription's
                self._node.create_subscription(
                    CameraInfo, "camera_info", self._on_camera, qos.latched()
                )
            )

    def why_no_velocity(self) -> str:
        """Reason why no velocity arrives, or an empty string."""
        if not self._subscriptions:
            return ""
        topic, taken_at = self._subscriptions[1].topic_name, self._state.velocity_at
        if taken_at is None:
            return f"no velocity has come on {topic}{self._velocity_hint(topic)}"
        is_silent = time.monotonic() - taken_at > SILENCE_S
        return f"no velocity on {topic} any more" if is_silent else ""

    @property
    def frame_remark(self) -> str:
        """Frames of velocities that were taken for base_frame; "" = none."""
        return self._frames.remark

    def close(self) -> None:
        """Unsubscribe."""
        for subscription in self._subscriptions:
            self._node.destroy_subscription(subscription)
        self._subscriptions = []

    def why_silent(self) -> str | None:
        """Why nothing can be computed for lack of input, or None."""
        topic = self._subscriptions[0].topic_name if self._subscriptions else "image"
        if not (state := self._state).images_at:
            return f"no image has come on {topic}{self._image_hint(topic)}"
        if is_overdue(state.images_at, SILENCE_S):
            return f"no image on {topic} any more"
        if state.camera is None:
            return f"no camera_info has come{self._camera_hint()}"
        return None

    def faults(self) -> tuple[str, ...]:
        """Wrong streams, each with its remedy; called once a second."""
        state = self._state
        camera = None if self.config.camera_info_file else state.camera  # a file has no frame
        camera_frame = None if camera is None else camera.frame_id
        topics = [subscription.topic_name for subscription in self._subscriptions]
        found = [self._twins.fault(), *(feedback_fault(self._node, t) for t in topics[:2])]
        found += [*publisher_faults(self._node, dict.fromkeys(topics)), self._twists.fault]
        found += [stamp_fault(state.image_stamp_ns), self._frames.fault(state.image_frame)]
        if state.images_at and abs(state.images_at[-1] - (state.velocity_at or 0.0)) < TOGETHER_S:
            found.append(clock_fault(state.image_stamp_ns, state.velocity_stamp_ns))
        found.append(self._cameras.fault or self._image_frames.fault(camera_frame))
        if topics and self._node.count_publishers(topics[0]) == 1:  # numbers of two are no losses
            found.append(self._losses.fault(state.received, state.losses.lost, topics[0]))
        return tuple(filter(None, found))

    def _subscribe(
        self, kind: Any, topic: str, callback: Any, profile: Any, events: Any = None
    ) -> Subscription:
        return self._node.create_subscription(
            kind, topic, callback, profile,
            event_callbacks=events, qos_overriding_options=qos.overrides(),
        )  # fmt: skip

    def _on_image(self, message: Any, info: Any) -> None:
        state, stamp = self._state, message.header.stamp
        state.received += 1
        state.images_at.append(time.monotonic())
        state.image_frame = message.header.frame_id
        self._image_frames.take(state.image_frame)
        state.image_stamp_ns = stamp.sec * 10**9 + stamp.nanosec
        state.losses.take(info, state.image_stamp_ns)
        self._handlers.on_image(message)

    def _on_camera(self, message: CameraInfo) -> None:
        try:
            camera = camera_info_to_model(message, self._subscriptions[0].topic_name)
            if camera.width * camera.height > self.config.max_pixels:
                raise DataError(
                    f"camera_info describes an image of {camera.width}x{camera.height}, "
                    f"max_pixels is {self.config.max_pixels}: check the camera driver, or raise it"
                )
            self._set_camera(camera)
            self._errors.clear("camera_info")
        except Exception as error:  # a bad message must not end the executor
            self._errors.add("camera_info", error)

    def _set_camera(self, camera: CameraModel) -> None:
        self._cameras.take(camera)
        self._follow_camera()

    def _follow_camera(self) -> None:
        camera, before = self._cameras.settled, self._state.camera
        if camera is not None and (before is None or not camera.is_equal(before)):
            self._state.camera = camera
            self._handlers.on_camera(camera)

    def _on_velocity(self, message: Any) -> None:
        try:
            velocity = velocity_of(message)
            if isinstance(message, Odometry):
                place = message.pose.pose.position
                self._twists.add(velocity, (place.x, place.y, place.z))
            self._handlers.on_velocity(velocity)
            self._state.velocities += 1
            self._state.velocity_at = time.monotonic()
            self._state.velocity_stamp_ns = velocity.stamp_ns
            self._frames.take(velocity_frame(message))
            self._errors.clear("velocity")
        except Exception as error:  # nor must this
            self._errors.add("velocity", error)

    def _image_hint(self, topic: str) -> str:
        kind = _IMAGE_TYPES[self.config.image_transport]
        return self._hint(topic, kind, "remap image to your camera's topic", "image_transport")

    def _velocity_hint(self, topic: str) -> str:
        kind, name = _VELOCITY_TYPES[self.config.velocity_source]
        return self._hint(topic, kind, f"remap {name} to your odometry's topic", "velocity_source")

    def _camera_hint(self) -> str:
        if len(self._subscriptions) < 3:
            return ""
        topic = self._subscriptions[2].topic_name
        remedy = "publish it beside the image, remap camera_info, or set camera_info_file"
        return f" on {topic}" + self._hint(topic, CameraInfo, remedy, "")

    def _hint(self, topic: str, kind: Any, remedy: str, option: str) -> str:
        """Reason why nothing arrives on a topic, by who publishes it as what."""
        publishers = self._node.get_publishers_info_by_topic(topic)
        if not publishers:
            return f" (nobody publishes it: {remedy})"
        kinds = {publisher.topic_type.rpartition("/")[2] for publisher in publishers}
        if kind.__name__ in kinds:
            waited_s = time.monotonic() - self._began_at
            return why_nothing_arrives(publishers, waited_s, kind in _IMAGE_TYPES.values())
        fitting = f": set {option} to fit" if option else f", not as {kind.__name__}: {remedy}"
        return f" (it is published as {', '.join(sorted(kinds))}{fitting})"
