# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Anchored depth on planes whose network error and landmarks are exact."""

from __future__ import annotations

import numpy as np
import pytest

from sfm_depth_ros.geometry.camera import Intrinsics
from sfm_depth_ros.visual_odometry.anchor_points import AnchorPoints
from sfm_depth_ros.visual_odometry.anchoring import AnchoredDepth, DepthAnchor
from sfm_depth_ros.visual_odometry.landmarks import Landmarks

CAMERA = Intrinsics(200.0, 200.0, 159.5, 47.5, 320, 96)
TRACKING = CAMERA.resized(640, 192)
SECONDS = 0.1


def slanted_depth() -> np.ndarray:
    """4 m at the bottom row to 20 m at the top one, linear in inverse depth."""
    inverse = np.linspace(1 / 20, 1 / 4, CAMERA.height, dtype=np.float32)
    return np.repeat((1 / inverse)[:, None], CAMERA.width, axis=1)


def landmarks_on(
    depth: np.ndarray, count: int = 300, seed: int = 0, std: float = 0.02
) -> Landmarks:
    """Exact landmarks of a depth image at random pixels, in the tracking image twice its size."""
    rng = np.random.default_rng(seed)
    rows, columns = rng.integers(2, 94, count), rng.integers(2, 318, count)
    inverse = 1.0 / depth[rows, columns].astype(np.float64)
    pixels = np.stack((2.0 * columns + 0.5, 2.0 * rows + 0.5), axis=1).astype(np.float32)
    age, ids = np.full(count, 10), np.arange(count)
    return Landmarks(0, TRACKING, pixels, inverse, std * inverse, age, ids)


def advance(
    anchor: DepthAnchor, output: np.ndarray, landmarks: Landmarks, is_moving: bool = True
) -> AnchoredDepth:
    points = AnchorPoints.of(landmarks, output, CAMERA)
    return anchor.anchor(output, points, SECONDS, is_moving)


def anchored(
    mode: str, network: np.ndarray, landmarks: Landmarks, images: int = 30, output: str = "metric"
) -> AnchoredDepth:
    anchor = DepthAnchor(mode, output)
    for _ in range(images):
        result = advance(anchor, 1 / network, landmarks)
    return result


def abs_rel(depth: np.ndarray, truth: np.ndarray) -> float:
    return float(np.mean(np.abs(depth / truth - 1)))


def test_off_leaves_the_networks_depth() -> None:
    truth = slanted_depth()
    result = anchored("off", 1.3 * truth, landmarks_on(truth))
    np.testing.assert_allclose(result.depth, 1.3 * truth, rtol=1e-6)


@pytest.mark.parametrize("mode", ["scale", "local"])
def test_a_wrong_factor_is_found_within_three_seconds(mode: str) -> None:
    truth = slanted_depth()
    result = anchored(mode, 1.3 * truth, landmarks_on(truth))
    assert result.correction.depth_factor == pytest.approx(1 / 1.3, rel=0.01)
    assert abs_rel(result.depth, truth) < 0.01


def test_factor_survives_a_third_of_wrong_landmarks() -> None:
    truth = slanted_depth()
    seen = landmarks_on(truth)
    inverse = seen.inverse_depth.copy()
    inverse[::3] *= 0.3
    wrong = Landmarks(0, TRACKING, seen.pixels, inverse, 0.02 * inverse, seen.age, seen.ids)
    result = anchored("scale", 1.3 * truth, wrong)
    assert result.correction.depth_factor == pytest.approx(1 / 1.3, rel=0.02)


def test_local_field_follows_an_error_of_one_half_of_the_image() -> None:
    """The factor alone cannot mend it; the field does."""
    truth = slanted_depth()
    network = truth.copy()
    network[:, :160] *= 1.4
    seen = landmarks_on(truth, 600)
    by_scale = abs_rel(anchored("scale", network, seen).depth, truth)
    by_field = abs_rel(anchored("local", network, seen).depth, truth)
    assert by_scale > 0.15
    assert by_field < 0.03


