# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The heart, with engines that know the answer."""

from __future__ import annotations

import dataclasses
from itertools import pairwise

import numpy as np
import pytest
from exact_drive import (
    CAMERA,
    PERIOD_NS,
    Drive,
    OracleEngine,
    OracleFolder,
    base_to_camera,
    create_oracle_engine,
    oracle,
)

from sfm_depth_ros.camera.camera_model import CameraModel
from sfm_depth_ros.camera.image_layout import lanczos
from sfm_depth_ros.config.schema import DepthNodeConfig, PoseNetworkConfig
from sfm_depth_ros.errors import DataError, EngineError
from sfm_depth_ros.estimation.depth_estimator import DepthEstimator
from sfm_depth_ros.estimation.depth_result import DepthResult
from sfm_depth_ros.geometry.camera import Intrinsics
from sfm_depth_ros.snippets.values import Frame
from sfm_depth_ros.snippets.velocity import VelocityBuffer
from sfm_depth_ros.visual_odometry.ego_motion import EgoMotion


def _estimator(folder: OracleFolder, **options: object) -> DepthEstimator:
    config = DepthNodeConfig(**{"tracking_width": 0, **options})  # the networks alone
    return DepthEstimator(
        folder, CameraModel.from_intrinsics(CAMERA), config, create_oracle_engine
    )


def _run(estimator: DepthEstimator, drive: Drive) -> list[DepthResult]:
    return [
        estimator.estimate(frame.image, frame.stamp_ns, frame.frame_id, drive.velocities)
        for frame in drive.frames
    ]


def test_true_networks_give_true_metres_and_motion(drive: Drive) -> None:
    results = _run(_estimator(oracle(drive), max_depth=1000.0), drive)
    for index, (result, truth) in enumerate(zip(results, drive.depths, strict=True)):
        near = truth < 100
        np.testing.assert_allclose(result.depth[near], truth[near], rtol=1e-5)
        assert result.stamp_ns == drive.frames[index].stamp_ns
        assert result.frame_id == "camera"
        assert result.intrinsics == CAMERA
        if index:
            assert result.ego_motion is not None
            np.testing.assert_allclose(
                result.ego_motion.T_earlier_later, drive.motion(index), atol=1e-6
            )
            assert result.ego_motion.seconds == pytest.approx(0.1)


def test_scales_of_depth_and_of_translation_are_told_apart(drive: Drive) -> None:
    estimator = _estimator(oracle(drive, depth_factor=1.3, motion_factor=0.7))
    results = _run(estimator, drive)
    depth, translation = estimator.scale.depth_scale_ratio, estimator.scale.translation_scale_ratio
    assert depth is not None
    assert translation is not None
    assert depth.median == pytest.approx(1.3, rel=0.03)
    assert depth.count >= 8
    assert translation.median == pytest.approx(0.7, rel=1e-3)
    assert results[0].ego_motion is None
    assert "no image before" in results[0].remarks[0]
    assert results[-1].depth_scale is not None
    assert results[-1].translation_ratio == pytest.approx(0.7, rel=1e-3)


def test_pairs_wait_for_late_odometry(drive: Drive) -> None:
    estimator = _estimator(oracle(drive))
    late = VelocityBuffer(base_to_camera(), max_gap_s=0.3)
    ratios, stamps = [], range(0, 10**10, 20_000_000)
    for frame in drive.frames:
        for stamp in stamps:
            if stamp > frame.stamp_ns - 60_000_000:
                break
            late.add(drive.velocities.at(stamp))
        result = estimator.estimate(frame.image, frame.stamp_ns, "camera", late)
        ratios.append(result.translation_ratio)
    assert ratios[:2] == [None, None]
    assert ratios[2:] == pytest.approx([1.0] * (len(ratios) - 2))


def test_covariance_comes_from_the_odometer_once_there_is_enough(drive: Drive) -> None:
    results = _run(_estimator(oracle(drive, motion_factor=0.5)), drive)
    assert results[1].ego_motion is not None
    first = np.sqrt(results[1].ego_motion.covariance[2, 2])
    assert first == pytest.approx(0.2 * results[1].ego_motion.length, rel=0.05)


def test_no_velocities_no_scale_but_depth_and_motion(drive: Drive) -> None:
    estimator = _estimator(oracle(drive))
    estimator.estimate(drive.frames[0].image, 0)
    result = estimator.estimate(drive.frames[1].image, PERIOD_NS)
    assert result.ego_motion is not None
    assert result.depth_scale is None
    assert result.remarks == ()


