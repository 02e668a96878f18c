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
    # float32 variance of log depth at every second pixel of every second row, by landmarks; None
    # without the local field, or where it is not wanted
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
        self._shape: tuple[int, ...] = (0, 0)

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
        wants_variance: bool = True,
    ) -> AnchoredDepth:
        """Anchor the depth of the next image.

        Args:
            output: ``(h, w)`` float32 inverse output of the network (1 / depth of a metric
                network), 0 infinitely far; NaN where it has none.
            points: Landmarks of the same image beside this output.
            seconds: Time since the image before.
            is_moving: Whether the camera has moved since then; while it stands, landmarks have
                nothing new to show, and both corrections are kept as they are.
            wants_variance: Whether to read the variance too.
        """
        unknown = _unknown(output)
        if unknown is not None:
            output = np.where(unknown, np.float32(0), output)
        correction, log_variance, count = DepthCorrection(), None, 0
        if self._mode != "off":
            correction, count = self._filter.advance(points, seconds, is_moving), len(points)
        if self._mode == "local":
            inverse = correction.inverse_depth(output)
            height, width = inverse.shape
            nodes = self._fitted((height, width), correction, points, is_moving)
            depth, log_variance = self._locally(inverse, nodes, wants_variance)
        else:
            inverse = output if self._mode == "off" else correction.inverse_depth(output)
            with np.errstate(divide="ignore"):
                depth = np.float32(1) / inverse
        if unknown is not None:
            depth[unknown] = np.nan
        return AnchoredDepth(depth, correction, log_variance, count, self._filter.remark)

    def _fitted(
        self,
        shape: tuple[int, int],
        correction: DepthCorrection,
        points: AnchorPoints,
        is_moving: bool,
    ) -> FieldNodes:
        """Local field of an image; while the camera stands, that of the last image in motion."""
        if self._field is None or shape != self._shape:
            self._field, self._shape = CorrectionField(*shape), shape
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
        return self._nodes

    def _locally(
        self, inverse: np.ndarray, nodes: FieldNodes, wants_variance: bool
    ) -> tuple[np.ndarray, np.ndarray | None]:
        """Depth after the local field, and the variance of its logarithm if wanted."""
        assert self._field is not None  # it fitted the nodes
        log_inverse = np.log(inverse, out=inverse)
        variance = self._field.read_variance(nodes, log_inverse) if wants_variance else None
        log_depth = self._field.read(nodes, log_inverse)
        log_depth -= log_inverse
        return np.exp(log_depth, out=log_depth), variance


def _unknown(output: np.ndarray) -> np.ndarray | None:
    """``(h, w)`` pixels where an inverse output is none; None without such pixels."""
    if output.min() >= 0 and output.max() < np.inf:  # not with a NaN
        return None
    return np.asarray(~((output >= 0) & (output < np.inf)))
