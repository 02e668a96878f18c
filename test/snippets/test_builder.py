# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import dataclasses

import cv2
import numpy as np
import pytest

from sfm_depth_ros.geometry.camera import Intrinsics
from sfm_depth_ros.snippets.builder import SnippetBuilder
from sfm_depth_ros.snippets.image_gate import ImageGate
from sfm_depth_ros.snippets.values import Frame, Snippet, Velocity
from sfm_depth_ros.snippets.velocity import VelocityBuffer

SECOND = 10**9
K = Intrinsics.from_hfov(90, 4, 2)


def _frame(seconds: float, intrinsics: Intrinsics = K) -> Frame:
    stamp = round(seconds * SECOND)
    image = np.full((2, 4, 3), stamp // 10**7 % 251, np.uint8)
    return Frame(stamp, image, intrinsics)


def _builder(min_displacement: float = 0.05) -> tuple[SnippetBuilder, VelocityBuffer]:
    velocities = VelocityBuffer(np.eye(4), max_gap_s=0.3)
    return SnippetBuilder(velocities, min_displacement, 5.0, 0.5), velocities


def _drive(
    builder: SnippetBuilder,
    velocities: VelocityBuffer,
    speed: float,
    rate: float,
    seconds: float,
    begin: float = 0.0,
) -> list[Snippet]:
    for t in np.arange(begin - 0.1, begin + seconds + 0.1, 0.05):
        velocities.add(Velocity(round(t * SECOND), np.array([speed, 0, 0]), np.zeros(3)))
    frames = [_frame(begin + i / rate) for i in range(int(seconds * rate))]
    return [snippet for frame in frames for snippet in builder.add(frame)]


@pytest.mark.parametrize(("speed", "rate"), [(0.2, 30), (1.0, 10), (6.0, 10), (15.0, 30)])
def test_speeds_and_rates(speed, rate):
    snippets = _drive(*_builder(), speed, rate, 4.0)
    displacements = np.stack([snippet.displacements for snippet in snippets])
    step = max(speed / rate, 0.05)
    assert displacements.min() >= 0.05
    assert displacements.max() <= step + speed / rate + 1e-6
    targets = [int(snippet.stamps_ns[1]) for snippet in snippets]
    assert len(set(targets)) == len(targets)
    assert len(targets) == pytest.approx(4.0 * speed / displacements.mean() - 1, abs=2)


def test_sources_are_the_neighbours_in_time_with_their_displacement():
    builder, velocities = _builder()
    for t in np.arange(0, 1, 0.05):
        velocities.add(Velocity(round(t * SECOND), np.array([2 + 4 * t, 0, 0]), np.zeros(3)))
    snippets = [s for t in (0.1, 0.2, 0.4) for s in builder.add(_frame(t))]
    assert len(snippets) == 1
    snippet = snippets[0]
    assert (snippet.stamps_ns / SECOND).tolist() == [0.1, 0.2, 0.4]
    np.testing.assert_allclose(snippet.displacements, [0.26, 0.64], rtol=1e-5)
    assert snippet.displacements.dtype == np.float32
    assert snippet.target[0, 0, 0] == 20
    assert snippet.sources[:, 0, 0, 0].tolist() == [10, 40]
    assert snippet.intrinsics == K


def test_standing_yields_nothing_and_is_counted():
    builder, velocities = _builder()
    assert _drive(builder, velocities, 0.0, 10, 3.0) == []
    assert builder.counts["standing"] == 29
    assert len(_drive(builder, velocities, 2.0, 10, 1.0, begin=3.2)) >= 8


def test_too_fast_is_counted():
    builder, velocities = _builder()
    assert _drive(builder, velocities, 80.0, 10, 1.0) == []
    assert builder.counts["too_far"] == 9


def test_image_gap_breaks_the_chain():
    builder, velocities = _builder()
    _drive(builder, velocities, 1.0, 10, 3.0)
    builder.reset()
    times = (0.0, 0.1, 1.0, 1.1, 1.2)
    snippets = [s for t in times for s in builder.add(_frame(t))]
    assert [s.stamps_ns[0] for s in snippets] == [SECOND]
    assert builder.counts["image_gap"] == 1


def test_frames_wait_for_the_odometer():
    builder, velocities = _builder()
    for t in (0.0, 0.1, 0.2, 0.3):
        assert builder.add(_frame(t)) == []
    for t in np.arange(-0.1, 0.6, 0.1):
        velocities.add(Velocity(round(t * SECOND), np.array([1.0, 0, 0]), np.zeros(3)))
    assert [round(s.stamps_ns[1] / SECOND, 1) for s in builder.add(_frame(0.4))] == [0.1, 0.2, 0.3]
    assert builder.counts["velocity"] == 0


def test_waiting_ends_and_is_counted():
    builder, _ = _builder()
    for i in range(200):
        assert builder.add(_frame(i / 10)) == []
    assert builder.counts["velocity"] == pytest.approx(180, abs=3)


def test_a_hole_in_the_velocities_breaks_the_chain():
    builder, velocities = _builder()
    for t in [*np.arange(0, 1, 0.1), *np.arange(1.5, 2.5, 0.1)]:
        velocities.add(Velocity(round(t * SECOND), np.array([1.0, 0, 0]), np.zeros(3)))
    snippets = [s for i in range(24) for s in builder.add(_frame(i / 10))]
    spans = [(s.stamps_ns[0] / SECOND, s.stamps_ns[2] / SECOND) for s in snippets]
    assert spans
    assert not any(a < 1.49 and b > 0.91 for a, b in spans)
    assert builder.counts["velocity"] >= 5


def test_backward_stamps_reset_and_duplicates_are_left_out():
    builder, velocities = _builder()
    _drive(builder, velocities, 1.0, 10, 1.0)
    builder.add(_frame(0.9))
    assert builder.counts["duplicate"] == 1
    snippets = [s for t in (0.0, 0.1, 0.2) for s in builder.add(_frame(t))]
    assert builder.counts["backward"] == 1
    assert [s.stamps_ns[0] for s in snippets] == [0]


def test_another_camera_breaks_the_chain():
    builder, velocities = _builder()
    _drive(builder, velocities, 1.0, 10, 1.0)
    other = Intrinsics.from_hfov(60, 4, 2)
    builder.reset()
    times = (0.0, 0.1, 0.2, 0.3)
    cameras = (K, K, other, other)
    for t, camera in zip(times, cameras, strict=True):
        assert builder.add(_frame(t, camera)) == []
    assert builder.counts["camera"] == 1


WALL = np.random.default_rng(0).uniform(0, 255, (24, 80)).astype(np.float32)


def _seen(seconds: float, speed: float = 1.0, pixels: float = 40.0) -> Frame:
    """A textured wall that the camera drives along, ``pixels`` a metre."""
    wall = cv2.resize(WALL, None, fx=8, fy=4, interpolation=cv2.INTER_CUBIC)
    first = round(pixels * speed * seconds)
    grey = wall[:, first : first + 320].clip(0, 255).astype(np.uint8)
    image = np.repeat(grey[..., None], 3, axis=2)
    return Frame(round(seconds * SECOND), image, Intrinsics.from_hfov(90, 320, 96))


def _gated_builder() -> tuple[SnippetBuilder, VelocityBuffer]:
    velocities = VelocityBuffer(np.eye(4), max_gap_s=0.3)
    for t in np.arange(-0.1, 10, 0.05):
        velocities.add(Velocity(round(t * SECOND), np.array([1.0, 0, 0]), np.zeros(3)))
    return SnippetBuilder(velocities, 0.05, 5.0, 0.5, ImageGate()), velocities


def test_good_images_pass_the_gate() -> None:
    builder, _ = _gated_builder()
    assert sum(len(builder.add(_seen(i / 10))) for i in range(30)) == 28
    assert sum(builder.counts.values()) == 0
    assert builder.gated == ""


def _noise(rng: np.random.Generator, _: np.ndarray) -> np.ndarray:
    return rng.integers(0, 256, (96, 320, 3), np.uint8)


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (_noise, "untrackable"),
        (lambda _, image: np.zeros_like(image), "black"),
        (lambda _, image: np.full_like(image, 255), "overexposed"),
        (lambda _, image: np.full_like(image, 90), "covered"),
        (lambda _, image: _seen(0.9).image, "frozen"),
    ],
)
def test_useless_images_reach_no_snippet_and_gate_after_a_moment(spoil, reason) -> None:
    builder, _ = _gated_builder()
    rng, bad, snippets = np.random.default_rng(3), set(), []
    for i in range(50):
        frame = _seen(i / 10)
        if 10 <= i < 30:
            frame = dataclasses.replace(frame, image=spoil(rng, frame.image))
            bad.add(frame.stamp_ns)
        snippets += builder.add(frame)
        if i in (14, 29):
            assert builder.gated == ("" if i == 14 else reason)
    used = [{int(s) for s in snippet.stamps_ns} & bad for snippet in snippets]
    assert not any(used)
    assert len(snippets) >= 8 + 16
    assert builder.counts[reason] >= 18


def test_standing_lasts_until_the_camera_moves() -> None:
    builder, velocities = _builder()
    _drive(builder, velocities, 1.0, 10, 2.0)
    assert not builder.is_standing
    _drive(builder, velocities, 0.0, 10, 2.0, begin=2.2)
    assert builder.is_standing
    _drive(builder, velocities, 1.0, 10, 0.6, begin=4.4)
    assert not builder.is_standing
