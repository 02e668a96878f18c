# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Storage files of a bag, opened together, or one by one where ``metadata.yaml`` does not fit."""

from __future__ import annotations

import errno
import shutil
import sys
import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any, TypeAlias

from sfm_depth_ros.errors import DataError
from sfm_depth_ros.optional import require

_STORAGE_FILES = (".mcap", ".db3")
_PACKED = ".zstd"
_ZSTD = b"\x28\xb5\x2f\xfd"  # first bytes of a zstd frame (RFC 8878, 3.1.1)
_MESSAGE_BYTES = 1 << 30  # of one unpacked message
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)

OnDamage: TypeAlias = Callable[[str, str], None]  # takes what cannot be read, and the remedy


def open_readers(path: Path, stack: ExitStack, on_damage: OnDamage) -> list[Any]:
    """Open readers of a bag; of its files one by one where ``metadata.yaml`` is of no use.

    Args:
        path: Folder, or one storage file.
        stack: Takes what has to be closed: readers and unpacked files.
        on_damage: Called for each file that is left out, and where ``metadata.yaml`` is of no use.

    Raises:
        DataError: Nothing can be read, or there is no room to unpack it.
    """
    if not path.exists():
        raise DataError(f"{path} does not exist: give the folder of a bag, or one of its files")
    try:
        return [_opened(path, stack)]
    except Exception as error:  # damaged files raise whatever they hit, not ReaderError alone
        _refuse_if_full(path, error)
        reason = error
    readers, files, are_left_out = [], _files_of(path), False
    for file in files:
        try:
            readers.append(_opened(_unpacked(file, stack), stack))
        except Exception as error:
            _refuse_if_full(file, error)
            reason, are_left_out = error, True
            on_damage(f"{file} is left out ({error})", remedy_for(file))
    if not readers:
        remedy = remedy_for(path) if files else "it holds no .mcap or .db3 file"
        raise DataError(
            f"{path} is no readable rosbag2 ({reason}): give the folder that holds "
            f"metadata.yaml; {remedy}"
        ) from reason
    if path.is_dir() and not are_left_out and not any(map(_looks_like_query, files)):
        text = f"{path}: metadata.yaml cannot be used ({reason}), the files are read alone"
        on_damage(text, "copy what is missing, or write it again: ros2 bag reindex")
    return sorted(readers, key=lambda reader: int(reader.start_time))


def message_types() -> Any:
    """The types of ROS 2's messages, which turn bytes into values."""
    typesys = require("rosbags.typesys")
    return typesys.get_typestore(typesys.Stores.ROS2_JAZZY)


def unpacked_message(data: bytes) -> bytes:
    """A recorded message without its compression; as it is where it has none, or is damaged.

    The bytes decide and not ``metadata.yaml``: serialised messages begin with a zero.
    """
    if data[:4] != _ZSTD:
        return data
    zstd = _zstd()
    try:
        content: bytes = zstd.ZstdDecompressor().decompress(data, max_length=_MESSAGE_BYTES)
    except zstd.ZstdError:
        return data
    return content


def remedy_for(path: Path) -> str:
    """Command that mends a damaged bag or storage file."""
    file = next(iter(_files_of(path)), path)
    if file.suffix == _PACKED:
        return f"copy {file} again from where it was recorded"
    if file.suffix == ".mcap":
        return f"repair a truncated recording: mcap recover {file} -o mended.mcap"
    return "repair a bag that was not closed: ros2 bag reindex"


def _files_of(path: Path) -> list[Path]:
    files = [path] if path.is_file() else sorted(path.glob("*"))
    return [f for f in files if f.name.removesuffix(_PACKED).endswith(_STORAGE_FILES)]


def _opened(place: Path, stack: ExitStack) -> Any:
    reader = require("rosbags.rosbag2").Reader(_plain_name(place, stack))
    reader.open()
    stack.callback(reader.close)
    return reader


def _plain_name(place: Path, stack: ExitStack) -> Path:
    """The path; a link to it where it is one that sqlite cannot open."""
    if not _looks_like_query(place):
        return place
    link = _folder(stack) / "bag.db3"
    link.symlink_to(place.absolute())
    return link


def _looks_like_query(file: Path) -> bool:
    """Whether sqlite takes a part of a file's path for options."""
    return file.suffix == ".db3" and not {"?", "#", "%"}.isdisjoint(str(file))


def _unpacked(file: Path, stack: ExitStack) -> Path:
    """The storage file without compression; its bytes decide, and not its name."""
    with file.open("rb") as packed:
        is_packed = packed.read(4) == _ZSTD
        if not is_packed and file.suffix != _PACKED:
            return file
        place = _folder(stack) / file.name.removesuffix(_PACKED)
        if not is_packed:
            place.symlink_to(file.absolute())
            return place
        packed.seek(0)
        with _zstd().open(packed, "rb") as content, place.open("wb") as plain:
            shutil.copyfileobj(content, plain)
    return place


def _folder(stack: ExitStack) -> Path:
    return Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="sfm_depth_bag_")))


def _zstd() -> Any:
    """The module that ``rosbags`` itself brings."""
    return require("compression.zstd" if sys.version_info >= (3, 14) else "backports.zstd")


def _refuse_if_full(path: Path, error: Exception) -> None:
    """Refuse a bag that does not fit the disk: it is not damaged.

    Raises:
        DataError: The error is of that kind.
    """
    if isinstance(error, OSError) and error.errno in _FULL:
        raise DataError(
            f"{path} cannot be unpacked into {tempfile.gettempdir()} ({error.strerror}): free "
            "some space, or set TMPDIR to a folder with room for it"
        ) from error