def test_range_and_invalid_pixels(drive: Drive) -> None:
    folder = oracle(drive)
    result = _run(_estimator(folder, min_depth=3.0, max_depth=20.0), drive)[0]
    truth = drive.depths[0]
    assert np.isposinf(result.depth[truth > 20.1]).all()
    assert np.isnan(result.depth[truth < 2.9]).all()
    inside = (truth > 3.1) & (truth < 19.9)
    np.testing.assert_allclose(result.depth[inside], truth[inside], rtol=1e-5)


def test_time_that_runs_backwards_or_jumps_makes_no_pair(drive: Drive) -> None:
    estimator = _estimator(oracle(drive), max_image_gap=0.5)
    image = drive.frames[0].image
    estimator.estimate(image, 10**9)
    assert "not newer than" in estimator.estimate(image, 5 * 10**8).remarks[0]
    assert "max_image_gap" in estimator.estimate(image, 2 * 10**9).remarks[0]
    assert estimator.estimate(image, 2 * 10**9 + PERIOD_NS).ego_motion is not None
    estimator.reset()
    assert estimator.estimate(image, 2 * 10**9 + 2 * PERIOD_NS).ego_motion is None


def test_output_at_the_inputs_size(drive: Drive) -> None:
    wide = Intrinsics.from_hfov(80.0, 640, 200)
    folder = oracle(drive)
    config = DepthNodeConfig(output_size="input", max_depth=1000.0)
    estimator = DepthEstimator(
        folder, CameraModel.from_intrinsics(wide), config, create_oracle_engine
    )
    result = estimator.estimate(np.zeros((200, 640, 3), np.uint8), 0)
    assert result.depth.shape == (200, 640)
    assert result.intrinsics == wide
    assert result.frame_depth.shape == (96, 320)
    # Row 190 of 200 is row 95 - 4 of 96: four rows of the sky are cut off.
    assert result.depth[190, 320] == result.frame_depth[91, 160]
    assert np.isnan(result.depth[:6]).all()
    assert len(result.points(stride=4)) > 400


def test_swap_takes_effect_with_the_next_image_and_forgets_the_scale(drive: Drive) -> None:
    estimator = _estimator(oracle(drive))
    _run(estimator, drive)
    old_engines = estimator.model
    prepared = estimator.prepare(dataclasses.replace(oracle(drive, 2.0), model_id="newer"))
    assert estimator.model.model_id == "oracle"
    estimator.swap(prepared)
    assert estimator.model.model_id == "newer"
    assert estimator.scale.depth_scale_ratio is None
    assert old_engines.depth_engine.closed
    assert old_engines.pose_engine.closed
    stamp = drive.frames[-1].stamp_ns + PERIOD_NS
    result = estimator.estimate(drive.frames[0].image, stamp, velocities=drive.velocities)
    assert result.model_id == "newer"
    assert result.ego_motion is not None  # the pair of images survives the swap
    near = drive.depths[0] < 40
    np.testing.assert_allclose(result.depth[near], 2 * drive.depths[0][near], rtol=1e-5)


def test_an_engine_that_fails_once_leaves_no_wrong_pair(drive: Drive) -> None:
    estimator = _estimator(oracle(drive))
    estimator.estimate(drive.frames[0].image, 0)
    good = estimator.model.depth_engine.infer

    def fail(image: np.ndarray) -> np.ndarray:
        raise EngineError("out of memory; use a smaller image")

    estimator.model.depth_engine.infer = fail  # type: ignore[method-assign]
    with pytest.raises(EngineError):
        estimator.estimate(drive.frames[1].image, PERIOD_NS)
    estimator.model.depth_engine.infer = good  # type: ignore[method-assign]
    assert estimator.estimate(drive.frames[2].image, 2 * PERIOD_NS).ego_motion is None
    assert estimator.estimate(drive.frames[3].image, 3 * PERIOD_NS).ego_motion is not None


def test_engines_get_the_images_in_order(drive: Drive) -> None:
    estimator = _estimator(oracle(drive))
    _run(estimator, drive)
    pose_engine = estimator.model.pose_engine
    assert isinstance(pose_engine, OracleEngine)
    pair = pose_engine.inputs[4][0]  # (6, h, w) of frames 4 and 5
    np.testing.assert_allclose(pair[:3], drive.frames[4].image.transpose(2, 0, 1) / 255, atol=1e-6)
    np.testing.assert_allclose(pair[3:], drive.frames[5].image.transpose(2, 0, 1) / 255, atol=1e-6)


def test_a_pose_engine_that_cannot_be_made_closes_the_other(drive: Drive) -> None:
    made: list[OracleEngine] = []

    def create(*arguments: object, **_: object) -> OracleEngine:
        if arguments[1] == "pose":
            raise EngineError("no engine; install one")
        made.append(create_oracle_engine(*arguments))
        return made[-1]

    with pytest.raises(EngineError, match="install one"):
        DepthEstimator(
            oracle(drive), CameraModel.from_intrinsics(CAMERA), DepthNodeConfig(), create
        )
    assert made[0].closed