def test_a_near_thing_does_not_correct_the_wall_behind() -> None:
    """Same pixels around it, other depth: the bilateral grid keeps the two apart."""
    truth = np.full((96, 320), 20.0, np.float32)
    truth[30:66, 140:180] = 5.0
    network = truth.copy()
    network[30:66, 140:180] *= 1.4
    seen = landmarks_on(truth, 600)
    result = anchored("local", network, seen)
    thing, around = np.s_[34:62, 144:176], np.s_[20:28, 130:190]
    assert abs_rel(result.depth[thing], truth[thing]) < 0.1  # 0.4 before
    assert abs_rel(result.depth[around], truth[around]) < 0.01


def test_far_from_landmarks_the_field_is_nought() -> None:
    truth = np.full((96, 320), 10.0, np.float32)
    network = truth.copy()
    network[:, :64] *= 1.5
    everywhere = landmarks_on(truth, 900)
    left = everywhere.selected(everywhere.pixels[:, 0] < 120)
    right = everywhere.selected((everywhere.pixels[:, 0] > 200) & (everywhere.pixels[:, 0] < 340))
    both = everywhere.selected(np.r_[left.ids, right.ids])
    depth = anchored("local", network, both).depth
    factor = anchored("scale", network, both).correction.depth_factor
    np.testing.assert_allclose(depth[:, 300:], factor * network[:, 300:], rtol=0.02)
    np.testing.assert_allclose(depth[:, 10:50], 10.0, rtol=0.06)


@pytest.mark.parametrize("count", [0, 5])
@pytest.mark.parametrize("mode", ["scale", "local"])
def test_without_landmarks_a_metric_network_is_left_alone(mode: str, count: int) -> None:
    truth = slanted_depth()
    seen = landmarks_on(truth, 20).selected(np.arange(count))
    result = anchored(mode, truth, seen)
    np.testing.assert_allclose(result.depth, truth, rtol=1e-4)
    assert "too few landmarks" in result.remark


def test_a_correction_fades_to_the_networks_own_metres_without_landmarks() -> None:
    truth = slanted_depth()
    anchor = DepthAnchor("scale")
    seen = landmarks_on(truth)
    for _ in range(30):
        advance(anchor, 1 / (1.5 * truth), seen)
    assert anchor.correction.depth_factor == pytest.approx(1 / 1.5, rel=0.02)
    none = Landmarks.none(0, TRACKING)
    factors = []
    for _ in range(1000):
        advance(anchor, 1 / (1.5 * truth), none)
        factors.append(anchor.correction.depth_factor)
    assert np.all(np.diff(factors) >= -1e-9)  # towards 1, never past it
    assert max(np.abs(np.diff(factors))) < 0.02
    assert factors[-1] > 0.9


def test_invalid_pixels_stay_invalid_and_touch_nothing() -> None:
    truth = slanted_depth()
    network = 1.3 * truth
    network[:, :40] = np.nan
    result = anchored("local", network, landmarks_on(truth))
    assert np.isnan(result.depth[:, :40]).all()
    assert np.isfinite(result.depth[:, 40:]).all()
    assert abs_rel(result.depth[:, 45:], truth[:, 45:]) < 0.01


@pytest.mark.parametrize("mode", ["off", "scale", "local"])
def test_sky_at_infinity_stays_far(mode: str) -> None:
    """Inverse output 0, as affine networks have it: beyond every range, not a wall and not NaN."""
    truth = slanted_depth()
    output = 1 / (1.3 * truth)
    output[:8] = 0.0
    anchor = DepthAnchor(mode)
    for _ in range(30):
        depth = advance(anchor, output, landmarks_on(truth)).depth
    assert (depth[:8] > 1000).all()
    assert np.isfinite(depth[10:]).all()


