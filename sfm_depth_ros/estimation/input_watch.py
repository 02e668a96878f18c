# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Wrong inputs named from images and velocities alone, where no depth is estimated."""

from __future__ import annotations

from sfm_depth_ros.estimation.input_monitor import InputMonitor
from sfm_depth_ros.snippets.values import Frame
from sfm_depth_ros.snippets.velocity import VelocityBuffer
from sfm_depth_ros.visual_odometry.input_fault import InputFault
from sfm_depth_ros.visual_odometry.visual_odometer import VisualOdometer

TRACKING_WIDTH = 640  # pixels that corners are followed in


class InputWatch:
    """Follows corners to compare the odometer and the mounting with them.

    ``add`` is for one thread; the rest may be called from any.

    Without a network's metres, the camera's height above the floor alone shows the unit of speed.

    Args:
        velocities: The odometer's memory, with the mounting.
    """

    def __init__(self, velocities: VelocityBuffer) -> None:
        self._velocities = velocities
        self._odometer = VisualOdometer(velocities, "visual")
        self._monitor = InputMonitor()
        self._jumped = False

    @property
    def faults(self) -> tuple[InputFault, ...]:
        """Wrong inputs over the newest seconds of driving."""
        return self._monitor.faults

    def add(self, frame: Frame) -> None:
        """Take the next frame; those without a tracking image are passed over."""
        image = frame.tracking
        if image is None:
            return
        if self._jumped:
            self._jumped = False
            self._odometer.reset()
            self._monitor.reset()
        step = self._odometer.advance(
            image.grey, frame.stamp_ns, image.intrinsics, valid=image.valid
        )
        self._monitor.add(step, self._velocities, None)

    def reset(self) -> None:
        """Forget the image before (time jumped); faults stay until the next check."""
        self._jumped = True
