# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Procedural tiles of surfaces: every one tileable, with its physical size in metres."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np

from sfm_depth_ros.world import building_painters, nature_painters, vehicle_painters
from sfm_depth_ros.world.noise import Generator, coloured, noise, spots

Painter = Callable[[Generator], np.ndarray]


def asphalt(rng: Generator) -> np.ndarray:
    """Fine grain, dark patches, cracks; sealed or worn."""
    value = rng.uniform(0.30, 0.5) + 0.045 * noise(rng, 0.4) + 0.05 * noise(rng, 1.6)
    return coloured(rng, _cracks(rng, value, int(rng.integers(0, 7))), 0.03)


def _cracks(rng: Generator, value: np.ndarray, count: int) -> np.ndarray:
    canvas = np.zeros_like(value, np.float32)
    for _ in range(count):
        steps = rng.normal(rng.normal(0, 2, 2), 4.0, (40, 2)).cumsum(0) + rng.uniform(0, 256, 2)
        for shift in np.stack(np.meshgrid([-256, 0, 256], [-256, 0, 256]), -1).reshape(-1, 2):
            points = (steps + shift).astype(np.int32).reshape(-1, 1, 2)
            cv2.polylines(canvas, [points], False, 1.0, int(rng.integers(1, 3)), cv2.LINE_AA)
    return value * (1 - rng.uniform(0.3, 0.6) * canvas)


def concrete(rng: Generator) -> np.ndarray:
    """Grey cast surface with stains."""
    value = rng.uniform(0.5, 0.65) + 0.03 * noise(rng, 0.5) + 0.06 * noise(rng, 2.0)
    return coloured(rng, value, 0.05)


def slabs(rng: Generator) -> np.ndarray:
    """Paving: a grid of slabs, each of its own brightness, with dark joints."""
    count = int(rng.choice([8, 16]))
    tone = np.kron(rng.normal(0, 0.04, (count, count)), np.ones((256 // count,) * 2))
    value = rng.uniform(0.45, 0.62) + tone + 0.03 * noise(rng, 0.5) + 0.04 * noise(rng, 1.8)
    joints = np.minimum(*np.meshgrid(*[np.arange(256) % (256 // count)] * 2)) < 1
    return coloured(rng, value * (1 - 0.3 * joints), 0.04)


def grass(rng: Generator) -> np.ndarray:
    """Blades and tufts, with dry patches."""
    value = 0.37 + 0.09 * noise(rng, 0.5) + 0.07 * noise(rng, 1.4)
    green = np.array([0.86, 1.06, 0.58]) + rng.normal(0, 0.06, 3)
    dry = np.clip(0.5 + 0.5 * noise(rng, 1.8), 0, 1)[..., None] * rng.uniform(0, 0.6)
    return value[..., None] * ((1 - dry) * green + dry * np.array([1.25, 1.12, 0.75]))


def gravel(rng: Generator) -> np.ndarray:
    """Stones of several sizes."""
    value = rng.uniform(0.4, 0.58) + 0.08 * noise(rng, 0.2) + 0.05 * noise(rng, 1.0)
    return coloured(rng, value + 0.08 * spots(rng, 900, 1, 4), 0.04)


def soil(rng: Generator) -> np.ndarray:
    """Brown earth."""
    value = rng.uniform(0.3, 0.45) + 0.05 * noise(rng, 0.6) + 0.08 * noise(rng, 1.6)
    return value[..., None] * np.array([1.15, 1.0, 0.8])


def leaves(rng: Generator) -> np.ndarray:
    """Foliage: bright leaves over dark gaps, clumped."""
    clumps = 0.10 * noise(rng, 1.4) + 0.08 * noise(rng, 0.7)
    value = 0.30 + clumps + 0.09 * spots(rng, 1500, 2, 5)
    green = np.array([0.85, 1.1, 0.55]) + rng.normal(0, 0.08, 3)
    return np.clip(value, 0.05, 1)[..., None] * green


def bark(rng: Generator) -> np.ndarray:
    """Vertical furrows."""
    furrows = noise(rng, 1.0, stretch=(6.0, 1.0))
    return coloured(rng, 0.33 + 0.09 * furrows + 0.04 * noise(rng, 0.5), 0.04)


def planks(rng: Generator) -> np.ndarray:
    """Wooden boards side by side."""
    count = int(rng.choice([4, 8]))
    tone = np.kron(rng.normal(0, 0.05, (1, count)), np.ones((256, 256 // count)))
    grain = 0.05 * noise(rng, 1.0, stretch=(8.0, 1.0))
    value = rng.uniform(0.35, 0.6) + tone + grain
    gaps = (np.arange(256) % (256 // count)) < 3
    return np.clip(value * (1 - 0.6 * gaps), 0, 1)[..., None] * np.array([1.15, 0.98, 0.76])


def crate(rng: Generator) -> np.ndarray:
    """A wooden or cardboard crate's side, with frame and a printed mark."""
    image = planks(rng)
    for box in ((0, 0, 256, 24), (0, 232, 256, 256), (0, 0, 24, 256), (232, 0, 256, 256)):
        image[box[1] : box[3], box[0] : box[2]] *= rng.uniform(0.75, 1.2)
    if rng.random() < 0.6:
        x, y = rng.integers(60, 150, 2)
        image[y : y + 50, x : x + 70] = rng.uniform(0.1, 0.9, 3)
        image[y + 10 : y + 40 : 6, x + 8 : x + 62] *= 0.4
    return image


def metal(rng: Generator) -> np.ndarray:
    """Painted metal: nearly flat, faint streaks."""
    streaks = noise(rng, 1.2, stretch=(4.0, 1.0))
    return coloured(rng, 0.75 + 0.03 * streaks + 0.03 * noise(rng, 1.8), 0.02)


def clouds(rng: Generator) -> np.ndarray:
    """Sky: cumulus cover between none and full, in units of the sky's brightness."""
    cover = np.clip(0.5 + rng.uniform(-0.6, 0.6) + 0.5 * noise(rng, 2.2), 0, 1)[..., None]
    white = (0.93 + 0.06 * noise(rng, 1.8))[..., None] * np.ones(3)
    blue = np.array([0.50, 0.66, 0.92]) + rng.normal(0, 0.04, 3)
    return cover * white + (1 - cover) * blue


def mottled(rng: Generator) -> np.ndarray:
    """Large-scale variation that hides the repetition of other tiles (0.5 = neutral)."""
    return np.repeat(0.5 + 0.10 * noise(rng, 1.6)[..., None], 3, axis=2)


PAINTERS: dict[str, tuple[Painter, tuple[float, float]]] = {
    "asphalt": (asphalt, (5.0, 5.0)),
    "asphalt_old": (asphalt, (9.0, 9.0)),
    "concrete": (concrete, (4.0, 4.0)),
    "slabs": (slabs, (4.0, 4.0)),
    "grass": (grass, (4.0, 4.0)),
    "gravel": (gravel, (2.5, 2.5)),
    "soil": (soil, (5.0, 5.0)),
    "leaves": (leaves, (3.0, 3.0)),
    "hedge": (leaves, (1.6, 1.6)),
    "bark": (bark, (1.0, 1.5)),
    "planks": (planks, (1.6, 2.0)),
    "crate": (crate, (1.0, 1.0)),
    "metal": (metal, (3.0, 3.0)),
    "clouds": (clouds, (1.0, 1.0)),
    "mottled": (mottled, (1.0, 1.0)),
    **building_painters.PAINTERS,
    **vehicle_painters.PAINTERS,
    **nature_painters.PAINTERS,  # last: the tiles before them keep their looks
}
