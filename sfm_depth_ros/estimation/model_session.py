# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""One model at work on one camera: engines, input tensor, motion thread."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Generic, TypeVar

import numpy as np

from sfm_depth_ros.errors import DataError
from sfm_depth_ros.estimation.image_tensor import ImageTensor
from sfm_depth_ros.estimation.prepared_model import PreparedModel
from sfm_depth_ros.estimation.side_thread import SideThread
from sfm_depth_ros.estimation.stage_clock import StageClock
from sfm_depth_ros.snippets.values import Frame

Motion = TypeVar("Motion")
PoseNetwork = Callable[[], "np.ndarray | None"]  # runs it on the newest images
# Estimates a motion, given the pose network and the reason why that may give none
EstimateMotion = Callable[[PoseNetwork, str], Motion]


@dataclass(frozen=True)
class SessionOutput(Generic[Motion]):
    """Depth and motion of one image."""

    depth: np.ndarray  # `(h, w)` float32 metres, NaN where the frame has no source
    motion: Motion  # output of the function that ran concurrently with the depth network
    clock: StageClock  # stages so far: tensor, depth, motion


class ModelSession:
    """Runs the networks of the current model on the newest images.

    The pose network runs in a thread of its own, concurrently with the depth network.

    Args:
        model: The model to begin with.
        own_core: Whether that thread is kept off the caller's core.
    """

    def __init__(self, model: PreparedModel, own_core: bool) -> None:
        self.model = model
        self._thread = SideThread("motion", own_core)
        self._tensor = _empty_tensor(model)
        self._afterwards: Future[None] | None = None

    def check(self, frame: Frame) -> None:
        """Refuse a frame of another size.

        Raises:
            DataError: The engines were built for another size.
        """
        expected, shape = self.model.preprocessor.input_hw, frame.image.shape[:2]
        if shape != expected:
            raise DataError(
                f"frame is {shape[1]}x{shape[0]}, but the engines are for {expected[1]}x"
                f"{expected[0]}: one estimator serves one camera"
            )

    def run(
        self,
        frame: Frame,
        follows: bool,
        estimate_motion: EstimateMotion[Motion],
        afterwards: Callable[[], None],
    ) -> SessionOutput[Motion]:
        """Run both networks on the newest images.

        Args:
            frame: The newest image.
            follows: Whether it makes a pair with the image before.
            estimate_motion: Called concurrently with the depth network, with a function that
                runs the pose network: ``T_earlier_later`` ``(4, 4)``, or None while it has too
                few images.
            afterwards: Called in the same thread once both are done; the next image waits for
                it, this one's output does not.

        Raises:
            EngineError: An engine failed or its output is not finite.
        """
        self.settle()
        clock = StageClock()
        if self._tensor.as_bytes != self.model.takes_bytes:  # another engine serves by now
            self._tensor = _empty_tensor(self.model)
        stack = self._tensor.push(frame.image, follows)
        clock.lap("tensor")
        moving = self._thread.submit(self._move, frame, stack, estimate_motion)
        try:
            depth = self.model.depth(self._tensor.later, frame.intrinsics.fx)
            clock.lap("depth")
        finally:  # the thread reads this session's state: wait for it even if depth failed
            motion = moving.result()
        clock.lap("motion")
        self._afterwards = self._thread.submit(afterwards)
        if frame.valid is not None:
            depth = np.where(frame.valid, depth, np.float32(np.nan))
        return SessionOutput(depth, motion, clock)

    def settle(self) -> None:
        """Wait for ``afterwards``, before another thread touches the motion's state."""
        work, self._afterwards = self._afterwards, None
        if work is not None:
            work.result()

    def swap(self, model: PreparedModel) -> PreparedModel:
        """Run another model from the next image on.

        Returns:
            The model before; the caller closes it.
        """
        before, self.model = self.model, model
        if not self.keeps_images(before):
            self._tensor = _empty_tensor(model)
        return before

    def keeps_images(self, before: PreparedModel) -> bool:
        """Whether images that were prepared for the model before fit the current one."""
        now = self.model
        same_size = now.preprocessor.intrinsics == before.preprocessor.intrinsics
        return same_size and now.images == before.images

    def close(self) -> None:
        """Free the engines."""
        self.settle()
        self._thread.close()
        self.model.close()

    def _move(
        self,
        frame: Frame,
        stack: np.ndarray,
        estimate_motion: EstimateMotion[Motion],
    ) -> Motion:
        def pose_network() -> np.ndarray | None:
            if not self._tensor.is_full:
                return None
            return self.model.motion(stack, frame.intrinsics.fx)

        motion = estimate_motion(pose_network, self.model.why_no_motion)
        self._tensor.make_room()
        return motion


def _empty_tensor(model: PreparedModel) -> ImageTensor:
    return ImageTensor(model.preprocessor.input_hw, model.images, model.takes_bytes)
