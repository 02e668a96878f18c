# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Scale monitor on landmarks with a known ratio."""

from __future__ import annotations

import math

import numpy as np
import pytest

from sfm_depth_ros.visual_odometry.anchor_points import AnchorPoints, image_cells
from sfm_depth_ros.visual_odometry.landmark_scale import LandmarkScaleMonitor

WIDTH = 320
SECOND = 1_000_000_000


def points(ratio: float, seed: int, noise: float = 0.0, count: int = 200) -> AnchorPoints:
    """Landmarks of a network that predicts ``ratio`` times the true depth."""
    rng = np.random.default_rng(seed)
    inverse = rng.uniform(0.03, 0.3, count)
    output = inverse / (ratio * np.exp(rng.normal(0.0, noise, count)))
    columns, rows = rng.uniform(0, 319, count), rng.uniform(0, 95, count)
    ids = rng.integers(0, 10_000, count)
    cells = image_cells(columns, rows, WIDTH)
    certain, even = np.full(count, 0.05), np.zeros(count)
    return AnchorPoints(columns, rows, output, even, inverse, certain, ids, cells)


def fed(ratios: list[float], noise: float = 0.0, window_s: float = 60.0) -> LandmarkScaleMonitor:
    """One ratio a second, ten images each."""
    monitor = LandmarkScaleMonitor(window_s)
    for second, ratio in enumerate(ratios):
        for image in range(10):
            stamp = second * SECOND + image * SECOND // 10
            monitor.add(stamp, points(ratio, 10 * second + image, noise))
    return monitor


def test_exact_ratio() -> None:
    estimate = fed([1.25] * 10).estimate
    assert estimate is not None
    assert estimate.ratio == pytest.approx(1.25, rel=1e-6)
    assert estimate.low < 1.25 < estimate.high
    assert estimate.high / estimate.low < 1.03
    assert estimate.seconds == 10.0


def test_ninety_per_cent_interval_holds_the_truth() -> None:
    inside = []
    for trial in range(40):
        monitor = LandmarkScaleMonitor()
        for image in range(60):
            seen = points(0.8, 1000 * trial + image, noise=0.3)
            monitor.add(image * SECOND // 10, seen)
        estimate = monitor.estimate
        assert estimate is not None
        inside.append(estimate.low < 0.8 < estimate.high)
    assert np.mean(inside) >= 0.85


def with_slip(factor: float, usual: list[float]) -> LandmarkScaleMonitor:
    """The odometer's way is ``factor`` times too long from 25 to 35 s; the camera is 1.1 m up."""
    monitor = LandmarkScaleMonitor()
    rng = np.random.default_rng(1)
    for second, ratio in enumerate(usual):
        slip = factor if 25 <= second < 35 else 1.0
        for image in range(10):
            height = 1.1 * slip * math.exp(rng.normal(0, 0.02)) if image % 3 == 0 else None
            seen = points(ratio / slip, 10 * second + image)
            monitor.add(second * SECOND + image * SECOND // 10, seen, height)
    return monitor


@pytest.mark.parametrize("slip", [0.5, 1.1, 1.3, 2.0])
def test_ten_seconds_of_slip_in_a_minute_move_it_by_less_than_two_per_cent(slip: float) -> None:
    rng = np.random.default_rng(0)
    usual = list(np.exp(rng.normal(0, 0.1, 60)))
    before, after = with_slip(1.0, usual).estimate, with_slip(slip, usual).estimate
    assert before is not None and after is not None
    assert after.ratio == pytest.approx(before.ratio, rel=0.02)


def test_a_lasting_change_of_height_is_believed() -> None:
    """The floor only takes out what differs from the usual: a constant error stays visible."""
    monitor = LandmarkScaleMonitor()
    for image in range(200):
        monitor.add(image * SECOND // 10, points(0.5, image), floor_height=2.2)
    assert monitor.estimate is not None
    assert monitor.estimate.ratio == pytest.approx(0.5, rel=1e-6)


def test_a_floor_that_varies_is_left_out() -> None:
    monitor = LandmarkScaleMonitor()
    rng = np.random.default_rng(0)
    for image in range(200):
        monitor.add(image * SECOND // 10, points(1.0, image), float(rng.uniform(0.5, 5)))
    assert monitor.estimate is not None
    assert monitor.estimate.ratio == pytest.approx(1.0, rel=1e-6)


def test_each_part_of_the_image_weighs_its_area() -> None:
    """A textured corner holds nine tenths of the landmarks, another ratio, and 1 % of the area."""
    even, crowd = points(1.0, 1, count=300), points(1.0, 2, count=2700)
    columns = np.concatenate((even.columns, crowd.columns / 10))
    rows = np.concatenate((even.rows, crowd.rows / 10))
    joined = AnchorPoints(
        columns,
        rows,
        np.concatenate((even.output, crowd.output / 2)),
        np.zeros(3000),
        np.concatenate((even.inverse_depth, crowd.inverse_depth)),
        np.full(3000, 0.05),
        np.arange(3000),
        image_cells(columns, rows, WIDTH),
    )
    monitor = LandmarkScaleMonitor()
    for image in range(50):
        monitor.add(image * SECOND // 10, joined)
    assert monitor.estimate is not None
    assert monitor.estimate.ratio == pytest.approx(1.0, abs=0.01)


def test_only_the_window_counts_and_clear_forgets() -> None:
    monitor = fed([2.0] * 20 + [1.0] * 12, window_s=10.0)
    assert monitor.estimate is not None
    assert monitor.estimate.ratio == pytest.approx(1.0, rel=1e-6)
    monitor.clear()
    assert monitor.estimate is None


def test_too_few_landmarks_or_seconds_say_nothing() -> None:
    monitor = LandmarkScaleMonitor()
    for image in range(100):
        monitor.add(image * SECOND // 10, points(1.0, image, count=5))
    assert monitor.estimate is None
    assert fed([1.0, 1.0]).estimate is None


def test_a_jump_back_in_time_begins_anew() -> None:
    monitor = fed([2.0] * 20)
    for image in range(50):
        monitor.add(image * SECOND // 10, points(1.0, image))
    assert monitor.estimate is not None
    assert monitor.estimate.ratio == pytest.approx(1.0, rel=1e-6)


def test_a_minute_of_many_images_costs_no_more_than_its_seconds() -> None:
    """The estimate of each image reads one summary a second, not every image of the minute."""
    monitor = LandmarkScaleMonitor()
    for image in range(30 * 62):
        monitor.add(image * SECOND // 30, points(1.1, image % 7))
    kept = len(monitor._blocks) + len(monitor._images)
    assert kept <= 61 + 30
    assert monitor.estimate is not None
    assert monitor.estimate.seconds == pytest.approx(61.0, abs=1.0)
    assert monitor.estimate.ratio == pytest.approx(1.1, rel=1e-6)
