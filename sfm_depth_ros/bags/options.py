# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Options for a bag that does not describe itself: names of topics and frames, calibration."""

from __future__ import annotations

from dataclasses import astuple, dataclass, field

import numpy as np

from sfm_depth_ros.bags.topics import BagTopics
from sfm_depth_ros.camera.camera_model import CameraModel
from sfm_depth_ros.camera.image_codec import WHITE_LEVEL


@dataclass(frozen=True, eq=False)
class BagOptions:
    """Values that replace what a bag holds or lacks; by default the bag counts."""

    # Topics by role; "" = chosen by type and name
    topics: BagTopics = field(default_factory=BagTopics)
    camera: CameraModel | None = None  # Calibration instead of the bag's camera_info
    # `(4, 4)` pose of the optical frame in the base, metres, instead of the bag's /tf_static
    T_base_camera: np.ndarray | None = None
    base_frame: str = ""  # Frame of the velocities; "" = as the messages name it
    camera_frame: str = ""  # Optical frame of the images; "" = as the messages name it
    white_level: int = WHITE_LEVEL  # Value of white in 16-bit images: 4095 of a 12-bit camera
    truth_tolerance_s: float = 0.002  # Seconds between an image and its true depth, at most

    def content(self) -> list[object]:
        """Everything that decides on frames, as plain values that can be compared and hashed."""
        camera, T = self.camera, self.T_base_camera
        optics: list[object] = []
        if camera is not None:
            optics = [m.tolist() for m in (camera.K, camera.D, camera.R, camera.P)]
            optics += [camera.model, camera.width, camera.height, camera.frame_id]
        return [
            *astuple(self.topics),
            optics,
            [] if T is None else T.tolist(),
            self.base_frame, self.camera_frame, self.white_level, self.truth_tolerance_s,
        ]  # fmt: skip
