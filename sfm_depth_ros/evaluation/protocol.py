# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Evaluation protocol of depth: the choices in which published evaluations differ."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from typing import Any

from sfm_depth_ros.errors import ConfigError

MIN_DEPTH = 1e-3  # metres
MAX_DEPTH = 80.0  # metres

# Garg et al., ECCV 2016: the part of KITTI's images that their lidar reaches; as shares of the
# height (first and last row) and of the width (first and last column).
GARG_ROWS = (0.40810811, 0.99189189)
GARG_COLUMNS = (0.03594771, 0.96405229)

CROPS = ("none", "garg")
RESIZES = ("disparity", "depth", "truth")


@dataclass(frozen=True)
class DepthProtocol:
    """The choices in which published evaluations differ."""

    # Nearest truth that counts, metres; predictions are clamped to it
    min_depth: float = MIN_DEPTH
    # Farthest truth that counts, metres; predictions are clamped to it
    max_depth: float = MAX_DEPTH
    crop: str = "none"  # `"none"`, or `"garg"`: only truth within that crop of the image counts
    # What is brought to the other's pixels: the prediction to the truth's, blended as
    # `"disparity"` (1 / depth; as in Monodepth2) or as `"depth"` (PackNet-SfM's), or the `"truth"`
    # to the network's, point by point
    resize: str = "disparity"
    # Whether the depth network also sees each image mirrored, and both are blended
    flip: bool = False

    def __post_init__(self) -> None:
        if not (0 < self.min_depth < self.max_depth and math.isfinite(self.max_depth)):
            raise ConfigError(
                f"expected metres with 0 < min_depth < max_depth, got min_depth "
                f"{self.min_depth:g} and max_depth {self.max_depth:g}"
            )
        for name, value, choices in (
            ("crop", self.crop, CROPS),
            ("resize", self.resize, RESIZES),
        ):
            if value not in choices:
                raise ConfigError(f"{name}: expected one of {', '.join(choices)}, got {value!r}")

    def window(self, height: int, width: int) -> tuple[slice, slice]:
        """Rows and columns of a truth of this size that count."""
        if self.crop == "none":
            return slice(0, height), slice(0, width)
        rows, columns = (
            [int(share * size) for share in shares]
            for shares, size in ((GARG_ROWS, height), (GARG_COLUMNS, width))
        )
        return slice(*rows), slice(*columns)

    def as_dict(self) -> dict[str, Any]:
        """The choices by name, for reports."""
        return dataclasses.asdict(self)
