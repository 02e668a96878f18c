# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Results as a recording of Rerun (a viewer with a file format of its own, rerun.io)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from sfm_depth_ros.bags.rig import BagRig
from sfm_depth_ros.estimation.depth_result import DepthResult
from sfm_depth_ros.estimation.depth_views import landmark_points
from sfm_depth_ros.optional import require
from sfm_depth_ros.visual_odometry.ego_motion import VisualOdometry

_CAMERA = "world/base/camera"
_QUALITY = 80  # of JPEG, in percent
_PATH_EVERY = 20  # results between two logs of the whole path


class RerunLog:
    """One file being written.

    Args:
        path: The ``.rrd`` file.
        rig: Mounting of the camera.

    Raises:
        MissingDependencyError: rerun-sdk is not installed.
    """

    def __init__(self, path: Path, rig: BagRig) -> None:
        self._rr = require("rerun")
        self._stream = self._rr.RecordingStream("sfm_depth_ros")
        self._stream.save(str(path))
        self._odometry = VisualOdometry(rig.T_base_camera)
        self._path: list[np.ndarray] = []
        self._log("world", self._rr.ViewCoordinates.FLU, static=True)
        self._log(_CAMERA, self._pose(rig.T_base_camera), static=True)

    def write(self, result: DepthResult) -> None:
        """Image, depth, confidence and landmarks in the camera; the robot's path; both ratios."""
        rr, camera = self._rr, result.frame.intrinsics
        self._stream.set_time("image", timestamp=np.datetime64(result.stamp_ns, "ns"))
        K = [[camera.fx, 0, camera.cx], [0, camera.fy, camera.cy], [0, 0, 1]]
        view = rr.Pinhole(image_from_camera=K, width=camera.width, height=camera.height)
        self._log(_CAMERA, view)
        self._log(f"{_CAMERA}/image", rr.Image(result.frame.image).compress(_QUALITY))
        depth = np.nan_to_num(result.frame_depth, nan=0.0, posinf=0.0)  # 0 = unknown
        self._log(f"{_CAMERA}/depth", rr.DepthImage(depth, meter=1.0))
        if result.frame_confidence is not None:
            self._log("confidence", rr.Tensor(result.frame_confidence))
        if result.step is not None:
            points = landmark_points(result.step.landmarks)
            places = np.stack([points[axis] for axis in "xyz"], axis=1)
            self._log(f"{_CAMERA}/landmarks", rr.Points3D(places))
        if result.depth_scale is not None:
            self._log("scale/depth", rr.Scalars(result.depth_scale.ratio))
        if result.translation_ratio is not None:
            self._log("scale/translation", rr.Scalars(result.translation_ratio))
        self._move(result)

    def close(self) -> None:
        """Write what is left."""
        self._log_path()
        self._stream.flush()
        self._stream.disconnect()

    def _move(self, result: DepthResult) -> None:
        if result.ego_motion is not None:
            self._odometry.add(result.ego_motion)
        pose = self._odometry.T_odom_base
        self._path.append(pose[:3, 3])
        self._log("world/base", self._pose(pose))
        if len(self._path) % _PATH_EVERY == 0:
            self._log_path()

    def _log_path(self) -> None:
        if self._path:
            self._log("world/path", self._rr.LineStrips3D([np.array(self._path)]))

    def _pose(self, T: np.ndarray) -> Any:
        return self._rr.Transform3D(translation=T[:3, 3], mat3x3=T[:3, :3])

    def _log(self, entity: str, value: Any, static: bool = False) -> None:
        self._stream.log(entity, value, static=static)
