# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""``sfm-depth demo``: play a drive to both nodes; report how the depth gets better."""

from __future__ import annotations

import argparse
import logging
import shutil
import time
from pathlib import Path
from typing import TYPE_CHECKING

from sfm_depth_ros.cli.arguments import output_folder

if TYPE_CHECKING:
    from sfm_depth_ros.cli.demonstration.live import LiveResult
    from sfm_depth_ros.cli.demonstration.report import Part

SECONDS = (10.0, 3600.0)  # of a rendered drive
HELD_OUT_SHARE = 0.2  # of a rendered drive; a bag is learnt from, and judged, as a whole


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument(
        "bag",
        nargs="?",
        type=Path,
        metavar="BAG",
        help="rosbag2 to play; default: a rendered drive",
    )
    parser.add_argument(
        "--loops",
        type=int,
        default=1,
        metavar="N",
        help="times that the part to learn from is played (default: 1)",
    )
    parser.add_argument(
        "--held-out",
        type=float,
        metavar="SHARE",
        help="share at the drive's end that is not learnt from (default: "
        f"{HELD_OUT_SHARE} of a rendered drive, nothing of a BAG)",
    )
    parser.add_argument(
        "--out",
        type=output_folder,
        default=Path("out/demo"),
        metavar="DIR",
        help="folder for models, figures and pictures (default: out/demo)",
    )
    parser.add_argument(
        "--seconds",
        type=float,
        default=180.0,
        metavar="S",
        help="length of the rendered drive (default: 180)",
    )


def run(options: argparse.Namespace) -> int:
    """Prepare the drive, run it live, compare the models, report."""
    from sfm_depth_ros.cli.demonstration.drives import read_facts, rendered_drives
    from sfm_depth_ros.cli.demonstration.live import LivePlan, drive_live
    from sfm_depth_ros.cli.demonstration.report import Part
    from sfm_depth_ros.errors import ConfigError

    if options.loops < 1:
        raise ConfigError(f"--loops: expected at least 1, got {options.loops}")
    held_out = options.held_out
    if held_out is None:
        held_out = 0.0 if options.bag else HELD_OUT_SHARE
    if not 0.0 <= held_out < 1.0:
        raise ConfigError(f"--held-out: expected a share from 0 to below 1, got {held_out}")
    if not SECONDS[0] <= options.seconds <= SECONDS[1]:
        raise ConfigError(
            f"--seconds: expected {SECONDS[0]:g} to {SECONDS[1]:g}, got {options.seconds:g}"
        )
    if not options.verbose:  # the choice of engines is the nodes' to log
        logging.getLogger("sfm_depth_ros").setLevel(logging.WARNING)
    started, out = time.monotonic(), options.out
    bag, second = options.bag, None
    if bag is None:
        bag, second = rendered_drives(out, options.seconds)
    facts = read_facts(bag)
    _clear(out)  # not before it is known that there is something to play
    learnt_until_s = (1.0 - held_out) * facts.duration_s if held_out else None
    live = drive_live(LivePlan(facts, learnt_until_s, options.loops, out))
    parts = [_judged_part(bag, held_out, learnt_until_s)]
    if second is not None:
        parts.append(Part("a second drive, held out", second))
    _report(out, live, parts)
    print(f"whole demo: {time.monotonic() - started:.0f} s")
    return 0


def _judged_part(bag: Path, held_out: float, learnt_until_s: float | None) -> Part:
    from sfm_depth_ros.cli.demonstration.report import Part

    if learnt_until_s is None:
        return Part("the whole drive, learnt from", bag)
    return Part(f"last {held_out:.0%} of the drive, held out", bag, learnt_until_s)


def _clear(out: Path) -> None:
    """Remove models and logs of an earlier run; rendered drives stay."""
    out.mkdir(parents=True, exist_ok=True)
    for name in ("models", "log", "training"):
        shutil.rmtree(out / name, ignore_errors=True)
    for path in (*out.glob("*.json"), *out.glob("*.png")):
        path.unlink()


def _report(out: Path, live: LiveResult, parts: list[Part]) -> None:
    """Evaluate, draw, print the table and write ``summary.json``."""
    from sfm_depth_ros.cli.demonstration.pictures import draw_history, draw_scenes
    from sfm_depth_ros.cli.demonstration.report import (
        compare,
        look_at,
        summary,
        table,
        write_summary,
    )
    from sfm_depth_ros.model_folder.folder import read_model_folder
    from sfm_depth_ros.share import SHIPPED_MODEL, find_share

    before = read_model_folder(find_share(SHIPPED_MODEL))
    after = read_model_folder(live.newest_model) if live.newest_model else before
    print(f"evaluating both models on: {'; '.join(part.name for part in parts)}", flush=True)
    comparisons = compare(parts, before.path, after.path)
    for number, part in enumerate(parts):
        picture = out / ("depth.png" if number == 0 else "depth_second_drive.png")
        draw_scenes(look_at(part, before, after), picture, part.name)
    draw_history(live.state.history, live.state.depth_history, out / "history.png")
    write_summary(out / "summary.json", summary(live.figures, comparisons))
    print(f"\n{table(live.figures, comparisons)}\n")
    pictures = ", ".join(str(path) for path in sorted(out.glob("*.png")))
    print(f"figures: {out / 'summary.json'}   pictures: {pictures}")
