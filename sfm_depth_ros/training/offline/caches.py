# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Prepared snippets between runs: a bounded folder of entries that are found by content."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol

from sfm_depth_ros.errors import DataError
from sfm_depth_ros.storage import LruCache, cache_directory

SAMPLES, SAMPLE_BYTES = 64, 1 << 16
_PACKAGE = Path(__file__).resolve().parents[2]

Fill = Callable[[Path, Callable[[], None]], None]


class _Hash(Protocol):
    def update(self, data: bytes, /) -> None: ...


def default_cache_folder() -> Path:
    """``~/.cache/sfm_depth_ros/snippets``, or below ``XDG_CACHE_HOME`` where it is set."""
    return cache_directory() / "snippets"


class CacheStore:
    """Entries are folders named by their content; the least recently used leave for new ones.

    After a kill at any moment an entry is whole or absent. What this process uses stays until it
    ends or closes the store.

    Args:
        folder: The store's folder; made when it is first needed.
        max_bytes: Bound of the disk space of all entries.
    """

    def __init__(self, folder: Path, max_bytes: int) -> None:
        self._cache = LruCache(folder, max_bytes)

    def entry(
        self, name: str, content: Mapping[str, Any], fill: Fill, is_resumable: bool = False
    ) -> Path:
        """Find the entry with this content, or fill a new one, once for all processes.

        Args:
            name: Beginning of its name, for people.
            content: Everything that its pixels depend on.
            fill: Called with the folder to fill, and with a function to call now and then, which
                makes room and raises where there is none.
            is_resumable: Whether ``fill`` goes on with what an interrupted one left.

        Raises:
            DataError: The disk or the bound is too small.
        """
        identity = json.dumps({"name": name, **content}, sort_keys=True)
        key = hashlib.sha256(identity.encode()).hexdigest()[:16]

        def fill_within_bound(folder: Path) -> None:
            fill(folder, self._make_room)
            self._make_room()

        file_name = f"{re.sub(r'[^A-Za-z0-9_.-]+', '_', name)}-{key}"
        try:
            return self._cache.entry(file_name, fill_within_bound, is_resumable)
        except OSError as error:
            raise DataError(
                f"cannot keep snippets in {self._cache.path(file_name)} ({error}); free some disk "
                "space or choose another training.cache_dir"
            ) from error

    def close(self) -> None:
        """Let other runs remove what this one used."""
        self._cache.close()

    def _make_room(self) -> None:
        if self._cache.make_room():
            raise DataError(
                f"the snippets in {self._cache.folder} take more than training.cache_gib = "
                f"{self._cache.max_bytes / 2**30:.3g} GiB; raise it, or learn from fewer or "
                "shorter bags"
            )


def bag_content_hash(bag: Path) -> str:
    """Identify a bag's content, wherever it lies: a copy has the same hash.

    Hashes the names and sizes of its files and up to 64 blocks of 64 KiB spread over each, the
    first and the last among them: there both storages keep their counters and checksums.

    Args:
        bag: Folder or single file.

    Raises:
        DataError: It cannot be read.
    """
    digest = hashlib.sha256()
    bag = bag.expanduser()
    try:
        files = [bag] if bag.is_file() else sorted(p for p in bag.rglob("*") if p.is_file())
        for file in files:
            _add_file(digest, file)
    except OSError as error:
        raise DataError(f"{bag} cannot be read ({error}); check the path") from error
    return digest.hexdigest()[:32]


def code_hash(*rooms: str) -> str:
    """Identify the package's sources that decide what pixels become.

    Args:
        rooms: Folders (without those below) and files, relative to the package.
    """
    digest = hashlib.sha256()
    for room in rooms:
        place = _PACKAGE / room
        files = [place] if place.is_file() else sorted(place.glob("*.py"))
        if not files:
            raise ValueError(f"expected a folder or a file of the package, got {room!r}")
        for file in files:
            digest.update(file.read_bytes())
    return digest.hexdigest()[:32]


def _add_file(digest: _Hash, file: Path) -> None:
    size = file.stat().st_size
    digest.update(f"{file.name} {size}\n".encode())
    last = max(0, size - SAMPLE_BYTES)
    with file.open("rb") as stream:
        for offset in sorted({last * i // (SAMPLES - 1) for i in range(SAMPLES)}):
            stream.seek(offset)
            digest.update(stream.read(SAMPLE_BYTES))
