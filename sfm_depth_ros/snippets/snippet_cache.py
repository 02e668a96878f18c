# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Many snippets of one size on disk, memory-mapped: filled once, drawn from at random."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from sfm_depth_ros.errors import DataError
from sfm_depth_ros.geometry.camera import Intrinsics
from sfm_depth_ros.snippets.batch import SnippetBatch, images_to_tensor
from sfm_depth_ros.snippets.cache_columns import COLUMNS, DONE, Column, column_values
from sfm_depth_ros.snippets.values import Snippet

FORMAT_VERSION = 2
_DESCRIPTION = "cache.json"
_TRUTH = ("depth", "T_source_target")


@dataclass(frozen=True)
class CacheShape:
    """What a cache holds."""

    count: int  # Rows, one snippet each
    height: int  # Image height in pixels
    width: int  # Image width in pixels
    content: str  # Sentence that says what fills it; a cache is reused only for the same content


class SnippetCache:
    """Rows of snippets in the files of one folder, a file for each part of a snippet.

    Images are bytes, depths float16 (three digits suffice for supervision), motions and cameras
    float32. Files are sparse, and those of what no snippet has are absent. Several processes may
    write different rows at the same time. Rows are written as files, not through the memory map:
    a full disk then is an error, and not the process's end.

    Args:
        folder: Where the files are.
        shape: What they hold.
    """

    def __init__(self, folder: Path, shape: CacheShape) -> None:
        self.folder, self.shape = folder, shape
        self._maps: dict[str, np.memmap] = {}
        self._create(DONE)

    @property
    def rows(self) -> np.ndarray:
        """Indices of the rows that hold a snippet."""
        return np.flatnonzero(self._is_done)

    def missing_rows(self) -> np.ndarray:
        """Indices of the rows that are still empty."""
        return np.flatnonzero(~self._is_done)

    def write(self, row: int, snippet: Snippet) -> None:
        """Put a snippet into a row.

        Raises:
            ValueError: The snippet's images are not of the cache's size.
            DataError: The disk is full or not writable; the row then stays as if it were empty.
        """
        expected = (self.shape.height, self.shape.width, 3)
        if snippet.target.shape != expected:
            raise ValueError(f"expected images {expected}, got {snippet.target.shape}")
        try:
            self._write(DONE, row, np.array(False))
            for name, value in column_values(snippet).items():
                if value is not None:
                    self._create(name)
                if value is not None or self._path(name).exists():
                    self._write(name, row, value)
            self._write(DONE, row, np.array(True))
        except OSError as error:
            raise _unusable(self.folder, error) from error

    def batch(self, rows: Sequence[int] | np.ndarray, with_truth: bool = True) -> SnippetBatch:
        """Read rows as one batch (a copy, in memory).

        Args:
            rows: Which snippets.
            with_truth: Whether the batch has true depth and motion, where they are known.
        """
        parts = {name: self._read(name, np.asarray(rows)) for name in COLUMNS}
        invalid, right = parts["invalid"], parts["right"]
        if not with_truth:
            parts.update(dict.fromkeys(_TRUTH))
        target, sources = parts["target"], parts["sources"]
        assert target is not None and sources is not None  # every snippet has them
        return SnippetBatch(
            target=images_to_tensor(target),
            sources=images_to_tensor(sources),
            K=_required(parts["camera"]),
            displacements=_required(parts["displacements"]),
            valid=None if invalid is None or not invalid.any() else _plane(~invalid),
            depth=_plane(parts["depth"]),
            T_source_target=_motion(parts["T_source_target"]),
            T_measured=_motion(parts["T_measured"]),
            right=None if right is None else images_to_tensor(right),
            T_right_target=_motion(parts["T_right_target"]),
            sparse_depth=_plane(parts["sparse_depth"]),
            instances=_tensor(parts["instances"]),
        )

    def snippet(self, row: int) -> Snippet:
        """Read one row (a copy, in memory)."""
        parts = {name: self._read(name, np.array([row])) for name in COLUMNS}
        values = {name: None if part is None else part[0] for name, part in parts.items()}
        invalid, camera = values.pop("invalid"), values.pop("camera")
        assert camera is not None  # every snippet has one
        fx, fy, cx, cy = map(float, camera[[0, 1, 0, 1], [0, 1, 2, 2]])
        for name, column in COLUMNS.items():
            value = values.get(name)
            if column.is_optional and value is not None and not value.any():
                values[name] = None
        return Snippet(
            intrinsics=Intrinsics(fx, fy, cx, cy, self.shape.width, self.shape.height),
            valid=None if invalid is None or not invalid.any() else ~invalid,
            **values,  # type: ignore[arg-type]  # what is not optional is not None
        )

    def stamps_ns(self, rows: np.ndarray) -> np.ndarray:
        """``(n, 3)`` stamps of (earlier, target, later)."""
        stamps = self._read("stamps_ns", rows)
        assert stamps is not None  # every snippet has them
        return stamps

    def has(self, name: str) -> bool:
        """Whether any snippet has this part of :class:`Snippet`, for example ``"depth"``."""
        return self._path(name).exists()

    def shorten(self, count: int) -> None:
        """Give back the room of the rows from ``count`` on."""
        shape = CacheShape(count, self.shape.height, self.shape.width, self.shape.content)
        for name in (*COLUMNS, DONE):
            if self.has(name):
                os.truncate(self._path(name), count * self._row_bytes(name))
        write_description(self.folder, shape)
        self.shape, self._maps = shape, {}

    @property
    def _is_done(self) -> np.ndarray:
        done = self._column(DONE)
        assert done is not None  # the constructor creates it
        return done

    def _read(self, name: str, rows: np.ndarray) -> np.ndarray | None:
        column = self._column(name)
        if column is None:
            return None
        part: np.ndarray = column[rows]
        return part.astype(np.float32) if part.dtype == np.float16 else part

    def _column(self, name: str) -> np.memmap | None:
        if name not in self._maps and self.has(name):
            column, path = _column_of(name), self._path(name)
            shape = (self.shape.count, *column.shape(self.shape.height, self.shape.width))
            self._maps[name] = np.memmap(path, column.dtype, "r", shape=shape)
        return self._maps.get(name)

    def _create(self, name: str) -> None:
        """Make a column's file, all unknown, unless it is there."""
        path, size = self._path(name), self.shape.count * self._row_bytes(name)
        if path.exists() and path.stat().st_size == size:
            return
        with open(os.open(path, os.O_RDWR | os.O_CREAT, 0o644), "r+b") as file:
            file.truncate(size)

    def _write(self, name: str, row: int, value: np.ndarray | None) -> None:
        column = _column_of(name)
        shape = column.shape(self.shape.height, self.shape.width)
        plain = np.zeros(shape) if value is None else np.broadcast_to(value, shape)
        with open(self._path(name), "r+b") as file:
            file.seek(row * self._row_bytes(name))
            file.write(np.ascontiguousarray(plain, column.dtype).tobytes())

    def _row_bytes(self, name: str) -> int:
        column = _column_of(name)
        numbers = int(np.prod(column.shape(self.shape.height, self.shape.width)))
        return numbers * np.dtype(column.dtype).itemsize

    def _path(self, name: str) -> Path:
        return self.folder / _column_of(name).file


