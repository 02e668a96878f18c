# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Loading of models in a thread of its own, while another one serves.

It runs at normal priority: a thread that waits for a core while it holds the interpreter lets
everything wait for it, and on a busy machine one of low priority waits for seconds.
"""

from __future__ import annotations

import logging
import stat
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from sfm_depth_ros.camera.camera_model import CameraModel
from sfm_depth_ros.config.schema import DepthNodeConfig
from sfm_depth_ros.errors import ModelError, SfmDepthError
from sfm_depth_ros.estimation.depth_estimator import DepthEstimator
from sfm_depth_ros.model_folder.folder import ModelFolder, read_model_folder
from sfm_depth_ros.model_folder.history import is_inside
from sfm_depth_ros.ros.error_log import ErrorLog
from sfm_depth_ros.ros.latest_worker import LatestWorker
from sfm_depth_ros.snippets.velocity import VelocityBuffer
from sfm_depth_ros.visual_odometry.ego_motion import VisualOdometry

PATH_LENGTH = 4096  # the kernel's PATH_MAX
FILES, MODEL_BYTES = 64, 2 << 30  # the largest published network takes 0.5 GB
_logger = logging.getLogger(__name__)


def check_offer(folder: Path) -> None:
    """Look at an offered folder before anything in it is opened.

    Raises:
        ModelError: It holds something else than regular files (a pipe or a device would keep the
            loader for ever), or more of them, or larger ones, than a model has.
    """
    total = 0
    try:
        for count, entry in enumerate(folder.iterdir(), start=1):
            status = entry.lstat()
            if not stat.S_ISREG(status.st_mode):
                raise ModelError(f"{entry} is refused: expected regular files in a model folder")
            total += status.st_size
            if count > FILES or total > MODEL_BYTES:
                raise ModelError(
                    f"{folder} is refused: expected at most {FILES} files of "
                    f"{MODEL_BYTES >> 20} MB together"
                )
    except OSError as error:
        raise ModelError(f"{folder} is refused: {error.strerror}") from error


@dataclass(frozen=True)
class Serving:
    """Estimator, velocities and path that serve the current camera."""

    estimator: DepthEstimator  # Depth and ego-motion of one camera
    # All None until the camera's place on the robot is known
    T_base_camera: np.ndarray | None = None  # `(4, 4)` pose of the optical frame in the base
    velocities: VelocityBuffer | None = None  # The odometer's memory
    odometry: VisualOdometry | None = None  # The path of the robot

    def mounted(self, T_base_camera: np.ndarray | None, max_velocity_gap: float) -> Serving:
        """The same estimator with the camera at a place on the robot, ``(4, 4)`` or unknown."""
        if T_base_camera is None:
            return Serving(self.estimator)
        velocities = VelocityBuffer(T_base_camera, max_velocity_gap)
        return Serving(self.estimator, T_base_camera, velocities, VisualOdometry(T_base_camera))

    def reset(self) -> None:
        """Forget the images before (time jumped)."""
        self.estimator.reset()
        if self.odometry is not None:
            self.odometry.reset()

    def clear_velocities(self) -> None:
        """Forget the velocities."""
        if self.velocities is not None:
            self.velocities.clear()


class ModelLoader:
    """Builds the estimator once the camera is known; swaps in the models that are offered."""

    def __init__(
        self,
        folder: ModelFolder,
        config: DepthNodeConfig,
        errors: ErrorLog,
        make_estimator: Callable[..., DepthEstimator] = DepthEstimator,
    ) -> None:
        """Wait for a camera.

        Args:
            folder: The model to begin with.
            config: Options; may be replaced by assigning ``config``.
            errors: Log of errors.
            make_estimator: Tests give their own.
        """
        self.config = config
        self.serving: Serving | None = None
        self.waiting = "waiting for camera_info"  # Why nothing serves yet
        self.has_failed = False  # Whether that is because loading failed
        self.loaded = 0  # Models that were swapped in
        self.refused = 0  # Offers that were not
        # Seconds from an offer to the first image that may use it, of the newest offers
        self.update_s: deque[float] = deque(maxlen=200)
        self._folder, self._make_estimator = folder, make_estimator
        self._errors = errors
        self._T_base_camera: np.ndarray | None = None
        self._mounting = threading.Lock()  # pairs the newest mounting with the newest estimator
        self._camera: CameraModel | None = None
        self._served_camera: CameraModel | None = None
        self._offer: tuple[str, float] | None = None  # with the time it came at
        # The item only wakes the thread; what to do is in the attributes, so newest wins.
        self._worker: LatestWorker[str] = LatestWorker("models", self._update, self._on_error)

    def set_camera(self, camera: CameraModel) -> None:
        """Serve this camera from now on."""
        self._camera = camera
        self._worker.submit("camera")

    def set_mounting(self, T_base_camera: np.ndarray | None) -> None:
        """The camera sits here on the robot, ``(4, 4)``; None = not known (any more)."""
        with self._mounting:
            self._T_base_camera = T_base_camera
            if self.serving is not None:
                gap = self.config.max_velocity_gap
                self.serving = self.serving.mounted(T_base_camera, gap)

    def offer(self, path: str) -> None:
        """Serve this model, if it lies in models_dir and is whole; the newest offer wins."""
        if len(path) > PATH_LENGTH:  # resolving one of many parts takes the square of their number
            self._refuse(
                ModelError(
                    f"a path of {len(path)} characters is refused, expected {PATH_LENGTH} at most"
                )
            )
            return
        self._offer = path, time.monotonic()
        self._worker.submit("model")

    def close(self) -> None:
        """Stop; a compiler that is at work is left to itself."""
        ended = self._worker.close(timeout=0.1)
        serving, self.serving = self.serving, None
        if serving is not None and ended:
            serving.estimator.close()

    def _on_error(self, item: str, error: Exception) -> None:
        self.waiting, self.has_failed = f"no model serves: {error}", True
        self._errors.add("model", error)

    def _update(self, item: str) -> None:
        if self._camera is None:
            return
        if not self._refocused(self._camera):
            self._build(self._camera)
        offer, self._offer = self._offer, None
        if self.serving is None or offer is None:
            self._offer = self._offer or offer  # it waits until something serves
            return
        path, offered_at = offer
        if (folder := self._read_offer(path)) is None:
            return
        if self._swap(self.serving.estimator, folder):
            self.update_s.append(time.monotonic() - offered_at)

    def _read_offer(self, path: str) -> ModelFolder | None:
        """Read the offered folder; None where it is refused or serves already."""
        try:
            if not is_inside(self.config.models_dir, path):
                raise ModelError(
                    f"{path} is refused: it does not lie in models_dir ({self.config.models_dir})"
                )
            check_offer(Path(path))
            folder = read_model_folder(path)
        except SfmDepthError as error:
            self._refuse(error)
            return None
        return folder if folder.model_id != self._folder.model_id else None

    def _refocused(self, camera: CameraModel) -> bool:
        """Whether the estimator that serves takes images of this calibration, from now on."""
        serving, served = self.serving, self._served_camera
        if serving is None or served is None:
            return False
        if camera is served:
            return True
        if not (camera.is_same(served) and serving.estimator.refocus(camera)):
            return False
        self._served_camera = camera
        return True

    def _build(self, camera: CameraModel) -> None:
        self.waiting, self.has_failed = f"loading model {self._folder.model_id}", False
        try:
            estimator = self._make_estimator(self._folder, camera, self.config)
        except Exception:
            self._drop()  # it is of another camera, and would refuse every image
            raise
        with self._mounting:
            old, self._served_camera = self.serving, camera
            fresh = Serving(estimator)
            self.serving = fresh.mounted(self._T_base_camera, self.config.max_velocity_gap)
        model = estimator.model
        _logger.info("model %s serves, engines %s", model.model_id, model.engine_names)
        if old is not None:
            old.estimator.close()

    def _drop(self) -> None:
        """Serve nothing."""
        with self._mounting:
            old, self.serving, self._served_camera = self.serving, None, None
        if old is not None:
            old.estimator.close()

    def _swap(self, estimator: DepthEstimator, folder: ModelFolder) -> bool:
        """Load a model while the current one serves, and swap it in; whether that succeeded."""
        try:
            prepared = estimator.prepare(folder)
        except SfmDepthError as error:
            self._refuse(error)
            return False
        estimator.swap(prepared)
        self._folder = folder
        self.loaded += 1
        _logger.info("model %s serves from now on", folder.model_id)
        return True

    def _refuse(self, error: SfmDepthError) -> None:
        self.refused += 1
        self._errors.add("model", error)
