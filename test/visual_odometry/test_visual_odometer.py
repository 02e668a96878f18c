# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The whole estimator on a small rendered world with exact motion and depth."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import cv2
import numpy as np
import pytest
from exact_drive import CAMERA, PERIOD_NS, Drive, base_to_camera, make_drive

from sfm_depth_ros.geometry.frames import rotation_matrix, rotation_vector
from sfm_depth_ros.snippets.values import Velocity
from sfm_depth_ros.snippets.velocity import VelocityBuffer
from sfm_depth_ros.visual_odometry.odometry_step import MotionPrior, OdometryStep
from sfm_depth_ros.visual_odometry.visual_odometer import VisualOdometer

TURN = 0.12  # rad/s


@lru_cache
def _drive(frames: int = 16, speed: float = 6.0, yaw_rate: float = TURN) -> Drive:
    return make_drive(frames, speed, yaw_rate)


def _grey(drive: Drive, index: int) -> np.ndarray:
    return cv2.cvtColor(drive.frames[index].image, cv2.COLOR_RGB2GRAY)


def _advance_all(
    odometer: VisualOdometer, drive: Drive, indices: Sequence[int] | None = None
) -> list[OdometryStep]:
    indices = range(len(drive.frames)) if indices is None else indices
    return [
        odometer.advance(_grey(drive, index), number * PERIOD_NS, CAMERA)
        for number, index in enumerate(indices)
    ]


def _velocities(
    speed: float, yaw_rate: float, seconds: Sequence[float] = (0.0, 2.0), every: float = 0.02
) -> VelocityBuffer:
    buffer = VelocityBuffer(base_to_camera(), max_gap_s=0.3)
    for t in np.arange(seconds[0], seconds[1], every):
        angular = np.array([0.0, 0.0, yaw_rate])
        buffer.add(Velocity(round(t * 1e9), np.array([speed, 0.0, 0.0]), angular))
    return buffer


def _errors(step: OdometryStep, true: np.ndarray) -> tuple[float, float]:
    """Metres and radians that a motion is off."""
    assert step.T_earlier_later is not None
    turn = rotation_vector(step.T_earlier_later[:3, :3].T @ true[:3, :3])
    offset = step.T_earlier_later[:3, 3] - true[:3, 3]
    return float(np.linalg.norm(offset)), float(np.linalg.norm(turn))


@pytest.mark.parametrize("mode", ["visual", "fused"])
def test_motion_of_an_exact_drive(mode: str) -> None:
    drive = _drive()
    steps = _advance_all(VisualOdometer(drive.velocities, mode), drive)
    assert steps[0].source == "none" and steps[0].earlier_ns is None
    for index, step in list(enumerate(steps))[3:]:
        metres, radians = _errors(step, drive.motion(index))
        assert step.source == mode
        assert metres < 0.03  # of 0.6
        assert radians < 0.003
        assert step.length_source == "odometer"
        assert (step.earlier_ns, step.later_ns) == ((index - 1) * PERIOD_NS, index * PERIOD_NS)


def test_visual_takes_no_rotation_of_the_odometer() -> None:
    """The odometer reports no turn at all; its length is the same to 1 %."""
    drive = _drive()
    steps = _advance_all(VisualOdometer(_velocities(6.0, 0.0), "visual"), drive)
    for index, step in list(enumerate(steps))[3:]:
        assert _errors(step, drive.motion(index))[1] < 0.003


def test_fused_learns_a_yaw_bias() -> None:
    """0.1 rad/s too much: 0.01 rad an image, of which little is left after a second."""
    drive = _drive()
    steps = _advance_all(VisualOdometer(_velocities(6.0, TURN + 0.1), "fused"), drive)
    assert _errors(steps[-1], drive.motion(15))[1] < 0.003
    assert any("bias" in remark for remark in steps[-1].remarks)