class RefittableEngine(OracleEngine):
    """Takes another model's answers while it runs."""

    def refit(self, folder: OracleFolder) -> bool:
        self.answers = folder.depths
        return True


def test_an_engine_that_takes_new_weights_is_kept(drive: Drive) -> None:
    fails = False

    def create(folder: OracleFolder, network: str, size: tuple[int, int], **_: object) -> object:
        if network == "depth":
            return RefittableEngine(folder.depths, (1, 3, *size))
        if fails:
            raise EngineError("the pose network does not pass")
        return create_oracle_engine(folder, network, size)

    estimator = DepthEstimator(
        oracle(drive), CameraModel.from_intrinsics(CAMERA), DepthNodeConfig(), create
    )
    depth_engine, pose_engine = (
        estimator.model.depth_engine,
        estimator.model.pose_engine,
    )
    estimator.swap(estimator.prepare(dataclasses.replace(oracle(drive, 2.0), model_id="newer")))
    assert estimator.model.model_id == "newer"
    assert estimator.model.depth_engine is depth_engine
    assert pose_engine.closed
    near = drive.depths[0] < 40
    result = estimator.estimate(drive.frames[0].image, 0)
    np.testing.assert_allclose(result.depth[near], 2 * drive.depths[0][near], rtol=1e-5)
    fails = True
    with pytest.raises(EngineError, match="does not pass"):
        estimator.prepare(dataclasses.replace(oracle(drive, 3.0), model_id="refused"))
    depth_engine.calls = 0
    again = estimator.estimate(drive.frames[0].image, PERIOD_NS)
    np.testing.assert_array_equal(again.depth, result.depth)  # of the old weights


def test_wrong_sizes_are_refused(drive: Drive) -> None:
    estimator = _estimator(oracle(drive))
    with pytest.raises(DataError, match="camera_info"):
        estimator.estimate(np.zeros((90, 320, 3), np.uint8), 0)
    with pytest.raises(DataError, match="one camera"):
        estimator.estimate_frame(
            dataclasses.replace(drive.frames[0], image=np.zeros((64, 320, 3), np.uint8))
        )


def test_the_motion_is_known_before_depth_and_its_failure_is_not_swallowed(drive: Drive) -> None:
    estimator = _estimator(oracle(drive))
    motions: list[EgoMotion] = []
    results = [
        estimator.estimate(frame.image, frame.stamp_ns, on_motion=motions.append)
        for frame in drive.frames[:3]
    ]
    assert motions == [result.ego_motion for result in results[1:]]

    def fail(motion: EgoMotion) -> None:
        raise RuntimeError("cannot be published")

    frame = drive.frames[3]
    with pytest.raises(RuntimeError, match="cannot be published"):
        estimator.estimate(frame.image, frame.stamp_ns, on_motion=fail)


def test_a_frame_may_be_prepared_before_its_turn(drive: Drive) -> None:
    beside, alone = _estimator(oracle(drive)), _estimator(oracle(drive))
    frames = [beside.frame(f.image, f.stamp_ns, f.frame_id) for f in drive.frames]
    assert all(beside.model.takes(frame) for frame in frames)
    results = [beside.estimate_frame(frame, drive.velocities) for frame in frames]
    for found, expected in zip(results, _run(alone, drive), strict=True):
        np.testing.assert_array_equal(found.depth, expected.depth)
        assert found.translation_ratio == expected.translation_ratio
    smaller = CameraModel.from_intrinsics(Intrinsics.from_hfov(80.0, 320, 64))
    other = DepthEstimator(oracle(drive), smaller, DepthNodeConfig(), create_oracle_engine)
    assert not other.model.takes(frames[0])


def test_a_frame_of_a_model_before_is_made_again(drive: Drive) -> None:
    """A model of another size was swapped in after the frame was prepared."""
    estimator, camera = _estimator(oracle(drive)), Intrinsics.from_hfov(80.0, 320, 64)
    before = DepthEstimator(
        oracle(drive), CameraModel.from_intrinsics(camera), DepthNodeConfig(), create_oracle_engine
    )
    raw = drive.frames[0]
    outdated = before.frame(raw.image[:64], raw.stamp_ns)
    with pytest.raises(DataError, match="frame is 320x64, but the engines are for 320x96"):
        estimator.estimate_frame(outdated)

    def make_again() -> Frame:
        return estimator.frame(raw.image, raw.stamp_ns, raw.frame_id)

    result = estimator.estimate_frame(outdated, make_again=make_again)
    np.testing.assert_array_equal(result.depth, _run(_estimator(oracle(drive)), drive)[0].depth)


