# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Result of one image: depth, ego-motion, scale."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from sfm_depth_ros.camera.image_codec import depth_pixels
from sfm_depth_ros.config.schema import DepthNodeConfig
from sfm_depth_ros.estimation.depth_views import depth_to_points
from sfm_depth_ros.estimation.model_session import SessionOutput
from sfm_depth_ros.estimation.motion_estimator import MotionOutput
from sfm_depth_ros.estimation.prepared_model import PreparedModel
from sfm_depth_ros.geometry.camera import Intrinsics
from sfm_depth_ros.snippets.values import Frame
from sfm_depth_ros.visual_odometry.alignment import DepthScale
from sfm_depth_ros.visual_odometry.ego_motion import EgoMotion


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
    # Motion of the camera since the image before, or None where there is no pair
    ego_motion: EgoMotion | None
    # Depth's own scale against the odometer, of the newest pair that velocities cover (the pair
    # before this one, as a rule), or None
    depth_scale: DepthScale | None
    # Predicted over measured translation of the same pair, or None
    translation_ratio: float | None
    model_id: str  # Model that estimated it
    # Duration of every stage in milliseconds, and `total`
    timings_ms: dict[str, float] = field(default_factory=dict)
    remarks: tuple[str, ...] = ()  # Why there is no ego-motion or no scale, for diagnostics

    @property
    def image(self) -> np.ndarray:
        """The network's image, ``(h, w, 3)`` uint8 RGB."""
        return self.frame.image

    def depth_as(self, encoding: str) -> np.ndarray:
        """``depth`` as an image message of an encoding holds it, see ``depth_pixels``."""
        return depth_pixels(self.depth, encoding)

    @property
    def stages_ms(self) -> dict[str, float]:
        """Milliseconds of every stage, without their total."""
        return {stage: ms for stage, ms in self.timings_ms.items() if stage != "total"}

    def points(self, stride: int = 1) -> np.ndarray:
        """Coloured points of every ``stride``-th network pixel, see :func:`depth_to_points`."""
        return depth_to_points(self.frame_depth, self.frame.image, self.frame.intrinsics, stride)


def finish(
    frame: Frame,
    output: SessionOutput[MotionOutput],
    model: PreparedModel,
    config: DepthNodeConfig,
) -> DepthResult:
    """Clip the networks' output to range, bring it to the published size, and name what it lacks.

    Args:
        frame: The network's image.
        output: What the networks estimated of it.
        model: The model that did.
        config: ``min_depth``, ``max_depth`` and ``output_size``.
    """
    depth, intrinsics = (
        in_range(output.depth, config.min_depth, config.max_depth),
        frame.intrinsics,
    )
    published = depth
    if config.output_size == "input":
        published = model.preprocessor.to_input(depth)
        intrinsics = model.preprocessor.input_intrinsics
    output.clock.lap("output")
    scale = output.motion.scale
    return DepthResult(
        stamp_ns=frame.stamp_ns,
        frame_id=frame.frame_id,
        depth=published,
        intrinsics=intrinsics,
        frame=frame,
        frame_depth=depth,
        ego_motion=output.motion.ego_motion,
        depth_scale=scale.depth if scale else None,
        translation_ratio=scale.translation_ratio if scale else None,
        model_id=model.model_id,
        timings_ms=output.clock.timings_ms,
        remarks=(*output.motion.remarks, *model.remarks),
    )


def in_range(depth: np.ndarray, nearest: float, farthest: float) -> np.ndarray:
    """Depth as REP 117 has it: +Inf beyond ``farthest`` metres, NaN below ``nearest``."""
    ranged = depth.copy()
    with np.errstate(invalid="ignore"):
        np.putmask(ranged, depth > farthest, np.inf)
        np.putmask(ranged, depth < nearest, np.nan)
    return ranged
