# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Live images and velocities become training snippets, as the offline reader makes them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from sfm_depth_ros.config.schema import NodeConfig
from sfm_depth_ros.data.camera_model import CameraModel
from sfm_depth_ros.data.preprocessing import Preprocessor
from sfm_depth_ros.data.sample import Snippet, Velocity
from sfm_depth_ros.data.snippets import SnippetBuilder
from sfm_depth_ros.data.velocity import VelocityBuffer
from sfm_depth_ros.geometry.frames import pose_to_matrix
from sfm_depth_ros.ros.complaints import Complaints
from sfm_depth_ros.ros.conversions import image_to_rgb, stamp_to_ns
from sfm_depth_ros.ros.latest_worker import LatestWorker
from sfm_depth_ros.ros.time_guard import StampGuard


@dataclass(frozen=True)
class _Rig:
    """What belongs to one camera."""

    camera: CameraModel
    preprocessor: Preprocessor
    velocities: VelocityBuffer
    builder: SnippetBuilder


class SnippetSource:
    """Decodes in a thread of its own; hands every finished snippet on.

    Attributes:
        frames: Images that became frames.
        failed: Images that could not be used.
    """

    def __init__(
        self,
        config: NodeConfig,
        model_width: int,
        base_to_camera: Callable[[str], tuple[float, ...]],
        on_snippet: Callable[[Snippet], Any],
        complaints: Complaints,
    ) -> None:
        """Wait for a camera.

        Args:
            config: Options of inputs and gates.
            model_width: Width of the network's image where the options leave it to the model.
            base_to_camera: Looks the camera's pose up by its frame; may take seconds.
            on_snippet: Takes snippets, in the decoding thread.
            complaints: Takes what goes wrong.
        """
        self.frames = self.failed = self._not_ready = 0
        self._config, self._width = config, config.input_width or model_width
        self._base_to_camera, self._on_snippet = base_to_camera, on_snippet
        self._complaints = complaints
        self._camera: CameraModel | None = None
        self._rig: _Rig | None = None
        self._velocity_guard = StampGuard("velocities", 0.5, self._forget_velocities)
        self._image_guard = StampGuard("images", 0.0, self._forget_images)
        self._worker: LatestWorker[Any] = LatestWorker("decode", self._take, self._on_failed)

    @property
    def dropped(self) -> int:
        """Images that a newer one replaced, or that came before the calibration."""
        return self._not_ready + self._worker.dropped

    @property
    def refusals(self) -> dict[str, int]:
        """How many frames made no snippet, by reason."""
        return {} if self._rig is None else dict(self._rig.builder.counts)

    @property
    def remarks(self) -> str:
        """What happened to time in the last seconds; empty while it goes on."""
        guards = (self._image_guard, self._velocity_guard)
        return "; ".join(filter(None, (guard.remark() for guard in guards)))

    @property
    def T_base_camera(self) -> np.ndarray | None:
        """Pose of the camera in the base frame, ``(4, 4)``; None before the first image."""
        return None if self._rig is None else self._rig.velocities.T_base_camera

    def add_image(self, message: Any) -> None:
        """Take an image message; never waits."""
        if self._camera is None:
            self._not_ready += 1
        else:
            self._worker.submit(message)

    def set_camera(self, camera: CameraModel) -> None:
        """Images are of this camera from now on."""
        self._camera = camera

    def add_velocity(self, velocity: Velocity) -> None:
        """Take a body velocity."""
        self._velocity_guard.check(velocity.stamp_ns)
        if self._rig is not None:
            self._rig.velocities.add(velocity)

    def configure(self, config: NodeConfig) -> None:
        """Use other gates from now on."""
        self._config = config
        if (rig := self._rig) is not None:
            rig.velocities.max_gap_s = config.max_velocity_gap
            rig.builder.min_displacement = config.min_displacement
            rig.builder.max_displacement = config.max_displacement
            rig.builder.max_image_gap_s = config.max_image_gap

    def forget(self) -> None:
        """Time jumped: no snippet may span it."""
        self._forget_velocities()
        self._forget_images()

    def close(self) -> None:
        """Stop decoding."""
        self._worker.close()

    def _take(self, message: Any) -> None:
        stamp_ns, frame_id = stamp_to_ns(message.header.stamp), message.header.frame_id
        self._image_guard.check(stamp_ns)
        rig = self._current_rig()
        frame = rig.preprocessor.frame(image_to_rgb(message), stamp_ns, frame_id)
        self.frames += 1
        for snippet in rig.builder.add(frame):
            self._on_snippet(snippet)
        self._complaints.clear("image")

    def _current_rig(self) -> _Rig:
        camera, config = self._camera, self._config
        assert camera is not None  # add_image sees to it
        if self._rig is None or self._rig.camera is not camera:
            T_base_camera = pose_to_matrix(self._base_to_camera(camera.frame_id))
            preprocessor = Preprocessor(camera, self._width, config.crop)
            velocities = VelocityBuffer(T_base_camera, config.max_velocity_gap)
            gates = (config.min_displacement, config.max_displacement, config.max_image_gap)
            self._rig = _Rig(camera, preprocessor, velocities, SnippetBuilder(velocities, *gates))
        return self._rig

    def _on_failed(self, message: Any, error: Exception) -> None:
        self.failed += 1
        self._complaints.add("image", error)

    def _forget_velocities(self) -> None:
        if self._rig is not None:
            self._rig.velocities.clear()

    def _forget_images(self) -> None:
        if self._rig is not None:
            self._rig.builder.reset()
