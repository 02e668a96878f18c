# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Properties of conversions, readers and configuration, over inputs that nobody thought of."""

from __future__ import annotations

import contextlib
import dataclasses
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from sfm_depth_ros.camera.camera_model import CameraModel
from sfm_depth_ros.camera.image_codec import (
    _DECODERS,
    _PLANAR,
    decode_depth,
    decode_image,
    depth_pixels,
)
from sfm_depth_ros.camera.image_files import decode_compressed, encode_png, image_size
from sfm_depth_ros.camera.image_layout import ImageLayout, NetworkInput
from sfm_depth_ros.config.loading import from_mapping, iter_options, load_config
from sfm_depth_ros.config.schema import DepthNodeConfig, RecipeConfig, TrainerNodeConfig
from sfm_depth_ros.errors import ConfigError, DataError, SfmDepthError
from sfm_depth_ros.geometry.camera import Intrinsics
from sfm_depth_ros.messages import FASTEST, camera_info_to_model, pose_of, velocity_of

settings.register_profile("sfm", deadline=None, suppress_health_check=list(HealthCheck))
settings.load_profile("sfm")

ENCODINGS = sorted({*_DECODERS, *_PLANAR})
numbers = st.floats(allow_nan=True, allow_infinity=True, width=64)
small = st.integers(0, 12)
sizes = st.integers(0, 2**32 - 1)


@given(st.sampled_from(ENCODINGS), small, small, st.integers(0, 200), st.binary(max_size=600),
       st.booleans(), st.integers(1, 65535))  # fmt: skip
def test_any_bytes_make_an_image_of_that_size_or_a_data_error(
    encoding: str, height: int, width: int, step: int, data: bytes, is_bigendian: bool, white: int
) -> None:
    try:
        image = decode_image(encoding, data, height, width, step, is_bigendian, white)
    except DataError:
        return
    assert image.shape == (height, width, 3) and image.dtype == np.uint8


@given(st.text(max_size=20), st.binary(max_size=64))
def test_an_unknown_encoding_is_named(encoding: str, data: bytes) -> None:
    assume(encoding not in ENCODINGS)
    with pytest.raises(DataError, match="is not known"):
        decode_image(encoding, data, 4, 4, 16)


@given(st.text(max_size=20), st.binary(max_size=400))
def test_any_bytes_are_an_image_file_or_a_data_error(format: str, data: bytes) -> None:
    for content in (data, b"\x89PNG\r\n\x1a\n" + data, b"\xff\xd8\xff" + data):
        width, height = image_size(np.frombuffer(content, np.uint8))
        assert width >= 0 and height >= 0
        with pytest.raises(DataError):
            decode_compressed(format, content, max_pixels=10_000)


@given(st.integers(1, 20), st.integers(1, 20), st.integers(0, 300), st.integers(0, 255))
def test_a_damaged_png_is_an_image_or_a_data_error(
    height: int, width: int, place: int, value: int
) -> None:
    whole = bytearray(encode_png(np.full((height, width, 3), 77, np.uint8)))
    whole[place % len(whole)] = value
    with contextlib.suppress(DataError):
        assert decode_compressed("png", bytes(whole), max_pixels=1000).shape[2] == 3


@given(st.lists(st.floats(-1e3, 1e3, width=32), min_size=1, max_size=40))
def test_depth_survives_its_message_up_to_a_millimetre(values: list[float]) -> None:
    depth = np.array([values], np.float32)
    for encoding, error in (("32FC1", 0.0), ("16UC1", 0.000501)):
        pixels = depth_pixels(depth, encoding)
        data = pixels.tobytes()
        back = decode_depth(encoding, data, 1, len(values), pixels.strides[0])
        known = (depth > 0.001) & (depth < 65.0)
        np.testing.assert_allclose(back[known], depth[known], atol=error)
        assert (back[depth <= 0] == 0).all()


def _info(k: list[float], d: list[float], r: list[float], p: list[float], **fields: Any) -> Any:
    base: dict[str, Any] = {
        "width": 64, "height": 32, "binning_x": 0, "binning_y": 0,
        "distortion_model": "plumb_bob", "header": SimpleNamespace(frame_id="camera"),
        "roi": SimpleNamespace(x_offset=0, y_offset=0, width=0, height=0),
    }  # fmt: skip
    return SimpleNamespace(k=k, d=d, r=r, p=p, **{**base, **fields})


@given(st.lists(numbers, min_size=9, max_size=9), st.lists(numbers, max_size=14),
       st.lists(numbers, min_size=9, max_size=9), st.lists(numbers, min_size=12, max_size=12),
       sizes, sizes, sizes)  # fmt: skip
def test_any_calibration_is_a_camera_or_a_data_error(
    k: list[float], d: list[float], r: list[float], p: list[float], width: int, height: int,
    binning: int,
) -> None:  # fmt: skip
    message = _info(k, d, r, p, width=width, height=height, binning_x=binning)
    try:
        camera = camera_info_to_model(message)
    except DataError:
        return
    assert camera.width > 0 and camera.height > 0 and np.isfinite(camera.K).all()
    assert camera.is_same(camera) and camera.is_equal(camera)


@given(st.floats(2, 6e3), st.floats(-280, 330), st.floats(0, 0.0099), st.floats(0.02, 9))
def test_a_camera_is_the_same_up_to_a_percent(
    focal: float, centre: float, little: float, much: float
) -> None:
    def camera(f: float) -> CameraModel:
        return CameraModel.from_matrices([f, 0, centre, 0, f, centre, 0, 0, 1], 64, 32)

    assert camera(focal).is_same(camera(focal * (1 + little)))
    assert not camera(focal).is_same(camera(focal * (1 + much)))


