# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Every recipe takes a few hundred steps on one rendered drive: does its objective fall?"""

from __future__ import annotations

import argparse
import dataclasses
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sfm_depth_ros.config.loading import load_config
from sfm_depth_ros.config.schema import RecipeConfig
from sfm_depth_ros.share import find_share
from tools.drives import render_drive
from tools.figures_file import Figures, read_section, write_section
from tools.short_run import ShortRun, measure_run

# Seen by every recipe: a second camera and marked movers, which only some look at.
DRIVE = "--stereo --movers --moving 3 --seconds 20 --seed 1"
JUDGE = "--stereo --movers --moving 3 --seconds 6 --seed 2"


@dataclass(frozen=True)
class RecipeSetting:
    """Length and image size of every recipe's training."""

    width: int = 192  # Image width in pixels
    height: int = 64  # Image height in pixels
    steps: int = 200  # Steps of every recipe
    batch_size: int = 2  # Snippets in a batch
    threads: int = 1  # CPU threads
    device: str = "cpu"  # That trains; depth is judged on the CPU


def recipe_names() -> list[str]:
    """The installed recipes."""
    return sorted(file.stem for file in find_share("config/train").glob("*.yaml"))


def measure_recipe(name: str, setting: RecipeSetting, scratch: Path) -> dict[str, float]:
    """Train one recipe; figures by name.

    Args:
        name: The recipe.
        setting: How long, how large.
        scratch: Folder for drives and prepared snippets.
    """
    size = f"{setting.width}x{setting.height}"
    drive, judge = (
        render_drive(scratch, f"{arguments} --size {size}") for arguments in (DRIVE, JUDGE)
    )
    return measure_run(ShortRun(shortened(name, setting), drive, judge, scratch))


def table(figures: dict[str, dict[str, float]], standing: str = "") -> str:
    """The figures as Markdown.

    Args:
        figures: By recipe.
        standing: An earlier table; rows of recipes without figures stay.
    """
    head = (
        "| recipe | loss, first 20 steps | last 20 | held out, before | after | abs_rel | "
        "abs_rel scaled | depth_scale_ratio | s per step | peak MiB |\n"
    )
    lines = {line.split("`")[1]: line for line in standing.splitlines() if line[:3] == "| `"}
    lines |= {name: row(name, found) for name, found in figures.items()}
    return head + "|---|" + "---|" * 9 + "\n" + "\n".join(lines[name] for name in sorted(lines))


def row(name: str, found: dict[str, Any]) -> str:
    """One line of the table."""
    values = [
        f"{found['loss_first']:.4f}", f"{found['loss_last']:.4f}",
        f"{found['held_out_before']:.4f}", f"{found['held_out_after']:.4f}",
        f"{found['abs_rel']:.3f}", f"{found['abs_rel_scaled']:.3f}",
        f"{found['depth_scale_ratio']:.2f}", f"{found['step_s']:.2f}", f"{found['peak_mib']:.0f}",
    ]  # fmt: skip
    return f"| `{name}` | {' | '.join(values)} |"


def with_figures(page: str, figures: str) -> str:
    """A page whose list of systems links the recipes to their rows, with the rows' figures.

    Args:
        page: Markdown; lines with ``config/train/NAME.yaml`` end in a link to the table.
        figures: The table of recipes in Markdown.
    """
    scaled = {line.split("`")[1]: line.split(" | ")[6] for line in figures.splitlines()[2:]}

    def updated(match: re.Match[str]) -> str:
        return f"{match[1]}[{scaled.get(match[2], 'not measured')}]{match[3]}"

    return re.sub(r"(.*config/train/(\w+)\.yaml.*)\[.*?\](\(\S*200-steps\) \|)", updated, page)


def shortened(name: str, setting: RecipeSetting) -> RecipeConfig:
    """The recipe at another size, with a warm-up that fits the few steps; PackNet one by one."""
    recipe: RecipeConfig = load_config(RecipeConfig, find_share(f"config/train/{name}.yaml"), [])
    batch_size = 1 if recipe.depth.name.startswith("packnet") else setting.batch_size
    return dataclasses.replace(
        recipe,
        training=dataclasses.replace(
            recipe.training,
            steps=setting.steps,
            batch_size=batch_size,
            width=setting.width,
            warmup_steps=setting.steps // 10,
            validate_every=setting.steps,
            save_every=10 * setting.steps,
            keep="last",
            threads=setting.threads,
            device=setting.device,
            tensorboard=False,
        ),
    )


def main(arguments: list[str] | None = None) -> int:
    """Measure recipes, one after another; print the table, write the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "names", nargs="*", metavar="NAME", help="recipes (default: those without figures)"
    )
    parser.add_argument(
        "--out",
        type=Path,
        required=True,
        metavar="DIR",
        help="drives, and recipes.json with the figures of this and earlier calls",
    )
    parser.add_argument("--steps", type=int, default=RecipeSetting.steps)
    parser.add_argument("--threads", type=int, default=RecipeSetting.threads)
    parser.add_argument("--device", default=RecipeSetting.device)
    parser.add_argument("--document", type=Path, metavar="FILE", help="put the table there")
    parser.add_argument("--readme", type=Path, metavar="FILE", help="bring its figures in line")
    options = parser.parse_args(arguments)
    options.out.mkdir(parents=True, exist_ok=True)
    setting = RecipeSetting(steps=options.steps, threads=options.threads, device=options.device)
    kept = Figures(options.out / "recipes.json")
    missing = [name for name in recipe_names() if name not in kept.rows]
    for name in options.names or missing:
        kept.add(name, measure_recipe(name, setting, options.out))
        print(row(name, kept.rows[name]), flush=True)
    standing = read_section(options.document, "recipes") if options.document else ""
    figures = table(kept.rows, standing)
    print(f"\n{table(kept.rows)}")
    if options.document:
        write_section(options.document, "recipes", figures)
    if options.readme:
        page = options.readme.read_text(encoding="utf-8")
        options.readme.write_text(with_figures(page, figures), encoding="utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
