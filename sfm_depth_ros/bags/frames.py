# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Frames of a bag with their truth, for everything that runs offline."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Collection, Iterator
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
from sfm_depth_ros.bags.options import BagOptions
from sfm_depth_ros.bags.reader import BagReader
from sfm_depth_ros.bags.rig import BagRig, read_rig
from sfm_depth_ros.bags.selection import BagSelection
from sfm_depth_ros.bags.topics import BagTopics
from sfm_depth_ros.camera.companions import CompanionPreparer, Matched, StampMatcher
from sfm_depth_ros.camera.image_codec import darkness
from sfm_depth_ros.camera.image_layout import NetworkInput
from sfm_depth_ros.camera.preprocessing import CameraTruth, Preprocessor
from sfm_depth_ros.errors import DataError
from sfm_depth_ros.snippets.values import Frame
from sfm_depth_ros.snippets.velocity import VelocityBuffer

MAX_DELAY = 4  # images that may come between an image and what belongs to it, or overtake it
_TRUTH = "depth_truth"
_READ = (ImageEvent, CameraInfoEvent, DepthTruthEvent, RightCameraInfoEvent, CompanionEvent)

_logger = logging.getLogger(__name__)


class BagFrame(NamedTuple):
    """One image of a bag at the network's size, with its truth where that is known."""

    frame: Frame  # The image
    depth: np.ndarray | None  # `(h, w)` float32 true metres, 0 = unknown
    T_world_camera: np.ndarray | None  # `(4, 4)` true pose of the optical frame
    camera_truth: CameraTruth | None = None  # `depth` at the camera's size


class _Waiting(NamedTuple):
    """An image whose companions have not all come."""

    event: ImageEvent
    stamp_ns: int
    preparer: CompanionPreparer


