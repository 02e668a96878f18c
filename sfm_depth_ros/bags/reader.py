# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Reads rosbag2 (mcap, sqlite3) without ROS; the only importer of rosbags beside bag_writer.py."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sfm_depth_ros.bags.events import ROLES, Event, event_kind, message_events
from sfm_depth_ros.bags.topics import BagTopics, choose_topics
from sfm_depth_ros.errors import DataError
from sfm_depth_ros.optional import require

_logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class RawMessage:
    """One recorded message."""

    topic: str  # Topic name
    type_name: str  # ROS type, for example `"sensor_msgs/msg/Image"`
    time_ns: int  # Bag time in nanoseconds
    cdr: bytes = field(repr=False)  # The serialised message, as a ROS publisher takes it
    _store: Any = field(repr=False, compare=False, default=None)

    @property
    def message(self) -> Any:
        """The message's fields; deserialised at each call.

        Raises:
            DataError: The bytes are no such message.
        """
        try:
            return self._store.deserialize_cdr(self.cdr, self.type_name)
        except Exception as error:  # generated code: damaged bytes raise whatever they hit
            raise DataError(
                f"message of {self.topic} at {self.time_ns} ns is no {self.type_name}: {error}"
            ) from error


class BagReader:
    """One rosbag2 being read; a context manager."""

    def __init__(self, path: str | Path, topics: BagTopics | None = None) -> None:
        """Open a bag.

        Args:
            path: Folder with ``metadata.yaml``, or a single ``.mcap`` or ``.db3`` file.
            topics: Names for roles that shall not be chosen by type.

        Raises:
            DataError: No bag, damaged, or without a topic that ``topics`` names.
        """
        rosbag2, typesys = require("rosbags.rosbag2"), require("rosbags.typesys")
        self.path = Path(path).expanduser()
        self._store = typesys.get_typestore(typesys.Stores.ROS2_JAZZY)
        try:
            self._reader = rosbag2.Reader(self.path)
            self._reader.open()
        except Exception as error:  # damaged files raise whatever they hit, not ReaderError alone
            raise DataError(
                f"{path} is no readable rosbag2 ({error}): give the folder that holds "
                "metadata.yaml; a bag that was not closed is mended by: ros2 bag reindex"
            ) from error
        self._topics = choose_topics(self.recorded, topics)

    def __enter__(self) -> BagReader:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the files."""
        self._reader.close()

    @property
    def recorded(self) -> Mapping[str, str]:
        """Every topic of the bag -> its type."""
        return {connection.topic: connection.msgtype for connection in self._reader.connections}

    @property
    def topics(self) -> BagTopics:
        """The topics by role."""
        return self._topics

    @property
    def duration_s(self) -> float:
        """Seconds from the first message to the last."""
        return self._reader.duration * 1e-9

    @property
    def start_ns(self) -> int:
        """Bag time of the first message in nanoseconds."""
        return int(self._reader.start_time)

    def message_count(self, topic: str) -> int:
        """Messages recorded of one topic."""
        return sum(c.msgcount for c in self._reader.connections if c.topic == topic)

    def raw_messages(self, *topics: str) -> Iterator[RawMessage]:
        """All messages in the order of bag time; of the named topics alone where any is named.

        Raises:
            DataError: The bag is damaged from here on. Where messages are merely fewer than were
                recorded, that is logged at the end.
        """
        wanted = [c for c in self._reader.connections if not topics or c.topic in topics]
        if not wanted:
            return
        count, recorded = 0, sum(connection.msgcount for connection in wanted)
        try:
            for connection, time_ns, data in self._reader.messages(wanted):
                count += 1
                yield RawMessage(connection.topic, connection.msgtype, time_ns, data, self._store)
        except Exception as error:  # rosbags, sqlite3, zstd and struct each have their own
            raise DataError(
                f"{self.path} is damaged ({error}): mend it with ros2 bag reindex, or record again"
            ) from error
        if count < recorded:
            _logger.warning(
                "%s is damaged: %d of %d messages can be read; mend it with ros2 bag "
                "reindex, or record again",
                self.path,
                count,
                recorded,
            )

    def events(self, *kinds: type) -> Iterator[Event]:
        """Typed events in the order of bag time.

        Args:
            kinds: Event classes that are wanted; none = all.

        Yields:
            Events of the chosen topics. A message that cannot be understood is logged and left
            out.
        """
        roles = {
            getattr(self._topics, role): role
            for role in ROLES
            if getattr(self._topics, role) and (not kinds or event_kind(role) in kinds)
        }
        if not roles:
            return
        for raw in self.raw_messages(*roles):
            yield from self.parse(raw, roles[raw.topic])

    def parse(self, raw: RawMessage, role: str) -> list[Event]:
        """Typed events of one message; none, and a line in the log, where it is damaged.

        Args:
            raw: The message.
            role: Role of its topic.
        """
        topics = self._topics
        image_topic = topics.right_image if role == "right_camera_info" else topics.image
        try:
            return list(message_events(role, raw.time_ns, image_topic, raw.message))
        except DataError as error:
            _logger.warning("%s at %d ns left out: %s", raw.topic, raw.time_ns, error)
            return []