def test_an_infinite_output_is_invalid() -> None:
    truth = slanted_depth()
    output = 1 / truth
    output[40:60, 40:60] = np.inf
    anchor = DepthAnchor("local")
    for _ in range(30):
        depth = advance(anchor, output, landmarks_on(truth)).depth
    assert np.isnan(depth[40:60, 40:60]).all()
    assert np.count_nonzero(np.isnan(depth)) == 400
    known = np.isfinite(depth)
    assert abs_rel(depth[known], truth[known]) < 0.01


def test_a_moving_things_landmarks_hardly_bend_what_is_around() -> None:
    """A car of 40x30 pixels whose landmarks all lie twice as far as it is."""
    truth = slanted_depth()
    seen = landmarks_on(truth, 500)
    columns, rows = seen.pixels[:, 0] / 2, seen.pixels[:, 1] / 2
    on_car = (columns > 140) & (columns < 180) & (rows > 40) & (rows < 70)
    inverse = np.where(on_car, 0.5, 1.0) * seen.inverse_depth
    moving = Landmarks(0, TRACKING, seen.pixels, inverse, 0.02 * inverse, seen.age, seen.ids)
    result = anchored("local", truth, moving)
    away = np.ones((96, 320), bool)
    away[30:80, 120:200] = False
    assert on_car.sum() >= 10
    assert abs_rel(result.depth[away], truth[away]) < 0.02


def test_landmarks_that_contradict_each_other_are_hardly_followed() -> None:
    """Depths of noise, a factor of e^1.5 wide, beside a network that is right."""
    truth = slanted_depth()
    seen = landmarks_on(truth, 300)
    noise = np.exp(np.random.default_rng(3).normal(0, 1.5, 300))
    inverse = seen.inverse_depth * noise
    wild = Landmarks(0, TRACKING, seen.pixels, inverse, 0.02 * inverse, seen.age, seen.ids)
    factor = anchored("scale", truth, wild).correction.depth_factor
    result = anchored("local", truth, wild)
    assert abs_rel(result.depth, factor * truth) < 0.1  # 0.37 if they were


def test_a_jump_of_all_landmarks_is_held_and_then_taken() -> None:
    """Wheels that slip for 10 s leave the factor; a lasting change becomes the new one."""
    truth = slanted_depth()
    anchor = DepthAnchor("scale")
    for _ in range(50):
        advance(anchor, 1 / truth, landmarks_on(truth))
    slipping = landmarks_on(2.0 * truth)
    for _ in range(100):
        result = advance(anchor, 1 / truth, slipping)
    assert result.correction.depth_factor == pytest.approx(1.0, rel=0.02)
    assert "slipping" in result.remark
    for _ in range(150):
        result = advance(anchor, 1 / truth, slipping)
    assert result.correction.depth_factor == pytest.approx(2.0, rel=0.02)


def test_standing_keeps_the_correction() -> None:
    truth = slanted_depth()
    anchor = DepthAnchor("scale")
    for _ in range(30):
        advance(anchor, 1 / (1.3 * truth), landmarks_on(truth))
    before = anchor.correction
    for _ in range(600):
        advance(anchor, 1 / (1.3 * truth), Landmarks.none(0, TRACKING), is_moving=False)
    assert anchor.correction.inverse_factor == before.inverse_factor


def test_standing_keeps_the_field_when_landmarks_vanish_or_drift() -> None:
    """Bit for bit: depth does not swim while nothing moves."""
    truth = slanted_depth()
    network = truth.copy()
    network[:, :160] *= 1.4
    anchor = DepthAnchor("local")
    for _ in range(30):
        moving = advance(anchor, 1 / network, landmarks_on(truth, 600))
    for seen in (Landmarks.none(0, TRACKING), landmarks_on(1.5 * truth, 600)):
        still = advance(anchor, 1 / network, seen, is_moving=False)
        np.testing.assert_array_equal(still.depth, moving.depth)


