# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Figures that survive a stop, and their place in a document."""

from __future__ import annotations

import argparse
import re
from pathlib import Path

import pytest

from sfm_depth_ros.cli import synth
from sfm_depth_ros.errors import ConfigError
from tools import extras, recipes
from tools.figures_file import Figures, read_section, write_section

FOUND = {
    "loss_first": 0.3, "loss_last": 0.2, "held_out_before": 0.4, "held_out_after": 0.1,
    "abs_rel": 0.5, "abs_rel_scaled": 0.25, "depth_scale_ratio": 1.5, "step_s": 0.75,
    "peak_mib": 512.0,
}  # fmt: skip


def test_rows_of_earlier_calls_are_kept(tmp_path: Path) -> None:
    Figures(tmp_path / "f.json").add("b", {"x": 1})
    Figures(tmp_path / "f.json").add("a", {"x": 2})
    kept = Figures(tmp_path / "f.json")
    kept.add("b", {"x": 3})
    assert Figures(tmp_path / "f.json").rows == {"a": {"x": 2}, "b": {"x": 3}}
    assert [path.name for path in tmp_path.iterdir()] == ["f.json"]


def test_a_section_is_replaced_and_nothing_else(tmp_path: Path) -> None:
    document = tmp_path / "d.md"
    document.write_text("one\n<!-- figures: a -->\nold\n<!-- end -->\ntwo\n")
    assert read_section(document, "a") == "old\n"
    write_section(document, "a", "| new \\1 |")
    assert document.read_text() == "one\n<!-- figures: a -->\n| new \\1 |\n<!-- end -->\ntwo\n"
    with pytest.raises(ConfigError, match="no section"):
        write_section(document, "b", "text")


def test_the_table_of_recipes_has_a_line_each() -> None:
    lines = recipes.table({"monodepth2": FOUND, "default": FOUND}).splitlines()
    assert [line.count("|") for line in lines] == [11] * 4
    assert lines[3] == (
        "| `monodepth2` | 0.3000 | 0.2000 | 0.4000 | 0.1000 | 0.500 | 0.250 | 1.50 | 0.75 | 512 |"
    )


def test_rows_of_recipes_without_figures_stay() -> None:
    standing = recipes.table({"default": FOUND, "monodepth": FOUND})
    lines = recipes.table({"monodepth": {**FOUND, "abs_rel": 0.9}}, standing).splitlines()
    assert lines[2] == standing.splitlines()[2]
    assert "| 0.900 |" in lines[3]
    assert len(lines) == 4


def test_the_readme_has_the_figures_of_the_table() -> None:
    line = "| A | [`monodepth`](config/train/monodepth.yaml) | [x](y) | [old](t.md#200-steps) |"
    figures = recipes.table({"default": FOUND, "monodepth": {**FOUND, "abs_rel_scaled": 0.4}})
    page = f"one\n{line}\n{line.replace('monodepth', 'ddvo')}\ntwo"
    fresh = recipes.with_figures(page, figures).splitlines()
    assert fresh[1] == line.replace("old", "0.400")
    assert fresh[2].endswith("| [not measured](t.md#200-steps) |")
    assert (fresh[0], fresh[3]) == ("one", "two")


def test_tables_of_extras_without_all_figures_stay() -> None:
    rows = {
        f"{name}: {variant}": {**FOUND, "judged": [{"things_abs_rel": 0.3, "focal_ratio": 1.0}]}
        for name in ("moving things", "unknown focal length")
        for variant in extras.EXTRAS[name].variants
    }
    standing = extras.tables(rows)
    worse = {**FOUND, "judged": [{"things_abs_rel": 0.7, "focal_ratio": 2.0}]}
    fresh = {key: worse for key in rows if key != "moving things: without"}
    things, focal = extras.tables(fresh, standing).split("\n\n")
    assert f"{things}\n" == extras.tables({k: v for k, v in rows.items() if "things" in k})
    assert "2.000" in focal
    assert extras.tables(rows, standing) == standing


