# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Wrong inputs, named: units, signs and axes of the odometer, mounting and calibration.

Vision measures rotation and direction of travel without any of them; the odometer and the
mounting predict both. Length has no witness in the images' motion: see ``speed_unit.py``.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from sfm_depth_ros.geometry.frames import invert, rotation_matrix, rotation_vector
from sfm_depth_ros.visual_odometry.depth_correction import weighted_median
from sfm_depth_ros.visual_odometry.input_fault import InputFault
from sfm_depth_ros.visual_odometry.speed_unit import (
    ScaleWitnesses,
    implausible_speed,
    unit_fault,
)

_EXTRINSICS = "extrinsics"
MIN_SECONDS = 3.0  # of driving that a verdict rests on
_MIN_LENGTH = 0.02  # metres between two images below which no direction is compared
# share of the translation that rotation about the lever arm causes: beyond it, the mounting's own
# translation, which may be the wrong one, bends the direction of travel
_LEVER_SHARE = 0.1
_MIN_PAIRS = 10
_CHUNK_S = 1.0  # rotations are summed over so long, to outgrow the noise of vision
_ROTATING = 0.02  # radians in a chunk from which it is compared
_STEADY_ROTATION = 0.1  # the same beyond which a chunk's quotient has no more weight
_MIN_CHUNKS = 3
_DOMINANCE = 3.0  # of rotation about one axis over that about the two others, squared
_MIN_ROTATION = 0.1  # radians in all, for a sign, an axis or a unit
_MIN_ROTATION_FOCAL = 0.15  # the same for a factor near one
_IMPLAUSIBLE_ROTATION, _IMPLAUSIBLE_FACTOR = 1.0, 10.0  # radians in all; over what is seen
_CONTRADICTION = math.radians(10.0)  # between directions of travel; less is a mount's tolerance
_AXIS_NAMES = ("x (forward)", "y (left)", "z (up)")
_FOCAL_TOLERANCE = 0.2


@dataclass(frozen=True, eq=False)
class MotionPair:
    """Motion of the camera between two images, as seen and as measured."""

    seconds: float
    # (4, 4) by vision alone, without the odometer's rotation; only the translation's direction
    # counts, None where vision has no motion
    T_visual: np.ndarray | None
    T_measured: np.ndarray  # (4, 4) by the odometer, carried to the camera through the mounting


@dataclass(frozen=True, eq=False)
class _Window:
    """Pairs in the axes of the base: rotation vectors and translations, ``(N, 3)`` each."""

    seconds: np.ndarray  # (N,)
    seen_rotation: np.ndarray
    seen_direction: np.ndarray  # of the camera, unit length
    measured_rotation: np.ndarray
    measured_base: np.ndarray  # of the base, metres
    lever_m: float  # distance of the camera from the base


def find_input_faults(
    pairs: Sequence[MotionPair],
    T_base_camera: np.ndarray,
    witnesses: ScaleWitnesses | None = None,
) -> tuple[InputFault, ...]:
    """Name what is wrong with the inputs, over a window of driving.

    Args:
        pairs: Successive image pairs, those in which the robot stands left out.
        T_base_camera: ``(4, 4)`` mounting: pose of the optical frame in the base.
        witnesses: For the unit of speed.

    Returns:
        The faults, gravest first; empty where nothing is wrong or too little was driven to say.
        An implausible speed or rotation, or a direction that contradicts the mounting, is returned
        alone: landmarks are triangulated over them, and show what is not there.
    """
    fault = implausible_speed(_median_speed(pairs))
    if fault is not None:
        return (fault,)
    seen = [pair for pair in pairs if pair.T_visual is not None]
    if sum(pair.seconds for pair in seen) < MIN_SECONDS or len(seen) < _MIN_PAIRS:
        return ()
    window = _window(seen, T_base_camera)
    rotations = _summed(window.seconds, window.seen_rotation, window.measured_rotation)
    fault = _implausible_rotation(*rotations) or _direction_fault(window)
    if fault is not None:
        return (fault,)
    rotation = _rotation_fault(*rotations)
    if rotation is not None and rotation.kind == _EXTRINSICS:
        return (rotation,)
    unit = unit_fault(witnesses or ScaleWitnesses())
    return tuple(fault for fault in (rotation, unit) if fault is not None)


