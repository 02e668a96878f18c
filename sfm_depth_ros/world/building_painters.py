# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Tiles of buildings, outside and inside: facades with windows at real sizes, roofs, rooms."""

from __future__ import annotations

import numpy as np

from sfm_depth_ros.world.noise import Generator, coloured, noise


def plaster(rng: Generator) -> np.ndarray:
    """Painted wall with weather stains."""
    stains = noise(rng, 1.6, stretch=(2.0, 1.0))
    value = rng.uniform(0.62, 0.9) + 0.02 * noise(rng, 0.5) + 0.035 * stains
    return coloured(rng, value, 0.035)


def brick(rng: Generator) -> np.ndarray:
    """Courses of bricks (8 x 25 cm) in running bond."""
    rows, columns = 32, 10
    y, x = np.mgrid[0:256, 0:256]
    row = y * rows // 256
    shifted = x / 256 * columns + 0.5 * (row % 2)
    tone = rng.normal(0, 0.06, (rows, columns))[row, shifted.astype(int) % columns]
    mortar = (y * rows % 256 < 40) | (shifted % 1 < 0.07)
    value = rng.uniform(0.35, 0.55) + tone + 0.03 * noise(rng, 0.8)
    red = np.array([1.25, 0.92, 0.78])
    return np.where(mortar[..., None], 0.6, np.clip(value, 0, 1)[..., None] * red)


def roof(rng: Generator) -> np.ndarray:
    """Rows of roof tiles, red or grey."""
    wave = 0.06 * np.sin(np.arange(256) / 256 * 2 * np.pi * 16)[:, None]
    value = rng.uniform(0.28, 0.48) + wave + 0.04 * noise(rng, 0.8) + 0.03 * noise(rng, 1.8)
    hue = np.array([1.3, 0.85, 0.7]) if rng.random() < 0.55 else np.array([0.95, 1.0, 1.05])
    return np.clip(value, 0, 1)[..., None] * hue


def facade(rng: Generator) -> np.ndarray:
    """Three storeys of windows, 3 m each, over 12 m; doors are part of the ground floor."""
    wall = brick(rng) if rng.random() < 0.2 else plaster(rng)
    columns = int(rng.choice([3, 4, 5, 6]))
    width, height = 256 / columns, 256 / 3
    fraction = rng.uniform(0.3, 0.55), rng.uniform(0.4, 0.6)
    style = _WindowStyle(rng)
    for row in range(3):
        for column in range(columns):
            x = (column + 0.5) * width
            y = (row + 0.5) * height
            half = fraction[0] * width / 2, fraction[1] * height / 2
            if rng.random() < 0.93:
                style.paint(wall, x - half[0], y - half[1], x + half[0], y + half[1], rng)
    if rng.random() < 0.6:
        line = int(256 / 3 * rng.integers(1, 3))
        wall[line - 2 : line + 2] *= rng.uniform(0.6, 1.15)
    wall[250:] *= rng.uniform(0.5, 0.8)
    return wall


