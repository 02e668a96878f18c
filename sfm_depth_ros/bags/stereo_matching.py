# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Classical stereo: semi-global matching, a check from both sides, Z = b f / d.

A teacher and a baseline for networks: no learning, and metric by the baseline alone. What only one
camera sees, and what has no texture, stays unknown.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np

from sfm_depth_ros.errors import DataError
from sfm_depth_ros.snippets.values import Frame, Snippet

_STEP = 16  # OpenCV matches disparities in multiples of this, and returns them in 1/16 pixel
# Chosen on rendered pairs: small blocks and penalties, and a generous cap on gradients, keep the
# fraction of a pixel unbiased (a hundredth, where OpenCV's own examples have a twentieth).
_WINDOW = 3  # pixels along the edge of the compared blocks
_SMALL, _LARGE = 1, 8  # penalties of a disparity step of 1 and of more, per pixel and channel
_GRADIENT_CAP = 63
_UNIQUENESS = 8  # per cent by which the best match must beat the second
_SPECKLE_AREA, _SPECKLE_RANGE = 60, 2  # islands that are smaller, and differ so much, are dropped
_MAX_DISAGREEMENT = 1.0  # pixels between the matches from the left and from the right
_LARGEST_SHARE = 0.5  # of the width; nearer things are not searched for
_MAX_ROTATION = 1e-3  # radians and relative metres by which a rectified pair may be off


@dataclass(frozen=True)
class StereoMatcher:
    """Matches rectified pairs: one point lies in the same row of both images."""

    nearest: float = 1.5  # Nearest depth that is searched for, metres
    min_disparity: float = 0.5  # Pixels; smaller ones carry no depth and are unknown

    def depth(
        self, left: np.ndarray, right: np.ndarray, focal: float, baseline: float
    ) -> np.ndarray:
        """Depth of the left image.

        Args:
            left: ``(H, W, 3)`` uint8 RGB.
            right: ``(H, W, 3)`` uint8 RGB of the camera ``baseline`` to the right.
            focal: Pixels.
            baseline: Metres, above 0.

        Returns:
            ``(H, W)`` float32 metres, NaN = unknown.

        Raises:
            DataError: The images differ in size, or the baseline is not above 0.
        """
        if left.shape != right.shape or not baseline > 0:
            raise DataError(
                f"stereo needs two images of one size and a baseline above 0, got {left.shape}, "
                f"{right.shape} and {baseline:g} m: look at the second camera's camera_info, P[3] "
                "is minus focal length times baseline"
            )
        found = self.disparity(left, right, self._search(left.shape[1], focal * baseline))
        with np.errstate(invalid="ignore", divide="ignore"):
            depth = np.float32(focal * baseline) / found
            return np.where(found >= self.min_disparity, depth, np.float32(np.nan))

    def of_pair(self, pair: Frame | Snippet) -> np.ndarray:
        """Depth of a frame's or a snippet's image by its second camera.

        Args:
            pair: With ``right`` and ``T_right_target``.

        Returns:
            ``(H, W)`` float32 metres, NaN = unknown.

        Raises:
            DataError: The second camera is not rectified to the first, or not on its right.
        """
        image = pair.image if isinstance(pair, Frame) else pair.target
        if pair.right is None or pair.T_right_target is None:
            raise ValueError("expected a pair with right and T_right_target")
        baseline = _rectified_baseline(pair.T_right_target)
        depth = self.depth(image, pair.right, pair.intrinsics.fx, baseline)
        return depth if pair.valid is None else np.where(pair.valid, depth, np.float32(np.nan))

    def disparity(self, left: np.ndarray, right: np.ndarray, search: int) -> np.ndarray:
        """Column in the left image minus that in the right one.

        Args:
            left: ``(H, W, 3)`` uint8.
            right: ``(H, W, 3)`` uint8.
            search: Largest disparity, a multiple of 16.

        Returns:
            ``(H, W)`` float32 pixels, NaN where both sides do not agree.
        """
        from_left = _match(left, right, search)
        # mirrored, the right image is the left one of the pair
        from_right = _match(right[:, ::-1], left[:, ::-1], search)[:, ::-1]
        rows, columns = np.indices(from_left.shape)
        known = from_left >= 0
        landing = np.rint(columns - np.where(known, from_left, 0)).astype(np.int64)
        back = from_right[rows, landing.clip(0, left.shape[1] - 1)]
        agrees = known & (landing >= 0) & (np.abs(back - from_left) <= _MAX_DISAGREEMENT)
        return np.where(agrees, from_left, np.float32(np.nan))

    def _search(self, width: int, metres_pixels: float) -> int:
        """Largest disparity: that of the nearest depth, as far as the image allows."""
        wanted = math.ceil(metres_pixels / self.nearest / _STEP) * _STEP
        return max(_STEP, min(wanted, int(width * _LARGEST_SHARE) // _STEP * _STEP))


def teach_by_stereo(snippet: Snippet, matcher: StereoMatcher | None = None) -> Snippet:
    """The snippet with its pair's stereo depth as measured depth; as it is without a pair.

    What another sensor measured stays where stereo finds no match.

    Raises:
        DataError: The second camera is not rectified to the first, or not on its right.
    """
    if snippet.right is None or snippet.T_right_target is None:
        return snippet
    depth = (matcher or StereoMatcher()).of_pair(snippet)
    return snippet.with_measured_depth(np.where(np.isfinite(depth), depth, snippet.measured_depth))


def _rectified_baseline(T_right_target: np.ndarray) -> float:
    """Metres to the right; refuses a pair whose rows do not correspond."""
    baseline = -float(T_right_target[0, 3])
    aligned = T_right_target.copy()
    aligned[0, 3] = 0.0
    if not np.allclose(aligned, np.eye(4), atol=_MAX_ROTATION * max(1.0, abs(baseline))):
        raise DataError(
            "the second camera is rotated or shifted against the first: rectify the pair (its "
            "camera_info needs P of both) before stereo matching"
        )
    if not baseline > 0:
        raise DataError(f"the second camera is {-baseline:g} m to the left: swap the cameras")
    return baseline


def _match(left: np.ndarray, right: np.ndarray, search: int) -> np.ndarray:
    """``(H, W)`` float32 pixels, negative = no match."""
    area = _WINDOW * _WINDOW * left.shape[2]
    matcher = cv2.StereoSGBM.create(
        minDisparity=0,
        numDisparities=search,
        blockSize=_WINDOW,
        P1=_SMALL * area,
        P2=_LARGE * area,
        preFilterCap=_GRADIENT_CAP,
        uniquenessRatio=_UNIQUENESS,
        speckleWindowSize=_SPECKLE_AREA,
        speckleRange=_SPECKLE_RANGE,
        mode=cv2.STEREO_SGBM_MODE_SGBM_3WAY,
    )
    # columns whose match could lie outside get none: with a border every column is matched
    padded = [
        cv2.copyMakeBorder(np.ascontiguousarray(image), 0, 0, search, 0, cv2.BORDER_REPLICATE)
        for image in (left, right)
    ]
    found = matcher.compute(*padded)[:, search:]
    return found.astype(np.float32) / np.float32(_STEP)
