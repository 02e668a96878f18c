# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Rendered domains of :mod:`tools.forgetting`: a stream to learn from, and snippets that judge.

The old world is the random one that shipped models learn in, through random cameras. A new one is
a drive through one place with a camera 0.45 m high, level and 95 degrees wide; place, light and
texture change with the seed.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from multiprocessing.pool import Pool
from pathlib import Path

import numpy as np
import torch

from sfm_depth_ros.snippets.values import Snippet
from sfm_depth_ros.training.offline.rendered_snippets import SnippetRenderer
from sfm_depth_ros.world.camera_spec import CameraSpec
from sfm_depth_ros.world.distribution import random_drive_spec
from sfm_depth_ros.world.drive import DriveSpec, SyntheticDrive

OLD_JUDGES = 500_000_000  # number of the first rendered snippet that judges the old world
JUDGES = 24
STRIDE = 2  # frames between targets of the stream
RATE_HZ = 10.0
LATER_S = 30.0  # of the drive behind the stream, which judges what was learnt
OTHER_S = 60.0  # of the drives in other places of the same style
SHORTEST_M = 0.1  # between target and source: shorter ones teach no scale
CHUNK = 40  # targets that one process renders
MARKS = (0.25, 0.5, 1.0)  # of the stream, where errors are measured


@dataclass(frozen=True)
class Domains:
    """Snippets to learn from and to judge by, of one seed."""

    camera: CameraSpec | None  # Of the stream, where its height is known
    stream: list[Snippet]  # As an odometer measured it, without truth
    judges: dict[str, list[Snippet]]  # With truth, by domain: `new`, `elsewhere`, `old`
    marks: list[int]  # Snippets of the stream after which errors are measured
    spec: DriveSpec | None = None  # Of the stream, where it is rendered


@dataclass(frozen=True)
class KeptRenderer:
    """Rendered snippets by their numbers, kept in files: many runs rehearse the same ones."""

    render: Callable[[int], Snippet]
    folder: Path

    def __call__(self, number: int) -> Snippet:
        """The snippet of a number."""
        file = self.folder / f"{number}.pt"
        if not file.exists():
            self.folder.mkdir(parents=True, exist_ok=True)
            torch.save(self.render(number), file)
        snippet: Snippet = torch.load(file, weights_only=False)
        return snippet


def new_camera(size: tuple[int, int]) -> CameraSpec:
    """The camera of the new domain, for images of ``(width, height)``."""
    return CameraSpec(*size, hfov_deg=95.0, height_m=0.45, pitch_deg=0.0)


def stream_spec(seed: int, camera: CameraSpec, seconds: float) -> DriveSpec:
    """The drive of a seed, with the part behind the stream that judges."""
    return random_drive_spec(
        np.random.default_rng(seed), camera.width, camera.height, seconds + LATER_S, camera
    )


def make_domains(seed: int, size: tuple[int, int], seconds: float, pool: Pool) -> Domains:
    """Render the domains of a seed.

    Args:
        seed: Of the new place.
        size: ``(width, height)`` of all images.
        seconds: Length of the stream.
        pool: Processes that render.
    """
    camera = new_camera(size)
    spec = stream_spec(seed, camera, seconds)
    targets = np.arange(STRIDE, round(seconds * RATE_HZ), STRIDE)
    chunks = [targets[first : first + CHUNK] for first in range(0, len(targets), CHUNK)]
    streams = [pool.apply_async(rendered, (spec, chunk)) for chunk in chunks]
    end = round((seconds + LATER_S) * RATE_HZ)
    later = pool.apply_async(rendered, (spec, np.linspace(end - 280, end - 10, 2 * JUDGES), True))
    places = [
        dataclasses.replace(spec, seed=spec.seed + 1 + place, seconds=OTHER_S)
        for place in range(3)
    ]
    frames = np.linspace(20, OTHER_S * RATE_HZ - 20, JUDGES // 2)
    elsewhere = [pool.apply_async(rendered, (place, frames, True)) for place in places]
    old = pool.map_async(partial(old_snippet, size), range(JUDGES), chunksize=3)
    judges = {
        "new": later.get()[:JUDGES],
        "elsewhere": [snippet for part in elsewhere for snippet in part.get()[: JUDGES // 3]],
        "old": old.get(),
    }
    stream = [snippet for part in streams for snippet in part.get()]
    return Domains(camera, stream, judges, [round(mark * len(stream)) for mark in MARKS], spec)


def old_snippet(size: tuple[int, int], number: int) -> Snippet:
    """One judge of the old world."""
    return SnippetRenderer(*size)(OLD_JUDGES + 12 * number)


def rendered(spec: DriveSpec, targets: np.ndarray, with_truth: bool = False) -> list[Snippet]:
    """Snippets of a drive; without truth the true motion becomes a measured one."""
    torch.set_num_threads(1)
    return list(_moving(SyntheticDrive(spec), targets, with_truth))


def _moving(drive: SyntheticDrive, targets: np.ndarray, with_truth: bool) -> Iterator[Snippet]:
    for index in targets.astype(int):
        snippet = drive.render_snippet(int(index), STRIDE)
        assert snippet.T_source_target is not None
        if np.linalg.norm(snippet.T_source_target[:, :3, 3], axis=1).min() < SHORTEST_M:
            continue
        yield (
            snippet
            if with_truth
            else dataclasses.replace(
                snippet, depth=None, T_source_target=None, T_measured=snippet.T_source_target
            )
        )
