# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Recipes are found by file and by name."""

from __future__ import annotations

from pathlib import Path

import pytest

from sfm_depth_ros.cli.arguments import recipe_file
from sfm_depth_ros.errors import ConfigError


@pytest.fixture(autouse=True)
def share(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An installed package with one recipe, and another working folder."""
    recipes = tmp_path / "prefix" / "share" / "sfm_depth_ros" / "config" / "train"
    recipes.mkdir(parents=True)
    (recipes / "of_the_test.yaml").write_text("training: {steps: 7}\n")
    monkeypatch.setenv("AMENT_PREFIX_PATH", str(tmp_path / "prefix"))
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    return recipes


def test_by_name_and_by_file(share: Path, tmp_path: Path) -> None:
    expected = share / "of_the_test.yaml"
    assert recipe_file("of_the_test") == expected
    assert recipe_file("of_the_test.yaml") == expected
    assert recipe_file(str(expected)) == expected
    own = tmp_path / "work" / "of_the_test"
    own.write_text("")
    assert recipe_file("of_the_test") == Path("of_the_test")  # a file of one's own comes first


def test_unknown_names_the_installed_ones(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="recipes are of_the_test"):
        recipe_file("monodepth9")
    with pytest.raises(ConfigError, match="no such file"):
        recipe_file("elsewhere/of_the_test")
