# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Data of other sensors for an image: matched by stamp, brought to the network's image."""

from __future__ import annotations

import dataclasses
from collections import Counter, deque
from collections.abc import Iterator, Mapping
from typing import Any, Generic, NamedTuple, TypeVar

import numpy as np

from sfm_depth_ros.camera.camera_model import CameraModel
from sfm_depth_ros.camera.preprocessing import Preprocessor
from sfm_depth_ros.camera.rectification import Rectification
from sfm_depth_ros.config.extra_inputs import SPARSE_DEPTH
from sfm_depth_ros.errors import DataError
from sfm_depth_ros.snippets.values import Frame

SHORTEST_BASELINE = 1e-3  # metres
SAME_MOMENT_NS = 2_000_000  # stamps of sensors that were triggered together
MOST_KEPT = 8  # of each sensor, waiting for its image

ItemT = TypeVar("ItemT")


class Matched(NamedTuple, Generic[ItemT]):
    """An item and its companions by role."""

    item: ItemT
    beside: dict[str, object]


class StampMatcher(Generic[ItemT]):
    """Holds items back until their companions have come, but not for long.

    Args:
        roles: Companions that an item may have.
        delay: Newer items that an incomplete one waits for.
        reorder: Newer items that each one waits for, so that late items are put in order.
        tolerances_ns: Largest difference of stamps by role; 2 ms where none is given.
    """

    def __init__(
        self,
        roles: frozenset[str],
        delay: int,
        reorder: int = 0,
        tolerances_ns: Mapping[str, int] | None = None,
    ) -> None:
        self._roles, self._delay, self._reorder = roles, delay if roles else 0, reorder
        self._tolerances = dict.fromkeys(roles, SAME_MOMENT_NS) | dict(tolerances_ns or {})
        self._waiting: deque[tuple[int, ItemT]] = deque()
        self._beside: dict[str, dict[int, object]] = {role: {} for role in roles}
        self.unmatched: Counter[str] = Counter()  # companions without an item, by role
        self.offsets_ns: dict[str, int] = {}  # smallest difference of stamps that was too large

    def add(self, stamp_ns: int, item: ItemT) -> None:
        """Take an item."""
        place = len(self._waiting)
        while place and self._waiting[place - 1][0] > stamp_ns and self._reorder:
            place -= 1
        self._waiting.insert(place, (stamp_ns, item))

    def add_beside(self, role: str, stamp_ns: int, value: object) -> None:
        """Take a companion of the item with this stamp; those that came first leave."""
        kept = self._beside[role]
        kept[stamp_ns] = value
        while len(kept) > MOST_KEPT:  # not by stamp: a bag that starts over has smaller ones
            del kept[next(iter(kept))]
            self.unmatched[role] += 1

    def ready(self) -> Iterator[Matched[ItemT]]:
        """Items that are complete or have waited long enough, in their order."""
        while len(self._waiting) > self._reorder:
            if len(self._waiting) <= self._delay and len(self._found()) < len(self._roles):
                return
            yield self._next()

    def rest(self) -> Iterator[Matched[ItemT]]:
        """All that still wait."""
        while self._waiting:
            yield self._next()
        self.unmatched.update({role: len(kept) for role, kept in self._beside.items() if kept})

    def clear(self) -> None:
        """Forget everything (after a jump in time)."""
        self._waiting.clear()
        for kept in self._beside.values():
            kept.clear()

    def _next(self) -> Matched[ItemT]:
        found = {role: self._beside[role].pop(stamp) for role, stamp in self._found().items()}
        return Matched(self._waiting.popleft()[1], found)

    def _found(self) -> dict[str, int]:
        """Stamps of the oldest item's companions, by role."""
        stamp_ns = self._waiting[0][0]
        found = {}
        for role, kept in self._beside.items():
            nearest = min(kept, key=lambda stamp: abs(stamp - stamp_ns), default=None)
            if nearest is None:
                continue
            offset_ns = abs(nearest - stamp_ns)
            if offset_ns <= self._tolerances[role]:
                found[role] = nearest
            else:
                self.offsets_ns[role] = min(offset_ns, self.offsets_ns.get(role, offset_ns))
        return found


class CompanionPreparer:
    """Brings data of other sensors to the network's image of one camera.

    Args:
        preprocessor: Of the camera.
        right: The second camera, rectified to the first one's orientation; None = none.

    Raises:
        DataError: The second camera's P holds no baseline.
    """

    def __init__(self, preprocessor: Preprocessor, right: CameraModel | None) -> None:
        self.preprocessor, self.right = preprocessor, right
        self._to_right = None if right is None else _T_right_left(preprocessor.camera, right)
        self._right_preprocessor: Preprocessor | None = None
        self._right_map: Rectification | None = None
        if right is None:
            return
        left = preprocessor.camera
        if left.rectified == right.rectified and not (left.is_distorted or right.is_distorted):
            self._right_preprocessor = preprocessor.for_camera(right)
        else:
            self._right_map = Rectification(right, preprocessor.intrinsics)

    @classmethod
    def following(
        cls, last: CompanionPreparer | None, preprocessor: Preprocessor, right: CameraModel | None
    ) -> CompanionPreparer:
        """The last one where its cameras are still the same, else a new one."""
        if last is not None and last.preprocessor is preprocessor:
            before = last.right
            if before is right or (before and right and right.is_equal(before)):
                return last
        return cls(preprocessor, right)

    def attach(self, frame: Frame, beside: Mapping[str, np.ndarray]) -> Frame:
        """The frame with its companions.

        Args:
            frame: Of the same camera.
            beside: Arrays by role, as :class:`~sfm_depth_ros.bags.events.CompanionEvent` has them.

        Raises:
            DataError: One has another size than its camera.
        """
        changes: dict[str, Any] = {}
        if "right_image" in beside and self.right is not None:
            changes["right"] = self._rectified_right(beside["right_image"])
            changes["T_right_target"] = self._to_right
        if SPARSE_DEPTH in beside:
            changes[SPARSE_DEPTH] = self.preprocessor.resize_depth(beside[SPARSE_DEPTH])
        if "instance_mask" in beside:
            changes["instances"] = self.preprocessor.resize_labels(beside["instance_mask"])
        return dataclasses.replace(frame, **changes) if changes else frame

    def _rectified_right(self, image: np.ndarray) -> np.ndarray:
        if self._right_preprocessor is not None:
            return self._right_preprocessor(image)[0]
        assert self.right is not None and self._right_map is not None  # one of both is there
        height, width = image.shape[:2]
        if (width, height) != (self.right.width, self.right.height):
            raise DataError(
                f"the right image is {width}x{height}, its camera_info {self.right.width}x"
                f"{self.right.height}: publish the camera_info of exactly this image"
            )
        return self._right_map(image)


def _T_right_left(left: CameraModel, right: CameraModel) -> np.ndarray:
    """Left rectified frame to the right one's: ``P[:, 3]`` is K times that translation."""
    T = np.eye(4, dtype=np.float32)
    for axis in (0, 1):
        T[axis, 3] = right.P[axis, 3] / right.P[axis, axis] - left.P[axis, 3] / left.P[axis, axis]
    if np.linalg.norm(T[:3, 3]) < SHORTEST_BASELINE:
        raise DataError(
            "camera_info of the right image has no baseline: P[3] must be minus "
            "focal length times baseline; calibrate both cameras together"
        )
    return T
