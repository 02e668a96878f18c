# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A bag as frames with their truth, and as snippets: what feeds everything that runs offline."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from sfm_depth_ros.data.bag_reader import BagReader
from sfm_depth_ros.data.bag_rig import BagRig, read_rig
from sfm_depth_ros.data.bag_selection import BagSelection
from sfm_depth_ros.data.bag_topics import BagTopics, require_topics
from sfm_depth_ros.data.camera_model import CameraModel
from sfm_depth_ros.data.camera_truth import CameraTruth
from sfm_depth_ros.data.events import CameraInfoEvent, DepthTruthEvent, ImageEvent
from sfm_depth_ros.data.preprocessing import Preprocessor
from sfm_depth_ros.data.sample import Frame, Snippet
from sfm_depth_ros.data.snippet_truth import TruthMemory
from sfm_depth_ros.data.snippets import SnippetBuilder
from sfm_depth_ros.data.velocity import VelocityBuffer
from sfm_depth_ros.errors import DataError

MAX_TRUTH_DELAY = 4  # images that may come between an image and its true depth
MAX_TRUTHS_KEPT = 8

_logger = logging.getLogger(__name__)


class BagFrame(NamedTuple):
    """One image of a bag at the network's size, with what is known of it.

    Attributes:
        frame: The image.
        depth: ``(h, w)`` float32 true metres, 0 = unknown; None without truth.
        T_world_camera: ``(4, 4)`` true pose of the optical frame; None without truth.
        camera_truth: The same depth at the camera's size; None without truth.
    """

    frame: Frame
    depth: np.ndarray | None
    T_world_camera: np.ndarray | None
    camera_truth: CameraTruth | None = None


class BagFrames:
    """The frames of one bag or of a part of it, to iterate any number of times.

    Attributes:
        selection: The bag, and which part of it.
        rig: Camera, extrinsics, velocities and true poses.
        preprocessor: From the bag's images to the network's, for the first calibration.
        dropped: Images of the last iteration that could not be decoded.
        refused: Images of the newest :func:`read_snippets` that made no snippet, by reason.
    """

    def __init__(
        self,
        selection: BagSelection,
        rig: BagRig,
        preprocessor: Preprocessor,
        frame_count: int,
        topics: BagTopics,
        follows_info: bool = True,
    ) -> None:
        self.selection = selection
        self.rig = rig
        self.preprocessor = preprocessor
        self.dropped = 0
        self.refused: dict[str, int] = {}
        self._frame_count = frame_count
        self._topics = topics
        self._follows_info = follows_info

    def __len__(self) -> int:
        return self._frame_count

    @property
    def path(self) -> Path:
        """The bag."""
        return self.selection.path

    @property
    def velocities(self) -> VelocityBuffer:
        """All velocities of the bag, carried to the camera."""
        return self.rig.velocities

    def __iter__(self) -> Iterator[BagFrame]:
        """Yield frames in the order of bag time."""
        self.dropped = 0
        preprocessor = self.preprocessor
        delay = MAX_TRUTH_DELAY if self._topics.depth_truth else 0
        waiting: deque[tuple[ImageEvent, Preprocessor]] = deque()
        truths: dict[int, DepthTruthEvent] = {}
        first_ns: int | None = None
        with BagReader(self.path, self._topics) as reader:
            for event in reader.events(ImageEvent, CameraInfoEvent, DepthTruthEvent):
                if isinstance(event, CameraInfoEvent) and self._follows_info:
                    preprocessor = preprocessor.for_camera(event.camera)
                elif isinstance(event, DepthTruthEvent):
                    truths[event.stamp_ns] = event
                    _drop_oldest(truths)
                elif isinstance(event, ImageEvent):
                    first_ns = event.stamp_ns if first_ns is None else first_ns
                    if self.selection.contains(event.stamp_ns, first_ns):
                        waiting.append((event, preprocessor))
                while waiting and (len(waiting) > delay or waiting[0][0].stamp_ns in truths):
                    yield from self._prepare(*waiting.popleft(), truths)
            for image, its_preprocessor in waiting:
                yield from self._prepare(image, its_preprocessor, truths)

    def _prepare(
        self, event: ImageEvent, preprocessor: Preprocessor, truths: dict[int, DepthTruthEvent]
    ) -> Iterator[BagFrame]:
        truth = truths.pop(event.stamp_ns, None)
        try:
            image = event.decode()
        except DataError as error:
            self.dropped += 1
            _logger.warning("image at %d ns left out: %s", event.stamp_ns, error)
            return
        frame = preprocessor.frame(image, event.stamp_ns, event.frame_id)
        depth, camera_truth = _truth_of(truth, preprocessor)
        T_world_base = self.rig.poses.at(event.stamp_ns)
        T_world_camera = None if T_world_base is None else T_world_base @ self.rig.T_base_camera
        yield BagFrame(frame, depth, T_world_camera, camera_truth)


