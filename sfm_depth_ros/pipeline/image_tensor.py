# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The networks' input, filled in place: the newest image beside those before it."""

from __future__ import annotations

import cv2
import numpy as np

_TO_UNIT = np.float32(1.0 / 255.0)


class ImageTensor:
    """A ``(1, 3 images, h, w)`` float32 tensor of images in [0, 1], earlier before later.

    Args:
        input_hw: (height, width) of the images in pixels.
        images: How many images the pose network sees at once.
    """

    def __init__(self, input_hw: tuple[int, int], images: int = 2) -> None:
        self.images = images
        self._stack = np.zeros((1, 3 * images, *input_hw), np.float32)
        self._planes = np.empty((3, *input_hw), np.uint8)
        self._in_a_row = 0
        self._has_room = True  # whether the newest image's place may be filled

    @property
    def later(self) -> np.ndarray:
        """The newest image, ``(1, 3, h, w)``; a view, overwritten by the next ``push``."""
        return self._stack[:, -3:]

    @property
    def is_full(self) -> bool:
        """Whether all images follow one another."""
        return self._in_a_row >= self.images

    def push(self, image: np.ndarray, follows: bool = True) -> np.ndarray:
        """Make the newest image an earlier one, and ``image`` the newest.

        Args:
            image: ``(h, w, 3)`` uint8 RGB.
            follows: Whether it was taken soon after the newest one.

        Returns:
            The stack ``(1, 3 images, h, w)``; overwritten by ``make_room`` and the next ``push``.
        """
        self.make_room()
        self._has_room = False
        self._in_a_row = self._in_a_row + 1 if follows else 1
        cv2.split(image, list(self._planes))
        np.multiply(self._planes, _TO_UNIT, out=self._stack[0, -3:])
        return self._stack

    def make_room(self) -> None:
        """Make the newest image an earlier one beforehand, once the stack has been read.

        ``later`` stays as it is: this may run while the depth network reads it.
        """
        if not self._has_room:
            for start in range(0, 3 * self.images - 3, 3):
                self._stack[:, start : start + 3] = self._stack[:, start + 3 : start + 6]
            self._has_room = True
