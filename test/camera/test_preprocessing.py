# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import cv2
import numpy as np
import pytest

from sfm_depth_ros.camera.camera_model import CameraModel
from sfm_depth_ros.camera.image_layout import NetworkInput
from sfm_depth_ros.camera.preprocessing import Preprocessor
from sfm_depth_ros.errors import DataError

# a real lens of a driving camera, whose P describes a smaller image than width x height
LENS = {
    "D": [-0.3728755, 0.2037299, 0.00221903, 0.00138371, -0.07233722],
    "P": [721.5377, 0, 609.5593, 0, 0, 721.5377, 172.854, 0, 0, 0, 1, 0],
    "R": [
        0.9999239,
        0.00983776,
        -0.00744505,
        -0.0098698,
        0.9999421,
        -0.00427846,
        0.00740253,
        0.00435161,
        0.9999631,
    ],
}
LENS_K = [984.2439, 0, 690, 0, 980.8141, 233.1966, 0, 0, 1]


def _camera(width: int, height: int, focal: float = 300.0) -> CameraModel:
    K = [focal, 0, (width - 1) / 2, 0, focal, (height - 1) / 2, 0, 0, 1]
    return CameraModel.from_matrices(K, width, height, frame_id="optical")


def _ramp(width: int, height: int) -> np.ndarray:
    """Columns in the first channel, rows in the second: pixels know where they come from."""
    columns, rows = np.meshgrid(np.arange(width), np.arange(height))
    return np.dstack([columns * 255 / width, rows * 255 / height, columns * 0]).astype(np.uint8)


@pytest.mark.parametrize(
    ("width", "height", "input_width", "size"),
    [
        (1242, 375, 320, (320, 96)),
        (1242, 375, 640, (640, 192)),
        (1241, 376, 640, (640, 192)),
        (1280, 720, 640, (640, 352)),
        (640, 480, 640, (640, 480)),
        (640, 480, 320, (320, 224)),
        (320, 63, 320, (320, 64)),  # adding one row beats cutting 31
    ],
)
def test_sizes_are_multiples_of_32_and_the_scale_is_uniform(width, height, input_width, size):
    preprocessor = Preprocessor(_camera(width, height), NetworkInput(input_width))
    assert preprocessor.size == size
    K = preprocessor.intrinsics
    assert K.fx / K.fy == pytest.approx(1, abs=5e-3)
    assert K.fx == pytest.approx(300 * input_width / width)
    image, valid = preprocessor(np.zeros((height, width, 3), np.uint8))
    assert image.shape == (size[1], size[0], 3)
    if height == 63:
        assert valid is not None
        assert not valid[0].any()
        assert valid[1:].all()
    else:
        assert valid is None


def test_intrinsics_follow_the_pixels():
    """A ray through a pixel of the network's image meets the same content in the camera's."""
    camera = _camera(1280, 720, 900.0)
    preprocessor = Preprocessor(camera, NetworkInput(320, crop=(0.1, 0.2, 0.05, 0.0)))
    image, _ = preprocessor(_ramp(1280, 720))
    a, b = camera.rectified, preprocessor.intrinsics
    rows, columns = np.mgrid[5 : b.height - 5, 5 : b.width - 5]
    x = (columns - b.cx) / b.fx * a.fx + a.cx
    y = (rows - b.cy) / b.fy * a.fy + a.cy
    expected = np.stack([x * 255 / 1280, y * 255 / 720], axis=-1)
    error = image[5:-5, 5:-5, :2].astype(float) - expected
    assert np.abs(error.mean(axis=(0, 1))).max() < 0.6  # uint8 cuts off half a step
    assert np.abs(error).max() < 1.2


@pytest.mark.parametrize(
    ("width", "height", "large"),
    [(1242, 375, (832, 256)), (1280, 720, (832, 448)), (640, 480, (640, 444))],
)
def test_a_larger_image_of_the_same_shape_shrinks_to_this_one(width, height, large):
    """1242x375 gives 416x128 with rows added; at twice the width rows would be cut: 832x224."""
    preprocessor = Preprocessor(_camera(width, height), NetworkInput(416))
    wide = preprocessor.for_width(832, keeps_shape=True)
    assert wide.size == large
    factor = large[0] / 416
    assert int(large[1] / factor) == preprocessor.size[1]
    spare = large[1] / factor - preprocessor.size[1]  # less than a row, at the top
    shrunk = (wide.intrinsics.cy + 0.5) / factor - 0.5 - spare
    assert shrunk == pytest.approx(preprocessor.intrinsics.cy, abs=0.5)


def test_height_is_cut_at_the_top():
    preprocessor = Preprocessor(_camera(640, 360), NetworkInput(640))
    image, _ = preprocessor(_ramp(640, 360))
    np.testing.assert_array_equal(image, _ramp(640, 360)[8:])


