# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Fast DDS segments in shared memory: those of dead processes, and this process's own.

A segment of a participant is ``fastrtps_`` (Fast DDS 2: Humble, Jazzy) or ``fastdds_`` (3: Kilted)
and 16 hexadecimal digits; its owner holds an exclusive ``flock`` on the file of that name
with ``_el`` at the end for as long as it lives. The kernel releases the lock of a killed process
and leaves the segment, 67 MB with config/fastdds.xml.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import time
from collections.abc import Iterator
from pathlib import Path

FOLDER = Path("/dev/shm")
_LOCK_NAME = re.compile(r"fast(rtps|dds)_[0-9a-f]{16}_el")
_MIN_AGE_S = 2.0  # a younger lock file may not be locked yet by the process that creates it


def leftover_segments(folder: Path = FOLDER) -> list[Path]:
    """Segments whose owner is dead and that no process maps, oldest first.

    Args:
        folder: Where the kernel shows shared memory.
    """
    unlocked = [lock for lock in _locks(folder) if _is_old(lock) and not _is_locked(lock)]
    mapped = _mapped_files(folder) if unlocked else set()
    segments = [_segment(lock) for lock in unlocked]
    left = [one for one in segments if one.exists() and str(one) not in mapped]
    return sorted(left, key=lambda one: one.stat().st_mtime)


def remove_leftovers(folder: Path = FOLDER) -> list[Path]:
    """Remove the segments of dead processes; those of other users stay.

    Returns:
        What was removed.
    """
    return [segment for segment in leftover_segments(folder) if _remove(segment)]


def remove_own(folder: Path = FOLDER) -> None:
    """Remove the segments that this process owns; only for a process that ends right after."""
    for entry in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(OSError):
            lock = entry.readlink()
            if (
                lock.parent == folder
                and _LOCK_NAME.fullmatch(lock.name)
                and _holds(int(entry.name))
            ):
                _remove(_segment(lock))


def _locks(folder: Path) -> Iterator[Path]:
    with contextlib.suppress(OSError):
        yield from (path for path in folder.iterdir() if _LOCK_NAME.fullmatch(path.name))


def _segment(lock: Path) -> Path:
    return lock.with_name(lock.name.removesuffix("_el"))


def _is_old(path: Path) -> bool:
    try:
        return time.time() - path.stat().st_mtime > _MIN_AGE_S
    except OSError:
        return False


def _is_locked(lock: Path) -> bool:
    """Whether a living process holds the lock; True also where that cannot be found out."""
    try:
        descriptor = os.open(lock, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return True
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return True
    finally:
        os.close(descriptor)
    return False


def _holds(descriptor: int) -> bool:
    """Whether this very descriptor owns the exclusive lock: for its owner, locking succeeds."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def _mapped_files(folder: Path) -> set[str]:
    """Files of the folder in the memory maps of every process that may be looked at."""
    found = set()
    for maps in Path("/proc").glob("[0-9]*/maps"):
        with contextlib.suppress(OSError):
            lines = maps.read_text(errors="replace").splitlines()
            found |= {line.split(maxsplit=5)[-1] for line in lines if f"{folder}/" in line}
    return found


def _remove(segment: Path) -> bool:
    with contextlib.suppress(OSError):
        segment.unlink()
        segment.with_name(f"{segment.name}_el").unlink(missing_ok=True)
        return True
    return False
