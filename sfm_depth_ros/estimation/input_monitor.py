# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Wrong units, signs, axes and mountings of the live inputs, named over the newest seconds."""

from __future__ import annotations

from collections import deque

import numpy as np

from sfm_depth_ros.errors import VelocityGapError
from sfm_depth_ros.snippets.values import Frame
from sfm_depth_ros.snippets.velocity import VelocityBuffer
from sfm_depth_ros.visual_odometry.ground_plane import ground_of_landmarks
from sfm_depth_ros.visual_odometry.input_checks import MotionPair, find_input_faults
from sfm_depth_ros.visual_odometry.input_fault import InputFault
from sfm_depth_ros.visual_odometry.landmark_scale import ScaleEstimate
from sfm_depth_ros.visual_odometry.odometry_step import OdometryStep
from sfm_depth_ros.visual_odometry.speed_unit import ScaleWitnesses
from sfm_depth_ros.visual_odometry.visual_odometer import VisualOdometer

WINDOW_S = 8.0
CHECK_EVERY_S = 0.5
_LOWEST_MOUNT = 0.15  # metres; a camera that low is not mounted over a base on the floor
_HEIGHTS = 60  # newest heights above the floor that count
_WAITING = 30  # newest image pairs that wait for the odometer
TRACKING_WIDTH = 640  # pixels of the images in which an InputWatch follows corners


class InputMonitor:
    """Compares vision with the odometer and the mounting while the robot drives.

    A fault is reported once two checks in a row have found it, and until a check does not. Image
    pairs wait until velocities cover them: live, an odometer lags behind the images.
    """

    def __init__(self) -> None:
        self.faults: tuple[InputFault, ...] = ()
        self.floor_height: float | None = None  # metres, by the newest image's landmarks
        self._waiting: deque[OdometryStep] = deque(maxlen=_WAITING)
        self._pairs: deque[tuple[int, MotionPair]] = deque()
        self._heights: deque[float] = deque(maxlen=_HEIGHTS)
        self._suspected: set[str] = set()
        self._checked_ns = 0

    def add(
        self,
        step: OdometryStep,
        velocities: VelocityBuffer | None,
        scale: ScaleEstimate | None,
        network_floor: float | None = None,
    ) -> None:
        """Take the motion of the newest image.

        Args:
            step: From visual odometry.
            velocities: The odometer's memory, with the mounting.
            scale: The network's own depth against the landmarks, if it is metric.
            network_floor: Metres of the camera above the network's floor, by the landmarks'
                scale: the floor's witness where it has no landmarks.
        """
        self.floor_height = None
        if velocities is None or step.earlier_ns is None or not step.is_moving:
            return
        self._waiting.append(step)
        self._measure(velocities)
        while self._pairs and step.later_ns - self._pairs[0][0] > WINDOW_S * 1e9:
            self._pairs.popleft()
        if self._pairs and step.later_ns - self._checked_ns >= CHECK_EVERY_S * 1e9:
            self._checked_ns = step.later_ns
            self._check(step, velocities.T_base_camera, scale, network_floor)

    def reset(self) -> None:
        """Forget the window (time jumped); faults stay until the next check."""
        self._waiting.clear()
        self._pairs.clear()
        self._checked_ns = 0

    def _measure(self, velocities: VelocityBuffer) -> None:
        """Pair what vision saw with the odometer, as far as velocities reach."""
        while self._waiting:
            step = self._waiting[0]
            assert step.earlier_ns is not None
            try:
                measured = velocities.displacement(step.earlier_ns, step.later_ns)
            except VelocityGapError:
                newest = velocities.newest
                if newest is None or newest.stamp_ns < step.later_ns:
                    return  # it may come yet
            else:
                pair = MotionPair(step.seconds, step.T_by_image, measured.T_earlier_later)
                self._pairs.append((step.later_ns, pair))
            self._waiting.popleft()

    def _check(
        self,
        step: OdometryStep,
        T_base_camera: np.ndarray,
        scale: ScaleEstimate | None,
        network_floor: float | None,
    ) -> None:
        mount = float(T_base_camera[2, 3])
        floor = ground_of_landmarks(step.landmarks, T_base_camera)
        if floor is not None:
            self.floor_height = floor.height
            self._heights.append(floor.height)
        height = float(np.median(self._heights)) if len(self._heights) >= 3 else network_floor
        height_ratio = None if height is None or mount <= _LOWEST_MOUNT else height / mount
        witnesses = ScaleWitnesses(scale.ratio if scale else None, height_ratio)
        found = find_input_faults([pair for _, pair in self._pairs], T_base_camera, witnesses)
        self.faults = tuple(fault for fault in found if fault.kind in self._suspected)
        self._suspected = {fault.kind for fault in found}


class InputWatch:
    """An InputMonitor with visual odometry of its own, where no depth is estimated.

    ``add`` is for one thread; the rest may be called from any. Without a network's metres, the
    camera's height above the floor alone shows the unit of speed.

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
