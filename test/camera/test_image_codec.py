# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import array
import struct

import cv2
import numpy as np
import pytest

from sfm_depth_ros.camera.image_codec import darkness, decode_depth, decode_image, depth_pixels
from sfm_depth_ros.camera.image_files import (
    decode_compressed,
    decode_compressed_depth,
    encode_depth,
    encode_jpeg,
    encode_png,
    image_size,
)
from sfm_depth_ros.errors import DataError

RNG = np.random.default_rng(0)
RGB = RNG.integers(0, 256, (6, 8, 3), dtype=np.uint8)


def _padded(image: np.ndarray, step: int) -> bytes:
    rows = image.reshape(image.shape[0], -1).view(np.uint8)
    return b"".join(row.tobytes() + b"\xaa" * (step - row.size) for row in rows)


@pytest.mark.parametrize("extra", [0, 5])
@pytest.mark.parametrize(
    ("encoding", "pixels"),
    [
        ("rgb8", RGB),
        ("bgr8", RGB[..., ::-1]),
        ("8UC3", RGB[..., ::-1]),
        ("rgba8", np.dstack([RGB, np.full((6, 8), 9, np.uint8)])),
        ("bgra8", np.dstack([RGB[..., ::-1], np.full((6, 8), 9, np.uint8)])),
    ],
)
def test_channels_come_out_as_rgb_whatever_their_order_and_padding(encoding, pixels, extra):
    pixels = np.ascontiguousarray(pixels)
    step = pixels.strides[0] + extra
    decoded = decode_image(encoding, _padded(pixels, step), 6, 8, step)
    np.testing.assert_array_equal(decoded, RGB)


@pytest.mark.parametrize("make", [bytes, bytearray, lambda b: array.array("B", b), memoryview])
def test_any_buffer_serves(make):
    decoded = decode_image("rgb8", make(RGB.tobytes()), 6, 8, 24)
    np.testing.assert_array_equal(decoded, RGB)


def test_rgb8_is_not_copied():
    data = bytearray(RGB.tobytes())
    decoded = decode_image("rgb8", data, 6, 8, 24)
    data[0] = (data[0] + 1) % 256
    assert decoded[0, 0, 0] == data[0]


def test_missing_padding_of_the_last_row_is_accepted():
    decoded = decode_image("rgb8", _padded(RGB, 30)[:-6], 6, 8, 30)
    np.testing.assert_array_equal(decoded, RGB)


def test_mono8_and_mono16_become_grey():
    grey = RGB[..., 0].copy()
    np.testing.assert_array_equal(
        decode_image("mono8", grey.tobytes(), 6, 8, 8), np.dstack([grey] * 3)
    )
    wide = grey.astype(np.uint16) * 257
    for is_big, order in ((False, "<u2"), (True, ">u2")):
        data = wide.astype(order).tobytes()
        decoded = decode_image("mono16", data, 6, 8, 16, is_big)
        np.testing.assert_array_equal(decoded, np.dstack([grey] * 3))


