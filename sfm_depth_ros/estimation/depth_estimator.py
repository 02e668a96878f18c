# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The heart: an image in; metric depth, ego-motion and their scale out."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from sfm_depth_ros.camera.preprocessing import CameraModel
from sfm_depth_ros.config.schema import DepthNodeConfig
from sfm_depth_ros.engines.factory import create_engine as create_engine_for
from sfm_depth_ros.errors import DataError
from sfm_depth_ros.estimation.depth_result import DepthResult
from sfm_depth_ros.estimation.image_tensor import ImageTensor
from sfm_depth_ros.estimation.prepared_model import CreateEngine, PreparedModel, prepare_model
from sfm_depth_ros.estimation.side_thread import SideThread
from sfm_depth_ros.estimation.stage_clock import StageClock
from sfm_depth_ros.geometry.camera import Intrinsics
from sfm_depth_ros.model_folder.folder import ModelFolder
from sfm_depth_ros.snippets.values import Frame
from sfm_depth_ros.snippets.velocity import VelocityBuffer
from sfm_depth_ros.visual_odometry.ego_motion import EgoMotion, MotionUncertainty
from sfm_depth_ros.visual_odometry.scale import ScaleMonitor
from sfm_depth_ros.visual_odometry.scale_gauge import ImagePair, PairScale, ScaleGauge

OnMotion = Callable[[EgoMotion], None]


@dataclass(frozen=True)
class _Previous:
    frame: Frame
    depth: np.ndarray | None  # None where another model made it


