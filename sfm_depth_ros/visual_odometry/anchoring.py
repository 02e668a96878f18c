# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Anchored depth: a network's dense depth, held to metres by landmarks.

Two steps, each of which fades to the one before where landmarks do not carry it: a global
correction that is filtered over time (a factor; factor and shift for affine-invariant networks),
and a smooth local field over image and depth (as VI-Depth, Wofk et al., ICRA 2023, but without
learning).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sfm_depth_ros.visual_odometry.anchor_points import AnchorPoints
from sfm_depth_ros.visual_odometry.correction_field import (
    CorrectionField,
    FieldNodes,
    FieldPoints,
)
from sfm_depth_ros.visual_odometry.correction_filter import CorrectionFilter
from sfm_depth_ros.visual_odometry.depth_correction import DepthCorrection

MODES = ("off", "scale", "local")
OUTPUTS = ("metric", "up_to_scale", "affine")


@dataclass(frozen=True, eq=False)
class AnchoredDepth:
    """Depth of one image after anchoring."""

    depth: np.ndarray  # (h, w) float32 metres, NaN where the network has none
    correction: DepthCorrection  # the global part
    # (h, w) float32 variance of log depth, by landmarks; None without the local field
    log_variance: np.ndarray | None
    points: int  # landmarks used
    remark: str = ""  # reason for a lesser correction, in words


class DepthAnchor:
    """Anchors one camera's depth, image by image; not thread-safe.

    Args:
        mode: ``off``: the network's depth as it is, ``scale``: the global correction,
            ``local``: the field too.
        output: What the network's inverse output is: ``metric`` 1/m, ``up_to_scale`` 1/depth in
            an unknown unit, ``affine`` 1/depth in an unknown unit plus an unknown shift.
    """

    def __init__(self, mode: str, output: str = "metric") -> None:
        if mode not in MODES:
            raise ValueError(f"mode is {mode!r}, expected one of {', '.join(MODES)}")
        if output not in OUTPUTS:
            raise ValueError(f"output is {output!r}, expected one of {', '.join(OUTPUTS)}")
        self._mode = mode
        self._filter = CorrectionFilter(output == "affine", output == "metric")
        self._field: CorrectionField | None = None
        self._nodes: FieldNodes | None = None  # of the last image that moved
        self._shape = (0, 0)

    @property
    def correction(self) -> DepthCorrection:
        """The global correction now."""
        return self._filter.correction

    def clear(self) -> None:
        """Forget the correction (another model, a jump in time)."""
        self._filter.clear()
        self._nodes = None

    def anchor(
        self,
        output: np.ndarray,
        points: AnchorPoints,
        seconds: float,
        is_moving: bool = True,
    ) -> AnchoredDepth:
        """Anchor the depth of the next image.

        Args:
            output: ``(h, w)`` float32 inverse output of the network (1 / depth of a metric
                network), 0 infinitely far; NaN where it has none.
            points: Landmarks of the same image beside this output.
            seconds: Time since the image before.
            is_moving: Whether the camera has moved since then; while it stands, landmarks have
                nothing new to show, and both corrections are kept as they are.
        """
        known = np.isfinite(output) & (output >= 0)
        output = np.where(known, output, np.float32(0))
        if self._mode == "off":
            return self._result(output, known, DepthCorrection(), None, 0)
        correction = self._filter.advance(points, seconds, is_moving)
        inverse, log_variance = correction.inverse_depth(output), None
        if self._mode == "local":
            inverse, log_variance = self._locally(inverse, correction, points, is_moving)
        return self._result(inverse, known, correction, log_variance, len(points))

    def _result(
        self,
        inverse: np.ndarray,
        known: np.ndarray,
        correction: DepthCorrection,
        log_variance: np.ndarray | None,
        points: int,
    ) -> AnchoredDepth:
        with np.errstate(divide="ignore"):
            depth = np.where(known, 1.0 / inverse, np.float32(np.nan))
        return AnchoredDepth(depth, correction, log_variance, points, self._filter.remark)

    def _locally(
        self,
        inverse: np.ndarray,
        correction: DepthCorrection,
        points: AnchorPoints,
        is_moving: bool,
    ) -> tuple[np.ndarray, np.ndarray]:
        """Inverse depth after the local field, and the variance of its logarithm."""
        if self._field is None or inverse.shape != self._shape:
            self._field, self._shape = CorrectionField(*inverse.shape), inverse.shape
            self._nodes = None
        if self._nodes is None or is_moving:
            predicted = correction.inverse_depth(points.output)
            seen = FieldPoints(
                points.columns,
                points.rows,
                -np.log(predicted),
                np.log(predicted / points.inverse_depth),
                points.relative_std**2 + points.output_spread**2,
            )
            self._nodes = self._field.fit(seen)
        change, variance = self._field.read(self._nodes, -np.log(inverse))
        return inverse * np.exp(-change), variance
