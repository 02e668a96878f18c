# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Reading of rosbag2 (mcap, sqlite3) without ROS, through rosbags."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sfm_depth_ros.bags.events import ROLES, Event, event_kind, message_events
from sfm_depth_ros.bags.storage_files import (
    message_types,
    open_readers,
    remedy_for,
    unpacked_message,
)
from sfm_depth_ros.bags.topics import BagTopics, choose_topics
from sfm_depth_ros.errors import DataError

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
        self.path = Path(path).expanduser()
        self._store = message_types()
        self._stack = ExitStack()
        self.damage: list[tuple[str, str]] = []  # What cannot be read so far, and the remedy
        self._left_out: Counter[str] = Counter()
        try:
            self._readers = open_readers(self.path, self._stack, self._on_damage)
            self._topics = choose_topics(self.recorded, topics)
        except DataError:
            self.close()
            raise

    def __enter__(self) -> BagReader:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the files."""
        self._stack.close()

    @property
    def recorded(self) -> Mapping[str, str]:
        """Type of every topic that has a message, by the topic's name."""
        found = {}
        for file in self._files():
            found.update({c.topic: c.msgtype for c in file.connections if c.msgcount})
        return found

    @property
    def topics(self) -> BagTopics:
        """The topics by role."""
        return self._topics

    @property
    def duration_s(self) -> float:
        """Seconds from the first message to the last."""
        spans = self._spans()
        return (max(s.end_time for s in spans) - self.start_ns) * 1e-9 if spans else 0.0

    @property
    def start_ns(self) -> int:
        """Bag time of the first message in nanoseconds."""
        return min((int(span.start_time) for span in self._spans()), default=0)

    @property
    def latched(self) -> frozenset[str]:
        """Topics whose publisher kept its last messages for late subscribers (transient local)."""
        return frozenset(
            c.topic
            for reader in self._readers
            for c in reader.connections
            if any(
                qos.durability.name == "TRANSIENT_LOCAL"
                for qos in getattr(c.ext, "offered_qos_profiles", None) or []
            )
        )

    def message_count(self, topic: str) -> int:
        """Messages recorded of one topic."""
        return sum(c.msgcount for r in self._readers for c in r.connections if c.topic == topic)

    def _files(self) -> list[Any]:
        """Storage files, whose own counts hold where metadata.yaml is wrong after a crash."""
        return [
            file
            for reader in self._readers
            for file in getattr(reader.storage, "storages", [reader.storage])
        ]

    def _spans(self) -> list[Any]:
        return [file.metadata for file in self._files() if file.metadata.message_count]

    def raw_messages(self, *topics: str) -> Iterator[RawMessage]:
        """All messages in the order of bag time; of the named topics alone where any is named.

        Raises:
            DataError: Every file is damaged. Where one of several is, or messages are merely
                fewer than were recorded, that is logged.
        """
        count, damaged, files = 0, 0, self._files()
        for file in files:
            wanted = [c for c in file.connections if not topics or c.topic in topics]
            try:
                for connection, time_ns, data in file.messages(wanted) if wanted else ():
                    count += 1
                    names = (connection.topic, connection.msgtype)
                    yield RawMessage(*names, time_ns, unpacked_message(data), self._store)
            except Exception as error:  # rosbags, sqlite3, zstd and struct each have their own
                damaged += 1
                self._leave_out(Path(file.path), error, is_all=damaged == len(files))
        recorded = sum(map(self.message_count, topics or set(self.recorded)))
        if count < recorded and not damaged:
            text = f"{self.path} is damaged: {count} of {recorded} messages can be read"
            self._on_damage(text, remedy_for(self.path))

    def _on_damage(self, text: str, remedy: str) -> None:
        self.damage.append((text, remedy))
        _logger.warning("%s: %s", text, remedy)

    def _leave_out(self, file: Path, error: Exception, is_all: bool) -> None:
        """Leave out the rest of one of several files.

        Raises:
            DataError: It is the last of them, and the others were damaged too.
        """
        place = next(self.path.glob(f"{file.name}*"), self.path)  # it may be an unpacked copy
        if is_all:
            raise DataError(f"{self.path} is damaged ({error}): {remedy_for(place)}") from error
        self._on_damage(f"{place} is left out from here on ({error})", remedy_for(place))

    def events(self, *kinds: type) -> Iterator[Event]:
        """Typed events in the order of bag time.

        Args:
            kinds: Event classes that are wanted; none = all.

        Yields:
            Events of the chosen topics. A message that cannot be understood is logged and left
            out.
        """
        roles: dict[str, list[str]] = {}
        for role in ROLES:
            if getattr(self._topics, role) and (not kinds or event_kind(role) in kinds):
                roles.setdefault(getattr(self._topics, role), []).append(role)
        if not roles:
            return
        self._left_out.clear()
        for raw in self.raw_messages(*roles):
            for role in roles[raw.topic]:
                yield from self.parse(raw, role)
        for topic, count in self._left_out.items():
            _logger.warning("%s: %d messages of %s left out", self.path, count, topic)

    def parse(self, raw: RawMessage, role: str) -> list[Event]:
        """Typed events of one message; none where it is damaged (logged once a topic).

        Args:
            raw: The message.
            role: Role of its topic.
        """
        topics = self._topics
        image_topic = topics.right_image if role == "right_camera_info" else topics.image
        try:
            return list(message_events(role, raw.time_ns, image_topic, raw.message))
        except DataError as error:
            if not self._left_out[raw.topic]:
                _logger.warning("%s at %d ns left out: %s", raw.topic, raw.time_ns, error)
            self._left_out[raw.topic] += 1
            return []
