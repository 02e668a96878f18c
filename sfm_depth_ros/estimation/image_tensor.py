# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Input of the networks, filled in place: the newest images in order of time."""

from __future__ import annotations

from itertools import pairwise

import cv2
import numpy as np

_TO_UNIT = np.float32(1.0 / 255.0)


class ImageTensor:
    """The newest images, earlier before later, as the engines take them.

    Floats: ``(1, 3 images, h, w)`` float32 in [0, 1]. Bytes: ``(images, h, w, 3)`` uint8.

    Args:
        input_hw: (height, width) of the images in pixels.
        images: How many images the pose network sees at once.
        as_bytes: Whether to hold bytes, not floats.
    """

    def __init__(self, input_hw: tuple[int, int], images: int = 2, as_bytes: bool = False) -> None:
        self.images, self.as_bytes = images, as_bytes
        shape, kind = ((*input_hw, 3), np.uint8) if as_bytes else ((3, *input_hw), np.float32)
        self._places = np.zeros((images, *shape), kind)
        self._stack = self._places if as_bytes else self._places.reshape(1, -1, *input_hw)
        self._planes = np.empty((3, *input_hw), np.uint8)
        self._in_a_row = 0
        self._has_room = True  # whether the newest image's place may be filled

    @property
    def later(self) -> np.ndarray:
        """The newest image, ``(1, ...)``; a view, overwritten by the next ``push``."""
        return self._places[-1:]

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
            All images; overwritten by ``make_room`` and the next ``push``.
        """
        self.make_room()
        self._has_room = False
        self._in_a_row = self._in_a_row + 1 if follows else 1
        if self.as_bytes:
            self._places[-1] = image
        else:
            cv2.split(image, list(self._planes))
            np.multiply(self._planes, _TO_UNIT, out=self._places[-1])
        return self._stack

    def make_room(self) -> None:
        """Make the newest image an earlier one beforehand, once the stack has been read.

        ``later`` stays as it is: this may run while the depth network reads it.
        """
        if not self._has_room:
            for earlier, later in pairwise(self._places):
                earlier[...] = later
            self._has_room = True
