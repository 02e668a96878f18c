# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Calibrations that nobody has: refused, or prepared in little memory and time."""

from __future__ import annotations

import contextlib
import random
import time
import tracemalloc

import numpy as np
import pytest

from sfm_depth_ros.camera.camera_model import CameraModel
from sfm_depth_ros.camera.image_layout import NetworkInput
from sfm_depth_ros.camera.preprocessing import Preprocessor
from sfm_depth_ros.errors import DataError

# Up to the default of max_pixels, 8192x4320, in every shape
SIZES = ((8192, 4320), (64, 5000), (5000, 64), (5900, 5900), (640, 480), (16000, 2000))
COEFFICIENTS = {"plumb_bob": 5, "equidistant": 4, "rational_polynomial": 8}
MOST_BYTES = 150e6
MOST_SECONDS = 5.0


def _camera(rng: random.Random) -> CameraModel:
    width, height = rng.choice(SIZES)
    focal = rng.choice([1.0, 10.0, 300.0, 1e4, 1e6]) * rng.uniform(0.5, 2)
    model = rng.choice(list(COEFFICIENTS))
    D = [rng.choice([0, 1e-3, -0.3, 0.5, 10, -1e3, 1e6]) for _ in range(COEFFICIENTS[model])]
    centre = rng.choice([width / 2, 0, -1e4, width * 3])
    K = [focal, 0, centre, 0, focal, height / 2, 0, 0, 1]
    stretch = rng.choice([0.01, 1, 100])
    P = [focal * stretch, 0, width / 2, 0, 0, focal, height / 2, 0, 0, 0, 1, 0]
    return CameraModel.from_matrices(
        K, width, height, D=D, P=rng.choice([None, P]), model=model, frame_id="optical"
    )


@pytest.mark.parametrize("seed", range(40))
def test_memory_and_time_are_bounded(seed: int) -> None:
    rng = random.Random(seed)
    tracemalloc.start()
    began = time.thread_time()
    with contextlib.suppress(DataError):
        preprocessor = Preprocessor(
            _camera(rng), NetworkInput(416, tracking_width=640, narrows=True)
        )
        assert preprocessor.size[0] <= 416
        assert np.isfinite(preprocessor.intrinsics.fx)
        _ = preprocessor.valid
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < MOST_BYTES, peak
    assert time.thread_time() - began < MOST_SECONDS