@pytest.mark.parametrize("input_width", [640, 320, 160])
def test_each_pixel_is_the_mean_of_what_it_covers(input_width):
    """Whole factors: by halves, and only of the rows that stay, yet within a grey level."""
    image = np.random.default_rng(0).integers(0, 256, (720, 1280, 3), dtype=np.uint8)
    factor = 1280 // input_width
    expected = image.reshape(720 // factor, factor, input_width, factor, 3).mean(axis=(1, 3))
    small, _ = Preprocessor(_camera(1280, 720), NetworkInput(input_width))(image)
    rows = min(len(small), len(expected))  # both end at the bottom
    difference = small[-rows:] - expected[-rows:]
    halvings = int(np.log2(factor))
    assert np.abs(difference).max() <= 0.5 * halvings
    assert abs(difference.mean()) <= 0.13 * halvings  # halves are rounded up


def test_answer_is_a_copy():
    source = np.zeros((96, 320, 3), np.uint8)
    image, _ = Preprocessor(_camera(320, 96), NetworkInput(320))(source)
    source[:] = 255
    assert image.max() == 0


@pytest.mark.parametrize(
    ("size", "arguments"),
    [((16, 16), {}), ((319, 200), {}), ((320, 20), {}), ((400, 200), {"crop": (0, 0, 0.3, 0)})],
)
def test_too_small_images_are_refused_with_the_remedy(size, arguments):
    with pytest.raises(DataError, match="input_width"):
        Preprocessor(_camera(*size), NetworkInput(320, **arguments))


@pytest.mark.parametrize(
    ("size", "crop", "expected"),
    [
        ((640, 192), (0, 0, 0, 0), (320, 96)),  # wide enough: nothing changes
        ((319, 192), (0, 0, 0, 0), (288, 160)),  # 288 * 192 / 319 = 173 rows, 13 of them cut
        ((400, 200), (0, 0, 0.3, 0), (256, 192)),  # 280 columns are left
        ((33, 33), (0, 0, 0, 0), (32, 32)),
    ],
)
def test_a_narrow_camera_may_have_an_image_of_its_own(size, crop, expected):
    preprocessor = Preprocessor(_camera(*size), NetworkInput(320, crop, narrows=True))
    assert preprocessor.size == expected
    remark = preprocessor.narrowed
    assert remark == "" if expected[0] == 320 else f"{expected[0]} columns wide" in remark
    if not any(crop):
        image, _ = preprocessor(np.zeros((size[1], size[0], 3), np.uint8))
        assert image.shape[1::-1] == expected
        assert preprocessor.for_camera(_camera(size[0] + 96, size[1] + 96)).size[0] <= 320


def test_an_image_below_one_multiple_is_still_refused():
    with pytest.raises(DataError, match="input_width"):
        Preprocessor(_camera(31, 64), NetworkInput(320, narrows=True))
    with pytest.raises(DataError, match="32 rows"):
        Preprocessor(_camera(319, 20), NetworkInput(320, narrows=True))


def test_a_fixed_height_keeps_its_refusal():
    with pytest.raises(DataError, match="takes 320x96 alone"):
        Preprocessor(_camera(640, 640), NetworkInput(320, height=96))


def test_image_of_another_size_is_refused():
    with pytest.raises(DataError, match="320x96 but camera_info is for 640x192"):
        Preprocessor(_camera(640, 192), NetworkInput(320))(np.zeros((96, 320, 3), np.uint8))


def test_input_width_must_be_a_multiple():
    with pytest.raises(ValueError, match="multiple of 32"):
        Preprocessor(_camera(640, 192), NetworkInput(300))


def test_distorted_image_is_rectified_as_opencv_does():
    camera = CameraModel.from_matrices(LENS_K, 1392, 512, **LENS)
    preprocessor = Preprocessor(camera, NetworkInput(320))
    coarse = np.random.default_rng(0).integers(0, 256, (16, 44, 3), dtype=np.uint8)
    image = cv2.resize(coarse, (1392, 512), interpolation=cv2.INTER_CUBIC)
    got, valid = preprocessor(image)
    K = preprocessor.intrinsics
    maps = cv2.initUndistortRectifyMap(
        camera.K, camera.D, camera.R, K.matrix, preprocessor.size, cv2.CV_32FC1
    )
    wanted = cv2.remap(image, *maps, cv2.INTER_LINEAR)
    assert valid is not None
    inner = cv2.erode(valid.astype(np.uint8), np.ones((5, 5))).astype(bool)
    error = np.abs(got.astype(float) - wanted)[inner]
    assert error.mean() < 1.5
    assert np.percentile(error, 99) < 8


def test_area_without_source_is_cut_away_and_the_rest_masked():
    camera = CameraModel.from_matrices(LENS_K, 1392, 512, **LENS)
    preprocessor = Preprocessor(camera, NetworkInput(320))
    white, valid = preprocessor(np.full((512, 1392, 3), 255, np.uint8))
    assert preprocessor.size == (320, 96)
    assert preprocessor.intrinsics.fx == pytest.approx(721.5377 * 320 / 1242, rel=0.01)
    assert 0.95 < valid.mean() < 1.0
    assert white[valid].min() == 255


def test_depth_keeps_every_sparse_point_that_it_can():
    preprocessor = Preprocessor(_camera(1280, 384), NetworkInput(320))
    depth = np.zeros((384, 1280), np.float32)
    depth[100, 401] = 7.0
    depth[101, 402] = 9.0  # nearer to the centre of the same network pixel
    depth[200, 801] = np.inf
    small = preprocessor.resize_depth(depth)
    assert small.dtype == np.float32
    assert small[25, 100] == 9.0
    assert np.count_nonzero(small) == 1


def test_dense_depth_goes_there_and_back():
    preprocessor = Preprocessor(_camera(640, 360), NetworkInput(320, crop=(0.0, 0.0, 0.1, 0.1)))
    depth = np.tile(np.linspace(2, 50, 640, dtype=np.float32), (360, 1))
    small = preprocessor.resize_depth(depth)
    assert (small > 0).all()
    back = preprocessor.to_input(small)
    assert back.shape == (360, 640)
    seen = np.isfinite(back)
    assert seen.mean() == pytest.approx(0.8 * 224 / 225, abs=5e-3)
    np.testing.assert_allclose(back[seen], depth[seen], atol=0.2)
    assert np.isin(back[seen], small).all()  # nothing is blended


def test_depth_of_a_distorted_camera_turns_with_the_axis():
    camera = CameraModel.from_matrices(LENS_K, 1392, 512, **LENS)
    preprocessor = Preprocessor(camera, NetworkInput(320))
    small = preprocessor.resize_depth(np.full((512, 1392), 10.0, np.float32))
    K = preprocessor.intrinsics
    rows, columns = np.nonzero(preprocessor.valid)
    rays = np.stack([(columns - K.cx) / K.fx, (rows - K.cy) / K.fy, np.ones(len(rows))])
    in_camera = camera.R.T @ (rays * small[rows, columns])
    np.testing.assert_allclose(in_camera[2], 10.0, atol=1e-4)


def test_frame_carries_camera_and_stamp():
    preprocessor = Preprocessor(_camera(640, 192), NetworkInput(320))
    frame = preprocessor.frame(np.zeros((192, 640, 3), np.uint8), 5)
    assert (frame.stamp_ns, frame.frame_id) == (5, "optical")
    assert frame.intrinsics == preprocessor.intrinsics


def test_another_calibration_makes_another_preprocessor():
    preprocessor = Preprocessor(_camera(640, 192), NetworkInput(320))
    assert preprocessor.for_camera(_camera(640, 192)) is preprocessor
    assert preprocessor.for_camera(_camera(960, 320)).size == (320, 96)


def test_truth_at_the_cameras_size_says_where_its_pixels_lie():
    preprocessor = Preprocessor(_camera(640, 400), NetworkInput(320, crop=(0.1, 0.0, 0.2, 0.0)))
    depth = np.random.default_rng(0).uniform(1, 50, (400, 640)).astype(np.float32)
    truth = preprocessor.camera_truth(depth)
    np.testing.assert_array_equal(truth.depth, depth)
    source, network = preprocessor.camera.rectified, preprocessor.intrinsics
    for column, row in ((0, 0), (128, 40), (639, 399)):
        ray = (column - source.cx) / source.fx, (row - source.cy) / source.fy
        assert truth.columns[column] == pytest.approx(ray[0] * network.fx + network.cx)
        assert truth.rows[row] == pytest.approx(ray[1] * network.fy + network.cy)
    # the cut's first pixel covers [-0.5, 0.5] of the network's image
    assert truth.columns[127] < -0.5 < truth.columns[128]


def test_truth_of_a_distorted_camera_is_rectified_at_its_own_size():
    camera = CameraModel.from_matrices(LENS_K, 1392, 512, **LENS)
    preprocessor = Preprocessor(camera, NetworkInput(640))
    truth = preprocessor.camera_truth(np.full((512, 1392), 10.0, np.float32))
    assert truth.depth.shape == (512, 1392)
    known = truth.depth > 0
    seen_rows = (truth.rows > 0) & (truth.rows < preprocessor.intrinsics.height - 1)
    seen_columns = (truth.columns > 0) & (truth.columns < preprocessor.intrinsics.width - 1)
    assert known[np.ix_(seen_rows, seen_columns)].mean() > 0.95
    small = preprocessor.resize_depth(np.full((512, 1392), 10.0, np.float32))
    row, column = np.argmin(np.abs(truth.rows - 90)), np.argmin(np.abs(truth.columns - 300))
    assert truth.depth[row, column] == pytest.approx(small[90, 300], rel=1e-3)


def test_truth_of_another_size_is_refused():
    preprocessor = Preprocessor(_camera(640, 480), NetworkInput(320))
    for prepare in (preprocessor.camera_truth, preprocessor.resize_depth):
        with pytest.raises(
            DataError, match="depth image is 320x240 but camera_info is for 640x480"
        ):
            prepare(np.ones((240, 320), np.float32))
