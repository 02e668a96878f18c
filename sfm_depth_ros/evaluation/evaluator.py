# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Measures a model: on bags, or on anything else that yields frames with their truth.

Nothing corrects the scale. The prediction is brought to the pixels of the truth, or the truth to
the network's: ``DepthProtocol`` decides.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Sequence, Sized
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from sfm_depth_ros.bags.frames import BagFrame, BagFrames, read_frames
from sfm_depth_ros.bags.selection import BagSelection
from sfm_depth_ros.camera.camera_model import CameraModel
from sfm_depth_ros.camera.preprocessing import CameraTruth
from sfm_depth_ros.config.schema import DepthNodeConfig
from sfm_depth_ros.engines.factory import create_engine as create_engine_for
from sfm_depth_ros.errors import DataError, VelocityGapError
from sfm_depth_ros.estimation.depth_estimator import DepthEstimator
from sfm_depth_ros.estimation.depth_result import DepthResult
from sfm_depth_ros.estimation.drive_notes import DriveNotes
from sfm_depth_ros.estimation.prepared_model import CreateEngine, network_input
from sfm_depth_ros.evaluation.drive_evaluation import DriveEvaluation
from sfm_depth_ros.evaluation.flip_engine import with_flip
from sfm_depth_ros.evaluation.matching import MatchedDepth
from sfm_depth_ros.evaluation.motion_rows import MotionSources
from sfm_depth_ros.evaluation.protocol import DepthProtocol
from sfm_depth_ros.geometry.frames import invert
from sfm_depth_ros.model_folder.folder import ModelFolder
from sfm_depth_ros.model_folder.row_profile import RowProfile
from sfm_depth_ros.snippets.values import Frame
from sfm_depth_ros.snippets.velocity import VelocityBuffer


@dataclass(frozen=True)
class EvaluatedFrame:
    """One frame that is done, for those who watch."""

    bag: str  # Name of the bag, empty where frames come from elsewhere
    number: int  # Frames of the bag done so far
    total: int  # Frames of the bag, 0 = not known
    given: BagFrame  # The frame and its truth
    result: DepthResult  # Output of the model
    matched: MatchedDepth | None  # The points that were compared; None without truth


OnFrame = Callable[[EvaluatedFrame], None]


