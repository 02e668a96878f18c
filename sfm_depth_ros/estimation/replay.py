# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A bag in, the same bag with depth and ego-motion out; no ROS running."""

from __future__ import annotations

import contextlib
import dataclasses
import logging
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from sfm_depth_ros.bags.events import CameraInfoEvent, ImageEvent
from sfm_depth_ros.bags.options import BagOptions
from sfm_depth_ros.bags.reader import BagReader
from sfm_depth_ros.bags.rig import BagRig, read_rig
from sfm_depth_ros.bags.writer import BagWriter
from sfm_depth_ros.camera.camera_model import CameraModel
from sfm_depth_ros.config.schema import DepthNodeConfig
from sfm_depth_ros.engines.factory import create_engine as create_engine_for
from sfm_depth_ros.errors import DataError
from sfm_depth_ros.estimation.depth_estimator import DepthEstimator
from sfm_depth_ros.estimation.drive_notes import DriveNotes
from sfm_depth_ros.estimation.output_topics import DEFAULT_EXTRAS, OUTPUT_TOPICS
from sfm_depth_ros.estimation.prepared_model import CreateEngine
from sfm_depth_ros.estimation.replay_outputs import Recorder
from sfm_depth_ros.estimation.rerun_log import RerunLog
from sfm_depth_ros.model_folder.folder import ModelFolder

_logger = logging.getLogger(__name__)


@dataclass
class ReplayCounts:
    """Counts of a replay."""

    images: int = 0  # Images of the input bag
    written: int = 0  # Depth images written
    motions: int = 0  # Odometry messages written
    topics: list[str] = field(default_factory=list)  # Topics written
    late: int = 0  # Images older than one before them, skipped as the nodes do


def replay(
    folder: ModelFolder,
    bag: str | Path,
    out: str | Path,
    config: DepthNodeConfig,
    *,
    options: BagOptions | None = None,
    extras: Collection[str] = DEFAULT_EXTRAS,
    rerun: Path | None = None,
    create_engine: CreateEngine = create_engine_for,
    on_image: Callable[[int], None] | None = None,
) -> ReplayCounts:
    """Write a copy of a bag with depth, its camera_info and ego-motion added.

    Args:
        folder: The model.
        bag: The rosbag2 to read.
        out: The rosbag2 to write; it must not exist.
        config: As for depth_node; ``odom_frame``, ``depth_encoding`` and ``output_size`` count.
        options: Values that replace what the bag holds or lacks.
        extras: Some of ``EXTRAS``: what is written beside depth and motion.
        rerun: A recording of Rerun to write as well, ``.rrd``.
        create_engine: What makes engines.
        on_image: Called with the number of images done, for progress.

    Raises:
        DataError: The bag lacks images or calibration, or ``out`` exists.
        MissingDependencyError: ``rerun`` without rerun-sdk.
    """
    counts, options = ReplayCounts(), options or BagOptions()
    with BagReader(bag, options.topics) as reader:
        rig = read_rig(reader, config.max_velocity_gap, options)
        estimator = DepthEstimator(folder, rig.camera, config, create_engine)
        estimator.wants_confidence = "confidence" in extras
        try:
            with contextlib.ExitStack() as stack:
                log = None if rerun is None else stack.enter_context(_closed(rerun, rig))
                writer = stack.enter_context(BagWriter(out))
                recorder = Recorder(writer, rig, config, extras, log)
                counts.topics = recorder.topics
                replayer = _Replayer(estimator, rig, options, recorder, counts)
                for event in _copied(reader, writer):
                    if isinstance(event, CameraInfoEvent):
                        replayer.refocus(event.camera)
                        continue
                    counts.images += 1
                    replayer.add(event)
                    if on_image:
                        on_image(counts.images)
                replayer.notes.log(str(bag))
        finally:
            estimator.close()
    return counts


@contextlib.contextmanager
def _closed(path: Path, rig: BagRig) -> Iterator[RerunLog]:
    log = RerunLog(path, rig)
    try:
        yield log
    finally:
        log.close()


def _copied(reader: BagReader, writer: BagWriter) -> Iterator[ImageEvent | CameraInfoEvent]:
    """Copy every message, and yield the images and calibrations among them."""
    left_out = set(OUTPUT_TOPICS)
    roles = {reader.topics.camera_info: "camera_info", reader.topics.image: "image"}
    for raw in reader.raw_messages():
        if raw.topic not in left_out:
            try:
                writer.write_serialized(raw.topic, raw.type_name, raw.time_ns, raw.cdr)
            except DataError as error:
                left_out.add(raw.topic)
                _logger.warning("%s", error)
        if raw.topic and raw.topic in roles:
            for event in reader.parse(raw, roles[raw.topic]):
                if isinstance(event, ImageEvent | CameraInfoEvent):
                    yield event


class _Replayer:
    """Estimates one image after the other, on the clock that the bag's odometry is on."""

    def __init__(
        self,
        estimator: DepthEstimator,
        rig: BagRig,
        options: BagOptions,
        recorder: Recorder,
        counts: ReplayCounts,
    ) -> None:
        self._estimator, self._rig, self._options = estimator, rig, options
        self._recorder, self._counts = recorder, counts
        self._newest_ns: int | None = None
        self.notes = DriveNotes()

    def refocus(self, camera: CameraModel) -> None:
        """Follow the bag's calibration, as long as it is of the same camera."""
        if self._options.camera is None and camera.is_same(self._estimator.camera):
            self._estimator.refocus(camera)

    def add(self, image: ImageEvent) -> None:
        """Estimate an image; record the result under the image's own stamp and bag time."""
        stamp_ns = self._rig.clock.continued(image.time_ns, image.stamp_ns)
        if self._newest_ns is not None and stamp_ns <= self._newest_ns:
            self._counts.late += 1  # it would break the chain of images, as live
            return
        self._newest_ns = stamp_ns
        try:
            pixels = image.decode(self._options.white_level)
            result = self._estimator.estimate(
                pixels, stamp_ns, image.frame_id, self._rig.velocities
            )
        except DataError as error:
            _logger.warning("image at %d ns left out: %s", image.stamp_ns, error)
            return
        self.notes.add(result)
        result = dataclasses.replace(result, stamp_ns=image.stamp_ns)
        self._recorder.begin(image.time_ns)
        self._recorder.write_depth(result)
        self._counts.written += 1
        self._counts.motions += self._recorder.write_motion(result)
