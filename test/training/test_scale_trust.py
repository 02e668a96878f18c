# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A measured scale is believed as far as the snippets behind it reach."""

from __future__ import annotations

import math

import pytest

from sfm_depth_ros.training.scale_calibration import trusted_factor


@pytest.mark.parametrize("factor", [1.0, 1.02, 0.98, math.nan, math.inf])
def test_nothing_is_applied_within_the_tolerance_or_without_a_number(factor: float) -> None:
    assert trusted_factor(factor, 600) == 1.0


def test_half_of_the_bias_is_believed_at_150_snippets_and_nearly_all_at_many() -> None:
    assert trusted_factor(1.21, 150) == pytest.approx(1.1)
    assert trusted_factor(1 / 1.21, 150) == pytest.approx(1 / 1.1)
    assert trusted_factor(1.21, 10**6) == pytest.approx(1.21, rel=1e-3)


def test_few_snippets_are_little_evidence_of_a_large_factor() -> None:
    assert trusted_factor(2.0, 24) == pytest.approx(2.0 ** (24 / 174))
