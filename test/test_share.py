# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import sys

import pytest

from sfm_depth_ros.errors import DataError
from sfm_depth_ros.share import find_share


def test_ament_first_then_the_prefix_then_the_source_tree(monkeypatch, tmp_path, source_tree):
    ament, prefix = tmp_path / "ament", tmp_path / "prefix"
    monkeypatch.setenv("AMENT_PREFIX_PATH", f"{tmp_path / 'other'}:{ament}")
    monkeypatch.setattr(sys, "prefix", str(prefix))
    assert find_share("package.xml") == source_tree / "package.xml"
    for root in (prefix, ament):
        share = root / "share" / "sfm_depth_ros"
        share.mkdir(parents=True)
        (share / "package.xml").write_text("<package/>")
        assert find_share("package.xml") == share / "package.xml"


def test_what_is_nowhere_names_where_it_was_sought(source_tree):
    with pytest.raises(DataError, match=str(source_tree)):
        find_share("no/such/file")
