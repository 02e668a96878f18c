# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""How each part of a snippet lies on disk; zeros say that it is unknown."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from sfm_depth_ros.snippets.values import Snippet

DONE = "done"


@dataclass(frozen=True)
class Column:
    """One file with one array for each snippet."""

    file: str  # Its name
    dtype: Any  # Type of its numbers
    # Shape of a snippet's array, from image height and width
    shape: Callable[[int, int], tuple[int, ...]]
    is_optional: bool = False  # Whether a snippet may lack it; then all zero = it does


COLUMNS = {
    "target": Column("target.u8", np.uint8, lambda h, w: (h, w, 3)),
    "sources": Column("sources.u8", np.uint8, lambda h, w: (2, h, w, 3)),
    "camera": Column("camera.f32", np.float32, lambda h, w: (3, 3)),
    "displacements": Column("displacements.f32", np.float32, lambda h, w: (2,)),
    "stamps_ns": Column("stamps.i64", np.int64, lambda h, w: (3,)),
    "invalid": Column("invalid.u8", np.bool_, lambda h, w: (h, w), True),
    "depth": Column("depth.f16", np.float16, lambda h, w: (h, w), True),
    "T_source_target": Column("motion.f32", np.float32, lambda h, w: (2, 4, 4), True),
    "T_measured": Column("measured_motion.f32", np.float32, lambda h, w: (2, 4, 4), True),
    "right": Column("right.u8", np.uint8, lambda h, w: (h, w, 3), True),
    "T_right_target": Column("right_pose.f32", np.float32, lambda h, w: (4, 4), True),
    "sparse_depth": Column("sparse_depth.f16", np.float16, lambda h, w: (h, w), True),
    "instances": Column("instances.u8", np.uint8, lambda h, w: (3, h, w), True),
}


def column_values(snippet: Snippet) -> dict[str, np.ndarray | None]:
    """A snippet's value in every column; None = unknown.

    Validity is kept inverted, so that zeros mean that every pixel is valid.
    """
    values = {name: getattr(snippet, name, None) for name in COLUMNS}
    values["camera"] = snippet.intrinsics.matrix
    values["invalid"] = None if snippet.valid is None else ~np.asarray(snippet.valid, bool)
    return values