class BagFrames:
    """The frames of one bag or of a part of it, in the order of their stamps.

    Iterates any number of times.
    """

    def __init__(
        self,
        selection: BagSelection,
        rig: BagRig,
        preprocessor: Preprocessor,
        topics: BagTopics,
        options: BagOptions,
        companions: Collection[str] = (),
    ) -> None:
        self.selection, self.rig = selection, rig
        self.preprocessor = preprocessor  # To the network's image, for the first calibration
        self.topics = topics
        # Images and true depths of the last iteration that could not be used, by reason
        self.problems: Counter[str] = Counter()
        # Images of the newest `read_snippets` that made no snippet, by reason
        self.refused: dict[str, int] = {}
        self._options, self._companions = options, frozenset(companions)
        self._frame_count = _count_images(rig, selection)
        self._newest_ns: int | None = None

    def __len__(self) -> int:
        return self._frame_count

    def at_width(
        self,
        width: int,
        companions: Collection[str] | None = None,
        keeps_shape: bool = False,
    ) -> BagFrames:
        """The same bag with images of another width; as wide as the camera's are, at most.

        Args:
            width: Of the network's image in pixels; rounded down to what the network takes.
            companions: Companions of the frames; None = the same as now.
            keeps_shape: See :meth:`Preprocessor.for_width`.
        """
        return BagFrames(
            self.selection,
            self.rig,
            self.preprocessor.for_width(width, keeps_shape),
            self.topics,
            self._options,
            self._companions if companions is None else companions,
        )

    @property
    def velocities(self) -> VelocityBuffer:
        """All velocities of the bag, carried to the camera."""
        return self.rig.velocities

    @property
    def dropped(self) -> int:
        """Images of the last iteration that could not be used."""
        return self.problems["image"]

    def __iter__(self) -> Iterator[BagFrame]:
        """Yield frames in the order of their stamps, late ones by up to four images included."""
        self.problems.clear()
        self._newest_ns = None
        tolerances = {_TRUTH: round(self._options.truth_tolerance_s * 1e9)}
        roles = self._roles()
        matcher = StampMatcher[_Waiting](
            roles, MAX_DELAY, MAX_DELAY, {r: t for r, t in tolerances.items() if r in roles}
        )
        with BagReader(self.selection.path, self.topics) as reader:
            for _ in self._feed(reader, matcher):
                for matched in matcher.ready():
                    yield from self._prepare(matched)
            for matched in matcher.rest():
                yield from self._prepare(matched)
        self._report(matcher)

    def _feed(self, reader: BagReader, matcher: StampMatcher[_Waiting]) -> Iterator[None]:
        """Give the matcher the bag's images and companions, one per step."""
        preprocessor, right = self.preprocessor, None
        preparer: CompanionPreparer | None = None
        for event in reader.events(*_READ):
            if isinstance(event, CameraInfoEvent):
                if self._options.camera is None:
                    preprocessor = preprocessor.for_camera(event.camera)
            elif isinstance(event, RightCameraInfoEvent):
                right = event.camera if "right_image" in self._companions else None
            elif isinstance(event, ImageEvent | DepthTruthEvent | CompanionEvent):
                stamp_ns = self.rig.clock.continued(event.time_ns, event.stamp_ns)
                if not self._contains(stamp_ns):
                    continue
                if isinstance(event, ImageEvent):
                    preparer = CompanionPreparer.following(preparer, preprocessor, right)
                    matcher.add(stamp_ns, _Waiting(event, stamp_ns, preparer))
                elif isinstance(event, DepthTruthEvent):
                    matcher.add_beside(_TRUTH, stamp_ns, event)
                elif event.role in self._companions:
                    matcher.add_beside(event.role, stamp_ns, event)
                yield

    def _contains(self, stamp_ns: int) -> bool:
        stamps = self.rig.image_stamps
        return len(stamps) > 0 and self.selection.contains(stamp_ns, int(stamps[0]))

    def _roles(self) -> frozenset[str]:
        """Companions that an image may have."""
        roles = {role for role in self._companions if getattr(self.topics, role)}
        return frozenset(roles | ({_TRUTH} if self.topics.depth_truth else set()))

    def _prepare(self, matched: Matched[_Waiting]) -> Iterator[BagFrame]:
        (event, stamp_ns, preparer), beside = matched
        if stamp_ns == self._newest_ns:
            self._count("repeated image", stamp_ns, "its stamp is that of the one before")
            return
        self._newest_ns = stamp_ns
        truth = beside.pop(_TRUTH, None)
        try:
            image = event.decode(self._options.white_level)
            if remark := darkness(image, event.encoding):
                self._count("dark", stamp_ns, remark)
            frame = preparer.preprocessor.frame(image, stamp_ns, event.frame_id)
        except DataError as error:
            self._count("image", stamp_ns, error)
            return
        for role, found in beside.items():
            assert isinstance(found, CompanionEvent)  # nothing else is added under such a role
            try:
                frame = preparer.attach(frame, {role: found.decode()})
            except DataError as error:
                self._count(role, stamp_ns, error)
        depth, camera_truth = self._truth_of(truth, stamp_ns, preparer.preprocessor)
        T_world_base = self.rig.poses.at(stamp_ns)
        T_world_camera = None if T_world_base is None else T_world_base @ self.rig.T_base_camera
        yield BagFrame(frame, depth, T_world_camera, camera_truth)

    def _truth_of(
        self, truth: object, stamp_ns: int, preprocessor: Preprocessor
    ) -> tuple[np.ndarray | None, CameraTruth | None]:
        """True depth at the network's size and at the camera's."""
        if not isinstance(truth, DepthTruthEvent):
            return None, None
        try:
            depth = preprocessor.enlarged_depth(truth.depth)
            return preprocessor.resize_depth(depth), preprocessor.camera_truth(depth)
        except DataError as error:
            self._count(_TRUTH, stamp_ns, error)
            return None, None

    def _count(self, kind: str, stamp_ns: int, reason: object) -> None:
        """Count a message that cannot be used; the first of a kind is logged."""
        self.problems[kind] += 1
        if self.problems[kind] == 1:
            _logger.warning("%s at %d ns: %s", kind, stamp_ns, reason)

    def _report(self, matcher: StampMatcher[_Waiting]) -> None:
        if (count := matcher.unmatched[_TRUTH]) and _TRUTH in matcher.offsets_ns:
            self.problems["depth_truth without image"] = count
            _logger.warning(
                "%d true depths belong to no image: the nearest stamps are %.1f ms apart, "
                "--truth-tolerance allows %.1f ms",
                count,
                matcher.offsets_ns[_TRUTH] * 1e-6,
                self._options.truth_tolerance_s * 1e3,
            )
        if self.problems:
            counts = ", ".join(f"{kind} {count}" for kind, count in self.problems.items())
            _logger.warning("%s: messages that could not be used: %s", self.selection.path, counts)


def read_frames(
    bag: str | Path | BagSelection,
    wanted: NetworkInput,
    *,
    options: BagOptions | None = None,
    max_velocity_gap_s: float = 0.3,
    needs_velocity: bool = False,
    companions: Collection[str] = (),
) -> BagFrames:
    """Open a bag for iteration.

    Args:
        bag: The rosbag2, or a part of it (``PATH@START-END`` in seconds).
        wanted: The network's image.
        options: Values that replace what the bag holds or lacks; None = the selection's.
        max_velocity_gap_s: Longest time in seconds between two velocities that is interpolated.
        needs_velocity: Refuse a bag without an odometer.
        companions: Companions of the frames, where the bag has them: roles of
            :mod:`sfm_depth_ros.config.extra_inputs`.

    Raises:
        DataError: The bag lacks something; the message names what it has and the remedy.
    """
    selection = bag if isinstance(bag, BagSelection) else BagSelection.parse(bag)
    options = options or selection.options or BagOptions()
    with BagReader(selection.path, options.topics) as reader:
        rig = read_rig(reader, max_velocity_gap_s, options, needs_velocity)
        chosen = reader.topics
    preprocessor = Preprocessor(rig.camera, wanted)
    if preprocessor.narrowed:
        _logger.info("%s: %s", selection.name, preprocessor.narrowed)
    return BagFrames(selection, rig, preprocessor, chosen, options, companions)


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
