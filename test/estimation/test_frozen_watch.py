# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import numpy as np

from sfm_depth_ros.estimation.frozen_watch import FEW, FrozenWatch


def _image(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 255, (4, 6, 3), np.uint8)


def test_equal_images_of_a_driving_robot_are_named_and_the_next_other_one_ends_it() -> None:
    watch = FrozenWatch()
    said = [watch.fault(_image(1), 1.0) for _ in range(FEW + 2)]
    assert said[:FEW] == [""] * FEW  # the first has none before it
    assert said[FEW].startswith(f"the last {FEW} images are the same")
    assert said[FEW + 1].startswith(f"the last {FEW + 1} images are the same")
    assert watch.fault(_image(2), 1.0) == ""
    assert watch.fault(_image(2), 1.0) == ""


def test_a_robot_that_stands_and_images_that_differ_in_one_bit_are_none() -> None:
    standing, noisy, covered = FrozenWatch(), FrozenWatch(), FrozenWatch()
    for index in range(3 * FEW):
        assert covered.fault(np.full((4, 6, 3), 30, np.uint8), 2.0) == ""
        assert standing.fault(_image(1), 0.0) == ""
        image = _image(1)
        image[0, 0, 0] ^= index % 2
        assert noisy.fault(image, 2.0) == ""
