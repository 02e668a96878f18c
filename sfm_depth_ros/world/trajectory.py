# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A drive along the road: pose and exact body twist of the robot at any time."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from sfm_depth_ros.snippets.values import Velocity
from sfm_depth_ros.world.road import Road

GRID_S = 0.02
DIFFERENCE_S = 2e-4


@dataclass(frozen=True)
class MotionSpec:
    """Motion of the robot."""

    speed_mps: float = 5.0  # Cruising speed
    variation: float = 0.3  # Relative change of speed along the path
    stop_every_s: float = 0.0  # Mean time between stops, 0 = never stops
    lane_m: float = 0.0  # Mean lateral position on the road, left positive
    sway_m: float = 0.1  # Amplitude of the lateral oscillation
    shake_deg: float = 0.15  # Amplitude of pitch and roll vibration
    bounce_m: float = 0.005  # Amplitude of the vertical vibration


class Trajectory:
    """Poses of ``base_link`` (REP 103: x forward, y left, z up) in the world."""

    def __init__(self, road: Road, motion: MotionSpec, seconds: float, seed: int) -> None:
        self._road = road
        self._motion = motion
        rng = np.random.default_rng([seed, 0x7A])
        self._phases = rng.uniform(0, 2 * math.pi, 8)
        self._time = np.arange(-1.0, seconds + 1.0, GRID_S)
        self._speed = speed_profile(rng, self._time, motion)
        steps = 0.5 * GRID_S * (self._speed[1:] + self._speed[:-1])
        self._distance = np.concatenate([[0.0], steps.cumsum()])
        self._distance -= np.interp(0.0, self._time, self._distance)

    def distance(self, t: float) -> float:
        """Arc length along the road at ``t`` seconds; quadratic inside a cell, so exact."""
        where = (t - self._time[0]) / GRID_S
        index = int(np.clip(math.floor(where), 0, len(self._time) - 2))
        local = t - self._time[index]
        a, b = self._speed[index], self._speed[index + 1]
        return float(self._distance[index] + a * local + 0.5 * (b - a) / GRID_S * local**2)

    def T_world_base(self, t: float) -> np.ndarray:
        """Pose at ``t`` seconds, ``(4, 4)`` float64."""
        s, p = self.distance(t), self._phases
        motion = self._motion
        sway = motion.sway_m * np.array([math.sin(s / 7 + p[0]), 0.5 * math.sin(s / 3.1 + p[1])])
        slope = motion.sway_m * (math.cos(s / 7 + p[0]) / 7 + 0.5 * math.cos(s / 3.1 + p[1]) / 3.1)
        shake = math.radians(motion.shake_deg)
        # Vibration follows the distance, not the clock: none while the robot stands.
        pitch = shake * (math.sin(s / 0.9 + p[2]) + 0.6 * math.sin(s / 2.7 + p[3]))
        roll = shake * (math.sin(s / 1.1 + p[4]) + 0.6 * math.sin(s / 3.7 + p[5]))
        yaw = float(self._road.yaw(s)) + math.atan(slope)
        T = np.eye(4)
        T[:3, :3] = rotation_from_euler(roll, pitch, yaw)
        T[:2, 3] = self._road.position(s, motion.lane_m + sway.sum())
        T[2, 3] = motion.bounce_m * math.sin(s / 1.3 + p[6])
        return T

    def velocity(self, t: float) -> Velocity:
        """Exact twist of ``base_link`` in ``base_link`` at ``t`` seconds."""
        before, after = self.T_world_base(t - DIFFERENCE_S), self.T_world_base(t + DIFFERENCE_S)
        here = self.T_world_base(t)[:3, :3]
        linear = here.T @ (after[:3, 3] - before[:3, 3]) / (2 * DIFFERENCE_S)
        skew = before[:3, :3].T @ after[:3, :3] / (2 * DIFFERENCE_S)
        skew = 0.5 * (skew - skew.T)
        angular = np.array([skew[2, 1], skew[0, 2], skew[1, 0]])
        return Velocity(round(t * 1e9), linear, angular)


def speed_profile(rng: np.random.Generator, time: np.ndarray, motion: MotionSpec) -> np.ndarray:
    """Smooth speed over time: slow variation, and stops with gentle braking."""
    factor = np.ones_like(time)
    for period in (23.0, 11.0, 5.3):
        weight = motion.variation * rng.uniform(0.2, 0.6)
        factor += weight * np.sin(2 * math.pi * time / period + rng.uniform(0, 2 * math.pi))
    speed = motion.speed_mps * np.clip(factor, 0.15, 2.0)
    if motion.stop_every_s > 0:
        brake = max(motion.speed_mps / 2.0, 1.0)
        t = rng.uniform(0.5, 1.5) * motion.stop_every_s
        while t < time[-1]:
            pause = rng.uniform(1.0, 3.0)
            gap = np.clip((np.abs(time - t) - 0.5 * pause) / brake, 0.0, 1.0)
            speed *= gap**2 * (3 - 2 * gap)
            t += pause + rng.uniform(0.5, 1.5) * motion.stop_every_s
    return speed


def rotation_from_euler(roll: float, pitch: float, yaw: float) -> np.ndarray:
    """Rz(yaw) Ry(pitch) Rx(roll), ``(3, 3)`` float64; positive pitch looks down (REP 103)."""
    cr, sr, cp, sp = math.cos(roll), math.sin(roll), math.cos(pitch), math.sin(pitch)
    cy, sy = math.cos(yaw), math.sin(yaw)
    rx = np.array([[1, 0, 0], [0, cr, -sr], [0, sr, cr]])
    ry = np.array([[cp, 0, sp], [0, 1, 0], [-sp, 0, cp]])
    rz = np.array([[cy, -sy, 0], [sy, cy, 0], [0, 0, 1]])
    return rz @ ry @ rx
