# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Frame path of depth_node: from an image message to published depth and ego-motion."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TypeAlias

import numpy as np
from sensor_msgs.msg import CompressedImage, Image
from std_msgs.msg import Header

from sfm_depth_ros.camera.image_codec import darkness
from sfm_depth_ros.estimation.frozen_watch import FrozenWatch
from sfm_depth_ros.estimation.stage_clock import StageClock
from sfm_depth_ros.ros.conversions import image_to_rgb, stamp_to_ns
from sfm_depth_ros.ros.depth_outputs import DepthOutputs
from sfm_depth_ros.ros.error_log import ErrorLog
from sfm_depth_ros.ros.latest_worker import FrameLine
from sfm_depth_ros.ros.model_loader import ModelLoader, Serving
from sfm_depth_ros.ros.streams import FrameStats, StampGuard
from sfm_depth_ros.snippets.values import Frame
from sfm_depth_ros.visual_odometry.ego_motion import EgoMotion, VisualOdometry

LATE_S = 0.5  # an image this much older than the newest is late; more is a jump of time
ImageMessage: TypeAlias = "Image | CompressedImage"


@dataclass(frozen=True)
class Prepared:
    """An image between preparation and computation."""

    message: ImageMessage  # As received
    frame: Frame  # The network's image
    serving: Serving  # What it was prepared for
    clock: StageClock  # Its stages so far


class FramePath:
    """Decodes, prepares, estimates and publishes the newest image, outside of the executor."""

    def __init__(
        self,
        loader: ModelLoader,
        outputs: DepthOutputs,
        stats: FrameStats,
        errors: ErrorLog,
        pipelined: bool,
    ) -> None:
        """Start the threads.

        Args:
            loader: Source of the serving estimator.
            outputs: Publishers of the results.
            stats: Counts and timings; filled here.
            errors: Log of errors.
            pipelined: Whether the next image is prepared while this one is computed.
        """
        self.guard = StampGuard("images", LATE_S, self._on_jump)
        self.remarks: tuple[str, ...] = ()  # Missing parts of the newest result, and why
        self.faults: tuple[str, ...] = ()  # Wrong inputs, each with its remedy
        self.geometry: dict[str, float | int | str | None] = {}  # Facts of the newest result
        self._dark: tuple[str, ...] = ()  # Remark on an image that shows nothing
        self._frozen = FrozenWatch()
        self._loader, self._outputs = loader, outputs
        self._stats, self._errors = stats, errors
        self._line: FrameLine[tuple[ImageMessage, float], Prepared] = FrameLine(
            self._prepare, self._compute, self._on_failed, pipelined
        )

    @property
    def dropped(self) -> int:
        """Images that a newer one replaced."""
        return self._line.dropped

    def submit(self, message: ImageMessage) -> bool:
        """Hand over an image; never waits. False while no model serves."""
        if self._loader.serving is None:
            self._stats.not_ready += 1
            return False
        self._line.submit((message, time.perf_counter()))
        return True

    def close(self) -> None:
        """Stop after the image in progress."""
        self._line.close()

    def _prepare(self, received: tuple[ImageMessage, float]) -> Prepared | None:
        message, received_at = received
        clock = StageClock(received_at)
        clock.lap("receive")
        if (serving := self._loader.serving) is None:
            self._stats.not_ready += 1
            return None
        return Prepared(message, self._frame_of(message, serving, clock), serving, clock)

    def _compute(self, prepared: Prepared) -> None:
        message, frame, clock = prepared.message, prepared.frame, prepared.clock
        serving = self._loader.serving
        if serving is None or serving.estimator is not prepared.serving.estimator:
            self._stats.not_ready += 1  # prepared for another camera
            return
        if not self.guard.check(frame.stamp_ns):
            self._stats.late += 1  # it would break the chain of images
            return
        clock.lap("wait")
        serving.estimator.wants_confidence = self._outputs.wants_confidence
        on_motion = _motion_publisher(self._outputs, message.header, serving.odometry)
        make_again = partial(self._frame_of, message, serving, clock)
        result = serving.estimator.estimate_frame(frame, serving.velocities, on_motion, make_again)
        clock.insert(result.stages_ms)
        self._outputs.publish(result, message.header, serving.T_base_camera)
        clock.lap("publish")
        self._stats.add_published(clock.timings_ms)
        self.remarks, self.geometry = result.remarks, result.geometry
        frozen = self._frozen.fault(result.frame.image, _speed(serving))
        named = (*self._dark, frozen, *(fault.text for fault in result.faults))
        self.faults = tuple(filter(None, named))
        self._errors.clear("image")

    def _frame_of(self, message: ImageMessage, serving: Serving, clock: StageClock) -> Frame:
        config = serving.estimator.config
        image = image_to_rgb(message, config.white_level, config.max_pixels)
        clock.lap("convert")
        header = message.header
        frame = serving.estimator.frame(image, stamp_to_ns(header.stamp), header.frame_id)
        encoding = getattr(message, "encoding", "") or getattr(message, "format", "")
        self._dark = tuple(filter(None, [darkness(frame.image, encoding)]))
        clock.lap("preprocess")
        return frame

    def _on_failed(self, error: Exception) -> None:
        self._stats.failed += 1
        self._errors.add("image", error)

    def _on_jump(self) -> None:
        if (serving := self._loader.serving) is not None:
            serving.reset()


def _speed(serving: Serving) -> float:
    """The odometer's newest, m/s; 0 while none is known."""
    newest = None if serving.velocities is None else serving.velocities.newest
    return 0.0 if newest is None else float(np.linalg.norm(newest.linear))


def _motion_publisher(
    outputs: DepthOutputs, header: Header, odometry: VisualOdometry | None
) -> Callable[[EgoMotion], None] | None:
    """Publisher of an image's ego-motion; None while the camera's mounting is not known."""
    if odometry is None:
        return None
    return lambda motion: outputs.publish_motion(motion, header, odometry)
