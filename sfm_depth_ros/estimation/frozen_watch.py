# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A camera that repeats its last image: named while the robot drives."""

from __future__ import annotations

import numpy as np

FEW = 5  # images in a row that are the same bit by bit before anything is named
SLOWEST = 0.1  # m/s; a robot that stands in a simulation has such images too


class FrozenWatch:
    """Compares each image with the one before; noise alone makes a camera's images differ."""

    def __init__(self) -> None:
        self._before: np.ndarray | None = None
        self._same = 0

    def fault(self, image: np.ndarray, speed: float) -> str:
        """Take the next image.

        Args:
            image: ``(h, w, 3)`` uint8 RGB.
            speed: The odometer's, m/s.

        Returns:
            What is wrong, with the remedy; "" while nothing is.
        """
        before, self._before = self._before, image
        is_same = before is not None and np.array_equal(before, image)
        is_same = is_same and bool(np.ptp(image))  # one colour is a covered or blinded lens
        self._same = self._same + 1 if is_same and abs(speed) > SLOWEST else 0
        if self._same < FEW:
            return ""
        return (
            f"the last {self._same} images are the same bit by bit while the odometer drives: the "
            "camera driver repeats its last image; restart it"
        )
