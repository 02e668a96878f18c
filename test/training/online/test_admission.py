# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What is refused before the buffer sees it; a closed gate hides no step of the odometer."""

from __future__ import annotations

import pytest

from sfm_depth_ros.training.online import slip
from sfm_depth_ros.training.online.admission import Admission


@pytest.fixture
def steps(monkeypatch):
    """Steps of the odometer that the next snippets have."""
    values: list[float] = []
    monkeypatch.setattr(slip, "odometer_step", lambda _: values.pop(0))
    return values


def test_the_end_of_slip_is_seen_behind_a_closed_gate(steps, drive) -> None:
    admission, (snippet,) = Admission(), drive(1)
    steps += [0.7, 0.0, -0.7, 0.0]
    assert not admission.takes(snippet, "", True)
    assert "measures 2.01 times" in admission.slipping
    assert not admission.takes(snippet, "gated", True)
    assert not admission.takes(snippet, "gated", True)
    assert admission.slipping == ""
    assert admission.takes(snippet, "", True)
    assert admission.refused["wheel_slip"] == 1
    assert admission.refused["gated"] == 2
