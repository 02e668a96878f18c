# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The networks' input: which image lies where, and when it may be overwritten."""

from __future__ import annotations

import numpy as np
import pytest

from sfm_depth_ros.estimation.image_tensor import ImageTensor

HEIGHT, WIDTH = 32, 64


def _images(count: int) -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    return [rng.integers(0, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8) for _ in range(count)]


def _floats(images: list[np.ndarray]) -> np.ndarray:
    """Input of the networks, by its definition."""
    planes = [image[..., channel] / 255 for image in images for channel in range(3)]
    return np.stack(planes)[None].astype(np.float32)


@pytest.mark.parametrize("count", [2, 3])
@pytest.mark.parametrize("room", [False, True])
def test_images_lie_in_the_order_of_time(count: int, room: bool) -> None:
    tensor, images = ImageTensor((HEIGHT, WIDTH), count), _images(6)
    for index, image in enumerate(images):
        stack = tensor.push(image)
        newest = _floats([image])
        np.testing.assert_allclose(tensor.later, newest, atol=1e-7)
        assert tensor.is_full == (index + 1 >= count)
        if tensor.is_full:
            expected = _floats(images[index + 1 - count : index + 1])
            np.testing.assert_allclose(stack, expected, atol=1e-7)
        if room:
            tensor.make_room()
            tensor.make_room()  # a second time changes nothing
            np.testing.assert_allclose(tensor.later, newest, atol=1e-7)


def test_a_gap_begins_anew() -> None:
    tensor, images = ImageTensor((HEIGHT, WIDTH)), _images(4)
    for follows, is_full in ((False, False), (True, True), (False, False), (True, True)):
        tensor.push(images.pop(), follows)
        assert tensor.is_full == is_full


def test_bytes_stay_bytes() -> None:
    tensor, images = ImageTensor((HEIGHT, WIDTH), as_bytes=True), _images(3)
    for image in images:
        stack = tensor.push(image)
        assert np.array_equal(tensor.later, image[None])
    assert np.array_equal(stack, np.stack(images[1:]))
    assert stack.dtype == np.uint8
