# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What is refused before the buffer sees it; a closed gate hides no step of the odometer."""

from __future__ import annotations

import pytest

from sfm_depth_ros.training.online.admission import Admission
from sfm_depth_ros.visual_odometry.snippet_tracks import SnippetTracks


@pytest.fixture
def steps(monkeypatch):
    """Steps of the odometer that the next snippets have."""
    values: list[float] = []
    monkeypatch.setattr(SnippetTracks, "odometer_step", lambda _: values.pop(0))
    return values


def test_the_end_of_slip_is_seen_behind_a_closed_gate(steps, drive) -> None:
    admission, (snippet,) = Admission(), drive(1)
    steps += [0.7, 0.0, -0.7, 0.0]
    assert admission.admitted(snippet, "", True) is None
    assert "measures 2.01 times" in admission.slipping
    assert admission.admitted(snippet, "gated", True) is None
    assert admission.admitted(snippet, "gated", True) is None
    assert admission.slipping == ""
    assert admission.admitted(snippet, "", True) is not None
    assert admission.refused["wheel_slip"] == 1
    assert admission.refused["gated"] == 2
