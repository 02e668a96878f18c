# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Rendering by many processes, then training, within a time, for a machine lent briefly."""

from __future__ import annotations

import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

PLACES_APART = 100_000  # between the first places of two processes


@dataclass(frozen=True)
class RunPlan:
    """What a run does with its minutes."""

    folder: Path  # Of caches and of the training's state; an earlier run there goes on
    minutes: float  # In all
    processes: int  # That render at the same time
    images: int  # Of each process, at most
    render_share: float = 0.4  # Of the minutes that rendering may take
    device: str = "cpu"  # Where the decoder trains


def whole_run(plan: RunPlan, train_options: list[str]) -> None:
    """Render, then train until the minutes are over.

    Args:
        plan: The run.
        train_options: Further options of ``train``: steps, size, widths.
    """
    end = time.monotonic() + 60 * plan.minutes
    caches = [plan.folder / f"images_{number}" for number in range(plan.processes)]
    renderers = [
        _start(
            "render", str(cache), "--images", str(plan.images),
            "--first-place", str(number * PLACES_APART),
            "--minutes", str(plan.render_share * plan.minutes),
        )
        for number, cache in enumerate(caches)
    ]  # fmt: skip
    failed = [
        cache for cache, process in zip(caches, renderers, strict=True) if process.wait() != 0
    ]
    if failed:
        raise RuntimeError(f"rendering into {failed[0]} failed; see the messages above")
    left = (end - time.monotonic()) / 60
    state = str(plan.folder / "state.pt")
    given = ["--minutes", str(left), "--device", plan.device, "--out", state, *train_options]
    if _start("train", *map(str, caches), *given).wait() != 0:
        raise RuntimeError("the training failed; see its messages above")


def _start(*arguments: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-m", "tools.shipped", *arguments])
