# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Depth and motion of wrong networks, put right by corners and the odometer."""

from __future__ import annotations

import threading
from dataclasses import replace

import numpy as np
import pytest
from exact_drive import CAMERA, Drive, create_oracle_engine, make_drive, oracle

from sfm_depth_ros.camera.camera_model import CameraModel
from sfm_depth_ros.config.networks import INVERSE_AFFINE, METRIC
from sfm_depth_ros.config.schema import DepthNetworkConfig, DepthNodeConfig
from sfm_depth_ros.estimation.depth_estimator import DepthEstimator
from sfm_depth_ros.estimation.depth_result import DepthResult
from sfm_depth_ros.visual_odometry.tracker import PointTracker

NEAR = 40.0  # metres: beyond, the drive's corners hardly move


@pytest.fixture(scope="module")
def long_drive() -> Drive:
    return make_drive(30, speed=8.0, yaw_rate=0.1)


def _run(
    drive: Drive, depth_factor: float, motion_factor: float = 1.0, **options: object
) -> tuple[DepthEstimator, list[DepthResult]]:
    estimator = DepthEstimator(
        oracle(drive, depth_factor, motion_factor),
        CameraModel.from_intrinsics(CAMERA),
        DepthNodeConfig(**options),
        create_oracle_engine,
    )
    estimator.wants_confidence = True
    results = [
        estimator.estimate(frame.image, frame.stamp_ns, "camera", drive.velocities)
        for frame in drive.frames
    ]
    return estimator, results


def _ratio(depth: np.ndarray, truth: np.ndarray) -> float:
    near = (truth < NEAR) & np.isfinite(depth)
    return float(np.median(depth[near] / truth[near]))


@pytest.mark.parametrize("anchoring", ["scale", "local"])
def test_landmarks_give_depth_its_metres(long_drive: Drive, anchoring: str) -> None:
    _, results = _run(long_drive, 1.4, anchoring=anchoring)
    newest, truth = results[-1], long_drive.depths[-1]
    assert _ratio(newest.network_depth, truth) == pytest.approx(1.4, rel=1e-3)
    assert _ratio(newest.frame_depth, truth) == pytest.approx(1.0, abs=0.07)
    assert newest.correction.depth_factor == pytest.approx(1 / 1.4, rel=0.07)


def test_without_anchoring_depth_is_the_networks(long_drive: Drive) -> None:
    _, results = _run(long_drive, 1.4, anchoring="off")
    np.testing.assert_array_equal(results[-1].frame_depth, results[-1].network_depth)


def test_a_scale_correction_needs_no_anchoring(long_drive: Drive) -> None:
    _, results = _run(long_drive, 1.4, anchoring="off", apply_scale="correct")
    assert _ratio(results[-1].frame_depth, long_drive.depths[-1]) == pytest.approx(1.0, abs=0.07)


@pytest.mark.parametrize("factor", [0.6, 1.6])
def test_a_model_at_another_focal_length_gets_its_metres(long_drive: Drive, factor: float) -> None:
    """A network that takes no heed of the focal length is off by its ratio."""
    _, results = _run(long_drive, factor, anchoring="off", apply_scale="correct")
    assert _ratio(results[-1].frame_depth, long_drive.depths[-1]) == pytest.approx(1.0, abs=0.05)


def test_a_network_without_metres_gets_them_within_three_seconds(long_drive: Drive) -> None:
    _, results = _run(long_drive, 1 / 30, anchoring="off", apply_scale="correct")
    early, newest = results[10], results[-1]
    assert _ratio(early.frame_depth, long_drive.depths[10]) == pytest.approx(1 / 30, rel=1e-3)
    assert _ratio(newest.frame_depth, long_drive.depths[-1]) == pytest.approx(1.0, abs=0.07)


def test_the_monitor_has_the_networks_scale_in_its_interval(long_drive: Drive) -> None:
    _, results = _run(long_drive, 1.3, anchoring="off")
    scale = results[-1].depth_scale
    assert scale is not None
    assert scale.ratio == pytest.approx(1.3, rel=0.05)


@pytest.mark.parametrize("mode", ["visual", "fused"])
def test_motion_is_the_images_and_not_a_wrong_networks(long_drive: Drive, mode: str) -> None:
    _, results = _run(long_drive, 1.0, 0.5, ego_motion=mode)
    for index, result in enumerate(results[5:], 5):
        assert result.ego_motion is not None
        true = long_drive.motion(index)
        moved = result.ego_motion.T_earlier_later[:3, 3]
        np.testing.assert_allclose(moved, true[:3, 3], atol=0.03)
        assert result.T_network is None, "the pose network need not run"