def test_timings_name_every_stage(drive: Drive) -> None:
    result = _run(_estimator(oracle(drive)), drive)[-1]
    stages = dict(result.timings_ms)
    total = stages.pop("total")
    assert list(stages) == ["tensor", "depth", "motion", "output"]
    assert total == pytest.approx(sum(stages.values()), abs=1e-6)
    assert _run(_estimator(oracle(drive)), drive)[0].frame.image.shape == (96, 320, 3)


def _three_images(drive: Drive) -> OracleFolder:
    """An oracle that sees three images: its first six numbers are of the pair before."""
    folder = oracle(drive)
    both = [np.concatenate(pair, axis=1) for pair in pairwise(folder.motions)]
    return dataclasses.replace(folder, motions=both, pose_config=PoseNetworkConfig("posenet"))


def test_a_network_of_three_images_says_the_newest_motion(drive: Drive) -> None:
    estimator = _estimator(_three_images(drive))
    results = _run(estimator, drive)
    assert [result.ego_motion is None for result in results[:3]] == [True, True, False]
    assert results[1].remarks == (
        "no ego-motion: the pose network needs two images before this one",
    )
    for index, result in enumerate(results[2:], start=2):
        assert result.ego_motion is not None
        assert result.ego_motion.seconds == pytest.approx(0.1)
        np.testing.assert_allclose(
            result.ego_motion.T_earlier_later, drive.motion(index), atol=1e-6
        )
    translation = estimator.scale.translation_scale_ratio
    assert translation is not None
    assert translation.median == pytest.approx(1.0, rel=1e-3)
    pose_engine = estimator.model.pose_engine
    assert isinstance(pose_engine, OracleEngine)
    for channels, frame in zip(
        np.split(pose_engine.inputs[3][0], 3), drive.frames[3:6], strict=True
    ):
        np.testing.assert_allclose(channels, frame.image.transpose(2, 0, 1) / 255, atol=1e-6)


def test_a_network_of_three_images_waits_again_after_a_gap(drive: Drive) -> None:
    estimator = _estimator(_three_images(drive), max_image_gap=0.5)
    stamps = [0, 100, 200, 1000, 1100, 1200]  # ms
    results = [
        estimator.estimate(frame.image, stamp * 1_000_000)
        for frame, stamp in zip(drive.frames, stamps, strict=False)
    ]
    assert [result.ego_motion is None for result in results] == [True, True, False] * 2


def test_a_swap_to_a_network_of_more_images_starts_anew(drive: Drive) -> None:
    estimator = _estimator(oracle(drive))
    _run(estimator, drive)
    estimator.swap(estimator.prepare(_three_images(drive)))
    start = drive.frames[-1].stamp_ns
    results = [
        estimator.estimate(drive.frames[i].image, start + (i + 1) * PERIOD_NS) for i in range(3)
    ]
    assert [result.ego_motion is None for result in results] == [True, True, False]


def test_a_model_keeps_the_filter_that_it_was_trained_with(drive: Drive) -> None:
    camera = CameraModel.from_intrinsics(CAMERA.resized(2 * CAMERA.width, 2 * CAMERA.height))
    folder = dataclasses.replace(oracle(drive), resize_filter="lanczos")
    estimator = DepthEstimator(folder, camera, DepthNodeConfig(), create_oracle_engine)
    large = np.kron(drive.frames[0].image, np.ones((2, 2, 1), np.uint8))
    frame = estimator.estimate(large, 0).frame
    assert np.array_equal(frame.image, lanczos(large, (CAMERA.width, CAMERA.height)))


def test_a_refocused_camera_keeps_engines_and_history(drive: Drive) -> None:
    camera = CameraModel.from_intrinsics(CAMERA, "camera")
    estimator = DepthEstimator(
        oracle(drive), camera, DepthNodeConfig(), create_engine=create_oracle_engine
    )
    engines = estimator.model.engines
    for index, frame in enumerate(drive.frames):
        focal = CAMERA.fx * (1 + 0.002 * index)  # 0.2 % an image
        focused = dataclasses.replace(CAMERA, fx=focal, fy=focal)
        assert estimator.refocus(CameraModel.from_intrinsics(focused, "camera"))
        made = estimator.frame(frame.image, frame.stamp_ns)
        assert estimator.model.takes(made)
        result = estimator.estimate_frame(made, drive.velocities)
        assert result.intrinsics.fx == focal
        assert not any("other intrinsics" in remark for remark in result.remarks)
        assert index == 0 or result.ego_motion is not None
    assert estimator.model.engines == engines
    small = dataclasses.replace(CAMERA, height=192, cy=95.5)
    assert not estimator.refocus(CameraModel.from_intrinsics(small, "camera"))
    estimator.close()
