# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Storage on disk: files and folders that appear whole, a bounded cache shared by processes."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import logging
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO

ASIDE = ".writing-"  # how the names of unfinished folders begin
_LOCKS, _FILLING = ".locks", ".filling"
_WAIT_S = 0.2  # between checks whether another process has filled an entry
_NO_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.ENOTSUP)  # some network file systems

_logger = logging.getLogger(__name__)


def cache_directory() -> Path:
    """``~/.cache/sfm_depth_ros``, or below ``XDG_CACHE_HOME`` where it is set."""
    return Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "sfm_depth_ros"


@contextlib.contextmanager
def whole_file(path: Path, sync: bool = False) -> Iterator[IO[bytes]]:
    """Open a file that replaces ``path`` when the block ends without an error.

    Readers see all of the new content or all of the old, whatever happens in between. Several
    writers of one path run one after another. What a killed writer left is overwritten by the
    next one. What is no regular file (``/dev/stdout``, a pipe) is written to as it is, and stays.

    Args:
        path: Destination; its folder is made where there is none.
        sync: Flush to the device before the replacement, to survive a power failure.

    Raises:
        OSError: The disk is full or not writable; the old file stays.
    """
    if path.exists() and not path.is_file():
        with open(path, "wb") as file:
            yield file
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f".{path.name}.writing")
    with _open_locked(aside, fcntl.LOCK_EX) as file:
        try:
            file.truncate(0)
            yield file
            file.flush()
            if sync:
                os.fsync(file.fileno())
            aside.replace(path)
        except BaseException:
            with contextlib.suppress(OSError):
                aside.unlink()
            raise


def write_whole(path: Path, content: str | bytes, sync: bool = False) -> None:
    """Write a file at once, see :func:`whole_file`."""
    data = content.encode() if isinstance(content, str) else content
    with whole_file(path, sync) as file:
        file.write(data)