def test_fused_does_not_take_a_wrong_mountings_direction_over() -> None:
    """The camera looks ahead; its mounting has it 20 degrees aside."""
    drive = _drive()
    mounting = base_to_camera()
    mounting[:3, :3] = rotation_matrix([0.0, 0.0, np.radians(20.0)]) @ mounting[:3, :3]
    velocities = VelocityBuffer(mounting, max_gap_s=0.3)
    for t in np.arange(0.0, 2.0, 0.02):
        turn = np.array([0.0, 0.0, TURN])
        velocities.add(Velocity(round(t * 1e9), np.array([6.0, 0.0, 0.0]), turn))
    for index, step in list(enumerate(_advance_all(VisualOdometer(velocities), drive)))[5:]:
        assert step.T_by_image is not None
        seen, true = step.T_by_image[:3, 3], drive.motion(index)[:3, 3]
        cosine = seen @ true / np.linalg.norm(seen) / np.linalg.norm(true)
        assert cosine > np.cos(np.radians(5.0))


def test_landmarks_are_on_the_true_surfaces() -> None:
    drive = _drive()
    step = _advance_all(VisualOdometer(drive.velocities, "fused"), drive)[-1]
    landmarks = step.landmarks
    assert len(landmarks) > 30
    assert step.counts.landmarks == len(landmarks)
    columns, rows = np.rint(landmarks.pixels).astype(int).T
    # a corner at the edge of a post may belong to either side: the nearer value within a pixel
    around = [
        1.0 / drive.depths[-1][rows + down, columns + right] - landmarks.inverse_depth
        for down in (-1, 0, 1)
        for right in (-1, 0, 1)
    ]
    error = np.abs(around).min(0)
    true = landmarks.inverse_depth
    assert np.median(np.abs(error) / true) < 0.06
    # a normal error is within two standard deviations for 95 %; edges of posts are not normal
    assert np.mean(np.abs(error) < 2 * landmarks.inverse_depth_std) > 0.75
    assert landmarks.pixels.dtype == np.float32
    assert len(set(landmarks.ids.tolist())) == len(landmarks)
    assert (landmarks.age >= 3).all() and landmarks.age.max() > 6


def test_covariance_fits_the_errors() -> None:
    drive = _drive()
    steps = _advance_all(VisualOdometer(drive.velocities, "visual"), drive)
    for index, step in list(enumerate(steps))[3:]:
        metres, radians = _errors(step, drive.motion(index))
        assert step.covariance is not None
        assert (np.linalg.eigvalsh(step.covariance) > 0).all()
        assert metres < 5 * np.sqrt(np.trace(step.covariance[:3, :3]))
        assert radians < 5 * np.sqrt(np.trace(step.covariance[3:, 3:]))


@pytest.mark.parametrize("has_odometer", [True, False])
def test_standing_still_is_exactly_no_motion_and_keeps_landmarks(has_odometer: bool) -> None:
    drive = _drive()
    buffer = _velocities(6.0, TURN, (0.0, 1.01))
    odometer = VisualOdometer(buffer, "fused")
    before = _advance_all(odometer, drive, range(11))[-1]
    if has_odometer:
        for t in np.arange(1.02, 2.0, 0.02):
            buffer.add(Velocity(round(t * 1e9), np.zeros(3), np.zeros(3)))
    rng = np.random.default_rng(0)
    for number in range(11, 18):
        noise = rng.normal(0, 1.0, (CAMERA.height, CAMERA.width))
        image = np.clip(_grey(drive, 10) + noise, 0, 255).astype(np.uint8)
        step = odometer.advance(image, number * PERIOD_NS, CAMERA)
        assert step.source == "standing"
        np.testing.assert_array_equal(step.T_earlier_later, np.eye(4))
        np.testing.assert_array_equal(step.landmarks.ids, before.landmarks.ids)


def test_driving_on_after_a_stop_keeps_tracks() -> None:
    drive = _drive()
    buffer = _velocities(6.0, TURN, (0.0, 1.0))
    for t in np.arange(1.02, 1.5, 0.02):
        buffer.add(Velocity(round(t * 1e9), np.zeros(3), np.zeros(3)))
    for t in np.arange(1.5, 2.2, 0.02):
        buffer.add(Velocity(round(t * 1e9), np.array([6.0, 0, 0]), np.array([0, 0, TURN])))
    steps = _advance_all(
        VisualOdometer(buffer, "fused"), drive, [*range(11), 10, 10, 10, 10, 10, 11, 12]
    )
    assert [step.source for step in steps[11:16]] == ["standing"] * 5
    kept = set(steps[10].landmarks.ids.tolist()) & set(steps[17].landmarks.ids.tolist())
    assert len(kept) > 10
    assert _errors(steps[17], drive.motion(12))[0] < 0.03


