# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Images that teach something pass; each kind of useless image is named."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from sfm_depth_ros.snippets.image_gate import ImageGate

HEIGHT, WIDTH = 96, 320


def _texture(seed: int = 0) -> np.ndarray:
    """A wall with structure at several scales, ``(H, W + 64, 3)``."""
    rng = np.random.default_rng(seed)
    wall = np.zeros((HEIGHT, WIDTH + 64), np.float32)
    for cell in (4, 8, 16, 32):
        coarse = rng.uniform(0, 255, (HEIGHT // cell, (WIDTH + 64) // cell)).astype(np.float32)
        wall += cv2.resize(coarse, (WIDTH + 64, HEIGHT), interpolation=cv2.INTER_NEAREST) / 4
    return np.repeat(wall.astype(np.uint8)[..., None], 3, axis=2)


def _moving(count: int, pixels: int = 5) -> list[np.ndarray]:
    wall = _texture()
    return [wall[:, index * pixels : index * pixels + WIDTH] for index in range(count)]


def test_a_moving_camera_passes() -> None:
    gate = ImageGate()
    assert [gate.refusal(image, moved=True) for image in _moving(8)] == [""] * 8
    assert sum(gate.counts.values()) == 0


def test_a_dark_but_structured_image_passes() -> None:
    gate = ImageGate()
    images = [image // 6 for image in _moving(4)]
    assert [gate.refusal(image, moved=True) for image in images] == [""] * 4


@pytest.mark.parametrize(
    ("image", "reason"),
    [
        (np.zeros((HEIGHT, WIDTH, 3), np.uint8), "black"),
        (np.full((HEIGHT, WIDTH, 3), 255, np.uint8), "overexposed"),
        (np.full((HEIGHT, WIDTH, 3), 90, np.uint8), "covered"),
    ],
)
def test_statistics_name_the_kind(image: np.ndarray, reason: str) -> None:
    gate = ImageGate()
    assert gate.refusal(image, moved=True) == reason
    assert gate.counts[reason] == 1


def test_a_covered_lens_with_sensor_noise_is_still_covered() -> None:
    noise = np.random.default_rng(1).normal(90, 6, (HEIGHT, WIDTH, 1))
    image = np.repeat(noise.clip(0, 255).astype(np.uint8), 3, axis=2)
    assert ImageGate().refusal(image, moved=True) == "covered"


def test_noise_cannot_be_tracked() -> None:
    gate, rng = ImageGate(), np.random.default_rng(2)
    images = [rng.integers(0, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8) for _ in range(6)]
    reasons = [gate.refusal(image, moved=True) for image in images]
    assert set(reasons[1:]) == {"untrackable"}


def test_a_frozen_image_is_one_that_should_have_changed() -> None:
    gate, image = ImageGate(), _moving(1)[0]
    assert gate.refusal(image, moved=True) == ""
    assert gate.refusal(image, moved=False) == ""
    assert gate.refusal(image, moved=True) == "frozen"


def test_a_cut_is_refused_once() -> None:
    gate = ImageGate()
    first, second = _texture(0)[:, :WIDTH], _texture(7)[:, :WIDTH]
    assert gate.refusal(first, moved=True) == ""
    assert gate.refusal(second, moved=True) == "untrackable"
    assert gate.refusal(_texture(7)[:, 4 : WIDTH + 4], moved=True) == ""


def test_reset_forgets_the_image_before() -> None:
    gate = ImageGate()
    gate.refusal(_texture(0)[:, :WIDTH], moved=True)
    gate.reset()
    assert gate.refusal(_texture(7)[:, :WIDTH], moved=True) == ""