class DepthEstimator:
    """Estimates depth and ego-motion of one camera's images, one after the other.

    Every method may be called from any thread; a swap of models waits for the frame in hand.

    Attributes:
        config: May be replaced at any time; ranges, gates and ``apply_scale`` take effect with
            the next image, the engine's options with the next ``prepare``.
        scale: Both scale ratios over the newest image pairs.
    """

    def __init__(
        self,
        folder: ModelFolder,
        camera: CameraModel,
        config: DepthNodeConfig,
        create_engine: CreateEngine = create_engine_for,
    ) -> None:
        """Load the model for this camera.

        Args:
            folder: The model to begin with.
            camera: Camera of all images.
            config: Options.
            create_engine: What makes engines; tests give their own.

        Raises:
            DataError: The camera's image is too small for the network.
            EngineError: No engine runs the model as it should.
        """
        self.config = config
        self.camera = camera
        self.scale = ScaleMonitor()
        self._create_engine = create_engine
        self._lock = threading.Lock()
        self._side = SideThread("motion", own_core=config.engine_threads == 1)
        self._gauge = ScaleGauge()
        self._uncertainty = MotionUncertainty()
        self._previous: _Previous | None = None
        self._model = prepare_model(folder, camera, config, create_engine)
        self._tensor = _empty_tensor(self._model)

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
            on_motion: Called with the ego-motion as soon as it is known, in another thread and
                before this returns, as a rule while depth is still being computed.

        Raises:
            DataError: The image has another size than the camera.
            EngineError: An engine failed or answered NaN.
        """
        return self.estimate_frame(self.frame(image, stamp_ns, frame_id), velocities, on_motion)

    def frame(self, image: np.ndarray, stamp_ns: int, frame_id: str = "") -> Frame:
        """Rectify, crop and scale an image; may run beside an estimate, for the next image.

        Raises:
            DataError: The image has another size than the camera.
        """
        return self._model.preprocessor.frame(image, stamp_ns, frame_id)

    def takes(self, frame: Frame) -> bool:
        """Whether a frame was made for the model that serves now."""
        return frame.intrinsics == self._model.preprocessor.intrinsics

    def estimate_frame(
        self,
        frame: Frame,
        velocities: VelocityBuffer | None = None,
        on_motion: OnMotion | None = None,
    ) -> DepthResult:
        """The same for a frame that has the network's size already.

        Raises:
            DataError: It has another size.
            EngineError: An engine failed or answered NaN.
        """
        with self._lock:
            expected, shape = self._model.preprocessor.input_hw, frame.image.shape[:2]
            if shape != expected:
                raise DataError(
                    f"frame is {shape[1]}x{shape[0]}, but the engines are for {expected[1]}x"
                    f"{expected[0]}: one estimator serves one camera"
                )
            return self._estimate(frame, velocities, on_motion)

    def _estimate(
        self,
        frame: Frame,
        velocities: VelocityBuffer | None,
        on_motion: OnMotion | None,
    ) -> DepthResult:
        clock = StageClock()
        previous, why_alone = self._take_previous(frame)
        if self._tensor.as_bytes != self._model.takes_bytes:  # another engine serves by now
            self._tensor = _empty_tensor(self._model)
        stack = self._tensor.push(frame.image, follows=previous is not None)
        if previous and not self._tensor.is_full:
            why_alone = "no ego-motion: the pose network wants two images before this one"
        clock.lap("tensor")
        moving = self._side.submit(
            self._estimate_motion, previous, frame, stack, velocities, on_motion
        )
        try:
            depth = self._model.depth(self._tensor.later, frame.intrinsics.fx)
            clock.lap("depth")
        finally:  # nothing may change under the one that still runs
            ego_motion, scale = moving.result()
        clock.lap("motion")
        depth = _without_invalid(depth, frame.valid)
        frame_depth = self._with_range(depth)
        published, intrinsics = self._at_output_size(frame_depth, frame.intrinsics)
        self._previous = _Previous(frame, depth)
        clock.lap("output")
        return DepthResult(
            stamp_ns=frame.stamp_ns,
            frame_id=frame.frame_id,
            depth=published,
            intrinsics=intrinsics,
            frame=frame,
            frame_depth=frame_depth,
            ego_motion=ego_motion,
            depth_scale=scale.depth if scale else None,
            translation_ratio=scale.translation_ratio if scale else None,
            model_id=self._model.model_id,
            timings_ms=clock.timings_ms,
            remarks=tuple(filter(None, (why_alone, self._gauge.remark, *self._model.remarks))),
        )

    @property
    def model_id(self) -> str:
        """Model that serves now."""
        return self._model.model_id

    @property
    def engines(self) -> dict[str, str]:
        """Engine and precision by network, for diagnostics."""
        model = self._model
        engines = {"depth": model.depth_engine, "pose": model.pose_engine}
        return {name: f"{engine.name} {engine.precision}" for name, engine in engines.items()}

    def prepare(self, folder: ModelFolder) -> PreparedModel:
        """Load another model beside the one that serves, in the caller's thread.

        Raises:
            DataError: The camera's image is too small for the network.
            EngineError: No engine runs the model as it should.
        """
        return prepare_model(folder, self.camera, self.config, self._create_engine, self._model)

    def swap(self, prepared: PreparedModel) -> None:
        """Let a prepared model serve from the next image on; the old one is closed."""
        with self._lock:
            old, self._model = self._model, prepared
            other_size = prepared.preprocessor.intrinsics != old.preprocessor.intrinsics
            if other_size or prepared.images != old.images:
                self._previous = None
                self._tensor = _empty_tensor(prepared)
            elif self._previous:
                self._previous = _Previous(self._previous.frame, None)
            self._forget_scale()
        old.close(keep=prepared)  # takes 20 ms, for which no image has to wait

    def reset(self) -> None:
        """Forget the image before and the pairs that wait (time jumped); the model stays."""
        with self._lock:
            self._previous = None
            self._gauge.clear()

    def close(self) -> None:
        """Free the engines."""
        with self._lock:
            self._side.close()
            self._model.close()

    def _estimate_motion(
        self,
        previous: _Previous | None,
        frame: Frame,
        stack: np.ndarray,
        velocities: VelocityBuffer | None,
        on_motion: OnMotion | None,
    ) -> tuple[EgoMotion | None, PairScale | None]:
        """Ego-motion and the scale of the newest pair; beside the depth network, in a thread."""
        T_earlier_later = None
        if previous and self._tensor.is_full:
            T_earlier_later = self._model.motion(stack, frame.intrinsics.fx)
        self._tensor.make_room()
        scale = self._measure_scale(previous, frame, T_earlier_later, velocities)
        ego_motion = self._ego_motion(previous, frame, T_earlier_later)
        if ego_motion is not None and on_motion is not None:
            on_motion(ego_motion)
        return ego_motion, scale

    def _take_previous(self, frame: Frame) -> tuple[_Previous | None, str]:
        """The image before, if it makes a pair with this one; else the reason.

        It is taken out: an image that fails on the way leaves nothing for the next one.
        """
        previous, self._previous = self._previous, None
        if previous is None:
            return None, "no ego-motion: no image before this one"
        seconds = (frame.stamp_ns - previous.frame.stamp_ns) * 1e-9
        if seconds <= 0:
            self._gauge.clear()
            return None, "no ego-motion: image is not newer than the one before"
        if seconds > self.config.max_image_gap:
            return None, f"no ego-motion: {seconds:.3f} s between images > max_image_gap"
        return previous, ""

    def _measure_scale(
        self,
        previous: _Previous | None,
        frame: Frame,
        T_earlier_later: np.ndarray | None,
        velocities: VelocityBuffer | None,
    ) -> PairScale | None:
        if velocities is None or self.config.apply_scale == "off":
            self._gauge.clear()
            return None
        if previous and previous.depth is not None and T_earlier_later is not None:
            self._gauge.add(ImagePair(previous.frame, frame, previous.depth, T_earlier_later))
        scale = self._gauge.measure(velocities, self.config.min_displacement)
        if scale:
            self._uncertainty.observe(scale.pair.T_earlier_later, scale.T_measured)
            self.scale.add(scale.depth.ratio if scale.depth else None, scale.translation_ratio)
        return scale

    def _ego_motion(
        self, previous: _Previous | None, frame: Frame, T_earlier_later: np.ndarray | None
    ) -> EgoMotion | None:
        if previous is None or T_earlier_later is None:
            return None
        covariance = self._uncertainty.covariance(T_earlier_later)
        return EgoMotion(previous.frame.stamp_ns, frame.stamp_ns, T_earlier_later, covariance)

    def _with_range(self, depth: np.ndarray) -> np.ndarray:
        with np.errstate(invalid="ignore"):
            ranged = depth.copy()
            np.putmask(ranged, depth > self.config.max_depth, np.inf)
            np.putmask(ranged, depth < self.config.min_depth, np.nan)
        return ranged

    def _at_output_size(
        self, depth: np.ndarray, intrinsics: Intrinsics
    ) -> tuple[np.ndarray, Intrinsics]:
        if self.config.output_size == "network":
            return depth, intrinsics
        preprocessor = self._model.preprocessor
        return preprocessor.to_input(depth), preprocessor.input_intrinsics

    def _forget_scale(self) -> None:
        self._gauge.clear()
        self._uncertainty.clear()
        self.scale.clear()


def _empty_tensor(model: PreparedModel) -> ImageTensor:
    return ImageTensor(model.preprocessor.input_hw, model.images, model.takes_bytes)


def _without_invalid(depth: np.ndarray, valid: np.ndarray | None) -> np.ndarray:
    return depth if valid is None else np.where(valid, depth, np.float32(np.nan))
