# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Flip post-processing (Godard et al., CVPR 2017): an image and its mirror image, blended."""

from __future__ import annotations

import numpy as np

_BORDER = 0.05  # share of the width at each side that is taken from one prediction alone
_RAMP = 20.0  # the blend goes over to the mean within another 1 / _RAMP of the width


def blend_flipped(depth: np.ndarray, mirrored: np.ndarray) -> np.ndarray:
    """Blend as inverse depth: the mean, but at each border one prediction alone.

    At the left border the mirrored image's prediction is taken (there it saw the right border of
    its own image), at the right border the other.

    Args:
        depth: ``(..., w)`` prediction for the image.
        mirrored: ``(..., w)`` prediction for the mirrored image, mirrored back.

    Returns:
        ``(..., w)`` of the same type.
    """
    across = np.linspace(0.0, 1.0, depth.shape[-1])
    left = 1.0 - np.clip(_RAMP * (across - _BORDER), 0.0, 1.0)
    right = left[::-1]
    middle = 0.5 * (1.0 - left - right)
    inverse = (right + middle) / depth + (left + middle) / mirrored
    return np.asarray(1.0 / inverse, depth.dtype)
