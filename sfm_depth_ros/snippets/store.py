# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Snippets on disk: one safetensors file for each, whole or absent, with a checksum.

The trainer's memory and the prepared snippets of bags and rendered drives share this format. A
file holds the parts that its snippet has, under their names, in the type that
:data:`~sfm_depth_ros.snippets.values.PARTS` stores.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from sfm_depth_ros.errors import DataError
from sfm_depth_ros.geometry.camera import Intrinsics
from sfm_depth_ros.snippets.values import MASK, PARTS, Snippet
from sfm_depth_ros.storage import write_whole

if TYPE_CHECKING:  # needs torch
    from sfm_depth_ros.snippets.batch import SnippetBatch

FORMAT_VERSION = 3
SUFFIX = ".safetensors"
_DESCRIPTION = "cache.json"
_INTRINSICS, _CHECKSUM = "intrinsics", "crc32"


def encode_snippet(snippet: Snippet, **notes: np.ndarray) -> bytes:
    """Content of a snippet's file.

    Args:
        snippet: What to keep.
        notes: Arrays to keep with it, see :func:`read_note`.
    """
    K = snippet.intrinsics
    arrays = {_INTRINSICS: np.array([K.fx, K.fy, K.cx, K.cy]), **notes}
    for name, part in PARTS.items():
        value = getattr(snippet, name)
        is_plain = value is None or (part.kind is MASK and bool(np.all(value)))
        if not is_plain:
            arrays[name] = np.ascontiguousarray(value, part.kind.stored)
    checksum = np.array([_checksum(arrays)], np.uint32)
    content: bytes = save({**arrays, _CHECKSUM: checksum})
    return content


def read_snippet(path: Path) -> Snippet:
    """Read a snippet back.

    Raises:
        DataError: The file is damaged.
        FileNotFoundError: The file is gone.
    """
    with _opened(path) as file:
        arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        if int(arrays.pop(_CHECKSUM)[0]) != _checksum(arrays):
            raise ValueError("its checksum differs")
        fx, fy, cx, cy = (float(number) for number in arrays[_INTRINSICS])
        height, width = arrays["target"].shape[:2]
        parts = {
            name: arrays[name].astype(part.kind.dtype, copy=False)
            for name, part in PARTS.items()
            if name in arrays
        }
        return Snippet(intrinsics=Intrinsics(fx, fy, cx, cy, width, height), **parts)


def read_note(path: Path, name: str) -> tuple[np.ndarray, tuple[int, ...]]:
    """Read a note and the shape of the target's image, without the images.

    Raises:
        DataError: The file is damaged.
        FileNotFoundError: The file is gone.
    """
    with _opened(path) as file:
        return file.get_tensor(name), tuple(file.get_slice("target").get_shape())


@dataclass(frozen=True)
class StoreShape:
    """Description of a folder of snippets."""

    height: int  # Image height in pixels
    width: int  # Image width in pixels
    content: str  # Sentence that names the origin; a folder is reused only for the same content


