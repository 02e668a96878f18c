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
    arguments = ["--seeds", "1", "--seconds", "26", "--size", "256", "96", "--steps", "0.8"]
    forgetting.main([str(out), *arguments, "--settings", "this trainer", "after CoVIO"])
    ours, theirs = sorted(json.loads(out.read_text(encoding="utf-8")), key=_by_name, reverse=True)
    assert "| this trainer | 1 |" in out.with_suffix(".md").read_text(encoding="utf-8")
    assert ours["steps"] > 50
    assert theirs["steps"] > 50
    assert ours["first"] == theirs["first"]
    for domain in ("new", "elsewhere", "old"):
        name = f"{domain}_abs_rel"
        assert ours["curve"][-1][name] <= 1.05 * ours["first"][name]


def _by_name(row):
    return row["setting"]