def read_frames(
    bag: str | Path | BagSelection,
    input_width: int,
    crop: Sequence[float] = (0.0, 0.0, 0.0, 0.0),
    *,
    topics: BagTopics | None = None,
    camera: CameraModel | None = None,
    base_to_camera: np.ndarray | None = None,
    max_velocity_gap_s: float = 0.3,
    needs_velocity: bool = False,
) -> BagFrames:
    """Open a bag for iteration.

    Args:
        bag: The rosbag2, or a part of it (``PATH@START-END`` in seconds).
        input_width: Width of the network's image in pixels, a multiple of 32.
        crop: Shares of the rectified image cut off [top, bottom, left, right].
        topics: Names for roles that shall not be chosen by type.
        camera: Calibration to use instead of the bag's.
        base_to_camera: ``(4, 4)`` pose of the optical frame in the base to use instead of the
            bag's ``/tf_static``.
        max_velocity_gap_s: Longest time in seconds between two velocities that is interpolated.
        needs_velocity: Refuse a bag without an odometer.

    Raises:
        DataError: The bag lacks something; the message says what it has and the remedy.
    """
    selection = bag if isinstance(bag, BagSelection) else BagSelection.parse(bag)
    with BagReader(selection.path, topics) as reader:
        roles = ["image", *(["velocity"] if needs_velocity else [])]
        roles += [] if camera is not None else ["camera_info"]
        require_topics(reader.topics, reader.recorded, *roles)
        rig = read_rig(reader, max_velocity_gap_s, camera, base_to_camera)
        count = _count_images(reader, selection)
        chosen = reader.topics
    preprocessor = Preprocessor(rig.camera, input_width, crop)
    return BagFrames(selection, rig, preprocessor, count, chosen, follows_info=camera is None)


def read_snippets(
    frames: BagFrames,
    min_displacement: float,
    max_displacement: float,
    max_image_gap_s: float,
    with_truth: bool = False,
) -> Iterator[Snippet]:
    """Snippets of a bag, by the same builder that serves the live trainer.

    Args:
        frames: The bag; read with ``needs_velocity``.
        min_displacement: Camera translation in metres between neighbours, at least.
        max_displacement: The same, at most.
        max_image_gap_s: Seconds between neighbours, at most.
        with_truth: Whether they get the bag's true depth and motion, where it has them.
    """
    builder = SnippetBuilder(
        frames.velocities, min_displacement, max_displacement, max_image_gap_s
    )
    frames.refused = builder.counts
    truths = TruthMemory(frames.rig)
    for bag_frame in frames:
        if with_truth:
            truths.remember(bag_frame.frame.stamp_ns, bag_frame.depth)
        for snippet in builder.add(bag_frame.frame):
            yield truths.attach(snippet) if with_truth else snippet
    _logger.info("%s: refused frames %s", frames.path, builder.counts)


def _count_images(reader: BagReader, selection: BagSelection) -> int:
    """How many images the part has; a part beyond the bag's end is refused."""
    if selection.is_whole:
        return reader.message_count(reader.topics.image)
    stamps = [e.stamp_ns for e in reader.events(ImageEvent) if isinstance(e, ImageEvent)]
    count = sum(selection.contains(stamp, stamps[0]) for stamp in stamps)
    if not count:
        last = (stamps[-1] - stamps[0]) * 1e-9 if stamps else 0.0
        raise DataError(
            f"{selection.name} holds no image: the bag's images end after {last:.1f} s; choose "
            "another part"
        )
    return count


def _truth_of(
    truth: DepthTruthEvent | None, preprocessor: Preprocessor
) -> tuple[np.ndarray | None, CameraTruth | None]:
    """True depth at the network's size and at the camera's."""
    if truth is None:
        return None, None
    depth = truth.depth
    return preprocessor.resize_depth(depth), preprocessor.camera_truth(depth)


def _drop_oldest(truths: dict[int, DepthTruthEvent]) -> None:
    """Truths whose image never comes must not pile up."""
    while len(truths) > MAX_TRUTHS_KEPT:
        del truths[min(truths)]
