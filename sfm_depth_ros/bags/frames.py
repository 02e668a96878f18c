# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A bag as frames with their truth, and as snippets: what feeds everything that runs offline."""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from sfm_depth_ros.bags.events import (
    CameraInfoEvent,
    CompanionEvent,
    DepthTruthEvent,
    ImageEvent,
    RightCameraInfoEvent,
)
from sfm_depth_ros.bags.reader import BagReader
from sfm_depth_ros.bags.rig import BagRig, read_rig
from sfm_depth_ros.bags.selection import BagSelection
from sfm_depth_ros.bags.topics import BagTopics, require_topics
from sfm_depth_ros.camera.camera_model import CameraModel
from sfm_depth_ros.camera.companions import CompanionPreparer, Matched, StampMatcher
from sfm_depth_ros.camera.preprocessing import CameraTruth, Preprocessor
from sfm_depth_ros.errors import DataError
from sfm_depth_ros.snippets.values import Frame
from sfm_depth_ros.snippets.velocity import VelocityBuffer

MAX_DELAY = 4  # images that may come between an image and what belongs to it
_TRUTH = "depth_truth"
_READ = (ImageEvent, CameraInfoEvent, DepthTruthEvent, RightCameraInfoEvent, CompanionEvent)

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


class _Waiting(NamedTuple):
    """An image whose companions have not all come."""

    event: ImageEvent
    preparer: CompanionPreparer


class BagFrames:
    """The frames of one bag or of a part of it, to iterate any number of times.

    Attributes:
        selection: The bag, and which part of it.
        rig: Camera, extrinsics, velocities and true poses.
        preprocessor: From the bag's images to the network's, for the first calibration.
        dropped: Images of the last iteration that could not be decoded.
        topics: What is read.
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
        companions: Collection[str] = (),
    ) -> None:
        self.selection = selection
        self.rig = rig
        self.preprocessor = preprocessor
        self.dropped = 0
        self.refused: dict[str, int] = {}
        self._frame_count = frame_count
        self.topics = topics
        self._follows_info = follows_info
        self._companions = frozenset(companions)

    def __len__(self) -> int:
        return self._frame_count

    def wider(self, width: int, companions: Collection[str] | None = None) -> BagFrames:
        """The same bag with larger images; as wide as the camera's are, at most.

        Args:
            width: Of the network's image in pixels; rounded down to a multiple of 32.
            companions: What frames shall carry beside the image; None = the same as now.
        """
        return BagFrames(
            self.selection,
            self.rig,
            self.preprocessor.for_width(width),
            self._frame_count,
            self.topics,
            self._follows_info,
            self._companions if companions is None else companions,
        )

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
        preprocessor, right, first_ns = self.preprocessor, None, None
        preparer: CompanionPreparer | None = None
        matcher = StampMatcher[_Waiting](self._roles(), MAX_DELAY)
        with BagReader(self.path, self.topics) as reader:
            for event in reader.events(*_READ):
                if isinstance(event, CameraInfoEvent) and self._follows_info:
                    preprocessor = preprocessor.for_camera(event.camera)
                elif isinstance(event, RightCameraInfoEvent):
                    right = event.camera if "right_image" in self._companions else None
                elif isinstance(event, DepthTruthEvent):
                    matcher.add_beside(_TRUTH, event.stamp_ns, event)
                elif isinstance(event, CompanionEvent) and event.role in self._companions:
                    matcher.add_beside(event.role, event.stamp_ns, event)
                elif isinstance(event, ImageEvent):
                    first_ns = event.stamp_ns if first_ns is None else first_ns
                    if self.selection.contains(event.stamp_ns, first_ns):
                        preparer = CompanionPreparer.following(preparer, preprocessor, right)
                        matcher.add(event.stamp_ns, _Waiting(event, preparer))
                for matched in matcher.ready():
                    yield from self._prepare(matched)
            for matched in matcher.rest():
                yield from self._prepare(matched)

    def _roles(self) -> frozenset[str]:
        """What may come beside an image."""
        roles = {role for role in self._companions if getattr(self.topics, role)}
        return frozenset(roles | ({_TRUTH} if self.topics.depth_truth else set()))

    def _prepare(self, matched: Matched[_Waiting]) -> Iterator[BagFrame]:
        (event, preparer), beside = matched
        truth = beside.pop(_TRUTH, None)
        try:
            image = event.decode()
            seen = {
                role: found.decode()
                for role, found in beside.items()
                if isinstance(found, CompanionEvent)
            }
        except DataError as error:
            self.dropped += 1
            _logger.warning("image at %d ns left out: %s", event.stamp_ns, error)
            return
        frame = preparer.preprocessor.frame(image, event.stamp_ns, event.frame_id)
        truth = truth if isinstance(truth, DepthTruthEvent) else None
        depth, camera_truth = _truth_of(truth, preparer.preprocessor)
        T_world_base = self.rig.poses.at(event.stamp_ns)
        T_world_camera = None if T_world_base is None else T_world_base @ self.rig.T_base_camera
        yield BagFrame(preparer.attach(frame, seen), depth, T_world_camera, camera_truth)


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
    companions: Collection[str] = (),
    resize_filter: str = "area",
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
        companions: What frames shall carry beside the image, where the bag has it: right_image,
            sparse_depth, instance_mask.
        resize_filter: How images are scaled, see Preprocessor.

    Raises:
        DataError: The bag lacks something; the message says what it has and the remedy.
    """
    selection = bag if isinstance(bag, BagSelection) else BagSelection.parse(bag)
    with BagReader(selection.path, topics) as reader:
        roles = ["image", *(["velocity"] if needs_velocity else [])]
        roles += [] if camera is not None else ["camera_info"]
        require_topics(reader.topics, reader.recorded, *roles)
        rig = read_rig(reader, max_velocity_gap_s, camera, base_to_camera)
        count = _count_images(rig, selection)
        chosen = reader.topics
    preprocessor = Preprocessor(rig.camera, input_width, crop, resize_filter=resize_filter)
    return BagFrames(selection, rig, preprocessor, count, chosen, camera is None, companions)


def _count_images(rig: BagRig, selection: BagSelection) -> int:
    """Images of the part; a part beyond the bag's end is refused."""
    stamps = rig.image_stamps.tolist()
    count = sum(selection.contains(stamp, stamps[0]) for stamp in stamps)
    if not (count or selection.is_whole):
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
