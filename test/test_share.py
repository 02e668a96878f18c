# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from sfm_depth_ros.errors import DataError
from sfm_depth_ros.share import ensure_home, find_share, share_path
from sfm_depth_ros.storage import cache_directory


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


def test_a_folder_of_links_is_the_folder_that_they_lead_to(monkeypatch, tmp_path):
    """colcon build --symlink-install links every file, through its build folder."""
    source, build = tmp_path / "src" / "models" / "small", tmp_path / "build"
    source.mkdir(parents=True)
    build.mkdir()
    (build / "models").symlink_to(source.parents[0])
    installed = tmp_path / "install" / "share" / "sfm_depth_ros" / "models" / "small"
    installed.mkdir(parents=True)
    for name in ("model.json", "depth.onnx"):
        (source / name).write_text(name)
        (installed / name).symlink_to(build / "models" / "small" / name)
    monkeypatch.setenv("AMENT_PREFIX_PATH", str(tmp_path / "install"))
    assert share_path("models/small") == source
    (installed / "model.json").unlink()
    (installed / "model.json").symlink_to(tmp_path / "elsewhere.json")  # no folder of one kind
    assert share_path("models/small") == installed


def test_a_user_without_a_home_gets_one(monkeypatch: pytest.MonkeyPatch) -> None:
    def nobody(*_: object) -> None:
        raise KeyError("getpwuid(): uid not found: 4242")

    monkeypatch.setenv("HOME", "/somewhere")
    ensure_home()
    assert os.environ["HOME"] == "/somewhere"
    monkeypatch.delenv("HOME")
    ensure_home()
    assert "HOME" not in os.environ  # that of the user database
    monkeypatch.setattr("pwd.getpwuid", nobody)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    ensure_home()
    assert cache_directory() == Path("/.cache/sfm_depth_ros")