def test_pure_rotation_gives_no_metres() -> None:
    drive = _drive(10, 0.0, 0.3)
    steps = _advance_all(VisualOdometer(drive.velocities, "visual"), drive)
    for index, step in list(enumerate(steps))[1:]:
        metres, radians = _errors(step, drive.motion(index))
        # the camera is 0.5 m ahead of the axle: 15 mm an image
        assert metres < 0.02
        assert radians < 0.01
        assert step.source == "visual" or step.remarks


def test_a_cut_drops_landmarks_and_is_remarked() -> None:
    drive, other = _drive(), _drive(6, 4.0, -0.2)
    odometer = VisualOdometer(drive.velocities, "visual")
    last = _advance_all(odometer, drive, range(10))[-1]
    mirrored = np.ascontiguousarray(_grey(other, 0)[::-1, ::-1])
    step = odometer.advance(mirrored, 10 * PERIOD_NS, CAMERA)
    assert len(last.landmarks) and not len(step.landmarks)
    assert step.source == "odometer"
    assert step.remarks


@pytest.mark.parametrize("stamp_ns", [0, 8 * PERIOD_NS, 60 * 10**9])
def test_a_time_jump_begins_anew(stamp_ns: int) -> None:
    drive = _drive()
    odometer = VisualOdometer(drive.velocities, "fused")
    _advance_all(odometer, drive, range(10))
    step = odometer.advance(_grey(drive, 10), stamp_ns, CAMERA)
    assert step.T_earlier_later is None and step.earlier_ns is None
    assert "tracks dropped" in step.remarks[0]


def test_other_intrinsics_begin_anew() -> None:
    drive = _drive()
    odometer = VisualOdometer(drive.velocities, "fused")
    _advance_all(odometer, drive, range(5))
    other = CAMERA.cropped(2, 0, CAMERA.width, CAMERA.height)
    step = odometer.advance(_grey(drive, 5), 5 * PERIOD_NS, other)
    assert step.T_earlier_later is None
    assert "intrinsics" in step.remarks[0]


def test_what_moves_by_itself_is_no_landmark() -> None:
    """A textured square slides sideways over the image, along no epipolar line."""
    drive = _drive()
    rng = np.random.default_rng(5)
    patch = cv2.resize(rng.integers(0, 255, (12, 12), np.uint8), (36, 36))
    odometer = VisualOdometer(drive.velocities, "visual")
    for index in range(12):
        image = _grey(drive, index)
        left, top = 60 + 5 * index, 60 - 3 * index
        image[top : top + 36, left : left + 36] = patch
        step = odometer.advance(image, index * PERIOD_NS, CAMERA)
        inside = (step.landmarks.pixels >= [left, top]).all(1)
        inside &= (step.landmarks.pixels < [left + 36, top + 36]).all(1)
        if index > 3:
            assert inside.sum() <= 1
            assert _errors(step, drive.motion(index))[1] < 0.005
    assert step.counts.moving > 0


def test_odometer_dropout_keeps_the_length_by_landmarks() -> None:
    drive = _drive()
    buffer = _velocities(6.0, TURN, (0.0, 0.8))
    steps = _advance_all(VisualOdometer(buffer, "fused"), drive)
    for index in range(13, 16):
        assert steps[index].length_source == "landmarks"
        assert any("no odometry" in remark for remark in steps[index].remarks)
        assert _errors(steps[index], drive.motion(index))[0] < 0.06


def test_odometry_that_comes_after_the_image() -> None:
    """60 ms late in transit: extrapolated first, corrected by the next image."""
    drive = _drive()
    buffer = VelocityBuffer(base_to_camera(), max_gap_s=0.3)
    odometer = VisualOdometer(buffer, "fused")
    steps, sent = [], 0.0
    for index in range(16):
        while sent <= 0.1 * index - 0.06 + 1e-6:
            buffer.add(Velocity(round(sent * 1e9), np.array([6.0, 0, 0]), np.array([0, 0, TURN])))
            sent += 0.02
        steps.append(odometer.advance(_grey(drive, index), index * PERIOD_NS, CAMERA))
    assert steps[-1].length_source == "extrapolated"
    for index in range(5, 16):
        assert _errors(steps[index], drive.motion(index))[0] < 0.03


