# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""True depth at its own size, and where each of its pixels lies in the network's image."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, eq=False)
class CameraTruth:
    """True depth of a rectified image, any size."""

    depth: np.ndarray  # `(H, W)` float32 metres along the rectified optical axis, 0 = unknown
    # `(W,)` float64 where each column's centre lies in the network's image; may lie outside of
    # what the network sees
    columns: np.ndarray
    rows: np.ndarray  # `(H,)` float64 the same for each row

    @classmethod
    def at_network_size(cls, depth: np.ndarray) -> CameraTruth:
        """Truth ``(h, w)`` in metres that has the network image's own pixels."""
        height, width = depth.shape
        return cls(depth, np.arange(width, dtype=np.float64), np.arange(height, dtype=np.float64))
