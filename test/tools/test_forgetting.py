# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A short run of this trainer's setting: what is deployed is worse in neither world."""

from __future__ import annotations

import json

import pytest

pytest.importorskip("torch", reason="torch is not installed")
pytestmark = [pytest.mark.slow, pytest.mark.timeout(880)]

forgetting = pytest.importorskip("tools.forgetting")


def test_what_is_deployed_is_worse_in_neither_world(tmp_path):
    out = tmp_path / "figures.json"
    arguments = ["--seeds", "1", "--snippets", "90", "--size", "256", "96"]
    forgetting.main([str(out), *arguments, "--settings", "this trainer"])
    rows = json.loads(out.read_text(encoding="utf-8"))
    assert "| this trainer |" in out.with_suffix(".md").read_text(encoding="utf-8")
    (ours,) = rows["this trainer"]
    assert ours["steps"] > 50
    assert ours["new_abs_rel"] <= 1.01 * ours["new_abs_rel_before"]
    assert ours["old_abs_rel_scaled"] <= 1.05 * ours["old_abs_rel_scaled_before"]
