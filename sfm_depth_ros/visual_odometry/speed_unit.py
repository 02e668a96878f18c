# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Unit of the odometer's speed: by its size alone, or by witnesses of the scale."""

from __future__ import annotations

import math
from dataclasses import dataclass

from sfm_depth_ros.visual_odometry.input_fault import SPEED_UNIT, InputFault

_FASTEST = 100.0  # m/s; no robot drives faster
_UNIT_FACTORS = {"km/h": 3.6, "mph": 2.23694, "cm/s": 100.0, "mm/s": 1000.0}
_UNIT_TOLERANCE = 0.4  # in the logarithm, for the network, whose own scale may be so far off
_LONE_FACTOR, _LONE_TOLERANCE = 3.0, 0.3  # a network alone is believed about large factors only
_HEIGHT_TOLERANCE = 0.2  # the same for the height above the floor


@dataclass(frozen=True)
class ScaleWitnesses:
    """Scales that the odometer's lengths are compared with; None where unknown."""

    depth_scale_ratio: float | None = None  # a metric network's depth over the landmarks'
    height_ratio: float | None = None  # camera's height by landmarks over the mounting's


def implausible_speed(speed: float) -> InputFault | None:
    """A speed (m/s) that no robot drives at: it needs no witness."""
    if speed < _FASTEST:
        return None
    return InputFault(
        SPEED_UNIT,
        f"the odometer drives at {speed:.0f} m/s: its speed is probably in mm/s or cm/s; publish "
        "m/s (REP 103)",
    )


def unit_fault(witnesses: ScaleWitnesses) -> InputFault | None:
    """The unit of speed that all witnesses agree on."""
    ratio, height = witnesses.depth_scale_ratio, witnesses.height_ratio
    logs = []
    smallest = 1.0 if height is not None else _LONE_FACTOR
    if ratio is not None:
        logs.append((-math.log(ratio), _LONE_TOLERANCE if height is None else _UNIT_TOLERANCE))
    if height is not None:
        logs.append((math.log(height), _HEIGHT_TOLERANCE))
    if not logs:
        return None
    fitting = {
        unit: abs(logs[-1][0] - math.log(factor))
        for unit, factor in _UNIT_FACTORS.items()
        if factor > smallest
        and all(abs(value - math.log(factor)) < tolerance for value, tolerance in logs)
    }
    if not fitting:
        return None
    unit = min(fitting, key=lambda name: fitting[name])
    witness = "the camera's height above the floor" if height is not None else "the depth network"
    return InputFault(
        SPEED_UNIT,
        f"the odometer's distance is {math.exp(logs[-1][0]):.2g} times what {witness} allows: its "
        f"speed is probably in {unit}; publish m/s (REP 103)",
    )
