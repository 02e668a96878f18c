# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Where prepared snippets stay between runs: a bounded folder of entries, found by content."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import logging
import os
import re
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import IO, Any

from sfm_depth_ros.errors import DataError

_LOCKS = ".locks"
_FILLING = ".filling"
_WAIT_S = 0.2  # between looks at whether another process has filled an entry

_logger = logging.getLogger(__name__)

Fill = Callable[[Path, Callable[[], None]], None]


def default_cache_folder() -> Path:
    """``~/.cache/sfm_depth_ros/snippets``, or below ``XDG_CACHE_HOME`` where it is set."""
    root = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(root).expanduser() / "sfm_depth_ros" / "snippets"


class CacheStore:
    """Entries are folders named by what they hold; the least recently used leave for new ones.

    An entry is filled aside and then renamed, by one process while others wait for it: after a
    kill at any moment it is whole or absent. What this process uses is locked until it ends or
    closes the store, so that no other run takes it away.

    Args:
        folder: The store's folder; made when it is first needed.
        max_bytes: Bound of the disk space of all entries.
    """

    def __init__(self, folder: Path, max_bytes: int) -> None:
        self.folder, self.max_bytes = folder, max_bytes
        self._locks: dict[Path, IO[bytes]] = {}

    def entry(
        self, name: str, content: Mapping[str, Any], fill: Fill, is_resumable: bool = False
    ) -> Path:
        """Find the entry with this content, or fill a new one.

        Args:
            name: Beginning of its name, for people.
            content: Everything that its pixels depend on.
            fill: Called with the folder to fill, and with a function to call now and then: it
                makes room, or says that there is none.
            is_resumable: Whether ``fill`` goes on with what an interrupted one left.

        Raises:
            DataError: The disk or the bound is too small.
        """
        said = json.dumps({"name": name, **content}, sort_keys=True)
        key = hashlib.sha256(said.encode()).hexdigest()[:16]
        path = self.folder / f"{re.sub(r'[^A-Za-z0-9_.-]+', '_', name)}-{key}"
        try:
            self._open(path, fill, is_resumable)
            os.utime(path)
        except OSError as error:
            raise DataError(
                f"cannot keep snippets in {path} ({error}); free some disk space or "
                "choose another training.cache_dir"
            ) from error
        return path

    def close(self) -> None:
        """Let other runs take away what this one used."""
        for lock in self._locks.values():
            lock.close()
        self._locks.clear()

    def make_room(self) -> None:
        """Remove entries that nobody uses, the least recently used first, down to the bound.

        Raises:
            DataError: What is in use is alone above the bound.
        """
        sizes = {path: disk_bytes(path) for path in self._entries()}
        total = sum(sizes.values())
        for path in sorted(sizes, key=lambda path: path.stat().st_mtime):
            if total <= self.max_bytes:
                return
            if self._remove(path):
                total -= sizes[path]
        if total > self.max_bytes:
            raise DataError(
                f"the snippets in {self.folder} take more than training.cache_gib = "
                f"{self.max_bytes / 2**30:.3g} GiB; raise it, or learn from fewer or "
                "shorter bags"
            )

    def _open(self, path: Path, fill: Fill, is_resumable: bool) -> None:
        """Take a share of the entry's lock once it is there; fill it where nobody else does."""
        (self.folder / _LOCKS).mkdir(parents=True, exist_ok=True)
        if path in self._locks:
            return
        lock = self._lock_file(path)
        while not self._is_shared(lock, path):
            if _try_lock(lock, fcntl.LOCK_EX):
                with contextlib.ExitStack() as stack:
                    stack.callback(lock.close)  # whatever goes wrong, others may then try
                    self._fill(path, fill, is_resumable)
                    stack.pop_all()
                fcntl.flock(lock, fcntl.LOCK_SH)
                break
            time.sleep(_WAIT_S)
        self._locks[path] = lock

    def _is_shared(self, lock: IO[bytes], path: Path) -> bool:
        """Whether the entry is whole and now locked against removal."""
        if not _try_lock(lock, fcntl.LOCK_SH):
            return False
        if path.is_dir():
            return True
        fcntl.flock(lock, fcntl.LOCK_UN)
        return False

    def _fill(self, path: Path, fill: Fill, is_resumable: bool) -> None:
        if path.is_dir():
            return
        aside = path.with_name(path.name + _FILLING)
        if not is_resumable:
            shutil.rmtree(aside, ignore_errors=True)
        aside.mkdir(exist_ok=True)
        try:
            fill(aside, self.make_room)
            self.make_room()
            aside.rename(path)
        except BaseException:
            if not is_resumable:
                shutil.rmtree(aside, ignore_errors=True)
            raise

    def _remove(self, path: Path) -> bool:
        """Remove an entry unless a run uses it: this one or another."""
        with self._lock_file(path) as lock:
            if not _try_lock(lock, fcntl.LOCK_EX):
                return False
            shutil.rmtree(path, ignore_errors=True)
        _logger.info("removed %s to make room", path)
        return True

    def _entries(self) -> Iterator[Path]:
        return (path for path in self.folder.iterdir() if path.is_dir() and path.name != _LOCKS)

    def _lock_file(self, path: Path) -> IO[bytes]:
        return open(self.folder / _LOCKS / path.name.removesuffix(_FILLING), "ab")


def disk_bytes(folder: Path) -> int:
    """Disk space that a folder's files take; holes in them take none."""
    return sum(_blocks(path) for path in folder.rglob("*"))


def _blocks(path: Path) -> int:
    try:
        return 512 * path.stat().st_blocks
    except FileNotFoundError:  # written aside and renamed just now
        return 0


def _try_lock(lock: IO[bytes], kind: int) -> bool:
    try:
        fcntl.flock(lock, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
