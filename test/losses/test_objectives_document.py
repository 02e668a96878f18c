# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""docs/objectives.md names every option and says truly which recipe uses what."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from sfm_depth_ros.config.schema import ObjectiveConfig

ROOT = Path(__file__).resolve().parents[2]
DOCUMENT = (ROOT / "docs" / "objectives.md").read_text()
RECIPES: dict[str, dict[str, Any]] = {
    path.stem: yaml.safe_load(path.read_text()) for path in (ROOT / "config/train").glob("*.yaml")
}
OFF = {"occlusion_mask": "off", "smoothness_order": 1, "velocity_kind": "length",
       "difference": "l1", "direct_alignment": "off", "flow_check": "coverage",
       "flow_start": "nothing"}  # fmt: skip


def _objective(recipe: str) -> dict[str, Any]:
    defaults = dataclasses.asdict(ObjectiveConfig())
    return defaults | RECIPES[recipe].get("objective", {})


def _rows() -> list[tuple[str, str]]:
    """Options and recipes of every line of the tables."""
    lines = [line.split("|") for line in DOCUMENT.splitlines() if line.startswith("| ")]
    return [(cells[-3], cells[-2]) for cells in lines if len(cells) == 7 and "---" not in cells[1]]


def _names(text: str) -> set[str]:
    return set(re.findall(r"`(\w+)`", text)) & set(RECIPES)


def _optional() -> list[tuple[str, str | int | None]]:
    """Fields that are off unless asked for, and the value that the document speaks of."""
    found: list[tuple[str, str | int | None]] = []
    for options, _ in _rows():
        for name, value in re.findall(r"`(\w+)(?:: (\w+))?`", options):
            default = getattr(ObjectiveConfig(), name, None)
            if name in OFF and value:
                found.append((name, int(value) if value.isdigit() else value))
            elif default is False or (name.endswith("_weight") and default == 0):
                found.append((name, None))
    return found


def test_every_option_and_every_recipe_is_named() -> None:
    assert len(RECIPES) >= 12
    fields = [field.name for field in dataclasses.fields(ObjectiveConfig)]
    assert not [name for name in (*fields, *RECIPES) if f"`{name}" not in DOCUMENT]


@pytest.mark.parametrize(("name", "value"), _optional())
def test_recipes_use_what_the_tables_say(name: str, value: str | int | None) -> None:
    (said,) = [recipes for options, recipes in _rows()
               if f"`{name}`" in options or f"`{name}: {value}`" in options]  # fmt: skip
    used = {
        recipe for recipe in RECIPES
        if (_objective(recipe)[name] == value if value else _objective(recipe)[name])
    }  # fmt: skip
    assert _names(said) == used


def test_the_patent_note_names_the_recipes_that_are_free_of_it() -> None:
    note = DOCUMENT[DOCUMENT.index("**Patent.**") :]
    note = note[: note.index("\n\n")]
    free = {
        recipe for recipe in RECIPES
        if _objective(recipe)["reduction"] == "mean" and not _objective(recipe)["auto_mask"]
    }  # fmt: skip
    assert _names(note) == free


@pytest.mark.parametrize(
    ("option", "without"),
    [("auto_mask", False), ("reduction", "mean"), ("smoothness_weight", 0),
     ("velocity_weight", 0), ("photometric_weight", 0)],
)  # fmt: skip
def test_recipes_that_do_without_what_is_usual_are_named(option: str, without: Any) -> None:
    (said,) = [recipes for options, recipes in _rows() if f"`{option}`" in options]
    assert _names(said) == {name for name in RECIPES if _objective(name)[option] == without}
