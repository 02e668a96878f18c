# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""``BAG[@START-END][=WEIGHT]``: a bag or a part of it, and how much it counts in a mixture."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from sfm_depth_ros.bags.selection import BagSelection
from sfm_depth_ros.errors import DataError

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