def open_cache(folder: Path, shape: CacheShape) -> SnippetCache:
    """Open the cache in ``folder``, or make an empty one (disk fills with rows).

    Raises:
        DataError: The folder holds another cache, or cannot be written.
    """
    try:
        if (folder / _DESCRIPTION).exists():
            found = _read_description(folder)
            if found != shape:
                raise DataError(
                    f"{folder} holds other snippets ({found}) than asked for "
                    f"({shape}); remove it or choose another cache folder"
                )
        else:
            folder.mkdir(parents=True, exist_ok=True)
            write_description(folder, shape)
        return SnippetCache(folder, shape)
    except OSError as error:
        raise _unusable(folder, error) from error


def read_cache(folder: Path) -> SnippetCache:
    """Open the cache in ``folder``, whatever it holds.

    Raises:
        DataError: There is none, or it is damaged.
    """
    try:
        return SnippetCache(folder, _read_description(folder))
    except OSError as error:
        raise _unusable(folder, error) from error


def write_description(folder: Path, shape: CacheShape) -> None:
    """Say beside the rows what they are; whole or not at all."""
    aside = folder / f".{_DESCRIPTION}.{os.getpid()}"
    aside.write_text(json.dumps({"format_version": FORMAT_VERSION, **asdict(shape)}, indent=2))
    aside.replace(folder / _DESCRIPTION)


def _read_description(folder: Path) -> CacheShape:
    path = folder / _DESCRIPTION
    try:
        found = json.loads(path.read_text())
        version = found.pop("format_version")
        shape = CacheShape(**found)
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise DataError(f"{path} is damaged ({error}); remove its folder") from error
    if version != FORMAT_VERSION:
        raise DataError(
            f"{folder} holds other snippets (format {version}, not {FORMAT_VERSION}); "
            "remove it or choose another cache folder"
        )
    return shape


def _column_of(name: str) -> Column:
    return Column("done.u8", np.bool_, lambda h, w: ()) if name == DONE else COLUMNS[name]


def _unusable(folder: Path, error: OSError) -> DataError:
    return DataError(
        f"cannot use the snippet cache {folder} ({error}); free some disk space or "
        "choose another training.cache_dir"
    )


def _tensor(part: np.ndarray | None) -> Tensor | None:
    return None if part is None else torch.from_numpy(part)


def _required(part: np.ndarray | None) -> Tensor:
    assert part is not None  # every snippet has it
    return torch.from_numpy(part)


def _plane(part: np.ndarray | None) -> Tensor | None:
    return None if part is None else torch.from_numpy(part).unsqueeze(1)


def _motion(part: np.ndarray | None) -> Tensor | None:
    """Rows of zeros are unknown ones: NaN."""
    if part is None:
        return None
    T = torch.from_numpy(part)
    return T.masked_fill(T[..., 3:, 3:] == 0, float("nan"))