@dataclass(frozen=True)
class Evaluator:
    """A model and how it is judged."""

    folder: ModelFolder  # The model
    config: DepthNodeConfig  # Engine, network size, crop and gates
    # How depth is judged
    protocol: DepthProtocol = dataclasses.field(default_factory=DepthProtocol)
    create_engine: CreateEngine = create_engine_for  # What makes engines
    # Depth by image row of other drives: the bar without an image; None = not compared
    profile: RowProfile | None = None
    on_frame: OnFrame | None = None  # Called after every frame
    # Visual odometry that is measured beside what is published
    motion_modes: tuple[str, ...] = ("visual", "fused")

    def evaluate_bags(
        self, bags: Sequence[str | Path | BagSelection]
    ) -> dict[str, DriveEvaluation]:
        """Measure on one or more bags, or parts of bags; all are opened before the first is run.

        Returns:
            What was measured, by the bag's name.

        Raises:
            DataError: A bag lacks images or calibration.
        """
        opened = {name: self._open(selection) for name, selection in name_bags(bags).items()}
        return {
            name: self.evaluate_frames(frames, frames.velocities, name)
            for name, frames in opened.items()
        }

    def _open(self, selection: BagSelection) -> BagFrames:
        return read_frames(
            selection,
            network_input(self.folder, self.config, self.config.tracking_width),
            max_velocity_gap_s=self.config.max_velocity_gap,
        )

    def evaluate_frames(
        self,
        frames: Iterable[BagFrame],
        velocities: VelocityBuffer | None = None,
        name: str = "",
    ) -> DriveEvaluation:
        """Measure on frames of one camera, in the order of time.

        Args:
            frames: Frames at the network's size, each with its true depth and
                pose or None.
            velocities: The odometer's memory; without it, what moved is measured by the true
                poses.
            name: Name of the drive for progress.
        """
        evaluation = DriveEvaluation(
            self.protocol,
            self.config.min_displacement,
            self.profile,
            is_metric=self.folder.has_metres,
        )
        total = len(frames) if isinstance(frames, Sized) else 0
        estimator: DepthEstimator | None = None
        sources = MotionSources(velocities, self.motion_modes)
        notes = DriveNotes()
        previous: BagFrame | None = None
        try:
            for given in frames:
                estimator = estimator or self._estimator_for(given.frame)
                result = estimator.estimate_frame(given.frame, velocities)
                notes.add(result)
                length = _measured_length(previous, given, velocities)
                truth = _truth(given, self.protocol)
                motions = sources.motions(given.frame, result)
                matched = evaluation.add(result, truth, given.T_world_camera, length, motions)
                evaluation.add_confidence(result, given.depth)
                previous = given
                if self.on_frame:
                    self.on_frame(
                        EvaluatedFrame(name, evaluation.frames, total, given, result, matched)
                    )
        finally:
            if estimator:
                estimator.close()
        if not evaluation.frames:
            raise DataError("there is not one image to evaluate; choose a bag with images")
        notes.log(name)
        return evaluation

    def _estimator_for(self, frame: Frame) -> DepthEstimator:
        """An estimator that takes such frames as they are and marks nothing as out of range."""
        bare = dataclasses.replace(
            self.config,
            input_width=frame.intrinsics.width,
            crop=(0.0, 0.0, 0.0, 0.0),
            min_depth=0.01,
            max_depth=10000.0,
            output_size="network",
            apply_scale="monitor",
        )
        camera = CameraModel.from_intrinsics(frame.intrinsics, frame.frame_id)
        create_engine = self.create_engine
        if self.protocol.flip:
            create_engine = with_flip(create_engine)
        estimator = DepthEstimator(self.folder, camera, bare, create_engine, always_network=True)
        estimator.wants_confidence = True
        return estimator


def _truth(given: BagFrame, protocol: DepthProtocol) -> CameraTruth | None:
    """True depth at the size that the protocol needs, where it is known."""
    if given.camera_truth is not None and protocol.resize != "truth":
        return given.camera_truth
    return None if given.depth is None else CameraTruth.at_network_size(given.depth)


def _measured_length(
    previous: BagFrame | None, current: BagFrame, velocities: VelocityBuffer | None
) -> float | None:
    """Camera translation by the odometer, else by the true poses, else None."""
    if previous is None or current.frame.stamp_ns <= previous.frame.stamp_ns:
        return None
    by_odometer = _odometer_length(previous.frame, current.frame, velocities)
    if by_odometer is not None:
        return by_odometer
    if previous.T_world_camera is None or current.T_world_camera is None:
        return None
    motion = invert(previous.T_world_camera) @ current.T_world_camera
    return float(np.linalg.norm(motion[:3, 3]))


def _odometer_length(
    earlier: Frame, later: Frame, velocities: VelocityBuffer | None
) -> float | None:
    if velocities is None:
        return None
    try:
        return velocities.displacement(earlier.stamp_ns, later.stamp_ns).length
    except VelocityGapError:
        return None


def name_bags(bags: Sequence[str | Path | BagSelection]) -> dict[str, BagSelection]:
    """Bags and parts of bags by the names that they have in reports, in their order."""
    named: dict[str, BagSelection] = {}
    for bag in bags:
        selection = bag if isinstance(bag, BagSelection) else BagSelection.parse(bag)
        named[_unique_name(selection, named)] = selection
    return named


def _unique_name(selection: BagSelection, taken: dict[str, BagSelection]) -> str:
    """The part's name; with its path, then with a number, where another has it already."""
    whole = str(selection.path.parent / selection.name)
    names = [selection.name, whole, *(f"{whole} ({count})" for count in range(2, len(taken) + 3))]
    return next(name for name in names if name not in taken)
