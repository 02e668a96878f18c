# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Rig of a bag: camera and its pose on the robot, velocities, true poses, clock."""

from __future__ import annotations

import contextlib
import dataclasses
import logging
from bisect import bisect_left
from collections import deque
from dataclasses import dataclass, field

import numpy as np

from sfm_depth_ros.bags.clock import StampClock
from sfm_depth_ros.bags.events import (
    CameraInfoEvent,
    Event,
    ImageEvent,
    PoseTruthEvent,
    TransformEvent,
    VelocityEvent,
)
from sfm_depth_ros.bags.options import BagOptions
from sfm_depth_ros.bags.reader import BagReader
from sfm_depth_ros.bags.topics import require_topics
from sfm_depth_ros.camera.camera_model import CameraModel
from sfm_depth_ros.errors import DataError
from sfm_depth_ros.geometry.frames import R_BASE_OPTICAL, invert, rotation_matrix, rotation_vector
from sfm_depth_ros.messages import STAMP_END, serialised_stamp
from sfm_depth_ros.snippets.velocity import VelocityBuffer

_logger = logging.getLogger(__name__)


class StaticTransforms:
    """Tree of ``/tf_static`` by frame names; the newest transform of a pair counts."""

    def __init__(self) -> None:
        self._neighbours: dict[str, dict[str, np.ndarray]] = {}

    def __len__(self) -> int:
        return len(self._neighbours)

    @property
    def frames(self) -> list[str]:
        """All names seen, sorted."""
        return sorted(self._neighbours)

    def add(self, parent: str, child: str, T_parent_child: np.ndarray) -> None:
        """Take one transform, ``(4, 4)`` metres; a leading slash (tf of ROS 1) is dropped."""
        parent, child = parent.lstrip("/"), child.lstrip("/")
        self._neighbours.setdefault(parent, {})[child] = T_parent_child
        self._neighbours.setdefault(child, {})[parent] = invert(T_parent_child)

    def lookup(self, target: str, source: str) -> np.ndarray:
        """``T_target_source`` ``(4, 4)``: the pose of ``source`` in ``target``.

        Raises:
            DataError: No chain joins the two; the message names the frames that were seen.
        """
        target, source = target.lstrip("/"), source.lstrip("/")
        found = {target: np.eye(4)}
        queue = deque([target])
        while queue and source not in found:
            here = queue.popleft()
            for there, T_here_there in self._neighbours.get(here, {}).items():
                if there not in found:
                    found[there] = found[here] @ T_here_there
                    queue.append(there)
        if source not in found:
            seen = ", ".join(self.frames) or "none"
            raise DataError(
                f"no chain of static transforms from {target!r} to {source!r} (frames seen: "
                f"{seen}): record /tf_static, name frames by --base-frame and --camera-frame, or "
                "give the camera's pose: --base-to-camera (base_to_camera of the nodes)"
            )
        return found[source]


MAX_GAP_S = 0.5  # between two poses that are interpolated


class PoseTrack:
    """Poses of one body in one world frame."""

    def __init__(self, poses: dict[int, np.ndarray]) -> None:
        """Take ``(4, 4)`` poses by their stamp in nanoseconds."""
        self._stamps = sorted(poses)
        self._poses = poses

    def __len__(self) -> int:
        return len(self._stamps)

    def at(self, stamp_ns: int) -> np.ndarray | None:
        """``T_world_body`` ``(4, 4)``, or None outside the track and in its gaps."""
        if stamp_ns in self._poses:
            return self._poses[stamp_ns]
        place = bisect_left(self._stamps, stamp_ns)
        if place == 0 or place == len(self._stamps):
            return None
        before, after = self._stamps[place - 1], self._stamps[place]
        if after - before > MAX_GAP_S * 1e9:
            return None
        share = (stamp_ns - before) / (after - before)
        return _between(self._poses[before], self._poses[after], share)


