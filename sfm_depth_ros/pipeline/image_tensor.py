# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The networks' input, filled in place: the newest image beside the one before it."""

from __future__ import annotations

import cv2
import numpy as np

_TO_UNIT = np.float32(1.0 / 255.0)


class ImageTensor:
    """A ``(1, 6, h, w)`` float32 tensor of two images in [0, 1], earlier before later.

    Args:
        input_hw: (height, width) of the images in pixels.
    """

    def __init__(self, input_hw: tuple[int, int]) -> None:
        self._pair = np.zeros((1, 6, *input_hw), np.float32)

    @property
    def later(self) -> np.ndarray:
        """The newest image, ``(1, 3, h, w)``; a view, overwritten by the next ``push``."""
        return self._pair[:, 3:]

    def push(self, image: np.ndarray) -> np.ndarray:
        """Make the newest image the earlier one, and ``image`` the newest.

        Args:
            image: ``(h, w, 3)`` uint8 RGB.

        Returns:
            The pair ``(1, 6, h, w)``; overwritten by the next ``push``.
        """
        self._pair[:, :3] = self._pair[:, 3:]
        for plane, channel in zip(self._pair[0, 3:], cv2.split(image), strict=True):
            np.multiply(channel, _TO_UNIT, out=plane)
        return self._pair
