# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Rules on the odometry: units, signs, frames and plausibility, by its own twist and pose."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from sfm_depth_ros.geometry.frames import invert, rotation_vector
from sfm_depth_ros.inspection.facts import Facts
from sfm_depth_ros.inspection.finding import Finding, problem

FASTEST = 60.0  # m/s
FASTEST_ROTATION = 10.0  # rad/s
MOVED = 0.3  # metres of the whole path from which twist and pose are compared
LEAST_ROTATION = 0.3  # radians likewise
UNITS = {"km/h": 3.6, "mph": 2.23694, "cm/s": 100.0, "mm/s": 1000.0}
TOLERANCE = 0.15


def motion_findings(facts: Facts) -> Iterator[Finding]:
    """Findings on the velocities."""
    if len(facts.velocities) < 2:
        return
    linear = np.array([velocity.linear for velocity in facts.velocities])
    angular = np.array([velocity.angular for velocity in facts.velocities])
    speed = float(np.median(np.linalg.norm(linear, axis=1)))
    if speed > FASTEST:
        yield problem(
            "odometry", f"the median speed is {speed:.0f} m/s", "publish metres per second"
        )
    speed = float(np.median(np.linalg.norm(angular, axis=1)))
    if speed > FASTEST_ROTATION:
        yield problem(
            "odometry", f"the median rotation is {speed:.0f} rad/s", "publish radians per second"
        )
    if len(facts.poses) == len(facts.velocities):
        yield from _against_pose(facts, linear, angular)


def _against_pose(facts: Facts, linear: np.ndarray, angular: np.ndarray) -> Iterator[Finding]:
    """The twist against the change of the pose, both of the same message."""
    stamps = np.array([stamp for stamp, _ in facts.poses])
    seconds = np.diff(stamps) * 1e-9
    steps = [
        invert(before) @ after
        for (_, before), (_, after) in zip(facts.poses, facts.poses[1:], strict=False)
    ]
    usable = (seconds > 0) & (seconds < 1.0)
    if usable.sum() < 5:
        return
    moved = np.array([step[:3, 3] for step in steps])[usable]
    rotated = np.array([rotation_vector(step[:3, :3]) for step in steps])[usable]
    twist = (0.5 * (linear[1:] + linear[:-1]) * seconds[:, None])[usable]
    twist_rotation = (0.5 * (angular[1:] + angular[:-1]) * seconds[:, None])[usable]
    yield from _translation(moved, twist)
    yield from _rotation(rotated[:, 2], twist_rotation[:, 2])


def _translation(moved: np.ndarray, twist: np.ndarray) -> Iterator[Finding]:
    path, twist_path = (float(np.linalg.norm(x, axis=1).sum()) for x in (moved, twist))
    if max(path, twist_path) < MOVED:
        return
    if twist_path < 0.05 * path:
        yield problem(
            "odometry",
            f"the pose moves by {path:.1f} m, the twist stays zero",
            "fill twist.twist of the odometry, or name a topic that has velocities",
        )
        return
    if path < 0.05 * twist_path:
        return  # a pose that is not filled; velocities are what counts
    along = float((moved * twist).sum())
    across = np.linalg.norm(moved, axis=1) @ np.linalg.norm(twist, axis=1)
    agreement = along / max(float(across), 1e-12)
    if agreement < -0.7:
        yield problem(
            "odometry",
            "the twist points against the motion of the pose",
            "flip the sign of twist.twist.linear",
        )
    elif agreement < 0.5:
        yield problem(
            "odometry",
            "the twist points elsewhere than the pose moves",
            "give twist.twist in the robot's body frame (child_frame_id: x forward, y left), not "
            "in the world's",
        )
    ratio = twist_path / path
    for unit, factor in UNITS.items():
        if abs(np.log(ratio / factor)) < TOLERANCE:
            yield problem(
                "odometry",
                f"the twist is {ratio:.2f} times as fast as the pose moves: {unit}?",
                "publish metres per second in twist.twist",
            )
            return
    if not 0.7 < ratio < 1.4:
        yield problem(
            "odometry",
            f"the twist is {ratio:.2f} times as fast as the pose moves",
            "look at units, wheel radius and gear ratio in the odometry",
        )


def _rotation(rotated: np.ndarray, twist: np.ndarray) -> Iterator[Finding]:
    angle, twist_angle = float(np.abs(rotated).sum()), float(np.abs(twist).sum())
    if angle < LEAST_ROTATION:
        return
    agreement = float((rotated * twist).sum()) / max(float(np.abs(rotated) @ np.abs(twist)), 1e-12)
    if twist_angle < 0.05 * angle:
        yield problem(
            "odometry",
            f"the pose rotates by {np.degrees(angle):.0f} deg, twist.twist.angular.z stays zero",
            "fill twist.twist.angular.z",
        )
    elif agreement < -0.7:
        yield problem(
            "odometry",
            "twist.twist.angular.z points against the rotation of the pose",
            "flip its sign: counter-clockwise is positive (REP 103)",
        )
    elif abs(np.log(twist_angle / angle / 57.29578)) < TOLERANCE:
        yield problem(
            "odometry", "twist.twist.angular.z is in degrees", "publish radians per second"
        )