def test_without_odometer_there_are_no_metres_but_the_networks() -> None:
    drive = _drive()
    assert all(
        step.T_earlier_later is None and not len(step.landmarks)
        for step in _advance_all(VisualOdometer(None, "visual"), drive, range(5))
    )
    odometer = VisualOdometer(None, "fused")
    for index in range(8):
        network = MotionPrior(drive.motion(index), 1e-4 * np.eye(6)) if index else None
        step = odometer.advance(_grey(drive, index), index * PERIOD_NS, CAMERA, network=network)
    assert _errors(step, drive.motion(7))[0] < 0.03


def test_network_mode_publishes_the_networks_motion() -> None:
    drive = _drive()
    odometer = VisualOdometer(drive.velocities, "network")
    for index in range(8):
        network = MotionPrior(1.1 * np.eye(4), np.eye(6))
        step = odometer.advance(_grey(drive, index), index * PERIOD_NS, CAMERA, network=network)
    assert step.source == "network"
    assert step.T_earlier_later is network.T_earlier_later
    assert len(step.landmarks)


@pytest.mark.parametrize("covered", [0, 255])
def test_covered_camera_degrades_to_the_odometer_and_recovers(covered: int) -> None:
    drive = _drive()
    odometer = VisualOdometer(drive.velocities, "fused")
    for index in range(16):
        image = _grey(drive, index)
        if 5 <= index < 8:
            image = np.full_like(image, covered)
        step = odometer.advance(image, index * PERIOD_NS, CAMERA)
        if 5 <= index < 9:
            assert step.source == "odometer"
            assert step.remarks
            assert _errors(step, drive.motion(index))[0] < 1e-3
        if index:
            assert step.T_earlier_later is not None and step.covariance is not None
            assert np.isfinite(step.T_earlier_later).all()
            assert np.isfinite(step.covariance).all()
    assert step.source == "fused"


def test_noise_images_never_give_nan() -> None:
    rng = np.random.default_rng(0)
    odometer = VisualOdometer(_velocities(6.0, TURN), "visual")
    for index in range(8):
        image = rng.integers(0, 255, (CAMERA.height, CAMERA.width), np.uint8)
        step = odometer.advance(image, index * PERIOD_NS, CAMERA)
        if step.T_earlier_later is not None:
            assert np.isfinite(step.T_earlier_later).all()
            assert step.source == "odometer"


def test_wrong_image_size_and_mode_are_refused() -> None:
    with pytest.raises(ValueError, match="visual, fused, network"):
        VisualOdometer(None, "orb")
    with pytest.raises(ValueError, match="uint8"):
        VisualOdometer(None).advance(np.zeros((4, 4), np.uint8), 0, CAMERA)


def test_a_slow_robot_waits_for_parallax_and_then_moves_right() -> None:
    """15 mm an image: what the odometer gave meanwhile is not counted twice."""
    drive = _drive(24, 0.15, 0.0)
    odometer = VisualOdometer(drive.velocities, "visual")
    steps = _advance_all(odometer, drive)
    travelled = np.eye(4)
    for step in steps[1:]:
        assert step.T_earlier_later is not None
        travelled = travelled @ step.T_earlier_later
    assert travelled[2, 3] == pytest.approx(0.015 * 23, rel=0.1)
    assert np.linalg.norm(travelled[:2, 3]) < 0.03


def test_corners_may_be_looked_for_between_two_images() -> None:
    """Or at the next image: the motion is the same."""
    drive = _drive()
    lazy = _advance_all(VisualOdometer(drive.velocities), drive)
    odometer = VisualOdometer(drive.velocities)
    for number, expected in enumerate(lazy):
        step = odometer.advance(_grey(drive, number), number * PERIOD_NS, CAMERA)
        odometer.find_corners()
        odometer.find_corners()  # nothing is left to find
        assert step.counts == expected.counts
        if number:
            assert step.T_earlier_later is not None and expected.T_earlier_later is not None
            np.testing.assert_array_equal(step.T_earlier_later, expected.T_earlier_later)
