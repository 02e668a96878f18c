# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Which part of a bag is meant, and how much it counts: ``BAG[@START-END][=WEIGHT]``."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from sfm_depth_ros.errors import DataError

_NUMBER = r"\d+(?:\.\d*)?|\.\d+"
_SYNTAX = re.compile(
    rf"(?P<path>.+?)(?:@(?P<start>{_NUMBER})?-(?P<end>{_NUMBER})?)?(?:=(?P<weight>{_NUMBER}))?"
)


@dataclass(frozen=True)
class BagPart:
    """A bag, or a time range of it.

    Attributes:
        path: The rosbag2.
        start_s: Seconds after the bag's first image at which the part begins.
        end_s: Seconds after the bag's first image at which it ends; infinite = with the bag.
        weight: How many times as often as without a weight its snippets are drawn.
    """

    path: Path
    start_s: float = 0.0
    end_s: float = math.inf
    weight: float = 1.0

    @property
    def name(self) -> str:
        """The bag's name, with its range where it is a part."""
        name = self.path.resolve().name
        if self.start_s == 0 and math.isinf(self.end_s):
            return name
        end = "" if math.isinf(self.end_s) else f"{self.end_s:g}"
        return f"{name}@{self.start_s:g}-{end}"

    def contains(self, stamps_ns: np.ndarray, first_ns: int) -> np.ndarray:
        """Whether whole snippets lie in the part.

        Args:
            stamps_ns: ``(..., 3)`` of (earlier, target, later).
            first_ns: Stamp of the bag's first image.

        Returns:
            ``(...)`` bool.
        """
        seconds = (np.asarray(stamps_ns) - first_ns) * 1e-9
        inside: np.ndarray = (seconds[..., 0] >= self.start_s) & (seconds[..., -1] <= self.end_s)
        return inside


def parse_bag_part(text: str) -> BagPart:
    """Read ``BAG[@START-END][=WEIGHT]``; a path that exists as it is written is taken so.

    Args:
        text: For example ``drive``, ``drive@0-66``, ``drive@66-`` or ``drive@-66=2``.

    Raises:
        DataError: The range is empty or the weight zero.
    """
    match = _SYNTAX.fullmatch(text)
    if Path(text).exists() or match is None:
        return BagPart(Path(text))
    start, end, weight = match["start"], match["end"], match["weight"]
    part = BagPart(
        Path(match["path"]), float(start or 0), float(end or math.inf), float(weight or 1)
    )
    if part.start_s >= part.end_s:
        raise DataError(f"{text}: expected BAG@START-END with START before END, in seconds after "
                        "the bag's first image")
    if part.weight <= 0:
        raise DataError(f"{text}: expected BAG=WEIGHT with a weight above 0")
    return part