@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize(
    ("pattern", "channels"),
    [
        ("rggb", (0, 1, 1, 2)),
        ("bggr", (2, 1, 1, 0)),
        ("gbrg", (1, 2, 0, 1)),
        ("grbg", (1, 0, 2, 1)),
    ],
)
def test_bayer_of_one_colour_gives_that_colour(pattern, channels, bits):
    colour = np.array([200, 120, 40])
    mosaic = np.empty((8, 8), np.uint8 if bits == 8 else np.uint16)
    for place, channel in enumerate(channels):
        mosaic[place // 2 :: 2, place % 2 :: 2] = colour[channel] * (1 if bits == 8 else 257)
    decoded = decode_image(f"bayer_{pattern}{bits}", mosaic.tobytes(), 8, 8, mosaic.strides[0])
    np.testing.assert_array_equal(decoded, np.broadcast_to(colour, (8, 8, 3)))


@pytest.mark.parametrize(
    ("encoding", "order"),
    [("yuv422", "UYVY"), ("uyvy", "UYVY"), ("yuv422_yuy2", "YUYV"), ("yuyv", "YUYV")],
)
def test_yuv422_of_one_colour(encoding, order):
    # BT.601, studio range: pure red is Y 81, U 90, V 240
    values = {"Y": 81, "U": 90, "V": 240}
    row = np.array([values[name] for name in order] * 4, np.uint8)
    decoded = decode_image(encoding, np.tile(row, (4, 1)).tobytes(), 4, 8, 16)
    np.testing.assert_allclose(decoded, np.broadcast_to([255, 0, 0], (4, 8, 3)), atol=2)


@pytest.mark.parametrize(
    ("encoding", "size", "step", "words"),
    [
        ("rgb9", 144, 24, "rgb9"),
        ("rgb8", 144, 23, "step 23"),
        ("16UC1", 96, 16, "is that of depth: remap image"),
        ("32FC1", 192, 32, "is that of depth: remap image"),
        ("rgb8", 100, 24, "100 bytes"),
    ],
)
def test_bad_messages_are_refused_by_name(encoding, size, step, words):
    with pytest.raises(DataError, match=words):
        decode_image(encoding, bytes(size), 6, 8, step)


def test_jpeg_and_png_round_trip_in_rgb():
    smooth = cv2.resize(RGB, (64, 48), interpolation=cv2.INTER_CUBIC)
    np.testing.assert_array_equal(decode_compressed("png", encode_png(smooth)), smooth)
    error = np.abs(decode_compressed("jpeg", encode_jpeg(smooth)).astype(int) - smooth)
    assert error.mean() < 6


@pytest.mark.parametrize("data", [b"", b"no image", encode_png(RGB)[:40]])
def test_damaged_files_are_refused(data):
    with pytest.raises(DataError, match="jpeg"):
        decode_compressed("jpeg", data)


def test_depth_is_metres_with_zero_for_unknown():
    metres = np.array([[1.5, np.nan, np.inf, 0.0, -1.0, 70.0]], np.float32)
    decoded = decode_depth("32FC1", metres.tobytes(), 1, 6, 24)
    np.testing.assert_array_equal(decoded, [[1.5, 0, 0, 0, 0, 70]])
    millimetres = np.array([[1500, 0]], np.uint16)
    np.testing.assert_allclose(decode_depth("16UC1", millimetres.tobytes(), 1, 2, 4), [[1.5, 0]])
    with pytest.raises(DataError, match="rgb8"):
        decode_depth("rgb8", bytes(6), 1, 2, 6)


def test_millimetres_have_one_bound_raw_and_compressed():
    depth = np.array([[0.0004, 0.0006, 65.5354, 65.5356, np.inf, np.nan, -1.0]], np.float32)
    pixels = depth_pixels(depth, "16UC1")
    assert pixels.tolist() == [[0, 1, 65535, 0, 0, 0, 0]]
    decoded = decode_compressed_depth("16UC1; png", encode_depth(depth))
    np.testing.assert_array_equal(decoded, decode_depth("16UC1", pixels.tobytes(), 1, 7, 14))


@pytest.mark.parametrize(("format", "header"), [("16UC1; png", 0), ("16UC1; compressedDepth", 12)])
def test_compressed_depth(format, header):
    depth = np.array([[1.234, 65.0, np.nan], [0.0, 66.0, np.inf]], np.float32)
    decoded = decode_compressed_depth(format, bytes(header) + encode_depth(depth))
    np.testing.assert_allclose(decoded, [[1.234, 65.0, 0], [0, 0, 0]], atol=5e-4)


def test_compressed_depth_of_another_kind_is_refused():
    with pytest.raises(DataError, match="32FC1"):
        decode_compressed_depth("32FC1; compressedDepth", b"")
    with pytest.raises(DataError, match="16 bit"):
        decode_compressed_depth("16UC1; png", encode_png(RGB))


def test_twelve_bits_are_scaled_by_their_white_and_else_remarked_on():
    grey = RGB[..., 0].astype(np.uint16)
    data = (grey * 16).tobytes()
    decoded = decode_image("mono16", data, 6, 8, 16, white_level=255 * 16)
    np.testing.assert_array_equal(decoded, np.dstack([grey.astype(np.uint8)] * 3))
    assert darkness(decoded, "mono16") == ""
    dark = decode_image("mono16", data, 6, 8, 16)
    assert "--white-level" in darkness(dark, "mono16")
    assert "exposure" in darkness(dark, "mono8") and "white" not in darkness(dark, "mono8")


@pytest.mark.parametrize("encoding", ["yuv422", "yuyv"])
def test_an_odd_width_is_a_fault_of_the_message(encoding):
    with pytest.raises(DataError, match=f"{encoding} image of 7x4.*even width"):
        decode_image(encoding, bytes(4 * 14), 4, 7, 14)


@pytest.mark.parametrize("bits", [8, 16])
def test_a_compressed_mosaic_is_debayered_and_a_colour_image_left_alone(bits):
    mosaic = np.empty((8, 8), np.uint8 if bits == 8 else np.uint16)
    for place, level in enumerate((200, 120, 120, 40)):
        mosaic[place // 2 :: 2, place % 2 :: 2] = level * (1 if bits == 8 else 257)
    decoded = decode_compressed(f"bayer_rggb{bits}; png compressed ", encode_png(mosaic))
    np.testing.assert_array_equal(decoded, np.broadcast_to([200, 120, 40], (8, 8, 3)))
    decoded = decode_compressed("bayer_rggb8; png compressed bgr8", encode_png(RGB))
    np.testing.assert_array_equal(decoded, RGB)
    grey = decode_compressed("mono8; png compressed", encode_png(RGB[..., 0]))
    np.testing.assert_array_equal(grey, np.dstack([RGB[..., 0]] * 3))


def test_orientation_is_followed_on_demand_alone():
    tall = cv2.resize(RGB, (16, 48), interpolation=cv2.INTER_NEAREST)
    jpeg = encode_jpeg(tall)
    exif = b"Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0"
    rotated = jpeg[:2] + b"\xff\xe1" + (len(exif) + 2).to_bytes(2, "big") + exif + jpeg[2:]
    assert decode_compressed("jpeg", rotated).shape == (48, 16, 3)
    upright = decode_compressed("jpeg", rotated, is_upright=True)
    np.testing.assert_array_equal(upright, np.rot90(decode_compressed("jpeg", jpeg), -1))


@pytest.mark.parametrize("encode", [encode_png, encode_jpeg])
@pytest.mark.parametrize(("height", "width"), [(1, 1), (30, 517), (300, 40)])
def test_the_size_is_in_the_header(encode, height, width):
    image = np.zeros((height, width, 3), np.uint8)
    data = np.frombuffer(encode(image), np.uint8)
    assert image_size(data) == (width, height)
    assert image_size(data[:10]) == (0, 0)
    assert image_size(data[:0]) == (0, 0)
    with pytest.raises(DataError, match=f"{width}x{height}, expected at most"):
        decode_compressed("file", data, max_pixels=height * width - 1)


def test_formats_of_unknown_size_are_refused_before_they_are_decoded():
    """OpenCV reads them, and allocates what a header of some bytes demands."""
    for suffix in (".bmp", ".ppm", ".webp"):
        _, content = cv2.imencode(suffix, RGB)
        with pytest.raises(DataError, match="no JPEG, PNG or TIFF"):
            decode_compressed(suffix[1:], content.tobytes())
        assert decode_compressed(suffix, content, any_format=True).shape == RGB.shape


def test_tiff_is_bounded_too():
    """The third codec of compressed_image_transport."""
    _, content = cv2.imencode(".tiff", RGB[..., ::-1])
    np.testing.assert_array_equal(decode_compressed("rgb8; tiff compressed", content), RGB)
    with pytest.raises(DataError, match="8x6, expected at most"):
        decode_compressed("tiff", content, max_pixels=47)
    for cut in range(8, 60):
        assert image_size(content[:cut]) in ((0, 0), (8, 6))


def test_a_huge_image_is_refused_before_it_is_decoded():
    ihdr = struct.pack(">II", 30000, 30000) + b"\x08\x02\0\0\0"
    png = encode_png(RGB)
    bomb = png[:16] + ihdr[:8] + png[24:]
    with pytest.raises(DataError, match="30000x30000, expected at most"):
        decode_compressed("png", bomb)


@pytest.mark.parametrize(("encoding", "order"), [("nv12", (0, 1)), ("nv21", (1, 0))])
@pytest.mark.parametrize("padding", [0, 6])
def test_planar_yuv_of_one_colour(encoding, order, padding):
    colour = np.full((4, 6, 3), (200, 40, 90), np.uint8)
    y, u, v = cv2.cvtColor(colour, cv2.COLOR_RGB2YUV_I420).reshape(-1)[[0, 24, 30]]
    planes = np.zeros((6, 6 + padding), np.uint8)
    planes[:4, :6] = y
    planes[4:, :6] = np.tile(np.array([u, v])[list(order)], 3)
    decoded = decode_image(encoding, planes.tobytes(), 4, 6, 6 + padding)
    np.testing.assert_allclose(decoded, colour, atol=3)
    with pytest.raises(DataError, match="even width"):
        decode_image(encoding, planes.tobytes(), 4, 5, 6 + padding)
    with pytest.raises(DataError, match="bytes"):
        decode_image(encoding, planes.tobytes()[:20], 4, 6, 6 + padding)
