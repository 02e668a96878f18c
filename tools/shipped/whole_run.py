# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Rendering by many processes and training at the same time, for a machine lent briefly."""

from __future__ import annotations

import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

PLACES_APART = 100_000  # between the first places of two processes
SIZES = ((640, 192), (640, 192), (480, 352))  # Of the processes' images, in turn
FIRST_IMAGES = 40  # of each process, before training begins


@dataclass(frozen=True)
class RunPlan:
    """What a run does with its minutes."""

    folder: Path  # Of caches and of the training's state; an earlier run there goes on
    minutes: float  # In all
    processes: int  # That render at the same time
    images: int  # Of each process, at most
    render_share: float = 0.6  # Of the minutes that rendering may take
    device: str = "cpu"  # Where the network trains


def whole_run(plan: RunPlan, train_options: list[str]) -> None:
    """Render, and train on what there is, until the minutes are over.

    Args:
        plan: The run.
        train_options: Further options of ``train``: sizes, widths, network.

    Raises:
        RuntimeError: A renderer or the training failed.
    """
    end = time.monotonic() + 60 * plan.minutes
    caches = [plan.folder / f"images_{number}" for number in range(plan.processes)]
    renderers = [_renderer(plan, number, cache) for number, cache in enumerate(caches)]
    while not all(_count(cache) >= min(FIRST_IMAGES, plan.images) for cache in caches):
        if any(renderer.poll() for renderer in renderers):
            raise RuntimeError("rendering failed; see the messages above")
        time.sleep(0.5)
    left = (end - time.monotonic()) / 60
    state = str(plan.folder / "state.pt")
    given = ["--minutes", str(left), "--device", plan.device, "--out", state, *train_options]
    failures = _start("train", *map(str, caches), "--falls-with-clock", *given).wait()
    if failures or any(renderer.wait() for renderer in renderers):
        raise RuntimeError("rendering or training failed; see the messages above")


def _renderer(plan: RunPlan, number: int, cache: Path) -> subprocess.Popen[bytes]:
    return _start(
        "render", str(cache), "--images", str(plan.images),
        "--size", *map(str, SIZES[number % len(SIZES)]),
        "--first-place", str(number * PLACES_APART),
        "--minutes", str(plan.render_share * plan.minutes),
    )  # fmt: skip


def _count(cache: Path) -> int:
    try:
        return int((np.load(cache / "focals.npy", mmap_mode="r") > 0).sum())
    except (OSError, ValueError):  # not there, or not whole, yet
        return 0


def _start(*arguments: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-m", "tools.shipped", *arguments])
