# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Tiles of vehicles (paint is near white: the object's tint gives the colour), people, signs."""

from __future__ import annotations

import cv2
import numpy as np

from sfm_depth_ros.world.noise import Generator, coloured, noise


def _paint(rng: Generator) -> np.ndarray:
    """Clear-coated paint reflecting the surroundings: brighter upwards."""
    ramp = np.linspace(1.0, 0.62, 256)[:, None]
    return coloured(rng, 0.9 * ramp + 0.02 * noise(rng, 2.0), 0.0)


def car_side(rng: Generator) -> np.ndarray:
    """Lower body seen from the side: wheels, arches, door lines, handles, sill."""
    image = _paint(rng)
    for x in (48, 205):
        cv2.circle(image, (x, 196), 46, (0.04,) * 3, -1, cv2.LINE_AA)
        cv2.ellipse(image, (x, 200), (36, 56), 0, 0, 360, (0.12,) * 3, -1, cv2.LINE_AA)
        cv2.ellipse(image, (x, 200), (23, 36), 0, 0, 360, (0.5,) * 3, -1, cv2.LINE_AA)
        cv2.ellipse(image, (x, 200), (9, 14), 0, 0, 360, (0.2,) * 3, -1, cv2.LINE_AA)
    image[232:, 94:160] *= 0.15
    for x in (92, 134, 172):
        cv2.line(image, (x, 0), (x, 220), (0.3,) * 3, 1, cv2.LINE_AA)
    image[40:50, 112:128] *= 0.4
    image[40:50, 155:169] *= 0.4
    cv2.line(image, (0, 70), (256, 84), (0.6,) * 3, 2, cv2.LINE_AA)
    image[20:60, 0:14] = (0.5, 0.06, 0.05)
    image[20:60, 244:256] = 0.85
    return image


def car_cabin(rng: Generator) -> np.ndarray:
    """Upper body from the side: windows between pillars under a roof edge."""
    image = _paint(rng)
    shade = np.linspace(0.32, 0.12, 176)[:, None, None]
    for left, right in ((16, 118), (128, 222), (229, 248)):
        image[40:216, left:right] = shade * rng.uniform(0.7, 1.2)
        image[150:216, left + 8 : left + 30] = 0.08
    return image


def car_glass(rng: Generator) -> np.ndarray:
    """Wind screen or rear window: dark, reflecting the sky above."""
    image = _paint(rng)
    image[24:240, 18:238] = np.linspace(0.4, 0.12, 216)[:, None, None]
    image[130:240, 50:100] *= 0.6
    image[130:240, 156:206] *= 0.6
    return image


def car_front(rng: Generator) -> np.ndarray:
    """Grille, head lights, number plate, dark bumper and wheels below."""
    image = _paint(rng)
    image[70:130, 70:186] = 0.1
    image[76:126:10, 74:182] = 0.35
    for left in (12, 196):
        image[60:120, left : left + 48] = rng.uniform(0.7, 0.95)
        image[75:105, left + 14 : left + 34] = 0.45
    image[150:182, 90:166] = 0.85
    image[158:174, 96:160:8] = 0.2
    image[200:, :] *= 0.25
    image[196:, 14:52] = image[196:, 204:242] = 0.06
    return image


def car_rear(rng: Generator) -> np.ndarray:
    """Tail lights, number plate, bumper, wheels."""
    image = _paint(rng)
    for left in (8, 206):
        image[30:100, left : left + 42] = (0.55, 0.06, 0.05)
        image[70:84, left : left + 42] = 0.8
    image[80:112, 88:168] = 0.82
    image[88:104, 94:162:9] = 0.2
    image[140:150] *= 0.5
    image[205:, :] *= 0.2
    image[200:, 14:52] = image[200:, 204:242] = 0.06
    return image


def van_side(rng: Generator) -> np.ndarray:
    """Van or lorry from the side: front window, lettering, wheels."""
    image = _paint(rng)
    image[40:110, 200:246] = 0.15
    if rng.random() < 0.6:
        image[40:110, 120:190] = 0.18
    colour = rng.uniform(0.1, 0.8, 3)
    for x in range(30, 150, 16):
        image[120 : 120 + int(rng.integers(14, 34)), x : x + 11] = colour
    for x in (46, 208):
        cv2.ellipse(image, (x, 226), (26, 38), 0, 0, 360, (0.05,) * 3, -1, cv2.LINE_AA)
        cv2.ellipse(image, (x, 228), (13, 20), 0, 0, 360, (0.45,) * 3, -1, cv2.LINE_AA)
    for x in (110, 196):
        image[20:220, x : x + 2] *= 0.5
    return image


def person(rng: Generator) -> np.ndarray:
    """Clothes: dark trousers, a coloured top, a head."""
    image = coloured(rng, 0.3 + 0.04 * noise(rng, 1.5), 0.1)
    image[40:140] = rng.uniform(0.1, 0.8, 3) * (1 + 0.08 * noise(rng, 1.2)[40:140, :, None])
    image[:40] = (0.62, 0.5, 0.42)
    image[:14] = rng.uniform(0.05, 0.4)
    image[140:, 120:136] *= 0.4
    return image


def sign(rng: Generator) -> np.ndarray:
    """A traffic or advertising sign: border, field, some writing."""
    image = np.ones((256, 256, 3)) * rng.choice([0.9, 0.2, 0.5])
    image[16:240, 16:240] = rng.uniform(0.05, 0.95, 3)
    for _ in range(6):
        x, y = rng.integers(24, 180, 2)
        image[y : y + 16, x : x + int(rng.integers(10, 60))] = rng.uniform(0, 1, 3)
    return image


PAINTERS = {
    "car_side": (car_side, (0.0, 0.0)),
    "car_cabin": (car_cabin, (0.0, 0.0)),
    "car_glass": (car_glass, (0.0, 0.0)),
    "car_front": (car_front, (0.0, 0.0)),
    "car_rear": (car_rear, (0.0, 0.0)),
    "van_side": (van_side, (0.0, 0.0)),
    "person_a": (person, (0.0, 0.0)),
    "person_b": (person, (0.0, 0.0)),
    "sign_a": (sign, (0.0, 0.0)),
    "sign_b": (sign, (0.0, 0.0)),
}
