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


def random_sequence(seed: int, size: tuple[int, int], count: int) -> list[Snippet]:
    """Overlapping snippets of a random drive at a random place of it.

    Args:
        seed: Equal seeds give equal pixels.
        size: ``(height, width)`` of the images, multiples of 32.
        count: Number of snippets; rendering one takes three images, each further one a single
            image more.
    """
    rng = np.random.default_rng(seed)
    height, width = size
    spec = random_drive_spec(rng, width, height, SECONDS)
    drive = SyntheticDrive(spec)
    fastest = spec.motion.speed_mps * (1 + spec.motion.variation) / spec.rate_hz  # metres a frame
    steps = [s for s in range(1, LARGEST_STEP + 1) if s == 1 or s * fastest <= LONGEST_WAY]
    step = int(rng.choice(steps))
    start = int(rng.integers(len(drive) - (count + 1) * step))
    return drive.render_sequence(start, step, count)


def random_snippet(seed: int, size: tuple[int, int]) -> Snippet:
    """One snippet of a random drive; see :func:`random_sequence`."""
    return random_sequence(seed, size, 1)[0]
