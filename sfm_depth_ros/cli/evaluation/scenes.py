# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Selection of the frames that an evaluation's page shows, and their pictures."""

from __future__ import annotations

from dataclasses import dataclass, field

import cv2
import numpy as np

from sfm_depth_ros.estimation.depth_views import depth_to_color
from sfm_depth_ros.evaluation.evaluator import EvaluatedFrame
from sfm_depth_ros.evaluation.matching import MatchedDepth

SPREAD = 3  # frames of each bag, in addition to the worst one
FULL_COLOUR = 0.5  # relative error that has the strongest colour
_SPARSE = 0.2  # share of pixels with truth below which points are drawn larger
_DIMMED = 0.35


@dataclass(frozen=True, eq=False)
class Scene:
    """One frame to show."""

    number: int  # Its place in the bag, from 1
    label: str  # Why it is shown
    image: np.ndarray  # `(h, w, 3)` uint8 RGB
    depth: np.ndarray  # `(h, w)` predicted metres
    matched: MatchedDepth | None  # Truth and prediction where the truth is known, or None
    abs_rel: float | None  # Error of the frame, unscaled; None without truth

    @classmethod
    def of(cls, done: EvaluatedFrame, label: str, abs_rel: float | None) -> Scene:
        """The scene of an evaluated frame."""
        image, depth = done.given.frame.image, done.result.frame_depth
        return cls(done.number, label, image, depth, done.matched, abs_rel)


@dataclass
class SceneChooser:
    """Watches an evaluation: keeps frames spread over each bag, and the worst one."""

    # Scenes by bag, in the order of time
    chosen: dict[str, list[Scene]] = field(default_factory=dict)
    _worst: dict[str, Scene] = field(default_factory=dict)
    _has_truth: set[str] = field(default_factory=set)

    def add(self, done: EvaluatedFrame) -> None:
        """Look at one more frame."""
        scenes = self.chosen.setdefault(done.bag, [])
        abs_rel = None
        if done.matched is not None:
            self._has_truth.add(done.bag)
            off = np.abs(done.matched.prediction - done.matched.truth) / done.matched.truth
            abs_rel = float(off.mean())
            worst = self._worst.get(done.bag)
            if worst is None or abs_rel > (worst.abs_rel or 0.0):
                self._worst[done.bag] = Scene.of(done, "the worst frame", abs_rel)
        if done.matched is None and done.bag in self._has_truth:
            return
        if len(scenes) < SPREAD and done.number > (len(scenes) + 0.5) * done.total / SPREAD:
            scenes.append(Scene.of(done, f"frame {done.number}", abs_rel))

    def scenes(self, bag: str) -> list[Scene]:
        """Frames of a bag to show, the worst one last."""
        worst = self._worst.get(bag)
        return [*self.chosen.get(bag, []), *([worst] if worst else [])]


def truth_picture(scene: Scene, matched: MatchedDepth) -> np.ndarray:
    """True depth in the colours of predicted depth, over the dimmed image; uint8 RGB."""
    colours = depth_to_color(matched.truth.astype(np.float32)[None])[0]
    return _painted(scene, matched, colours)


def error_picture(scene: Scene, matched: MatchedDepth) -> np.ndarray:
    """Relative error: blue is predicted too near, red too far; uint8 RGB."""
    return _painted(scene, matched, error_colours(matched.prediction / matched.truth - 1.0))


def error_colours(relative: np.ndarray) -> np.ndarray:
    """Signed relative errors ``(N,)`` to ``(N, 3)`` uint8 RGB: blue, white, red."""
    strength = np.clip(np.abs(relative) / FULL_COLOUR, 0.0, 1.0)[:, None]
    strongest = np.where(relative[:, None] < 0, (33.0, 102.0, 210.0), (203.0, 34.0, 47.0))
    return (247.0 + (strongest - 247.0) * strength).astype(np.uint8)


def _painted(scene: Scene, matched: MatchedDepth, colours: np.ndarray) -> np.ndarray:
    """Points in their colours; so few that nobody would see them are drawn larger."""
    height, width = scene.depth.shape
    rows = np.clip(np.rint(matched.rows), 0, height - 1).astype(int)
    columns = np.clip(np.rint(matched.columns), 0, width - 1).astype(int)
    layer = np.zeros((height, width, 3), np.uint8)
    known = np.zeros((height, width), np.uint8)
    layer[rows, columns], known[rows, columns] = colours, 1
    if known.mean() < _SPARSE:
        layer, known = _grown(layer, known)
    grey = cv2.cvtColor(scene.image, cv2.COLOR_RGB2GRAY)
    picture = (_DIMMED * np.repeat(grey[..., None], 3, axis=2)).astype(np.uint8)
    picture[known > 0] = layer[known > 0]
    return picture


def _grown(layer: np.ndarray, known: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Every point as 3 x 3 pixels; where two overlap, one of them is on top."""
    grown, mask = layer.copy(), known.copy()
    for down in (-1, 0, 1):
        for right in (-1, 0, 1):
            moved = np.roll(known, (down, right), (0, 1)) > 0
            free = moved & (mask == 0)
            grown[free] = np.roll(layer, (down, right), (0, 1))[free]
            mask[free] = 1
    return grown, mask
