# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Depth of the network held to metres by landmarks, its confidence, and the scale monitor."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from sfm_depth_ros.config.schema import DepthNodeConfig
from sfm_depth_ros.estimation.model_session import SessionOutput
from sfm_depth_ros.estimation.motion_estimator import MotionOutput
from sfm_depth_ros.snippets.values import Frame
from sfm_depth_ros.visual_odometry.anchor_points import AnchorPoints
from sfm_depth_ros.visual_odometry.anchoring import DepthAnchor
from sfm_depth_ros.visual_odometry.confidence import DepthConfidence
from sfm_depth_ros.visual_odometry.depth_correction import DepthCorrection
from sfm_depth_ros.visual_odometry.floor_check import FloorCheck
from sfm_depth_ros.visual_odometry.landmark_scale import LandmarkScaleMonitor, ScaleEstimate


@dataclass(frozen=True, eq=False)
class AnchoredOutput:
    """Depth of one image after anchoring."""

    depth: np.ndarray  # `(h, w)` float32 metres, NaN where the network has none
    correction: DepthCorrection  # the global part that was applied; identity without anchoring
    confidence: np.ndarray | None = None  # `(h, w)` float32 in [0, 1]; None unless asked for
    scale: ScaleEstimate | None = None  # the network's own depth against the landmarks
    # The same where the network predicts metres: only then it can test the odometer's unit
    unit_scale: ScaleEstimate | None = None
    remark: str = ""  # reason for a lesser correction
    # metres of the camera above the floor: the network's floor, in the landmarks' metres
    floor_height: float | None = None


class AnchoredDepth:
    """Anchors the depth of one camera, image by image.

    Args:
        output: Unit of the network's output: ``metric``, ``up_to_scale`` or ``affine``.
    """

    def __init__(self, output: str = "metric") -> None:
        self._output = output
        self._mode = ""
        self._anchor = DepthAnchor("off", output)
        self._confidence = DepthConfidence()
        self._scale = LandmarkScaleMonitor()
        self._floor = FloorCheck()

    def apply(
        self,
        frame: Frame,
        output: SessionOutput[MotionOutput],
        config: DepthNodeConfig,
        wants_confidence: bool,
        T_base_camera: np.ndarray | None = None,
    ) -> AnchoredOutput:
        """Anchor the depth of the next image.

        Args:
            frame: The network's image.
            output: The network's depth, and the landmarks of the same image.
            config: ``anchoring`` and ``apply_scale``.
            wants_confidence: Whether to compute the confidence.
            T_base_camera: ``(4, 4)`` mounting, from which the floor follows; None = unknown.
        """
        depth, step = output.depth, output.motion.step
        if step is None:  # no tracking image: no landmarks either
            return AnchoredOutput(depth, DepthCorrection())
        with np.errstate(divide="ignore"):
            inverse = np.float32(1) / depth
        mode = _mode(config)
        anchor = self._anchor_for(mode)
        points = AnchorPoints.of(step.landmarks, inverse, frame.intrinsics)
        if T_base_camera is not None:
            points = self._above_floor(points, inverse, frame, T_base_camera, step.seconds)
        if step.is_moving and config.apply_scale != "off":
            self._scale.add(frame.stamp_ns, points, output.motion.floor_height)
        anchored = anchor.anchor(
            inverse, points, step.seconds, step.is_moving, wants_variance=wants_confidence
        )
        confidence = None
        if wants_confidence:
            confidence = self._confidence.assess(
                anchored.depth, anchored.log_variance, frame.intrinsics, step.T_earlier_later
            )
        scale = self._scale.estimate if config.apply_scale != "off" else None
        held = depth if mode == "off" else anchored.depth
        unit_scale = scale if self._output == "metric" else None
        floor_height = None
        if unit_scale is not None and self._floor.height is not None:
            floor_height = self._floor.height / unit_scale.ratio
        return AnchoredOutput(
            held,
            anchored.correction,
            confidence,
            scale,
            unit_scale,
            anchored.remark,
            floor_height,
        )

    def reset(self) -> None:
        """Forget the image before (time jumped); correction and scale stay."""
        self._confidence.clear()

    def forget_model(self, output: str) -> None:
        """Begin anew for another model."""
        self._output, self._mode = output, ""
        self._confidence.clear()
        self._scale.clear()
        self._floor.clear()

    def _above_floor(
        self,
        points: AnchorPoints,
        inverse: np.ndarray,
        frame: Frame,
        T_base_camera: np.ndarray,
        seconds: float,
    ) -> AnchorPoints:
        """The points without those that seem to lie below the floor: they move by themselves."""
        seen = points
        if self._output == "affine":
            correction = self._anchor.correction
            if correction.covariance[1, 1] == 0:  # without its shift, depth has no shape yet
                return points
            inverse = correction.inverse_depth(inverse)
            seen = replace(points, output=correction.inverse_depth(points.output))
        above = self._floor.above(seen, inverse, frame.intrinsics, T_base_camera, seconds)
        return points if above.all() else points.selected(above)

    def _anchor_for(self, mode: str) -> DepthAnchor:
        if mode != self._mode:
            self._mode, self._anchor = mode, DepthAnchor(mode, self._output)
        return self._anchor


def _mode(config: DepthNodeConfig) -> str:
    """Anchoring that is in force: ``apply_scale: correct`` applies at least the factor."""
    if config.anchoring == "off" and config.apply_scale == "correct":
        return "scale"
    return config.anchoring