class SnippetStore:
    """Numbered snippets of one image size in one folder.

    Several processes may write different numbers at the same time, and readers never see half a
    snippet.

    Args:
        folder: Where the files are.
        shape: What they hold.
    """

    def __init__(self, folder: Path, shape: StoreShape) -> None:
        self.folder, self.shape = folder, shape

    @property
    def rows(self) -> np.ndarray:
        """Numbers that have a snippet, ascending."""
        names = (path.stem for path in self.folder.glob(f"[0-9]*{SUFFIX}"))
        return np.array(sorted(map(int, names)), np.int64)

    def missing_rows(self, count: int) -> np.ndarray:
        """Numbers below ``count`` that have none."""
        return np.setdiff1d(np.arange(count), self.rows)

    def write(self, row: int, snippet: Snippet) -> None:
        """Put a snippet under a number; one that is there is replaced.

        Raises:
            ValueError: The snippet's images are not of the folder's size.
            DataError: The disk is full or not writable; what was there stays.
        """
        expected = (self.shape.height, self.shape.width, 3)
        if snippet.target.shape != expected:
            raise ValueError(f"expected images {expected}, got {snippet.target.shape}")
        try:
            write_whole(self._path(row), encode_snippet(snippet))
        except OSError as error:
            raise _unusable(self.folder, error) from error

    def snippet(self, row: int) -> Snippet:
        """Read one snippet.

        Raises:
            DataError: It is damaged or gone.
        """
        try:
            return read_snippet(self._path(row))
        except OSError as error:
            raise _unusable(self.folder, error) from error

    def batch(self, rows: Sequence[int] | np.ndarray, with_truth: bool = True) -> SnippetBatch:
        """Read snippets as one batch.

        Args:
            rows: Their numbers.
            with_truth: Whether the batch has true depth and motion, where they are known.

        Raises:
            DataError: One is damaged or gone.
        """
        from sfm_depth_ros.snippets.batch import collate

        snippets = [self.snippet(int(row)) for row in rows]
        if not with_truth:
            snippets = [replace(s, depth=None, T_source_target=None) for s in snippets]
        return collate(snippets)

    def stamps_ns(self, rows: np.ndarray) -> np.ndarray:
        """``(n, 3)`` stamps of (earlier, target, later)."""
        return np.stack([read_note(self._path(int(row)), "stamps_ns")[0] for row in rows])

    def has(self, name: str) -> bool:
        """Whether any snippet has this part of :class:`Snippet`, for example ``"depth"``."""
        for row in self.rows:
            with _opened(self._path(int(row))) as file:
                if name in file.keys():  # noqa: SIM118
                    return True
        return False

    def _path(self, row: int) -> Path:
        return self.folder / f"{row:09d}{SUFFIX}"


def open_store(folder: Path, shape: StoreShape) -> SnippetStore:
    """Open the folder, or make an empty one.

    Raises:
        DataError: It holds other snippets, or cannot be written.
    """
    try:
        if (folder / _DESCRIPTION).exists():
            found = _read_description(folder)
            if found != shape:
                raise DataError(
                    f"{folder} holds other snippets ({found}) than "
                    f"expected ({shape}); remove it or choose another cache folder"
                )
        else:
            description = {"format_version": FORMAT_VERSION, **asdict(shape)}
            write_whole(folder / _DESCRIPTION, json.dumps(description, indent=2))
        return SnippetStore(folder, shape)
    except OSError as error:
        raise _unusable(folder, error) from error


def read_store(folder: Path) -> SnippetStore:
    """Open the folder, whatever snippets it holds.

    Raises:
        DataError: There are none, or they are of another format.
    """
    try:
        return SnippetStore(folder, _read_description(folder))
    except OSError as error:
        raise _unusable(folder, error) from error


def _read_description(folder: Path) -> StoreShape:
    path = folder / _DESCRIPTION
    try:
        found = json.loads(path.read_text())
        version = found.pop("format_version")
        shape = StoreShape(**found)
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise DataError(f"{path} is damaged ({error}); remove its folder") from error
    if version != FORMAT_VERSION:
        raise DataError(
            f"{folder} holds other snippets (format {version}, not {FORMAT_VERSION}); "
            "remove it or choose another cache folder"
        )
    return shape


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    try:
        with safe_open(path, framework="np") as file:
            yield file
    except FileNotFoundError:
        raise
    except (OSError, SafetensorError, KeyError, ValueError, TypeError) as error:
        raise DataError(f"{path} is damaged ({error}); remove it") from error


def _checksum(arrays: Mapping[str, np.ndarray]) -> int:
    """CRC-32 of all arrays: after a power failure, blocks of a file may be zeros."""
    checksum = 0
    for name in sorted(arrays):
        checksum = zlib.crc32(np.ascontiguousarray(arrays[name]).data, checksum)
    return checksum


def _unusable(folder: Path, error: OSError) -> DataError:
    return DataError(
        f"cannot use the snippets in {folder} ({error}); free some disk space or "
        "choose another training.cache_dir"
    )
