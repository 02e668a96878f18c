# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""``BAG[@START-END][=WEIGHT]``: a bag, or a part of it, and its weight in a mixture."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from sfm_depth_ros.errors import DataError

if TYPE_CHECKING:
    from sfm_depth_ros.bags.options import BagOptions

_NUMBER = r"\d+(?:\.\d*)?|\.\d+"
_RANGE = re.compile(rf"(?P<path>.+)@(?P<start>{_NUMBER})?-(?P<end>{_NUMBER})?")


@dataclass(frozen=True)
class BagSelection:
    """Images of a bag whose stamps lie in ``[start_s, end_s)`` after its first image.

    The parts ``BAG@0-66`` and ``BAG@66-`` of one bag therefore share no image and leave none out.
    """

    path: Path  # The rosbag2
    start_s: float = 0.0  # Seconds after the first image where the part begins
    # Seconds after the first image where the part ends; inf = to the bag's end
    end_s: float = math.inf
    options: BagOptions | None = None  # Values that replace what the bag holds or lacks

    @classmethod
    def parse(cls, text: str | Path) -> BagSelection:
        """Read ``PATH``, ``PATH@START-END``, ``PATH@START-`` or ``PATH@-END``, in seconds.

        A path that exists is taken as it is, whatever its name.

        Raises:
            DataError: The end is not after the start.
        """
        path = Path(text).expanduser()
        match = _RANGE.fullmatch(str(text))
        if match is None or path.exists() or not (match["start"] or match["end"]):
            return cls(path)
        start, end = float(match["start"] or 0.0), float(match["end"] or math.inf)
        if end <= start:
            raise DataError(
                f"{text}: the part must end after it starts; write BAG@START-END in seconds after "
                "the first image"
            )
        return cls(Path(match["path"]).expanduser(), start, end)

    @property
    def is_whole(self) -> bool:
        """Whether every image belongs to it."""
        return self.start_s == 0.0 and self.end_s == math.inf

    @property
    def name(self) -> str:
        """The bag's name with the part, as it can be typed again."""
        bag = self.path.name or str(self.path)
        if self.is_whole:
            return bag
        end = "" if self.end_s == math.inf else f"{self.end_s:g}"
        return f"{bag}@{self.start_s:g}-{end}"

    def contains(self, stamp_ns: int, first_stamp_ns: int) -> bool:
        """Whether an image belongs to the part.

        Args:
            stamp_ns: The image's stamp in nanoseconds.
            first_stamp_ns: The stamp of the bag's first image.
        """
        return self.start_s <= (stamp_ns - first_stamp_ns) * 1e-9 < self.end_s


_SYNTAX = re.compile(r"(?P<bag>.+)=(?P<weight>\d+(?:\.\d*)?|\.\d+)")


@dataclass(frozen=True)
class WeightedBag:
    """A part of a bag in a mixture."""

    selection: BagSelection  # The bag, and which part of it
    weight: float = 1.0  # How many times as often as without a weight its snippets are drawn

    @classmethod
    def parse(cls, text: str) -> WeightedBag:
        """Read for example ``drive``, ``drive@0-66``, ``drive=2`` or ``drive@66-=0.5``.

        A path that exists is taken as it is, whatever its name.

        Raises:
            DataError: The part is empty or the weight zero.
        """
        match = _SYNTAX.fullmatch(text)
        if match is None or Path(text).expanduser().exists():
            return cls(BagSelection.parse(text))
        weight = float(match["weight"])
        if weight <= 0:
            raise DataError(f"{text}: the weight must be above 0; leave the bag out instead")
        return cls(BagSelection.parse(match["bag"]), weight)
