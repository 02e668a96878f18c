# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Figures of labels by hand."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from plane_world import plane_snippets

from tools.labels import LabelFigures, compare, table

__all__ = ["plane_snippets"]


def test_figures_by_hand(plane_snippets) -> None:
    (snippet,) = plane_snippets(1)
    truth = np.full(snippet.target.shape[:2], 10.0, np.float32)
    truth[0] = 0  # unknown
    labels = np.zeros_like(truth)
    labels[0, 0], labels[1, :3] = 5.0, (10.0, 10.5, 12.0)
    taught = dataclasses.replace(snippet, depth=truth).with_measured_depth(labels)
    found = compare([taught, dataclasses.replace(taught, depth=None)], 0.5)
    assert found == LabelFigures(
        4.0, pytest.approx(4 / truth.size), pytest.approx(0.25 / 3, abs=1e-6),
        pytest.approx(1.05), pytest.approx(1 / 3), 0.5,
    )  # fmt: skip
    assert "| drive | `tracks` | 4 |" in table({"drive": {"tracks": found}})
    assert compare([snippet], 0.5) is None
