# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The trainer's memory: a bounded, diverse set of snippets on disk that outlives the process."""

from __future__ import annotations

import logging
import threading
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from sfm_depth_ros.errors import DataError, TrainingError
from sfm_depth_ros.snippets.buffer_entry import BufferEntry, least_useful
from sfm_depth_ros.snippets.selection import (
    HoldoutSchedule,
    Role,
    similarity,
    snippet_feature,
    spread_evenly,
)
from sfm_depth_ros.snippets.store import SUFFIX, encode_snippet, read_snippet
from sfm_depth_ros.snippets.values import Snippet

MAX_SIMILARITY = 0.98
EARLY_S = 60.0  # with held-out blocks twice as often: nothing is judged before some are there
NEIGHBOUR_SIMILARITY = 0.9  # half a second of driving apart, thumbnails are less alike than this

_logger = logging.getLogger(__name__)


class ReplayBuffer:
    """Snippets for training and, apart from them in time, for validation; thread-safe.

    A snippet that looks and moves like one already kept is refused; when a role is full, by count
    or by bytes, the entry that the others replace best leaves. Only the index is in memory.
    """

    def __init__(
        self, folder: str | Path, capacity: int, max_bytes: int, holdout_share: float, seed: int
    ) -> None:
        """Open the folder and take up what is in it; damaged files are dropped and logged.

        Args:
            folder: Where snippets lie; made if absent.
            capacity: Snippets kept, held-out ones included.
            max_bytes: Bytes on disk that they may take together.
            holdout_share: Share of time and of both bounds that is held out, 0 = none.
            seed: Seed of which entries are compared in a large buffer.

        Raises:
            TrainingError: The folder cannot be written.
        """
        self._folder = Path(folder).expanduser()
        held_out = max(1, round(capacity * holdout_share)) if holdout_share > 0 else 0
        self._capacity = {Role.TRAINING: capacity - held_out, Role.HOLDOUT: held_out}
        if self._capacity[Role.TRAINING] < 1:
            raise ValueError(f"capacity: expected room for training snippets, got {capacity}")
        self._max_bytes = {
            role: max_bytes * count // capacity for role, count in self._capacity.items()
        }
        self._schedule_file = self._folder / "schedule.json"
        self._share = holdout_share
        self._rng = np.random.default_rng(seed)
        self._lock = threading.Lock()
        self._entries: list[BufferEntry] = []
        self._next_serial = 0
        self._shape: tuple[int, ...] | None = None
        self._schedule: HoldoutSchedule | None = None
        self.refused = {"duplicate": 0, "guard": 0, "too_large": 0}  # snippets, by reason
        self._resume()

    def __len__(self) -> int:
        """Training snippets of the present image size."""
        return len(self._present(Role.TRAINING))

    @property
    def holdout_count(self) -> int:
        """Held-out snippets of the present image size."""
        return len(self._present(Role.HOLDOUT))

    @property
    def size_bytes(self) -> int:
        """Bytes on disk."""
        with self._lock:
            return sum(entry.size for entry in self._entries)

    def add(self, snippet: Snippet) -> bool:
        """Keep a snippet if it adds something.

        Returns:
            Whether it was kept.

        Raises:
            TrainingError: The disk is full or the folder cannot be written.
        """
        feature = snippet_feature(snippet)
        content = encode_snippet(snippet, feature=feature)
        with self._lock:
            self._restore_folder()
            role = self._role(snippet)
            self._shape = snippet.target.shape
            reason = self._refusal(feature, len(content), role)
            if role is None or reason:
                self.refused[reason] += 1
                return False
            self._make_room(role, 1, len(content))
            self._entries.append(self._write(content, feature, role))
            return True

    def sample(
        self, count: int, rng: np.random.Generator, among_newest: int | None = None
    ) -> list[Snippet]:
        """Draw training snippets at random.

        Args:
            count: How many; fewer come back where the buffer holds fewer.
            rng: Source of chance.
            among_newest: Draw from this many newest ones alone.
        """
        entries = self._present(Role.TRAINING)
        if among_newest is not None:
            entries = entries[-among_newest:] if among_newest > 0 else []
        return self._read([entries[i] for i in rng.permutation(len(entries))], count)

    def newest(self, count: int) -> list[Snippet]:
        """The training snippets admitted last, newest first."""
        return self._read(self._present(Role.TRAINING)[::-1], count)

    def holdout(self, count: int | None = None) -> list[Snippet]:
        """Held-out snippets in the order of admission: all, or ``count`` spread evenly."""
        entries = self._present(Role.HOLDOUT)
        entries = entries if count is None else spread_evenly(entries, count)
        return self._read(entries, len(entries))

    def count_since(self, serial: int) -> int:
        """Snippets of the present image size and of both roles, numbered ``serial`` or later."""
        return len(self._since(serial))

    def since(self, serial: int, count: int) -> list[Snippet]:
        """Snippets numbered ``serial`` or later, of both roles: up to ``count``, spread evenly."""
        return self._read(spread_evenly(self._since(serial), count), count)

    def _since(self, serial: int) -> list[BufferEntry]:
        with self._lock:
            return [e for e in self._entries if e.shape == self._shape and e.serial >= serial]

    @property
    def next_serial(self) -> int:
        """Number of the snippet that will be admitted next."""
        with self._lock:
            return self._next_serial

    def serial_of_newest(self, count: int) -> int:
        """Number of the oldest among the ``count`` training snippets admitted last."""
        entries = self._present(Role.TRAINING)[-count:] if count > 0 else []
        return entries[0].serial if entries else self.next_serial

    def forget(self, first: int, end: int) -> int:
        """Delete the snippets with numbers from ``first`` to before ``end``, of both roles.

        Returns:
            How many there were.
        """
        with self._lock:
            leaving = [e for e in self._entries if first <= e.serial < end]
            for entry in leaving:
                self._entries.remove(entry)
                entry.path.unlink(missing_ok=True)
            return len(leaving)

    def clear(self) -> None:
        """Delete every snippet."""
        with self._lock:
            for entry in self._entries:
                entry.path.unlink(missing_ok=True)
            self._schedule_file.unlink(missing_ok=True)
            self._entries.clear()
            self._schedule = None

    def _resume(self) -> None:
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            for leftover in self._folder.glob(f".*{SUFFIX}.writing"):
                leftover.unlink(missing_ok=True)
            for path in sorted(self._folder.glob(f"*{SUFFIX}")):
                self._restore(path)
        except OSError as error:
            raise self._disk_error(error) from error
        self._schedule = HoldoutSchedule.read(self._schedule_file, self._share, EARLY_S)
        for role in self._capacity:
            self._make_room(role)
        if self._entries:
            self._shape = self._entries[-1].shape
            _logger.info("%s: %d snippets taken up", self._folder, len(self._entries))

    def _restore(self, path: Path) -> None:
        try:
            self._entries.append(BufferEntry.read(path))
            self._next_serial = self._entries[-1].serial + 1  # paths come in order
        except (DataError, ValueError, OSError) as error:
            _logger.warning("snippet %s dropped: %s", path, error)
            path.unlink(missing_ok=True)

    def _restore_folder(self) -> None:
        """Make the folder again if somebody removed it; its snippets are gone."""
        if self._folder.is_dir():
            return
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise self._disk_error(error) from error
        _logger.warning("%s was removed and is made again, empty", self._folder)
        self._entries.clear()
        self._schedule = None

    def _role(self, snippet: Snippet) -> Role | None:
        if self._schedule is None:
            self._schedule = HoldoutSchedule(int(snippet.stamps_ns[0]), self._share, EARLY_S)
            try:
                self._schedule.write(self._schedule_file)
            except OSError as error:
                raise self._disk_error(error) from error
        return self._schedule.role(snippet.stamps_ns)

    def _refusal(self, feature: np.ndarray, size: int, role: Role | None) -> str:
        """Reason why a snippet is not kept; empty = it is.

        Compared with both roles, and kept from training where it looks more like a held-out one
        than like any that is trained on: a place seen again must not leak.
        """
        if role is None:
            return "guard"
        if size > self._max_bytes[role]:
            return "too_large"
        trained = self._similarity_to(feature, Role.TRAINING)
        held_out = self._similarity_to(feature, Role.HOLDOUT)
        if max(trained, held_out) > MAX_SIMILARITY:
            return "duplicate"
        leaks = role is Role.TRAINING and held_out > max(trained, NEIGHBOUR_SIMILARITY)
        return "guard" if leaks else ""

    def _similarity_to(self, feature: np.ndarray, role: Role) -> float:
        """Similarity to the nearest kept one; -1 where there is none."""
        features = [e.feature for e in self._entries if e.role is role and e.shape == self._shape]
        return float(similarity(feature[None], np.stack(features)).max()) if features else -1.0

    def _make_room(self, role: Role, count: int = 0, size: int = 0) -> None:
        """Remove entries until ``count`` more of ``size`` bytes in all are within both bounds."""
        while True:
            entries = [entry for entry in self._entries if entry.role is role]
            room = self._capacity[role] - len(entries)
            free = self._max_bytes[role] - sum(entry.size for entry in entries)
            if not entries or (room >= count and free >= size):
                return
            leaves = least_useful(entries, self._shape, self._rng)
            self._entries.remove(leaves)
            leaves.path.unlink(missing_ok=True)

    def _write(self, content: bytes, feature: np.ndarray, role: Role) -> BufferEntry:
        assert self._shape is not None  # add sets it
        serial, self._next_serial = self._next_serial, self._next_serial + 1
        try:
            return BufferEntry.write(self._folder, serial, role, content, feature, self._shape)
        except OSError as error:
            raise self._disk_error(error) from error

    def _present(self, role: Role) -> list[BufferEntry]:
        with self._lock:
            return [e for e in self._entries if e.role is role and e.shape == self._shape]

    def _read(self, entries: Sequence[BufferEntry], count: int) -> list[Snippet]:
        """The first ``count`` that can be read; a damaged one leaves the buffer."""
        snippets: list[Snippet] = []
        for entry in entries:
            if len(snippets) == count:
                break
            try:
                snippets.append(read_snippet(entry.path))
            except FileNotFoundError:
                continue  # left the buffer since the index was read
            except DataError as error:
                self._drop(entry, error)
        return snippets

    def _drop(self, entry: BufferEntry, error: DataError) -> None:
        _logger.warning("snippet dropped: %s", error)
        with self._lock:
            entry.path.unlink(missing_ok=True)
            if entry in self._entries:
                self._entries.remove(entry)

    def _disk_error(self, error: OSError) -> TrainingError:
        return TrainingError(
            f"the snippet buffer {self._folder} cannot be written ({error}): free some space, or "
            "set training.buffer_dir to another folder"
        )