def test_the_networks_motion_is_as_uncertain_as_it_was_wrong(long_drive: Drive) -> None:
    """And not as the published motion, which is the images' and the odometer's."""
    camera = CameraModel.from_intrinsics(CAMERA)
    estimator = DepthEstimator(
        oracle(long_drive, 1.0, 0.5),
        camera,
        DepthNodeConfig(),
        create_oracle_engine,
        always_network=True,
    )
    for frame in long_drive.frames[:-1]:
        estimator.estimate(frame.image, frame.stamp_ns, "camera", long_drive.velocities)
    last = long_drive.frames[-1]  # without velocities corners begin anew: the network's is left
    motion = estimator.estimate(last.image, last.stamp_ns, "camera").ego_motion
    assert motion is not None
    assert motion.length == pytest.approx(0.5 * 0.8, rel=0.02)
    assert np.sqrt(motion.covariance[2, 2]) == pytest.approx(0.5 * 0.8, rel=0.05)


def test_the_networks_motion_is_published_where_it_is_wanted(long_drive: Drive) -> None:
    _, results = _run(long_drive, 1.0, 0.5, ego_motion="network")
    motion = results[-1].ego_motion
    assert motion is not None
    assert motion.length == pytest.approx(0.5 * 0.8, rel=0.02)


def test_confidence_is_a_share_and_lower_where_depth_is_unknown(long_drive: Drive) -> None:
    _, results = _run(long_drive, 1.0)
    confidence = results[-1].confidence
    assert confidence is not None
    assert confidence.dtype == np.float32
    assert ((confidence >= 0) & (confidence <= 1)).all()
    assert (confidence[~np.isfinite(results[-1].network_depth)] < 0.5).all()


def test_a_reset_drops_the_landmarks(long_drive: Drive) -> None:
    estimator, results = _run(long_drive, 1.0)
    assert results[-1].step is not None and len(results[-1].step.landmarks) > 30
    estimator.reset()
    frame = long_drive.frames[-1]
    after = estimator.estimate(frame.image, frame.stamp_ns + 10**8, "camera")
    assert after.step is not None and len(after.step.landmarks) == 0
    assert after.ego_motion is None


def test_no_result_waits_for_the_corners_of_the_next_image(
    long_drive: Drive, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The search ends only after the result is there; the next image and a reset wait for it."""
    returned = threading.Semaphore(0)
    found = PointTracker.new_corners

    def slow(tracker: PointTracker, *arguments: object, **options: object) -> np.ndarray:
        odometer = estimator._motion._odometer
        if odometer is not None and tracker is odometer._search._tracker:  # none of another test
            assert returned.acquire(timeout=20.0), "the result waited for the corners"
        return found(tracker, *arguments, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(PointTracker, "new_corners", slow)
    estimator = DepthEstimator(
        oracle(long_drive), CameraModel.from_intrinsics(CAMERA), DepthNodeConfig(),
        create_oracle_engine,
    )  # fmt: skip
    tracked = []
    for frame in long_drive.frames[:8]:
        result = estimator.estimate(frame.image, frame.stamp_ns, "", long_drive.velocities)
        returned.release()
        assert result.step is not None
        tracked.append(result.step.counts.tracked)
    assert min(tracked[2:]) > 50
    estimator.reset()
    estimator.close()


@pytest.mark.parametrize(
    ("head", "learnt_metres", "is_witness"),
    [(METRIC, True, True), (METRIC, False, False), (INVERSE_AFFINE, False, False)],
)
def test_a_network_without_metres_is_no_witness_of_the_speeds_unit(
    long_drive: Drive, head: str, learnt_metres: bool, is_witness: bool
) -> None:
    """Its scale against the landmarks is measured all the same."""
    network = DepthNetworkConfig("depth_anything_v2_small", head=head)
    folder = replace(oracle(long_drive), depth_config=network, learnt_metres=learnt_metres)
    estimator = DepthEstimator(
        folder, CameraModel.from_intrinsics(CAMERA), DepthNodeConfig(), create_oracle_engine
    )
    for frame in long_drive.frames:
        result = estimator.estimate(frame.image, frame.stamp_ns, "", long_drive.velocities)
    assert result.depth_scale is not None
    assert (estimator._motion._network_scale is not None) == is_witness