@given(st.lists(numbers, min_size=6, max_size=6))
def test_any_velocity_is_finite_or_refused(values: list[float]) -> None:
    names = "xyz"
    linear, angular = (
        SimpleNamespace(**dict(zip(names, part, strict=True))) for part in (values[:3], values[3:])
    )
    message = SimpleNamespace(
        twist=SimpleNamespace(linear=linear, angular=angular),
        header=SimpleNamespace(stamp=SimpleNamespace(sec=1, nanosec=0)),
    )
    if np.isfinite(values).all() and np.abs(values).max() <= FASTEST:
        assert [*velocity_of(message).linear, *velocity_of(message).angular] == values
    else:
        with pytest.raises(DataError, match=r"finite|nothing moves so fast"):
            velocity_of(message)


@given(st.lists(numbers, min_size=7, max_size=7))
def test_any_pose_is_rigid_or_refused(values: list[float]) -> None:
    x, y, z, *q = values
    message = SimpleNamespace(
        translation=SimpleNamespace(x=x, y=y, z=z),
        rotation=SimpleNamespace(x=q[0], y=q[1], z=q[2], w=q[3]),
    )
    try:
        T = pose_of(message)
    except DataError:
        return
    np.testing.assert_allclose(T[:3, :3] @ T[:3, :3].T, np.eye(3), atol=1e-9)
    assert np.linalg.det(T[:3, :3]) > 0


@given(st.integers(32, 2000), st.integers(32, 2000), st.integers(1, 30), st.sampled_from([14, 32]),
       st.lists(st.floats(0, 0.6), min_size=4, max_size=4))  # fmt: skip
def test_any_layout_has_sides_of_the_multiple(
    width: int, height: int, units: int, multiple: int, crop: list[float]
) -> None:
    source = Intrinsics(width / 2, width / 2, width / 2, height / 2, width, height)
    try:
        layout = ImageLayout.for_camera(
            source, (0, 0, width, height), NetworkInput(units * multiple, crop, multiple)
        )
    except DataError:
        return
    made = layout.intrinsics
    assert made.width == units * multiple and made.height % multiple == 0 < made.height
    assert made.fx == pytest.approx(made.fx) and made.fx > 0
    assert layout.valid.shape == (made.height, made.width) and layout.valid.any()


values = st.recursive(
    st.none() | st.booleans() | st.integers(-10, 10**9) | numbers | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner,
                                                                max_size=3),
    max_leaves=4,
)  # fmt: skip


@pytest.mark.parametrize("config_class", [DepthNodeConfig, TrainerNodeConfig, RecipeConfig])
@given(data=st.data())
def test_any_value_of_any_option_is_taken_or_a_config_error(config_class: Any, data: Any) -> None:
    row = data.draw(st.sampled_from(list(iter_options(config_class))))
    value = data.draw(values)
    tree: dict[str, Any] = {}
    *groups, leaf = row.path.split(".")
    branch = tree
    for group in groups:
        branch = branch.setdefault(group, {})
    branch[leaf] = value
    try:
        config = from_mapping(config_class, tree)
    except ConfigError:
        return
    for name in row.path.split("."):
        config = getattr(config, name)
    assert type(config) is type(row.default) or dataclasses.is_dataclass(config)
    if row.minimum is not None and isinstance(config, (int, float)):
        assert config >= row.minimum


@given(st.text(max_size=200))
def test_any_text_is_a_configuration_or_a_config_error(tmp_path_factory: Any, text: str) -> None:
    path: Path = tmp_path_factory.mktemp("yaml") / "file.yaml"
    path.write_text(text, encoding="utf-8", errors="surrogatepass")
    with contextlib.suppress(ConfigError):
        load_config(RecipeConfig, path)


@settings(max_examples=60)
@given(place=st.floats(0, 1), value=st.integers(0, 255), cut=st.booleans(),
       storage=st.sampled_from(["mcap", "sqlite3"]))  # fmt: skip
def test_a_damaged_bag_is_read_or_refused_by_name(
    tmp_path_factory: Any, small_bags: dict[str, bytes], place: float, value: int, cut: bool,
    storage: str,
) -> None:  # fmt: skip
    from sfm_depth_ros.bags.frames import read_frames

    folder: Path = tmp_path_factory.mktemp("bag")
    content = bytearray(small_bags[storage])
    index = round(place * (len(content) - 1))
    if cut:
        content = content[:index]
    else:
        content[index] = value
    path = folder / f"bag.{'mcap' if storage == 'mcap' else 'db3'}"
    path.write_bytes(bytes(content))
    try:
        frames = list(read_frames(path, NetworkInput(64), needs_velocity=True))
    except SfmDepthError:
        return
    assert len(frames) <= 4 and all(frame.frame.image.shape[2] == 3 for frame in frames)


@pytest.fixture(scope="module")
def small_bags(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    pytest.importorskip("rosbags")
    from bags.small_bag import write_small_bag

    content = {}
    for storage, ending in (("mcap", "mcap"), ("sqlite3", "db3")):
        folder = write_small_bag(tmp_path_factory.mktemp("small") / storage, storage, frames=4)
        content[storage] = next(folder.glob(f"*.{ending}")).read_bytes()
    return content