def _between(a: np.ndarray, b: np.ndarray, share: float) -> np.ndarray:
    """Straight line for the position, shortest rotation for the orientation."""
    pose = np.eye(4)
    rotation = rotation_vector(a[:3, :3].T @ b[:3, :3])
    pose[:3, :3] = a[:3, :3] @ rotation_matrix(share * rotation)
    pose[:3, 3] = (1 - share) * a[:3, 3] + share * b[:3, 3]
    return pose


DEFAULT_BASE_FRAME = "base_link"
MOVING = "/tf"  # topic of transforms that may move
_ROLES = ("image", "camera_info", "velocity", "tf_static", "pose_truth")


@dataclass(frozen=True, eq=False)
class BagRig:
    """The robot of one bag."""

    camera: CameraModel  # The first calibration
    base_frame: str  # Frame in which velocities and true poses are given
    T_base_camera: np.ndarray  # `(4, 4)` pose of the optical frame in the base, metres
    velocities: VelocityBuffer  # All velocities of the bag, on the continued clock
    poses: PoseTrack  # True poses of the base, on the continued clock
    image_stamps: np.ndarray  # `(N,)` int64 nanoseconds of all images, in bag order, likewise
    clock: StampClock  # Continues stamps of the bag


def read_rig(
    reader: BagReader,
    max_gap_s: float,
    options: BagOptions | None = None,
    needs_velocity: bool = False,
) -> BagRig:
    """Read everything but the images' pixels, in one pass.

    Args:
        reader: The bag.
        max_gap_s: Longest time in seconds between two velocities that is interpolated.
        options: Values that replace what the bag holds or lacks.
        needs_velocity: Refuse a bag without an odometer.

    Raises:
        DataError: A topic or its calibration is missing, stamps do not move, or there is no chain
            of transforms from the base to the camera.
    """
    options = options or BagOptions()
    roles = ["image"]
    roles += [] if options.camera is not None else ["camera_info"]
    roles += ["velocity"] if needs_velocity else []
    require_topics(reader.topics, reader.recorded, *roles)
    found = _survey(reader, options.camera)
    if found.camera is None:
        raise DataError(
            f"{reader.path} has no usable camera_info: record it, or give --camera-info-file"
        )
    named = [event.frame_id for event in found.velocities if event.frame_id]
    base_frame = options.base_frame or (named[0] if named else DEFAULT_BASE_FRAME)
    T_base_camera = options.T_base_camera
    if T_base_camera is None:
        optical_frame = options.camera_frame or found.optical_frame or found.camera.frame_id
        is_measured = bool(reader.topics.velocity or reader.topics.pose_truth)
        try:
            T_base_camera = _extrinsics(found.transforms, base_frame, optical_frame, is_measured)
        except DataError as error:
            T_base_camera = _moving_extrinsics(reader, found.transforms, base_frame, optical_frame)
            if T_base_camera is None:
                raise error
    return BagRig(
        found.camera, base_frame, T_base_camera,
        found.velocity_buffer(T_base_camera, max_gap_s), found.pose_track(),
        found.continued_stamps(reader.topics.image), found.clock,
    )  # fmt: skip


