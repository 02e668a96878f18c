# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Errors by which engines are judged."""

from __future__ import annotations

import numpy as np
import pytest

from sfm_depth_ros.engines.verification import inverse_depth_error, relative_error


def test_a_sky_before_the_fit_does_not_condemn_an_engine() -> None:
    inverse = np.array([1.0, 0.5, 1e-6, 1e-6])
    found = inverse + np.array([0.0, 0.0, 2e-6, 0.0])  # rounding, at a sky
    error = inverse_depth_error(1.0 / found, 1.0 / inverse)
    assert error.max == pytest.approx(2e-6 / 0.01)
    assert relative_error(1.0 / found, 1.0 / inverse, "depth").max > 0.5


def test_a_wrong_scale_is_seen_in_full() -> None:
    inverse = np.linspace(0.1, 1.0, 10)
    error = inverse_depth_error(1.0 / (1.2 * inverse), 1.0 / inverse)
    assert error.p50 == pytest.approx(0.2)
    assert error.max == pytest.approx(0.2)
