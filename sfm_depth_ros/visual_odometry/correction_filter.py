# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Filter of a depth correction over time: a Kalman filter on a random walk, without jumps."""

from __future__ import annotations

import math

import numpy as np

from sfm_depth_ros.visual_odometry.anchor_points import AnchorPoints
from sfm_depth_ros.visual_odometry.depth_correction import (
    DepthCorrection,
    fit_affine,
    fit_factor,
)

_GATE = 3.0  # standard deviations beyond which a measurement is not believed
_PATIENCE_S = 20.0  # longer than a wheel slips; what stays so far off is a new scale
_FIRST_PATIENCE_S = 2.0  # the same before landmarks have shown a correction at all
_CORRELATION_S = 1.0  # landmarks live about as long; within it they measure the same again
_OWN_STD = 0.5  # a metric network's own scale error, relative: what the filter fades to


class CorrectionFilter:
    """Follows the correction that landmarks show, image by image.

    The state is (log inverse_factor, inverse_shift). It walks at ``walk`` while the camera
    moves, and is kept while it stands. A measurement beyond the gate is left out; only what
    stays there longer than a wheel slips replaces the state. A network whose metres are beyond
    the gate from the beginning has none of its own: its first correction is taken soon, and the
    filter does not fade to the network.

    Args:
        is_affine: Whether the shift is estimated too.
        is_metric: Whether the network's own output is a prediction in metres, which an
            uncertain correction fades to; otherwise nothing is corrected before the first fit.
        walk: Standard deviation of the factor's relative change after one second of driving.
    """

    def __init__(self, is_affine: bool, is_metric: bool, walk: float = 0.1) -> None:
        self._is_affine, self._is_metric, self._walk = is_affine, is_metric, walk
        self.clear()

    def clear(self) -> None:
        """Forget the correction (another model)."""
        self._mean = np.zeros(2)
        self._covariance = np.diag((_OWN_STD**2, 0.0))
        self._is_known = False
        self._has_metres = self._is_metric
        self._outside_s = 0.0
        self.remark = ""

    @property
    def is_known(self) -> bool:
        """Whether landmarks have shown a correction yet."""
        return self._is_known

    @property
    def correction(self) -> DepthCorrection:
        """The correction now; the identity before landmarks have shown one."""
        if not self._is_known:
            return DepthCorrection(1.0, 0.0, np.diag((_OWN_STD**2, 0.0)))
        factor = math.exp(self._mean[0])
        return DepthCorrection(factor, float(self._mean[1]), self._covariance.copy())

    def advance(self, points: AnchorPoints, seconds: float, is_moving: bool) -> DepthCorrection:
        """Take the landmarks of the next image.

        Args:
            points: Landmarks beside the network's output.
            seconds: Time since the image before.
            is_moving: Whether the camera has moved since then; standing, the same landmarks have
                nothing new to show.

        Returns:
            The correction after it.
        """
        self.remark = ""
        if self._is_known and not is_moving:
            return self.correction
        before = self._covariance
        self._predict(seconds)
        measured = fit_affine(points) if self._is_affine else fit_factor(points)
        if measured is None:
            self.remark = "no depth correction: too few landmarks"
            return self.correction
        if not self._update(measured, seconds):
            self._covariance = before  # time spent in doubt makes nothing more plausible
        return self.correction

    def _predict(self, seconds: float) -> None:
        variance = self._walk**2 * max(seconds, 0.0)
        shift_share = self._mean[1] ** 2 if self._is_affine else 0.0
        self._covariance = self._covariance + np.diag((variance, variance * shift_share))
        if self._has_metres and self._covariance[0, 0] > _OWN_STD**2:
            # as uncertain as the network itself: back to the network's own depth
            keep = _OWN_STD**2 / self._covariance[0, 0]
            self._mean = self._mean * keep
            self._covariance = self._covariance * keep

    def _update(self, measured: DepthCorrection, seconds: float) -> bool:
        """Take a measurement; False where it is left out."""
        value = np.array((math.log(measured.inverse_factor), measured.inverse_shift))
        noise = measured.covariance * max(1.0, _CORRELATION_S / max(seconds, 1e-3))
        if not self._is_known and (self._is_affine or not self._is_metric):
            self._begin(value, noise)
            return True
        size = 2 if self._is_affine else 1
        innovation = (value - self._mean)[:size]
        spread = (self._covariance + noise)[:size, :size]
        if innovation @ np.linalg.solve(spread, innovation) > _GATE**2 * size:
            self._outside_s += max(seconds, 0.0)
            cause = "slipping wheels?" if self._is_known else "a network without metres?"
            self.remark = (
                f"depth correction held: landmarks of now would make depth x "
                f"{math.exp(-innovation[0]):.2f} ({cause})"
            )
            if self._outside_s <= (_PATIENCE_S if self._is_known else _FIRST_PATIENCE_S):
                return False
            self._has_metres = self._has_metres and self._is_known
            self._begin(value, noise)
            return True
        self._outside_s = 0.0
        self._is_known = True
        gain = self._covariance[:size, :size] @ np.linalg.inv(spread)
        self._mean[:size] += gain @ innovation
        self._covariance[:size, :size] -= gain @ self._covariance[:size, :size]
        return True

    def _begin(self, value: np.ndarray, noise: np.ndarray) -> None:
        self._mean, self._covariance = value.copy(), noise.copy()
        self._is_known, self._outside_s = True, 0.0
