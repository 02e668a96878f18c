# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Live images and velocities become training snippets, as the offline reader makes them."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from sfm_depth_ros.camera.camera_model import CameraModel
from sfm_depth_ros.camera.companions import CompanionPreparer, Matched, StampMatcher
from sfm_depth_ros.camera.image_layout import NetworkInput
from sfm_depth_ros.camera.preprocessing import Preprocessor
from sfm_depth_ros.config.extra_inputs import RIGHT_IMAGE
from sfm_depth_ros.config.schema import NodeConfig
from sfm_depth_ros.errors import DataError
from sfm_depth_ros.estimation.input_monitor import InputWatch
from sfm_depth_ros.ros.conversions import image_to_rgb, stamp_to_ns
from sfm_depth_ros.ros.error_log import ErrorLog
from sfm_depth_ros.ros.extra_inputs import TOPICS, decode_extra
from sfm_depth_ros.ros.latest_worker import LatestWorker
from sfm_depth_ros.ros.streams import StampGuard
from sfm_depth_ros.snippets.builder import SnippetBuilder
from sfm_depth_ros.snippets.image_gate import ImageGate
from sfm_depth_ros.snippets.refusals import REMEDIES
from sfm_depth_ros.snippets.values import Frame, Snippet, Velocity
from sfm_depth_ros.snippets.velocity import VelocityBuffer
from sfm_depth_ros.snippets.velocity_gate import VelocityGate
from sfm_depth_ros.visual_odometry.input_fault import SPEED_UNIT, InputFault

_logger = logging.getLogger(__name__)

MAX_DELAY = 2  # newer images that one waits for, to get what belongs to it


@dataclass(frozen=True)
class _Rig:
    """Preprocessing and snippet building for one camera."""

    camera: CameraModel
    T_base_camera: np.ndarray
    preprocessor: Preprocessor
    velocities: VelocityBuffer
    builder: SnippetBuilder
    watch: InputWatch


