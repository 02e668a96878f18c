# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""State behind the live page: newest diagnostics, their history, the path, the pictures."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from sfm_depth_ros.report.pictures import encode, shrunk

ROWS, POSES = 3600, 20_000  # kept at most: an hour at 1 Hz, and some hours of driving
NEW_POSE_M = 0.05  # metres between two points of the path
WATCHED_S = 5.0  # seconds that a viewer counts after its last request
WIDTH, QUALITY = 640, 80  # of the pictures, pixels and percent
PLOTTED = ("depth_scale_ratio", "translation_scale_ratio", "rate_hz", "latency_ms_p50", "loss.")
# The newest of a node's diagnostics: seconds on the monotonic clock, sentence, level, facts
Facts = Mapping[str, str]


@dataclass
class Picture:
    """A picture that is encoded when somebody looks at it, once for all viewers."""

    number: int  # Counts the pictures of one name
    make: Callable[[], np.ndarray]  # `(h, w, 3)` uint8 RGB
    data: bytes | None = None  # JPEG, once encoded
    lock: threading.Lock = field(default_factory=threading.Lock)

    def encoded(self) -> bytes:
        """The picture as JPEG."""
        with self.lock:
            if self.data is None:
                self.data = encode(shrunk(self.make(), WIDTH), quality=QUALITY)
            return self.data


class LiveState:
    """State shown to viewers; every method may be called from any thread."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._started = clock()
        self._nodes: dict[str, dict[str, Any]] = {}
        self._rows: list[dict[str, float]] = []
        self._path: list[tuple[float, float]] = []
        self._dropped = {"rows": 0, "path": 0}  # Forgotten at the front of each
        self._pictures: dict[str, Picture] = {}
        self._viewers: dict[str, float] = {}

    def add_facts(self, node: str, message: str, level: int, facts: Facts) -> None:
        """Take a node's diagnostics.

        Args:
            node: ``depth`` or ``training``.
            message: The status' sentence.
            level: 0 ok, 1 warning, 2 error.
            facts: Its key-value pairs, as they are.
        """
        now = self._clock()
        row = {name: value for name, value in map(_plotted, facts.items()) if name}
        with self._lock:
            self._nodes[node] = {"at": now, "message": message, "level": level, "facts": facts}
            if row:
                self._rows.append({"seconds": round(now - self._started, 2), **row})
                self._forget("rows", self._rows, ROWS)

    def add_pose(self, x: float, y: float) -> None:
        """Take a position of the robot in ``odom_frame``, metres; NaN is left out."""
        if not (math.isfinite(x) and math.isfinite(y)):
            return
        with self._lock:
            if self._path and math.dist(self._path[-1], (x, y)) < NEW_POSE_M:
                return
            self._path.append((round(x, 3), round(y, 3)))
            self._forget("path", self._path, POSES)

    def put(self, name: str, make: Callable[[], np.ndarray]) -> None:
        """Offer a new picture; ``make`` is called only if somebody looks at it."""
        with self._lock:
            before = self._pictures.get(name)
            self._pictures[name] = Picture(1 if before is None else before.number + 1, make)

    def picture(self, name: str) -> Picture | None:
        """The newest picture of a name."""
        with self._lock:
            return self._pictures.get(name)

    def seen_by(self, viewer: str) -> None:
        """Note that a viewer is there."""
        with self._lock:
            self._viewers[viewer] = self._clock()

    @property
    def viewers(self) -> int:
        """Viewers of the last seconds."""
        with self._lock:
            limit = self._clock() - WATCHED_S
            self._viewers = {name: at for name, at in self._viewers.items() if at >= limit}
            return len(self._viewers)

    def snapshot(self, rows: int = 0, path: int = 0) -> dict[str, Any]:
        """Everything as plain values.

        Args:
            rows: Rows of the history that the viewer has already.
            path: Points of the path that it has already.
        """
        viewers = self.viewers
        with self._lock:
            now = self._clock()
            nodes = {
                name: {**entry, "at": round(now - entry["at"], 1)}
                for name, entry in self._nodes.items()
            }
            return {
                "nodes": nodes,
                "pictures": {name: picture.number for name, picture in self._pictures.items()},
                "viewers": viewers,
                "rows": self._since("rows", self._rows, rows),
                "path": self._since("path", self._path, path),
            }

    def _since(self, name: str, items: list[Any], known: int) -> dict[str, Any]:
        """Items that a viewer lacks, and the number that it has with them."""
        dropped = self._dropped[name]
        end = dropped + len(items)
        first = known if dropped <= known <= end else dropped
        return {"first": first, "end": end, "items": items[first - dropped :]}

    def _forget(self, name: str, items: list[Any], most: int) -> None:
        if len(items) > most:
            count = most // 10
            del items[:count]
            self._dropped[name] += count


def _plotted(item: tuple[str, str]) -> tuple[str, float]:
    """A fact that has a curve, as a number; an empty name for the others."""
    name, text = item
    if not name.startswith(PLOTTED) or name.endswith(("_iqr", "_count")):
        return "", 0.0
    try:
        value = float(text)
    except ValueError:
        return "", 0.0
    return (name, value) if math.isfinite(value) else ("", 0.0)