def test_affine_output_gets_its_factor_and_shift() -> None:
    """1 / depth = A output + B with A = 0.002, B = 0.01 1/m, and two per cent of noise."""
    truth = slanted_depth()
    output = ((1 / truth) - 0.01) / 0.002
    seen = landmarks_on(truth, 400)
    noise = np.random.default_rng(1).normal(0, 0.02, 400)
    inverse = seen.inverse_depth * (1 + noise)
    noisy = Landmarks(0, TRACKING, seen.pixels, inverse, 0.02 * inverse, seen.age, seen.ids)
    anchor = DepthAnchor("scale", "affine")
    for _ in range(10):
        result = advance(anchor, output, noisy)
    assert result.correction.inverse_factor == pytest.approx(0.002, rel=0.02)
    assert result.correction.inverse_shift == pytest.approx(0.01, abs=0.002)
    assert abs_rel(result.depth, truth) < 0.01


def test_affine_output_of_one_depth_alone_is_not_split() -> None:
    """A wall straight ahead has one output: factor and shift cannot be told apart."""
    truth = np.full((96, 320), 5.0, np.float32)
    result = anchored("scale", truth, landmarks_on(truth), output="affine")
    assert result.correction.inverse_shift == 0.0
    assert result.correction.inverse_factor == 1.0


def test_up_to_scale_output_takes_the_first_fit() -> None:
    truth = slanted_depth()
    result = anchored("scale", 0.04 * truth, landmarks_on(truth), images=1, output="up_to_scale")
    assert result.correction.depth_factor == pytest.approx(25.0, rel=0.01)


def test_a_network_without_metres_that_calls_itself_metric_is_corrected_within_seconds() -> None:
    """A thirtieth of the truth: held for two seconds, then taken, and never faded from."""
    truth = slanted_depth()
    anchor = DepthAnchor("scale")
    for _ in range(19):
        result = advance(anchor, 30 / truth, landmarks_on(truth))
    assert "without metres" in result.remark
    assert result.correction.depth_factor == 1.0
    for _ in range(4):
        result = advance(anchor, 30 / truth, landmarks_on(truth))
    assert result.correction.depth_factor == pytest.approx(30.0, rel=0.01)
    for _ in range(1000):
        result = advance(anchor, 30 / truth, Landmarks.none(0, TRACKING))
    assert result.correction.depth_factor == pytest.approx(30.0, rel=0.01)


def test_variance_is_small_where_landmarks_agree_and_large_without() -> None:
    truth = slanted_depth()
    seen = landmarks_on(truth, 600)
    left = seen.selected(seen.pixels[:, 0] < 320)
    result = anchored("local", truth, left)
    assert result.log_variance is not None
    # at every second pixel
    assert result.log_variance[10:40, 10:60].mean() < 0.3 * result.log_variance[:, 125:].mean()


def test_wrong_names_are_refused() -> None:
    with pytest.raises(ValueError, match="mode is 'best'"):
        DepthAnchor("best")
    with pytest.raises(ValueError, match="output is 'disparity'"):
        DepthAnchor("local", "disparity")


def test_traffic_that_drives_ahead_is_hardly_followed() -> None:
    """A lorry of a quarter of the image keeps up, so that its landmarks lie twice too far."""
    truth = slanted_depth()
    seen = landmarks_on(truth, 120)
    columns, rows = seen.pixels[:, 0] / 2, seen.pixels[:, 1] / 2
    on_lorry = (columns > 200) & (columns < 280) & (rows < 60)
    inverse = np.where(on_lorry, 0.5, 1.0) * seen.inverse_depth
    std = np.where(on_lorry, 0.12, 0.05) * inverse
    moving = Landmarks(0, TRACKING, seen.pixels, inverse, std, seen.age, seen.ids)
    patches = np.kron(np.random.default_rng(1).standard_normal((6, 20)), np.ones((16, 16)))
    network = (truth * np.exp(0.3 * patches)).astype(np.float32)
    result = anchored("local", network, moving)
    lorry = np.zeros((96, 320), bool)
    lorry[:60, 200:280] = True
    assert on_lorry.sum() >= 10
    # 1.2 with the weights of landmarks that are nearer than the network has it
    assert np.median(result.depth[lorry] / truth[lorry]) < 1.15