@dataclass
class _Survey:
    """Everything of a bag but its images' pixels."""

    camera: CameraModel | None  # The first calibration
    optical_frame: str = ""  # Frame of the first image
    images: list[tuple[int, int]] = field(default_factory=list)  # Bag time and stamp
    velocities: list[VelocityEvent] = field(default_factory=list)
    transforms: StaticTransforms = field(default_factory=StaticTransforms)
    poses: list[PoseTruthEvent] = field(default_factory=list)
    clock: StampClock = field(default_factory=StampClock)

    def add(self, event: Event) -> None:
        """Take what the event adds."""
        if isinstance(event, CameraInfoEvent):
            self.camera = self.camera or event.camera
        elif isinstance(event, VelocityEvent):
            self.velocities.append(event)
            self.clock.watch("velocity", event.time_ns, event.velocity.stamp_ns)
        elif isinstance(event, TransformEvent):
            self.transforms.add(event.parent, event.child, event.T_parent_child)
        elif isinstance(event, PoseTruthEvent):
            self.poses.append(event)
        elif isinstance(event, ImageEvent):
            self.optical_frame = event.frame_id

    def add_image(self, time_ns: int, stamp_ns: int) -> None:
        """Take an image's stamp."""
        self.images.append((time_ns, stamp_ns))
        self.clock.watch("image", time_ns, stamp_ns)

    def velocity_buffer(self, T_base_camera: np.ndarray, max_gap_s: float) -> VelocityBuffer:
        """The velocities on the continued clock, carried to a camera at a ``(4, 4)`` pose."""
        buffer = VelocityBuffer(T_base_camera, max_gap_s, horizon_s=float("inf"))
        for event in self.velocities:
            stamp_ns = self.clock.continued(event.time_ns, event.velocity.stamp_ns)
            buffer.add(dataclasses.replace(event.velocity, stamp_ns=stamp_ns))
        if len(buffer) < 2 <= len(self.velocities):
            raise _unstamped("velocities", len(self.velocities), buffer.newest)
        return buffer

    def pose_track(self) -> PoseTrack:
        """The true poses on the continued clock."""
        continued = self.clock.continued
        return PoseTrack({continued(p.time_ns, p.stamp_ns): p.T_world_base for p in self.poses})

    def continued_stamps(self, topic: str) -> np.ndarray:
        """Stamps of the images on the continued clock, ``(N,)`` int64."""
        stamps = np.array([self.clock.continued(*image) for image in self.images], np.int64)
        if len(stamps) > 1 and (stamps == stamps[0]).all():
            raise _unstamped(topic, len(stamps), int(stamps[0]))
        if self.clock.stretches > 1:
            _logger.warning(
                "the clock was set back during the recording: its %d stretches are joined one "
                "after the other",
                self.clock.stretches,
            )
        return stamps


def _unstamped(name: str, count: int, stamp: object) -> DataError:
    return DataError(
        f"all {count} messages of {name} have the same stamp ({stamp}): their publisher does not "
        "fill header.stamp; mend it there and record again"
    )


def _survey(reader: BagReader, camera: CameraModel | None) -> _Survey:
    """Read a bag once; of the images, which are most of its bytes, the stamps alone."""
    found = _Survey(camera)
    roles = {getattr(reader.topics, role): role for role in _ROLES}
    roles.pop("", None)
    for raw in reader.raw_messages(*roles):
        role = roles[raw.topic]
        if role == "image" and len(raw.cdr) >= STAMP_END:
            found.add_image(raw.time_ns, serialised_stamp(raw.cdr))
        is_known = (role == "image" and found.optical_frame) or (
            role == "camera_info" and found.camera
        )
        for event in [] if is_known else reader.parse(raw, role):
            found.add(event)
    return found


def _moving_extrinsics(
    reader: BagReader, transforms: StaticTransforms, base_frame: str, optical_frame: str
) -> np.ndarray | None:
    """``T_base_camera`` as ``/tf`` first has it, together with the static transforms, or None.

    The nodes look it up in both, too; a mounting is rigid, whoever publishes it.
    """
    if MOVING not in reader.recorded:
        return None
    for raw in reader.raw_messages(MOVING):
        for event in reader.parse(raw, "tf_static"):
            if isinstance(event, TransformEvent):
                transforms.add(event.parent, event.child, event.T_parent_child)
        with contextlib.suppress(DataError):
            T_base_camera = transforms.lookup(base_frame, optical_frame)
            _logger.info("the mounting of the camera is that of the first %s messages", MOVING)
            return T_base_camera
    return None


def _extrinsics(
    transforms: StaticTransforms, base_frame: str, optical_frame: str, is_measured: bool
) -> np.ndarray:
    """``T_base_camera`` by the bag's static transforms."""
    if not is_measured and not len(transforms):
        # nothing is measured in the base: any place of the camera serves
        T_base_camera = np.eye(4)
        T_base_camera[:3, :3] = R_BASE_OPTICAL
        return T_base_camera
    return transforms.lookup(base_frame, optical_frame)