def _median_speed(pairs: Sequence[MotionPair]) -> float:
    """m/s, also where vision has no motion; 0 before there are enough pairs."""
    if sum(pair.seconds for pair in pairs) < MIN_SECONDS:
        return 0.0
    speeds = [np.linalg.norm(pair.T_measured[:3, 3]) / pair.seconds for pair in pairs]
    return float(np.median(speeds))


def _window(pairs: Sequence[MotionPair], T_base_camera: np.ndarray) -> _Window:
    to_base = T_base_camera[:3, :3]
    T_camera_base = invert(T_base_camera)
    columns: list[list[np.ndarray]] = [[], [], [], []]
    for pair in pairs:
        assert pair.T_visual is not None
        direction = pair.T_visual[:3, 3]
        length = max(float(np.linalg.norm(direction)), 1e-12)
        base = T_base_camera @ pair.T_measured @ T_camera_base
        row = (
            to_base @ rotation_vector(pair.T_visual[:3, :3]),
            to_base @ direction / length,
            rotation_vector(base[:3, :3]),
            base[:3, 3],
        )
        for column, value in zip(columns, row, strict=True):
            column.append(value)
    seconds = np.array([pair.seconds for pair in pairs])
    lever_m = float(np.linalg.norm(T_base_camera[:3, 3]))
    rotation, direction, measured, base = (np.array(column) for column in columns)
    return _Window(seconds, rotation, direction, measured, base, lever_m)


def _rotation_fault(seen: np.ndarray, measured: np.ndarray) -> InputFault | None:
    """Compare the odometer's rotation with the seen one, axis by axis; ``(chunks, 3)`` each."""
    angle = np.linalg.norm(seen, axis=1)
    rotating = angle > _ROTATING
    if np.count_nonzero(rotating) < _MIN_CHUNKS or angle[rotating].sum() < _MIN_ROTATION:
        return None
    seen, measured = seen[rotating], measured[rotating]
    yaw = seen[:, 2]
    energy = np.sum(np.minimum(np.abs(seen), _STEADY_ROTATION) ** 2, axis=0)
    axis = int(np.argmax(energy))
    if energy[axis] < _DOMINANCE * (energy.sum() - energy[axis]):
        return None  # shaking and noise as much as rotation
    if axis != 2:  # through this mounting, rotations are no yaw
        return _tilted_fault(axis, measured)
    slopes = [_slope(measured[:, axis], yaw) for axis in range(3)]
    axis = int(np.argmax(np.abs(slopes)))
    slope = slopes[axis]
    if abs(slope) < 0.2:
        return InputFault(
            "yaw_missing",
            "the images rotate, the odometer does not: fill twist.twist.angular.z of the odometry",
        )
    if axis != 2:
        return InputFault(
            "yaw_axis",
            f"the odometer rotates about {_AXIS_NAMES[axis]}, the images about z (up): "
            "publish the yaw rate as twist.twist.angular.z, in child_frame_id (REP 103)",
        )
    if slope < 0:
        return InputFault(
            "yaw_sign",
            "the odometer rotates opposite to the images: angular.z must be positive to the left "
            "(REP 103)",
        )
    is_enough = np.abs(yaw).sum() > _MIN_ROTATION_FOCAL
    if is_enough and abs(math.log(slope)) > math.log(1.0 + _FOCAL_TOLERANCE):
        return InputFault(
            "focal",
            f"the images rotate {1 / slope:.2f} times as far as the odometer: camera_info does "
            "not fit these images (focal length, or another image size), or the odometer's yaw "
            "has the wrong scale; calibrate the camera, or check the wheel base",
        )
    return None


def _summed(seconds: np.ndarray, *rotations: np.ndarray) -> list[np.ndarray]:
    """Rotation vectors over chunks of time: their median times their number, against outliers."""
    chunk = (np.cumsum(seconds) / _CHUNK_S).astype(int)
    starts = np.flatnonzero(np.diff(chunk, prepend=-1))[1:]
    return [
        np.array([len(part) * np.median(part, axis=0) for part in np.split(vectors, starts)])
        for vectors in rotations
    ]


