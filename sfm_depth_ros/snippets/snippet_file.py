# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""One snippet in one uncompressed ``.npz`` file: whole or not there."""

from __future__ import annotations

import os
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from sfm_depth_ros.errors import DataError
from sfm_depth_ros.geometry.camera import Intrinsics
from sfm_depth_ros.snippets.values import Snippet

_OPTIONAL = (
    "valid",
    "depth",
    "T_source_target",
    "T_measured",
    "right",
    "T_right_target",
    "sparse_depth",
    "instances",
)


def write_snippet(path: Path, snippet: Snippet, feature: np.ndarray) -> int:
    """Write beside, then rename: killed at any moment, the file is whole or absent.

    Nothing is flushed to the device: what a power failure damages is dropped when it is read.

    Args:
        path: Destination, ending in ``.npz``.
        snippet: What to keep.
        feature: ``(D,)`` float32 that the index is rebuilt from.

    Returns:
        Size in bytes.
    """
    K = snippet.intrinsics
    arrays = {name: getattr(snippet, name) for name in _OPTIONAL}
    aside = path.with_suffix(".tmp")
    with aside.open("wb") as file:
        np.savez(
            file,
            target=snippet.target,
            sources=snippet.sources,
            intrinsics=np.array([K.fx, K.fy, K.cx, K.cy]),
            displacements=snippet.displacements,
            stamps_ns=snippet.stamps_ns,
            feature=feature,
            shape=np.array(snippet.target.shape),
            **{name: array for name, array in arrays.items() if array is not None},
        )
        size = file.tell()
    os.replace(aside, path)
    return size


def read_snippet(path: Path) -> Snippet:
    """Read a snippet back.

    Raises:
        DataError: The file is damaged.
        FileNotFoundError: The file is gone.
    """
    with _opened(path) as arrays:
        target = arrays["target"]
        fx, fy, cx, cy = (float(number) for number in arrays["intrinsics"])
        return Snippet(
            target=target,
            sources=arrays["sources"],
            intrinsics=Intrinsics(fx, fy, cx, cy, target.shape[1], target.shape[0]),
            displacements=arrays["displacements"],
            stamps_ns=arrays["stamps_ns"],
            **{name: arrays[name] for name in _OPTIONAL if name in arrays},
        )


def read_feature(path: Path) -> tuple[np.ndarray, tuple[int, ...]]:
    """Read the feature ``(D,)`` and the image's shape, without the images.

    Raises:
        DataError: The file is damaged.
    """
    with _opened(path) as arrays:
        return arrays["feature"], tuple(int(size) for size in arrays["shape"])


@contextmanager
def _opened(path: Path) -> Iterator[np.lib.npyio.NpzFile]:
    try:
        with np.load(path, allow_pickle=False) as arrays:
            yield arrays
    except FileNotFoundError:
        raise
    except (OSError, EOFError, KeyError, ValueError, zipfile.BadZipFile, zlib.error) as error:
        raise DataError(f"{path} is damaged: {error}") from error
