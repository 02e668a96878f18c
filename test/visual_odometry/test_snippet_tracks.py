# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Rotations and landmarks of snippets whose odometer has a yaw bias, or is late."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
from exact_drive import Drive, base_to_camera, drive_of

from sfm_depth_ros.geometry.frames import invert, rotation_vector, twist_to_transform
from sfm_depth_ros.snippets.builder import SnippetBuilder
from sfm_depth_ros.snippets.values import Snippet, Velocity
from sfm_depth_ros.snippets.velocity import VelocityBuffer
from sfm_depth_ros.visual_odometry import snippet_tracks
from sfm_depth_ros.visual_odometry.snippet_tracks import SnippetTracks, with_tracks

SPEED = 5.0  # m/s
STEP_NS = 20_000_000
IMAGES = 14
BIAS = math.radians(1.0)  # rad/s
LATE_NS = 80_000_000


def yaw_rate(t_ns: int) -> float:
    """Weaving: up to 17 deg/s, there and back within 1.6 s."""
    return 0.3 * math.sin(2 * math.pi * t_ns * 1e-9 / 1.6)


@pytest.fixture(scope="module")
def drive() -> Drive:
    pose, poses = np.eye(4), []
    forward = np.array([SPEED, 0.0, 0.0])
    for tick in range(5 * IMAGES):
        if tick % 5 == 0:
            poses.append(pose @ base_to_camera())
        middle_ns = tick * STEP_NS + STEP_NS // 2
        turn = np.array([0.0, 0.0, yaw_rate(middle_ns)])
        pose = pose @ twist_to_transform(forward, turn, STEP_NS * 1e-9)
    return drive_of(poses, VelocityBuffer(base_to_camera(), max_gap_s=0.3))


def snippets_of(drive: Drive, bias: float = 0.0, late_ns: int = 0) -> list[Snippet]:
    """Snippets as the live builder makes them, of 0.2 s to either side."""
    velocities = VelocityBuffer(base_to_camera(), max_gap_s=0.3)
    for tick in range(-10, 5 * IMAGES + 10):
        stamp_ns = tick * STEP_NS
        turn = yaw_rate(stamp_ns - late_ns) + bias
        velocities.add(Velocity(stamp_ns + 1_000_000_000, np.array([SPEED, 0, 0]),
                                np.array([0, 0, turn])))  # fmt: skip
    builder = SnippetBuilder(velocities, 0.8, 5.0, 1.0)
    made = []
    for frame in drive.frames:
        made += builder.add(dataclasses.replace(frame, stamp_ns=frame.stamp_ns + 1_000_000_000))
    return made


def errors_deg(drive: Drive, snippet: Snippet) -> list[float]:
    """Angle in degrees between each measured and true rotation."""
    before, target, after = ((stamp - 1_000_000_000) // 100_000_000 for stamp in snippet.stamps_ns)
    found = []
    for source, T in zip((before, after), snippet.T_measured, strict=True):
        truth = invert(drive.poses[source]) @ drive.poses[target]
        found.append(np.degrees(np.linalg.norm(rotation_vector(T[:3, :3] @ truth[:3, :3].T))))
    return found


@pytest.mark.parametrize(
    ("fault", "least"),
    [({}, 0.0), ({"bias": BIAS}, 0.19), ({"late_ns": LATE_NS}, 0.5)],
    ids=["exact", "biased", "late"],
)
def test_rotations_are_those_of_the_images(drive, fault, least) -> None:
    snippets = snippets_of(drive, **fault)
    assert len(snippets) >= 4
    by_odometer = np.array([errors_deg(drive, snippet) for snippet in snippets])
    assert by_odometer.max() >= least  # 1 deg/s over 0.2 s; 17 deg/s that come 80 ms too late
    by_images = np.array([errors_deg(drive, with_tracks(snippet)) for snippet in snippets])
    assert by_images.max() < 0.08, "a fifth of a pixel of 191 a radian is 0.06 degrees"


def test_lengths_stay_the_odometers(drive) -> None:
    for snippet in snippets_of(drive, bias=BIAS):
        found = with_tracks(snippet)
        assert np.array_equal(found.T_measured[:, :3, 3], snippet.T_measured[:, :3, 3])
        assert np.array_equal(found.displacements, snippet.displacements)


def test_landmarks_are_kept_in_metres(drive) -> None:
    errors = []
    for snippet in snippets_of(drive, bias=BIAS):
        points = with_tracks(snippet).landmarks
        depth = drive.depths[int(snippet.stamps_ns[1] - 1_000_000_000) // 100_000_000]
        known = (points > 0) & np.isfinite(depth)
        errors.append(points[known] / depth[known] - 1)
    together = np.concatenate(errors)
    assert len(together) > 100
    assert abs(np.median(together)) < 0.02


def test_a_few_landmarks_are_none(drive, monkeypatch) -> None:
    snippet = snippets_of(drive)[0]
    points = np.count_nonzero(with_tracks(snippet).landmarks)
    assert points >= snippet_tracks.FEWEST_LANDMARKS
    monkeypatch.setattr(snippet_tracks, "FEWEST_LANDMARKS", 1000)
    assert not with_tracks(snippet).landmarks.any()


def test_with_few_corners_the_odometer_is_believed(drive, monkeypatch) -> None:
    snippet = snippets_of(drive, bias=BIAS)[0]
    seen = max(np.count_nonzero(view.alive) for view in SnippetTracks.of(snippet).views)
    monkeypatch.setattr(snippet_tracks, "FEWEST_FOR_ROTATION", seen + 1)
    assert np.array_equal(with_tracks(snippet).T_measured, snippet.T_measured)


def test_where_corners_do_not_agree_the_odometer_is_believed(drive) -> None:
    snippet = snippets_of(drive, bias=BIAS)[0]
    rng = np.random.default_rng(0)
    noise = rng.integers(0, 255, snippet.sources.shape, dtype=np.uint8)
    for changed in ({"sources": noise}, {"target": np.full_like(snippet.target, 90)}):
        odd = dataclasses.replace(snippet, **changed)
        assert np.array_equal(with_tracks(odd).T_measured, snippet.T_measured)


def test_without_a_measured_motion_nothing_is_added(drive) -> None:
    snippet = dataclasses.replace(snippets_of(drive)[0], T_measured=None)
    assert with_tracks(snippet) is snippet
    assert not SnippetTracks.of(snippet).landmarks().any()
    assert math.isnan(SnippetTracks.of(snippet).odometer_step())


def test_an_unknown_motion_stays_unknown(drive) -> None:
    snippet = snippets_of(drive)[0]
    motions = snippet.T_measured.copy()
    motions[1] = np.nan
    found = with_tracks(dataclasses.replace(snippet, T_measured=motions))
    assert np.isnan(found.T_measured[1]).all()
    assert max(errors_deg(drive, found)[:1]) < 0.08
    assert not found.landmarks.any()