def _implausible_rotation(seen: np.ndarray, measured: np.ndarray) -> InputFault | None:
    """Far more rotation than the images show, whatever the axis; ``(chunks, 3)`` each."""
    near, far = (float(np.linalg.norm(part, axis=1).sum()) for part in (seen, measured))
    if far < _IMPLAUSIBLE_ROTATION or far < _IMPLAUSIBLE_FACTOR * near:
        return None
    return InputFault(
        "yaw_degrees",
        f"the odometer rotates {far / max(near, 1e-3):.0f} times as fast as the images: its "
        "angular velocity is probably in degrees per second; publish rad/s (REP 103)",
    )


def _tilted_fault(axis: int, measured: np.ndarray) -> InputFault | None:
    """The seen rotations are not about the base's z axis, as a robot's on a floor are."""
    yaws = np.sum(measured[:, 2] ** 2) > 0.5 * np.sum(measured**2)
    if not yaws:
        return None
    return InputFault(
        _EXTRINSICS,
        f"through the mounting the images rotate about {_AXIS_NAMES[axis]} of the base, not about "
        "z (up): base_to_camera (or TF) must be the pose of the optical frame (z forward, x "
        "right), for a camera that looks ahead qx, qy, qz, qw = -0.5, 0.5, -0.5, 0.5",
    )


def _slope(measured: np.ndarray, seen: np.ndarray) -> float:
    """Robust slope through the origin: weighted median of the quotients."""
    return weighted_median(measured / seen, np.minimum(np.abs(seen), _STEADY_ROTATION))


def _direction_fault(window: _Window) -> InputFault | None:
    """Compare the directions of travel, which the mounting's rotation carries to the base."""
    length = np.linalg.norm(window.measured_base, axis=1)
    lever = window.lever_m * np.linalg.norm(window.seen_rotation, axis=1)
    alike = (length > _MIN_LENGTH) & (lever < _LEVER_SHARE * length)
    if np.count_nonzero(alike) < _MIN_PAIRS:
        return None
    # where base and camera move alike; a wrong mounting cannot bend the base's own motion
    seen = _mean_direction(_midway(window.seen_direction[alike], window.seen_rotation[alike]))
    measured = _mean_direction(
        _midway(window.measured_base[alike], window.measured_rotation[alike])
    )
    if seen is None or measured is None:
        return None
    angle = math.acos(float(np.clip(seen @ measured, -1.0, 1.0)))
    if angle < _CONTRADICTION:
        return None
    if angle > math.pi - 2 * _CONTRADICTION:
        return InputFault(
            "speed_sign",
            "the odometer drives backwards where the images drive forwards: twist.twist.linear.x "
            "must be positive ahead; or the camera looks backwards and base_to_camera (or TF) has "
            "it looking ahead",
        )
    axis = int(np.argmax(np.abs(measured)))
    if axis != 0 and abs(seen[0]) > math.cos(2 * _CONTRADICTION):
        return InputFault(
            "speed_axis",
            f"the odometer drives along {_AXIS_NAMES[axis]} where the images drive along x: "
            "publish the speed as twist.twist.linear.x in child_frame_id (REP 103)",
        )
    across, up = math.degrees(math.atan2(seen[1], seen[0])), math.degrees(math.asin(seen[2]))
    return InputFault(
        _EXTRINSICS,
        f"through the mounting the images drive {across:+.0f} deg to the left and {up:+.0f} deg "
        "upwards while the odometer drives elsewhere: base_to_camera (or TF) contradicts the "
        "motion; it must be the pose of the optical frame (z forward, x right) in base_frame",
    )


def _midway(translations: np.ndarray, rotations: np.ndarray) -> np.ndarray:
    """Translations ``(N, 3)`` in the axes halfway through rotations ``(N, 3)``: of the twist."""
    return np.array(
        [
            rotation_matrix(-0.5 * rotation) @ translation
            for translation, rotation in zip(translations, rotations, strict=True)
        ]
    )


def _mean_direction(vectors: np.ndarray) -> np.ndarray | None:
    """Unit mean of the directions, None where they have none in common."""
    units = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    mean = np.median(units, axis=0)
    length = float(np.linalg.norm(mean))
    return mean / length if length > 0.5 else None