class _WindowStyle:
    """Windows of one house: frame, shutters, blinds."""

    def __init__(self, rng: Generator) -> None:
        self.frame = rng.uniform(0.5, 0.95)
        hue = np.array([0.92, 1.0, 1.08]) + rng.normal(0, 0.05, 3)
        self.glass = rng.uniform(0.08, 0.35) * hue
        self.shutters = rng.random() < 0.35
        self.shutter_colour = rng.uniform(0.15, 0.6) * (1 + rng.normal(0, 0.25, 3))

    def paint(
        self, wall: np.ndarray, x0: float, y0: float, x1: float, y1: float, rng: Generator
    ) -> None:
        """Draw one window between two corners, given in texels."""
        left, top, right, bottom = int(x0), int(y0), int(x1), int(y1)
        wall[top - 2 : bottom + 2, left - 2 : right + 2] = self.frame
        shade = np.linspace(1.3, 0.7, max(bottom - top, 1))[:, None, None]
        wall[top:bottom, left:right] = np.clip(self.glass * shade * rng.uniform(0.7, 1.5), 0, 1)
        if rng.random() < 0.3:
            wall[top : top + int((bottom - top) * rng.uniform(0.2, 1)), left:right] = 0.7
        middle = (left + right) // 2
        wall[top:bottom, middle : middle + 1] = self.frame
        wall[bottom + 2 : bottom + 4, left - 3 : right + 3] *= 0.6
        if self.shutters:
            half = max((right - left) // 2, 2)
            for start in (left - 2 - half, right + 2):
                wall[top:bottom, max(start, 0) : start + half] = self.shutter_colour


def garage(rng: Generator) -> np.ndarray:
    """Two metal garage doors in a wall."""
    wall = plaster(rng)
    door = rng.uniform(0.3, 0.85) * (1 + 0.12 * rng.standard_normal(3))
    ribs = 1 - 0.2 * (np.arange(190) % 12 < 2)
    for left in (14, 142):
        wall[60:250, left : left + 100] = door * ribs[:, None, None]
    return wall


def shop(rng: Generator) -> np.ndarray:
    """A ground floor with shop windows and a sign."""
    wall = plaster(rng)
    wall[90:240, 20:150] = rng.uniform(0.1, 0.3, 3)
    wall[90:250, 180:230] = rng.uniform(0.1, 0.5, 3)
    wall[150:240, 30:140] += 0.15 * np.abs(noise(rng, 1.2))[150:240, 30:140, None]
    wall[50:80, 20:236] = rng.uniform(0.1, 0.9, 3)
    for x in range(40, 200, 18):
        wall[58:72, x : x + 11] = rng.uniform(0.1, 0.95)
    return wall


def floor(rng: Generator) -> np.ndarray:
    """Indoor floor: tiles, boards or carpet."""
    kind = rng.integers(3)
    value = rng.uniform(0.3, 0.65) + 0.03 * noise(rng, 0.5) + 0.05 * noise(rng, 1.6)
    y, x = np.mgrid[0:256, 0:256]
    if kind == 0:
        value = value * (1 - 0.35 * ((x % 32 < 1) | (y % 32 < 1)))
        value = value + 0.08 * (((x // 32 + y // 32) % 2) - 0.5) * (rng.random() < 0.5)
    elif kind == 1:
        value = value + np.kron(rng.normal(0, 0.05, (1, 32)), np.ones((256, 8)))
        value = value * (1 - 0.4 * (x % 8 < 1))
    return coloured(rng, value, 0.1)


def room_wall(rng: Generator) -> np.ndarray:
    """Indoor wall: paint with scuffs, skirting board, sockets."""
    value = rng.uniform(0.55, 0.88) + 0.012 * noise(rng, 0.5) + 0.035 * noise(rng, 1.6)
    wall = coloured(rng, value, 0.05)
    if rng.random() < 0.5:
        wall[150:] *= rng.uniform(0.6, 0.95, 3)
    for _ in range(int(rng.integers(1, 5))):
        x, y = rng.integers(5, 220, 2)
        wall[y : y + rng.integers(8, 50), x : x + rng.integers(8, 40)] = rng.uniform(0.1, 0.9, 3)
    wall[244:] = rng.uniform(0.2, 0.9)
    return wall


def room_door(rng: Generator) -> np.ndarray:
    """Indoor wall with a door of 2 m."""
    wall = room_wall(rng)
    wall[44:, 70:170] = rng.uniform(0.3, 0.9)
    wall[50:, 76:164] = rng.uniform(0.25, 0.8, 3)
    wall[150:156, 84:94] = 0.15
    return wall


def shelf(rng: Generator) -> np.ndarray:
    """A shelf full of boxes and books."""
    image = np.full((256, 256, 3), rng.uniform(0.1, 0.3))
    for bottom in (60, 124, 188, 250):
        x = 6
        while x < 246:
            width, height = int(rng.integers(6, 30)), int(rng.integers(20, 52))
            image[bottom - height : bottom, x : min(x + width, 250)] = rng.uniform(0.1, 0.9, 3)
            x += width + int(rng.integers(0, 8))
        image[bottom : bottom + 5] = 0.55
    return image * (1 + 0.05 * noise(rng, 1.0))[..., None]


PAINTERS = {
    "plaster": (plaster, (6.0, 6.0)),
    "brick": (brick, (2.5, 2.6)),
    "roof": (roof, (4.0, 4.0)),
    "facade_a": (facade, (12.0, 9.0)),
    "facade_b": (facade, (12.0, 9.0)),
    "facade_c": (facade, (11.0, 9.0)),
    "facade_d": (facade, (14.0, 9.0)),
    "facade_e": (facade, (10.0, 9.0)),
    "garage": (garage, (6.5, 2.8)),
    "shop": (shop, (8.0, 3.2)),
    "floor": (floor, (4.0, 4.0)),
    "room_wall": (room_wall, (4.0, 2.6)),
    "room_door": (room_door, (3.0, 2.6)),
    "shelf": (shelf, (2.0, 2.2)),
}
