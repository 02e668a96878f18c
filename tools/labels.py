# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Depth labels of each teacher on a bag with true depth: how many there are, and how true."""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from tools.drives import render_drive

if TYPE_CHECKING:
    from sfm_depth_ros.snippets.values import Snippet

TEACHERS = ("tracks", "multi_view_stereo", "stereo")
DRIVE = "--style street --stereo --seconds 8 --seed 12 --size 640x192"
WIDTH = 640  # pixels, of the labelled images
FAR = 80.0  # metres: what is farther is not judged
OFF = 0.1  # a label that is off by more than this share is wrong


@dataclass(frozen=True)
class LabelFigures:
    """Density and truth of a teacher's labels."""

    per_image: float  # Labels an image
    share: float  # Of the image's pixels
    abs_rel: float  # Mean of |label - truth| / truth where both are known
    median_ratio: float  # Median of label / truth
    off_share: float  # Share of labels that are off by more than a tenth
    seconds: float  # For one image


def measure(bag: str, teachers: Sequence[str] = TEACHERS) -> dict[str, LabelFigures]:
    """Figures of every teacher that has labels on a bag.

    Args:
        bag: Folder of a rosbag2 with true depth, or a part of it (``BAG@START-END``).
        teachers: Which.
    """
    from sfm_depth_ros.bags.frames import read_frames
    from sfm_depth_ros.bags.selection import BagSelection
    from sfm_depth_ros.bags.snippets import read_snippets, taught
    from sfm_depth_ros.camera.image_layout import NetworkInput
    from sfm_depth_ros.config.extra_inputs import RIGHT_IMAGE

    frames = read_frames(
        BagSelection.parse(bag),
        NetworkInput(WIDTH),
        needs_velocity=True,
        companions=(RIGHT_IMAGE,),
    )
    snippets = list(read_snippets(frames, 0.05, 5.0, 0.5, with_truth=True))
    found = {}
    for teacher in teachers:
        begin = time.process_time()
        labelled = list(taught(iter(snippets), frames, teacher))
        seconds = (time.process_time() - begin) / len(snippets)
        figures = compare(labelled, seconds)
        if figures is not None:
            found[teacher] = figures
    return found


def compare(labelled: Iterable[Snippet], seconds: float) -> LabelFigures | None:
    """Labels against truth; None where no label has one."""
    counts, shares, ratios = [], [], []
    for snippet in labelled:
        known = snippet.measured_depth > 0
        counts.append(np.count_nonzero(known))
        shares.append(known.mean())
        if snippet.depth is not None:
            judged = known & np.isfinite(snippet.depth) & (snippet.depth > 0)
            judged &= snippet.depth < FAR
            ratios.append(snippet.measured_depth[judged] / snippet.depth[judged])
    every = np.concatenate(ratios) if ratios else np.zeros(0)
    if not len(every):
        return None
    error = np.abs(every - 1)
    return LabelFigures(
        float(np.mean(counts)), float(np.mean(shares)), float(error.mean()),
        float(np.median(every)), float((error > OFF).mean()), seconds,
    )  # fmt: skip


def table(bags: dict[str, dict[str, LabelFigures]]) -> str:
    """The figures as Markdown."""
    lines = [
        "| bag | teacher | labels an image | share of pixels | abs_rel | median ratio | "
        "off by > 10 % | CPU s an image |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for bag, teachers in bags.items():
        for teacher, f in teachers.items():
            lines.append(
                f"| {bag} | `{teacher}` | {f.per_image:.0f} | {100 * f.share:.1f} % | "
                f"{f.abs_rel:.3f} | {f.median_ratio:.3f} | {100 * f.off_share:.1f} % | "
                f"{f.seconds:.2f} |"
            )
    return "\n".join(lines)


def main(arguments: list[str] | None = None) -> int:
    """Measure a rendered drive and bags; print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("bags", nargs="*", metavar="BAG", help="bags with true depth")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="rendered drives")
    options = parser.parse_args(arguments)
    options.out.mkdir(parents=True, exist_ok=True)
    drive = render_drive(options.out, DRIVE)
    bags = {"rendered street": measure(str(drive))}
    bags |= {Path(bag.partition("@")[0]).name: measure(bag) for bag in options.bags}
    print(table(bags))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