def test_the_tables_of_extras_take_figures_of_the_right_drive() -> None:
    judged = [{"abs_rel": 0.1, "focal_ratio": 0.81}, {"abs_rel": 0.2}]
    found = {**FOUND, "judged": judged}
    assert extras.figure(found, "abs_rel") == 0.1
    assert extras.figure(found, "1.abs_rel") == 0.2
    assert extras.figure(found, "focal_ratio") == 0.81
    variants = extras.EXTRAS["unknown focal length"].variants
    text = extras.tables({f"unknown focal length: {variant}": found for variant in variants})
    assert "| with learnt intrinsics | 0.810 | nan | 0.100 |" in text
    assert "stereo" not in text


@pytest.mark.parametrize("name", list(extras.EXTRAS))
def test_every_variant_is_a_recipe(name: str) -> None:
    for variant in extras.EXTRAS[name].variants:
        assert extras.recipe_of(name, variant, extras.ExtraSetting(40)).training.steps == 40


@pytest.mark.parametrize("name", list(extras.EXTRAS))
def test_both_sides_learn_and_are_judged_on_drives_that_can_be_rendered(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked, runs = [], []

    def remember(folder: Path, arguments: str) -> Path:
        parser = argparse.ArgumentParser()
        synth.add_arguments(parser)
        asked.append(synth.drive_spec(parser.parse_args([str(folder), *arguments.split()])))
        return folder / str(len(asked))

    monkeypatch.setattr(extras, "render_drive", remember)
    monkeypatch.setattr(extras, "measure_run", runs.append)
    extra = extras.EXTRAS[name]
    for variant in extra.variants:
        extras.measure_extra(name, variant, extras.ExtraSetting(40), tmp_path)
    learnt, kinds = len(extra.drives) * extra.places, len(extra.drives)
    assert len(asked) == (learnt + kinds) * len(extra.variants)
    assert [spec.seed for spec in asked[:learnt]] == [11, 13, 14, 15][: extra.places] * kinds
    assert [spec.seed for spec in asked[learnt : learnt + kinds]] == [12] * kinds
    assert {len(run.more_drives) for run in runs} == {learnt - 1}
    assert {(run.lost_scale, run.focal_factor) for run in runs} == {
        (extra.lost_scale, extra.focal_factor)
    }


def test_every_recipe_can_be_shortened() -> None:
    assert len(recipes.recipe_names()) == 20
    for name in recipes.recipe_names():
        short = recipes.shortened(name, recipes.RecipeSetting(steps=40))
        assert short.training.warmup_steps == 4


def test_every_system_in_the_readme_has_recipe_paper_and_the_present_figure() -> None:
    root = Path(__file__).parents[2]
    page = (root / "README.md").read_text(encoding="utf-8")
    figures = read_section(root / "docs" / "training.md", "recipes")
    assert recipes.with_figures(page, figures) == page
    listed = page.partition("## The systems of the field")[2].partition("\n## ")[0]
    lines = [line for line in listed.splitlines() if "config/train/" in line]
    named = re.compile(
        r"\| [^|]+ \| \[`(\w+)`\]\(config/train/\1\.yaml\) \| "
        r"\[arXiv (\d{4}\.\d{5})\]\(https://arxiv\.org/abs/\2\) \| "
        r"\[(\d\.\d{3})\]\(docs/training\.md#what-each-recipe-does-in-200-steps\) \|"
    )
    matches = [named.fullmatch(line) for line in lines]
    assert None not in matches, [line for line in lines if not named.fullmatch(line)]
    own = {"default", "bare_sfm", "adapt", "packnet_sfm_slim"}
    assert {match[1] for match in matches if match} == set(recipes.recipe_names()) - own
    papers = (root / "docs" / "objectives.md").read_text(encoding="utf-8")
    papers = papers.partition("## Papers and recipes")[2]
    assert [m[1] for m in matches if m and f"| `{m[1]}`" not in papers] == []


def test_the_document_has_their_sections() -> None:
    text = (Path(__file__).parents[2] / "docs" / "training.md").read_text(encoding="utf-8")
    for name in ("recipes", "extras"):
        assert f"<!-- figures: {name} -->\n" in text
