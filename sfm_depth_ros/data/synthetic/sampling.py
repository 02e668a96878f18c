# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Snippets from anywhere in the training distribution, by seed."""

from __future__ import annotations

import numpy as np

from sfm_depth_ros.data.sample import Snippet
from sfm_depth_ros.data.synthetic.distribution import random_drive_spec
from sfm_depth_ros.data.synthetic.drive import SyntheticDrive

SECONDS = 12.0  # of the drive that a sequence is cut from
LONGEST_WAY = 1.5  # metres between two images of a snippet
LARGEST_STEP = 4  # frames between them


def random_snippets(seed: int, size: tuple[int, int], places: int, count: int) -> list[Snippet]:
    """Snippets from random places of one random drive.

    Args:
        seed: Equal seeds give equal pixels.
        size: ``(height, width)`` of the images, multiples of 32.
        places: Number of places; they share the scene, whose making costs as much as ten images.
        count: Overlapping snippets at a place; the first takes three images, each further one a
            single image more.
    """
    rng = np.random.default_rng(seed)
    height, width = size
    spec = random_drive_spec(rng, width, height, SECONDS)
    drive = SyntheticDrive(spec)
    fastest = spec.motion.speed_mps * (1 + spec.motion.variation) / spec.rate_hz  # metres a frame
    steps = [s for s in range(1, LARGEST_STEP + 1) if s == 1 or s * fastest <= LONGEST_WAY]
    snippets = []
    for _ in range(places):
        step = int(rng.choice(steps))
        start = int(rng.integers(len(drive) - (count + 1) * step))
        snippets += drive.render_sequence(start, step, count)
    return snippets


def random_snippet(seed: int, size: tuple[int, int]) -> Snippet:
    """One snippet of a random drive; see :func:`random_snippets`."""
    return random_snippets(seed, size, 1, 1)[0]
