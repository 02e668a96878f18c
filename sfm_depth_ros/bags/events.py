# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What comes out of a bag, typed; images are decoded only when asked for.

``time_ns`` is bag time (when it was recorded), ``stamp_ns`` the header's.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from sfm_depth_ros.camera.camera_model import CameraModel
from sfm_depth_ros.snippets.values import Velocity


@dataclass(frozen=True)
class ImageEvent:
    """A camera image, raw or compressed (``encoding`` is then the message's format)."""

    time_ns: int
    stamp_ns: int
    frame_id: str
    topic: str
    encoding: str
    decoder: Callable[[], np.ndarray] = field(repr=False, compare=False)

    def decode(self) -> np.ndarray:
        """``(H, W, 3)`` uint8, RGB; raises DataError where the message is damaged."""
        return self.decoder()


@dataclass(frozen=True)
class CameraInfoEvent:
    """A calibration."""

    time_ns: int
    camera: CameraModel


@dataclass(frozen=True)
class VelocityEvent:
    """A body velocity, given in ``frame_id``."""

    time_ns: int
    velocity: Velocity
    frame_id: str


@dataclass(frozen=True)
class TransformEvent:
    """A static transform: ``T_parent_child`` ``(4, 4)`` metres, pose of child in parent."""

    time_ns: int
    parent: str
    child: str
    T_parent_child: np.ndarray


@dataclass(frozen=True)
class DepthTruthEvent:
    """True depth of the image with the same stamp."""

    time_ns: int
    stamp_ns: int
    decoder: Callable[[], np.ndarray] = field(repr=False, compare=False)

    @property
    def depth(self) -> np.ndarray:
        """``(H, W)`` float32 metres, 0 = unknown; decoded at each call."""
        return self.decoder()


@dataclass(frozen=True)
class RightCameraInfoEvent:
    """A calibration of the second camera; ``P[0, 3]`` is minus focal length times baseline."""

    time_ns: int
    camera: CameraModel


@dataclass(frozen=True)
class CompanionEvent:
    """What another sensor saw at the moment of the image with the same stamp.

    ``role`` is ``right_image`` (``(H, W, 3)`` uint8, RGB), ``sparse_depth`` (``(H, W)`` float32
    metres, 0 = unknown) or ``instance_mask`` (``(H, W)`` uint8, 0 = static).
    """

    time_ns: int
    stamp_ns: int
    role: str
    decoder: Callable[[], np.ndarray] = field(repr=False, compare=False)

    def decode(self) -> np.ndarray:
        """What it saw; raises DataError where the message is damaged."""
        return self.decoder()


@dataclass(frozen=True)
class PoseTruthEvent:
    """True pose of the base in a world frame, ``(4, 4)`` metres."""

    time_ns: int
    stamp_ns: int
    T_world_base: np.ndarray


Event = (
    ImageEvent
    | CameraInfoEvent
    | VelocityEvent
    | TransformEvent
    | DepthTruthEvent
    | PoseTruthEvent
    | RightCameraInfoEvent
    | CompanionEvent
)
