# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What a bag holds and what turns it into pixels, as short strings that change when these do."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Protocol

from sfm_depth_ros.errors import DataError

SAMPLES, SAMPLE_BYTES = 64, 1 << 16
_PACKAGE = Path(__file__).resolve().parents[2]


class _Hash(Protocol):
    def update(self, data: bytes, /) -> None: ...


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
