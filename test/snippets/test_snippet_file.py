# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A snippet's file gives back everything that was known of it, and nothing more."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from sfm_depth_ros.errors import DataError
from sfm_depth_ros.geometry.camera import Intrinsics
from sfm_depth_ros.snippets.snippet_file import read_feature, read_snippet, write_snippet
from sfm_depth_ros.snippets.values import Snippet


def full_snippet() -> Snippet:
    rng = np.random.default_rng(0)
    return Snippet(
        target=rng.integers(0, 256, (4, 6, 3), dtype=np.uint8),
        sources=rng.integers(0, 256, (2, 4, 6, 3), dtype=np.uint8),
        intrinsics=Intrinsics(10.0, 11.0, 5.0, 4.0, 6, 4),
        displacements=np.array([0.5, np.nan], np.float32),
        stamps_ns=np.array([1, 2, 3], np.int64),
        valid=rng.random((4, 6)) > 0.5,
        depth=rng.random((4, 6), dtype=np.float32),
        T_source_target=rng.random((2, 4, 4), dtype=np.float32),
        T_measured=rng.random((2, 4, 4), dtype=np.float32),
        right=rng.integers(0, 256, (4, 6, 3), dtype=np.uint8),
        T_right_target=rng.random((4, 4), dtype=np.float32),
        sparse_depth=rng.random((4, 6), dtype=np.float32),
        instances=rng.integers(0, 9, (3, 4, 6), dtype=np.uint8),
    )


def test_every_field_comes_back(tmp_path: Path) -> None:
    snippet = full_snippet()
    path = tmp_path / "1.npz"
    assert write_snippet(path, snippet, np.ones(3, np.float32)) == path.stat().st_size
    back = read_snippet(path)
    for field in dataclasses.fields(Snippet):
        if field.name == "intrinsics":
            continue
        before, after = getattr(snippet, field.name), getattr(back, field.name)
        np.testing.assert_array_equal(after, before, err_msg=field.name)
        assert after.dtype == before.dtype
    assert back.intrinsics == snippet.intrinsics
    assert read_feature(path)[1] == (4, 6, 3)


def test_what_is_unknown_stays_unknown(tmp_path: Path) -> None:
    names = [f.name for f in dataclasses.fields(Snippet) if f.default is None]
    assert len(names) == 8
    plain = dataclasses.replace(full_snippet(), **dict.fromkeys(names))
    write_snippet(tmp_path / "1.npz", plain, np.ones(3, np.float32))
    back = read_snippet(tmp_path / "1.npz")
    assert [getattr(back, name) for name in names] == [None] * 8


def test_half_a_file_is_said_to_be_damaged(tmp_path: Path) -> None:
    path = tmp_path / "1.npz"
    size = write_snippet(path, full_snippet(), np.ones(3, np.float32))
    path.write_bytes(path.read_bytes()[: size // 2])
    with pytest.raises(DataError, match="damaged"):
        read_snippet(path)
