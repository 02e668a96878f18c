# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The heart: an image in; metric depth, ego-motion and their scale out."""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import partial

import numpy as np

from sfm_depth_ros.camera.camera_model import CameraModel
from sfm_depth_ros.config.schema import DepthNodeConfig
from sfm_depth_ros.engines.factory import create_engine as create_engine_for
from sfm_depth_ros.estimation.anchored_depth import AnchoredDepth
from sfm_depth_ros.estimation.depth_result import DepthResult, finish
from sfm_depth_ros.estimation.model_session import ModelSession
from sfm_depth_ros.estimation.motion_estimator import MotionEstimator, OnMotion
from sfm_depth_ros.estimation.prepared_model import CreateEngine, PreparedModel, prepare_model
from sfm_depth_ros.model_folder.folder import ModelFolder
from sfm_depth_ros.snippets.values import Frame
from sfm_depth_ros.snippets.velocity import VelocityBuffer


class DepthEstimator:
    """Estimates depth and ego-motion of one camera's images, one after the other.

    Every method may be called from any thread; a swap of models waits for the current frame.
    ``config`` and ``wants_confidence`` may be replaced at any time: they count from the next
    image, and for the engines from the next ``prepare``.
    """

    def __init__(
        self,
        folder: ModelFolder,
        camera: CameraModel,
        config: DepthNodeConfig,
        create_engine: CreateEngine = create_engine_for,
        always_network: bool = False,
    ) -> None:
        """Load a model for a camera; ``always_network`` runs its pose network on every pair.

        Raises:
            SfmDepthError: As :meth:`prepare`.
        """
        self.config, self.camera, self._create_engine = config, camera, create_engine
        self._lock = threading.Lock()
        prepared = prepare_model(folder, camera, config, create_engine)
        self._session = ModelSession(prepared, own_core=config.engine_threads == 1)
        self._motion = MotionEstimator(always_network)
        self.scale = self._motion.scale  # both ratios over the newest image pairs
        self._anchoring = AnchoredDepth(prepared.output)
        self.wants_confidence = False

    def estimate(
        self,
        image: np.ndarray,
        stamp_ns: int,
        frame_id: str = "",
        velocities: VelocityBuffer | None = None,
        on_motion: OnMotion | None = None,
    ) -> DepthResult:
        """Estimate depth, and the motion since the image before.

        Args:
            image: ``(H, W, 3)`` uint8 RGB as the camera sends it.
            stamp_ns: Time of exposure in nanoseconds.
            frame_id: Name of the optical frame.
            velocities: The odometer's memory, for the scale and the covariance.
            on_motion: Called with the ego-motion in another thread, before depth is known.

        Raises:
            DataError: The image has another size than the camera.
            EngineError: An engine failed or its output is not finite.
        """
        return self.estimate_frame(self.frame(image, stamp_ns, frame_id), velocities, on_motion)

    def estimate_frame(
        self,
        frame: Frame,
        velocities: VelocityBuffer | None = None,
        on_motion: OnMotion | None = None,
        make_again: Callable[[], Frame] | None = None,
    ) -> DepthResult:
        """Like :meth:`estimate`, for a frame that has the network's size already.

        ``make_again`` makes the frame anew where a model of another size was swapped in since.
        """
        with self._lock:
            if make_again is not None and not self.model.takes(frame):
                frame = make_again()
            self._session.check(frame)
            pair = self._motion.pair(frame, self.config.max_image_gap)
            move = partial(self._motion.estimate, pair, velocities, self.config, on_motion)
            output = self._session.run(frame, pair.follows, move, self._motion.find_corners)
            mounting = None if velocities is None else velocities.T_base_camera
            anchored = self._anchoring.apply(
                frame, output, self.config, self.wants_confidence, mounting
            )
            self._motion.remember(frame, output.depth, anchored.unit_scale, anchored.floor_height)
            return finish(frame, output, anchored, self.model, self.config)

    def frame(self, image: np.ndarray, stamp_ns: int, frame_id: str = "") -> Frame:
        """Rectify, crop and scale ``(H, W, 3)`` uint8 RGB; may run concurrently with an estimate.

        Raises:
            DataError: The image has another size than the camera.
        """
        return self.model.preprocessor.frame(image, stamp_ns, frame_id)

    @property
    def model(self) -> PreparedModel:
        """The current model, with its engines and the layout of its image."""
        return self._session.model

    def refocus(self, camera: CameraModel) -> bool:
        """Follow a new calibration of the same camera (autofocus); engines and history stay.

        Returns:
            Whether it could: False where the network's image would get another size.
        """
        with self._lock:
            refocused = self._session.model.for_camera(camera)
            if refocused is None:
                return False
            self._session.model, self.camera = refocused, camera
        return True

    def prepare(self, folder: ModelFolder) -> PreparedModel:
        """Load another model beside the current one, in the caller's thread.

        Raises:
            DataError: The camera's image is too small for the network.
            EngineError: No engine reproduces the model's check frames.
        """
        return prepare_model(folder, self.camera, self.config, self._create_engine, self.model)

    def swap(self, prepared: PreparedModel) -> None:
        """Make a prepared model the current one from the next image on; close the old one."""
        with self._lock:
            old = self._session.swap(prepared)
            self._motion.forget_model(keep_frame=self._session.keeps_images(old))
            self._anchoring.forget_model(prepared.output)
        old.close(keep=prepared)  # takes 20 ms, for which no image has to wait

    def reset(self) -> None:
        """Forget the image before and the pairs that wait (time jumped); the model stays."""
        with self._lock:
            self._session.settle()
            self._motion.reset()
            self._anchoring.reset()

    def close(self) -> None:
        """Free the engines."""
        with self._lock:
            self._session.close()
