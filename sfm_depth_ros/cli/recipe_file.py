# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A recipe by its file or by its name."""

from __future__ import annotations

from pathlib import Path

from sfm_depth_ros.errors import ConfigError
from sfm_depth_ros.share import share_path

RECIPES = "config/train"


def recipe_file(text: str) -> Path:
    """Find a recipe.

    Args:
        text: A YAML file, or the name of an installed recipe, for example ``monodepth2``.

    Raises:
        ConfigError: It is neither; the message names the installed ones.
    """
    path = Path(text)
    if path.is_file():
        return path
    folder = share_path(RECIPES)
    named = folder / f"{path.name.removesuffix('.yaml')}.yaml"
    if path.name == text and named.is_file():
        return named
    names = ", ".join(sorted(file.stem for file in folder.glob("*.yaml"))) or "none"
    raise ConfigError(
        f"--config {text}: no such file, and no recipe of that name; the installed "
        f"recipes are {names}"
    )
