# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Result of one image: depth, ego-motion, scale."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from sfm_depth_ros.camera.image_codec import depth_pixels
from sfm_depth_ros.config.schema import DepthNodeConfig
from sfm_depth_ros.estimation.anchored_depth import AnchoredOutput
from sfm_depth_ros.estimation.depth_views import depth_to_points
from sfm_depth_ros.estimation.model_session import SessionOutput
from sfm_depth_ros.estimation.motion_estimator import MotionOutput
from sfm_depth_ros.estimation.prepared_model import PreparedModel
from sfm_depth_ros.geometry.camera import Intrinsics
from sfm_depth_ros.snippets.values import Frame
from sfm_depth_ros.visual_odometry.alignment import DepthScale
from sfm_depth_ros.visual_odometry.depth_correction import DepthCorrection
from sfm_depth_ros.visual_odometry.ego_motion import EgoMotion
from sfm_depth_ros.visual_odometry.input_fault import InputFault
from sfm_depth_ros.visual_odometry.landmark_scale import ScaleEstimate
from sfm_depth_ros.visual_odometry.odometry_step import OdometryStep


@dataclass(frozen=True)
class DepthResult:
    """Depth and ego-motion of one image, with its stamp and frame."""

    stamp_ns: int  # Stamp of the input image
    frame_id: str  # Optical frame of the input image
    # `(H, W)` float32 metres, NaN invalid, +Inf beyond range (REP 117), at the size that is
    # published
    depth: np.ndarray
    intrinsics: Intrinsics  # Pinhole of `depth`
    frame: Frame  # The network's image with its camera
    frame_depth: np.ndarray  # `(h, w)` float32, `depth` at the network's size
    bare_depth: np.ndarray  # `(h, w)` float32 metres of the network, before anchoring and range
    limits: tuple[float, float]  # `min_depth` and `max_depth`, metres
    # Motion of the camera since the image before, or None where there is no pair
    ego_motion: EgoMotion | None
    # The network's own depth against the odometer: over the last minute by landmarks, or of the
    # newest pair where there is no tracking image
    depth_scale: ScaleEstimate | DepthScale | None
    # Predicted over measured translation of the same pair, or None
    translation_ratio: float | None
    model_id: str  # Model that estimated it
    correction: DepthCorrection  # Global part of the anchoring
    confidence: np.ndarray | None = None  # float32 in [0, 1], of `depth`'s size, where asked for
    frame_confidence: np.ndarray | None = None  # The same at the network's size
    step: OdometryStep | None = None  # Visual odometry: landmarks, source, counts
    T_network: np.ndarray | None = None  # `(4, 4)` motion by the pose network, where it ran
    # Duration of every stage in milliseconds, and `total`
    timings_ms: dict[str, float] = field(default_factory=dict)
    remarks: tuple[str, ...] = ()  # Reasons why something is missing, for diagnostics
    faults: tuple[InputFault, ...] = ()  # Wrong inputs, named over the newest seconds

    @property
    def network_depth(self) -> np.ndarray:
        """``frame_depth`` before anchoring, ``(h, w)`` float32; made anew by every call."""
        return in_range(self.bare_depth, *self.limits)

    def depth_as(self, encoding: str) -> np.ndarray:
        """``depth`` as an image message of an encoding holds it, see ``depth_pixels``."""
        return depth_pixels(self.depth, encoding)

    @property
    def stages_ms(self) -> dict[str, float]:
        """Milliseconds of every stage, without their total."""
        return {stage: ms for stage, ms in self.timings_ms.items() if stage != "total"}

    @property
    def geometry(self) -> dict[str, float | int | str | None]:
        """Source of the motion, landmarks, correction and scale interval, for diagnostics."""
        step, scale = self.step, self.depth_scale
        facts: dict[str, float | int | str | None] = {
            "depth_correction": self.correction.describe()
        }
        if isinstance(scale, ScaleEstimate):
            facts |= {
                "depth_scale_ratio": scale.ratio,
                "depth_scale_low": scale.low,
                "depth_scale_high": scale.high,
            }
        if step is None:
            return facts | {"ego_motion_source": "network" if self.ego_motion else "none"}
        offset = step.time_offset
        return facts | {
            "ego_motion_source": step.source,
            "ego_motion_length_source": step.length_source,
            "tracks": step.counts.tracked,
            "tracks_moving": step.counts.moving,
            "landmarks": len(step.landmarks),
            "odometry_delay_ms": None if offset is None else 1e3 * offset.seconds,
        }

    def points(self, stride: int = 1, min_confidence: float = 0.0) -> np.ndarray:
        """Coloured points of every ``stride``-th network pixel, see :func:`depth_to_points`.

        Args:
            stride: Step between pixels, in both directions.
            min_confidence: Pixels below are left out, where the confidence was asked for.
        """
        depth, confidence = self.frame_depth, self.frame_confidence
        if min_confidence > 0 and confidence is not None:
            depth = np.where(confidence >= min_confidence, depth, np.float32(np.nan))
        return depth_to_points(depth, self.frame.image, self.frame.intrinsics, stride)


def finish(
    frame: Frame,
    output: SessionOutput[MotionOutput],
    anchored: AnchoredOutput,
    model: PreparedModel,
    config: DepthNodeConfig,
) -> DepthResult:
    """Clip the networks' output to range, bring it to the published size, and name what it lacks.

    Args:
        frame: The network's image.
        output: What the networks estimated of it.
        anchored: Its depth held to landmarks.
        model: The model that did.
        config: ``min_depth``, ``max_depth`` and ``output_size``.
    """
    depth = in_range(anchored.depth, config.min_depth, config.max_depth)
    published, intrinsics, confidence = depth, frame.intrinsics, anchored.confidence
    if config.output_size == "input":
        published = model.preprocessor.to_input(depth)
        intrinsics = model.preprocessor.camera.rectified
        if confidence is not None:
            confidence = np.nan_to_num(model.preprocessor.to_input(confidence))
    output.clock.lap("output")
    motion = output.motion
    pair_scale = motion.scale
    return DepthResult(
        stamp_ns=frame.stamp_ns,
        frame_id=frame.frame_id,
        depth=published,
        intrinsics=intrinsics,
        frame=frame,
        frame_depth=depth,
        bare_depth=output.depth,
        limits=(config.min_depth, config.max_depth),
        ego_motion=motion.ego_motion,
        depth_scale=anchored.scale or (pair_scale.depth if pair_scale else None),
        translation_ratio=pair_scale.translation_ratio if pair_scale else None,
        model_id=model.model_id,
        correction=anchored.correction,
        confidence=confidence,
        frame_confidence=anchored.confidence,
        step=motion.step,
        T_network=motion.T_network,
        timings_ms=output.clock.timings_ms,
        faults=motion.faults,
        remarks=tuple(filter(None, (*motion.remarks, anchored.remark, *model.remarks))),
    )


def in_range(depth: np.ndarray, nearest: float, farthest: float) -> np.ndarray:
    """``(H, W)`` as REP 117 has it: +Inf beyond ``farthest`` metres, NaN below ``nearest``."""
    ranged = depth.copy()
    with np.errstate(invalid="ignore"):
        np.putmask(ranged, depth > farthest, np.inf)
        np.putmask(ranged, depth < nearest, np.nan)
    return ranged