class SnippetSource:
    """Decodes in a thread of its own; hands every finished snippet on."""

    def __init__(
        self,
        config: NodeConfig,
        wanted: NetworkInput,
        on_snippet: Callable[[Snippet], Any],
        errors: ErrorLog,
    ) -> None:
        """Wait for a camera.

        Args:
            config: Options of inputs and gates.
            wanted: The network's image, with a tracking image.
            on_snippet: Takes snippets, in the decoding thread.
            errors: Log of errors.
        """
        self.frames = 0  # Images that became frames
        self.failed = 0  # Images that could not be used
        self._not_ready = 0
        self._config, self._wanted = config, wanted
        self._on_snippet, self._errors = on_snippet, errors
        self._mounting: np.ndarray | None = None
        self.with_extra: dict[str, int] = {}  # Frames with each extra input
        self._matcher = StampMatcher[Any](frozenset(), MAX_DELAY)
        self._right: CameraModel | None = None
        self._preparers: dict[str, CompanionPreparer] = {}
        self._camera: CameraModel | None = None
        self._rig: _Rig | None = None
        self._past_refusals: dict[str, int] = {}  # Of the rigs before this one
        self._past_velocities: dict[str, int] = {}
        self._velocity_guard = StampGuard("velocities", 0.5, self._forget_velocities)
        self._image_guard = StampGuard("images", 0.5, self._forget_images)
        self._worker: LatestWorker[Any] = LatestWorker("decode", self._take, self._on_failed)

    @property
    def dropped(self) -> int:
        """Images that a newer one replaced, or that came before calibration or mounting."""
        return self._not_ready + self._worker.dropped

    @property
    def late(self) -> int:
        """Images that were older than one before them, and were passed over."""
        return self._image_guard.late

    @property
    def refusals(self) -> dict[str, int]:
        """Number of frames that made no snippet, by reason."""
        now = {} if self._rig is None else self._rig.builder.counts
        return _summed(self._past_refusals, now)

    @property
    def velocities_refused(self) -> dict[str, int]:
        """Number of velocities that the gate refused, by reason."""
        now = {} if self._rig is None else self._rig.velocities.refused
        return _summed(self._past_velocities, now)

    @property
    def gated(self) -> str:
        """Reason, with its remedy, that a gate has had for longer than a moment, or ""."""
        if self._rig is None:
            return ""
        reason = self._rig.velocities.gated or self._rig.builder.gated
        if reason:
            return f"{reason}: {REMEDIES[reason]}"
        # every length would be wrong by the unit's factor; other faults spoil no length
        units = (fault.text for fault in self.faults if fault.kind == SPEED_UNIT)
        return next(units, "")

    @property
    def faults(self) -> tuple[InputFault, ...]:
        """Wrong inputs, named over the newest seconds of driving."""
        return () if self._rig is None else self._rig.watch.faults

    @property
    def stamp_faults(self) -> tuple[str, ...]:
        """Streams whose stamps jump again and again, with the remedy."""
        return tuple(filter(None, (self._image_guard.fault(), self._velocity_guard.fault())))

    @property
    def is_standing(self) -> bool:
        """Whether the camera has stood still for longer than a moment."""
        return self._rig is not None and self._rig.builder.is_standing

    @property
    def remarks(self) -> str:
        """Jumps of time in the last seconds, and a camera narrower than the model; or ""."""
        guards = (self._image_guard, self._velocity_guard)
        narrowed = "" if self._rig is None else self._rig.preprocessor.narrowed
        return "; ".join(filter(None, (*(guard.remark() for guard in guards), narrowed)))

    @property
    def T_base_camera(self) -> np.ndarray | None:
        """Pose of the camera in the base frame, ``(4, 4)``; None before the first image."""
        return None if self._rig is None else self._rig.T_base_camera

    def add_image(self, message: Any) -> None:
        """Take an image message; never waits."""
        if self._camera is None or self._mounting is None:
            self._not_ready += 1
        else:
            self._matcher.add(stamp_to_ns(message.header.stamp), message)
            self._hand_over()

    def expect(self, roles: Collection[str]) -> None:
        """Extra inputs that may come beside images from now on; images wait for them."""
        self._matcher = StampMatcher[Any](frozenset(roles), MAX_DELAY)
        self.with_extra = dict.fromkeys(roles, 0)

    def add_beside(self, role: str, message: Any) -> None:
        """Take a message that belongs to the image with the same stamp; never waits."""
        if role in self.with_extra:
            self._matcher.add_beside(role, stamp_to_ns(message.header.stamp), message)
            self._hand_over()

    def set_right_camera(self, camera: CameraModel) -> None:
        """The right images are of this camera from now on."""
        if self._right is None or not camera.is_same(self._right):
            self._right = camera

    def set_camera(self, camera: CameraModel) -> None:
        """Images are of this camera from now on."""
        self._camera = camera

    def set_mounting(self, T_base_camera: np.ndarray | None) -> None:
        """The camera sits here on the robot, ``(4, 4)``; without it no image is taken."""
        self._mounting = T_base_camera

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
        self._matcher.clear()
        self._forget_velocities()
        self._forget_images()

    def close(self) -> None:
        """Stop decoding."""
        self._worker.close()

    def _hand_over(self) -> None:
        for matched in self._matcher.ready():
            self._worker.submit(matched)

    def _take(self, matched: Matched[Any]) -> None:
        message, beside = matched
        stamp_ns, frame_id = stamp_to_ns(message.header.stamp), message.header.frame_id
        if not self._image_guard.check(stamp_ns):
            return  # late: it would break the chain of images
        if (rig := self._current_rig()) is None:
            return
        config = self._config
        image = image_to_rgb(message, config.white_level, config.max_pixels)
        frame = rig.preprocessor.frame(image, stamp_ns, frame_id)
        rig.watch.add(frame)
        frame = replace(frame, tracking=None)  # snippets need no more of it
        for role, extra in beside.items():
            frame = self._with_extra(rig, frame, role, extra)
        self.frames += 1
        for snippet in rig.builder.add(frame):
            self._on_snippet(snippet)
        self._errors.clear("image")

    def _with_extra(self, rig: _Rig, frame: Frame, role: str, message: Any) -> Frame:
        """The frame with an extra input; without it where that cannot be used."""
        if role == RIGHT_IMAGE and self._right is None:
            return frame
        try:
            right = self._right if role == RIGHT_IMAGE else None
            last = self._preparers.get(role)
            preparer = CompanionPreparer.following(last, rig.preprocessor, right)
            self._preparers[role] = preparer
            limits = self._config.white_level, self._config.max_pixels
            frame = preparer.attach(frame, {role: decode_extra(role, message, *limits)})
        except DataError as error:
            self._errors.add(TOPICS[role], error)
            return frame
        self.with_extra[role] += 1
        self._errors.clear(TOPICS[role])
        return frame

    def _current_rig(self) -> _Rig | None:
        camera, T_base_camera, config = self._camera, self._mounting, self._config
        if camera is None or T_base_camera is None:  # became unknown since add_image
            return None
        rig = self._rig
        if rig is not None and rig.T_base_camera is T_base_camera:
            if rig.camera is camera:
                return rig
            preprocessor = rig.preprocessor.for_camera(camera)
            is_same_size = preprocessor.input_hw == rig.preprocessor.input_hw
            if rig.camera.is_same(camera) and is_same_size:  # refocused
                self._rig = replace(rig, camera=camera, preprocessor=preprocessor)
                return self._rig
        self._rig = self._new_rig(camera, T_base_camera, config)
        return self._rig

    def _new_rig(self, camera: CameraModel, T_base_camera: np.ndarray, config: NodeConfig) -> _Rig:
        """Rig for a new camera or mounting; snippets begin anew, counts stay."""
        self._past_refusals, self._past_velocities = self.refusals, self.velocities_refused
        preprocessor = Preprocessor(camera, self._wanted)
        if preprocessor.narrowed:
            _logger.info("%s", preprocessor.narrowed)
        velocities = VelocityBuffer(T_base_camera, config.max_velocity_gap, gate=VelocityGate())
        gates = (config.min_displacement, config.max_displacement, config.max_image_gap)
        builder = SnippetBuilder(velocities, *gates, image_gate=ImageGate())
        watch = InputWatch(velocities)
        return _Rig(camera, T_base_camera, preprocessor, velocities, builder, watch)

    def _on_failed(self, message: Any, error: Exception) -> None:
        self.failed += 1
        self._errors.add("image", error)

    def _forget_velocities(self) -> None:
        if self._rig is not None:
            self._rig.velocities.clear()

    def _forget_images(self) -> None:
        if self._rig is not None:
            self._rig.builder.reset()
            self._rig.watch.reset()


def _summed(a: Mapping[str, int], b: Mapping[str, int]) -> dict[str, int]:
    return {name: a.get(name, 0) + b.get(name, 0) for name in (*a, *(n for n in b if n not in a))}