def write_folder(destination: Path, files: dict[str, bytes]) -> None:
    """Write a folder aside, flush it to the device and rename it.

    Args:
        destination: Folder to make; it must not exist.
        files: Content by plain file name.

    Raises:
        OSError: The disk is full, the place not writable, or the folder exists.
    """
    destination.parent.mkdir(parents=True, exist_ok=True)
    aside = Path(tempfile.mkdtemp(prefix=ASIDE, dir=destination.parent))
    try:
        for name, data in files.items():
            with open(aside / name, "xb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
        aside.chmod(0o755)  # mkdtemp makes folders that other users cannot read
        _sync_folder(aside)
        aside.rename(destination)
        _sync_folder(destination.parent)
    except BaseException:
        shutil.rmtree(aside, ignore_errors=True)
        raise


def disk_bytes(path: Path) -> int:
    """Disk space of a file, or of all files of a folder; holes in them take none."""
    return sum(_blocks(part) for part in (path, *path.rglob("*")))


class LruCache:
    """Files or folders by name in one folder, bounded in size: the least recently used leave.

    Locks are ``flock`` on files in ``.locks``. The kernel releases them when a process ends,
    however it ends, so that none is ever stale. Hidden files are no entries.

    Args:
        folder: The cache's folder; made when it is first needed.
        max_bytes: Bound of the disk space of all entries.
    """

    def __init__(self, folder: Path, max_bytes: int) -> None:
        self.folder, self.max_bytes = folder, max_bytes
        self._held: dict[str, IO[bytes]] = {}

    def path(self, name: str) -> Path:
        """Place of an entry, whether it exists or not."""
        return self.folder / name

    def touch(self, name: str) -> None:
        """Mark an entry as used now."""
        with contextlib.suppress(OSError):
            os.utime(self.path(name))

    @contextlib.contextmanager
    def locked(self, name: str) -> Iterator[None]:
        """Exclude other threads and processes that want to write the same entry.

        Raises:
            OSError: The cache is not writable.
        """
        file = self._lock_file(name)
        try:
            lock = _open_locked(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            _logger.info("%s is being built already; waiting for it", self.path(name))
            lock = _open_locked(file, fcntl.LOCK_EX)
        with lock:
            yield

    def entry(self, name: str, fill: Callable[[Path], None], is_resumable: bool = False) -> Path:
        """Find a folder, or fill it: once, while others that want it wait.

        It is filled aside and then renamed: after a kill at any moment it is whole or absent.
        The entry stays until this cache is closed or the process ends.

        Args:
            name: Name of the entry.
            fill: Called with the folder to fill.
            is_resumable: Whether ``fill`` continues what an interrupted one left.

        Raises:
            OSError: The disk is full or not writable.
        """
        path = self.path(name)
        while name not in self._held:
            if (lock := self._try_lock(name, fcntl.LOCK_SH)) is not None:
                if path.is_dir():
                    self._held[name] = lock
                    break
                lock.close()
            if (lock := self._try_lock(name, fcntl.LOCK_EX)) is not None:
                with lock:
                    self._fill(path, fill, is_resumable)
            else:
                time.sleep(_WAIT_S)
        os.utime(path)
        return path

    def close(self) -> None:
        """Let other processes remove the entries that this one used."""
        for lock in self._held.values():
            lock.close()
        self._held.clear()

    def size_bytes(self) -> int:
        """Disk space of all entries."""
        return sum(size for _, size, _ in self._entries())

    def make_room(self, keep: str = "") -> int:
        """Remove entries that nobody holds, the least recently used first, down to the bound.

        Args:
            keep: Name of an entry that stays in any case.

        Returns:
            Bytes beyond the bound that could not be removed.
        """
        entries = self._entries()
        total = sum(size for _, size, _ in entries)
        for _, size, path in sorted(entries):
            if total > self.max_bytes and path.name != keep and self._remove(path):
                total -= size
        self._sweep_locks()
        return max(total - self.max_bytes, 0)

    def _fill(self, path: Path, fill: Callable[[Path], None], is_resumable: bool) -> None:
        if path.is_dir():
            return
        aside = path.with_name(path.name + _FILLING)
        if not is_resumable:
            shutil.rmtree(aside, ignore_errors=True)
        aside.mkdir(exist_ok=True)
        try:
            fill(aside)
            aside.rename(path)
        except BaseException:
            if not is_resumable:
                shutil.rmtree(aside, ignore_errors=True)
            raise

    def _entries(self) -> list[tuple[float, int, Path]]:
        """(time of last use, bytes, path) of every entry, unfinished ones included."""
        found = []
        for path in self.folder.iterdir() if self.folder.is_dir() else ():
            with contextlib.suppress(FileNotFoundError):
                if not path.name.startswith("."):
                    found.append((path.stat().st_mtime, disk_bytes(path), path))
        return found

    def _remove(self, path: Path) -> bool:
        """Remove an entry unless a thread or process holds it."""
        lock = self._try_lock(path.name, fcntl.LOCK_EX)
        if lock is None:
            return False
        with lock:
            if path.is_dir():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink(missing_ok=True)
        _logger.info("removed %s: the limit of the cache is %d MB", path, self.max_bytes >> 20)
        return True

    def _sweep_locks(self) -> None:
        """Remove locks of entries that are gone."""
        for file in (self.folder / _LOCKS).glob("*"):
            path = self.path(file.name)
            if path.exists() or path.with_name(path.name + _FILLING).exists():
                continue
            if (lock := self._try_lock(file.name, fcntl.LOCK_EX)) is not None:
                with lock:
                    file.unlink(missing_ok=True)

    def _try_lock(self, name: str, kind: int) -> IO[bytes] | None:
        with contextlib.suppress(BlockingIOError):
            return _open_locked(self._lock_file(name), kind | fcntl.LOCK_NB)
        return None

    def _lock_file(self, name: str) -> Path:
        folder = self.folder / _LOCKS
        folder.mkdir(parents=True, exist_ok=True)
        return folder / name.removesuffix(_FILLING)


def _open_locked(path: Path, kind: int) -> IO[bytes]:
    """Open a file, made where there is none, and hold its lock until it is closed.

    Raises:
        BlockingIOError: ``kind`` has ``LOCK_NB`` and another holds the lock.
    """
    while True:
        file = os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT, 0o666), "r+b")
        with contextlib.ExitStack() as stack:
            stack.callback(file.close)
            try:
                fcntl.flock(file, kind)
            except OSError as error:
                if error.errno not in _NO_LOCKS:
                    raise
            with contextlib.suppress(FileNotFoundError):  # renamed or removed by its last holder
                if os.fstat(file.fileno()).st_ino == path.stat().st_ino:
                    stack.pop_all()
                    return file


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _blocks(path: Path) -> int:
    try:
        return 512 * path.stat().st_blocks
    except FileNotFoundError:  # written aside and renamed just now
        return 0
