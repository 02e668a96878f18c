# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Files of snippets: everything that was known comes back, and what is not theirs is refused."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.numpy import save

from sfm_depth_ros.errors import DataError
from sfm_depth_ros.geometry.camera import Intrinsics
from sfm_depth_ros.snippets.batch import collate
from sfm_depth_ros.snippets.store import (
    StoreShape,
    encode_snippet,
    open_store,
    read_note,
    read_snippet,
    read_store,
)
from sfm_depth_ros.snippets.values import Snippet

SHAPE = StoreShape(height=64, width=96, content="test")


def test_round_trip(tmp_path, plane_snippets) -> None:
    first, second = plane_snippets(2, with_truth=True)
    second = dataclasses.replace(second, depth=None, T_source_target=None)
    cache = open_store(tmp_path / "cache", SHAPE)
    cache.write(1, first)
    cache.write(4, second)

    again = open_store(tmp_path / "cache", SHAPE)
    assert again.rows.tolist() == [1, 4]
    assert again.missing_rows(5).tolist() == [0, 2, 3]
    batch, expected = again.batch([1, 4]), collate([first, second])
    assert torch.equal(batch.target, expected.target)
    assert torch.equal(batch.sources, expected.sources)
    assert torch.equal(batch.K, expected.K)
    assert torch.equal(batch.displacements, expected.displacements)
    assert torch.allclose(batch.depth, expected.depth, rtol=1e-3)
    assert torch.equal(batch.T_source_target[0], expected.T_source_target[0])
    assert batch.T_source_target[1].isnan().all()
    assert batch.valid is None


def test_validity_survives(tmp_path, plane_snippets) -> None:
    valid = np.ones((64, 96), bool)
    valid[:5] = False
    snippet = dataclasses.replace(plane_snippets(1)[0], valid=valid)
    cache = open_store(tmp_path, SHAPE)
    cache.write(0, snippet)
    assert torch.equal(cache.batch([0]).valid, torch.from_numpy(valid)[None, None])


def test_reading_one_row_does_not_change_another(tmp_path, plane_snippets) -> None:
    cache = open_store(tmp_path, SHAPE)
    cache.write(0, plane_snippets(1)[0])
    before = cache.batch([0]).target.clone()
    cache.batch([0]).target.zero_()
    assert torch.equal(cache.batch([0]).target, before)


def test_another_cache_is_refused(tmp_path) -> None:
    open_store(tmp_path, SHAPE)
    with pytest.raises(DataError, match="other snippets"):
        open_store(tmp_path, dataclasses.replace(SHAPE, content="something else"))
    (tmp_path / "cache.json").write_text("{")
    with pytest.raises(DataError, match="damaged"):
        open_store(tmp_path, SHAPE)


def test_wrong_size_is_refused(tmp_path, plane_snippets) -> None:
    cache = open_store(tmp_path, dataclasses.replace(SHAPE, width=128))
    with pytest.raises(ValueError, match="expected images"):
        cache.write(0, plane_snippets(1)[0])


def test_folder_that_cannot_be_made(tmp_path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match=r"choose another training\.cache_dir"):
        open_store(tmp_path / "file" / "cache", SHAPE)


def test_extra_inputs_survive_and_absent_ones_take_no_file(tmp_path, plane_snippets) -> None:
    plain, full = plane_snippets(2)
    rng = np.random.default_rng(0)
    full = dataclasses.replace(
        full,
        stamps_ns=np.array([5, 6, 7], np.int64),
        T_measured=rng.random((2, 4, 4), np.float32) + np.eye(4, dtype=np.float32),
        right=rng.integers(0, 256, (64, 96, 3), np.uint8),
        T_right_target=np.eye(4, dtype=np.float32),
        sparse_depth=np.float16(rng.random((64, 96))).astype(np.float32),
        instances=rng.integers(0, 5, (3, 64, 96), np.uint8),
    )
    cache = open_store(tmp_path, SHAPE)
    cache.write(0, plain)
    assert not cache.has("right")
    cache.write(3, full)
    assert cache.has("right")
    batch, expected = cache.batch([0, 3]), collate([plain, full])
    for name in ("T_measured", "right", "T_right_target", "sparse_depth", "instances"):
        found, meant = getattr(batch, name), getattr(expected, name)
        assert torch.allclose(found.float(), meant.float(), equal_nan=True), name
        assert found.dtype == meant.dtype
    assert cache.stamps_ns(np.array([3])).tolist() == [[5, 6, 7]]
    back = cache.snippet(3)
    np.testing.assert_array_equal(back.instances, full.instances)
    assert cache.snippet(0).right is None


def test_an_overwritten_row_forgets_what_it_had(tmp_path, plane_snippets) -> None:
    first, second = plane_snippets(2, with_truth=True)
    cache = open_store(tmp_path, SHAPE)
    cache.write(0, first)
    cache.write(0, dataclasses.replace(second, depth=None, T_source_target=None))
    assert cache.snippet(0).depth is None
    assert cache.snippet(0).T_source_target is None


def test_a_folder_opens_without_knowing_what_it_holds(tmp_path, plane_snippets) -> None:
    cache = open_store(tmp_path, SHAPE)
    for row, snippet in enumerate(plane_snippets(3)):
        cache.write(row, snippet)
    before = cache.batch([0, 1, 2]).target
    again = read_store(tmp_path)
    assert again.shape == SHAPE
    assert torch.equal(again.batch([0, 1, 2]).target, before)
    assert not len(again.missing_rows(3))


def test_truth_can_be_left_out(tmp_path, plane_snippets) -> None:
    cache = open_store(tmp_path, SHAPE)
    cache.write(0, plane_snippets(1, with_truth=True)[0])
    batch = cache.batch([0], with_truth=False)
    assert batch.depth is None
    assert batch.T_source_target is None


def full_snippet() -> Snippet:
    rng = np.random.default_rng(0)
    return Snippet(
        target=rng.integers(0, 256, (4, 6, 3), dtype=np.uint8),
        sources=rng.integers(0, 256, (2, 4, 6, 3), dtype=np.uint8),
        intrinsics=Intrinsics(10.0, 11.0, 5.0, 4.0, 6, 4),
        displacements=np.array([0.5, np.nan], np.float32),
        stamps_ns=np.array([1, 2, 3], np.int64),
        valid=rng.random((4, 6)) > 0.5,
        depth=np.float16(rng.random((4, 6))).astype(np.float32),
        T_source_target=rng.random((2, 4, 4), dtype=np.float32),
        T_measured=rng.random((2, 4, 4), dtype=np.float32),
        right=rng.integers(0, 256, (4, 6, 3), dtype=np.uint8),
        T_right_target=rng.random((4, 4), dtype=np.float32),
        sparse_depth=np.float16(rng.random((4, 6))).astype(np.float32),
        landmarks=np.float16(rng.random((4, 6))).astype(np.float32),
        instances=rng.integers(0, 9, (3, 4, 6), dtype=np.uint8),
        teacher_disparity=np.float16(rng.random((4, 6))).astype(np.float32),
    )


def test_every_field_comes_back(tmp_path: Path) -> None:
    snippet = full_snippet()
    path = tmp_path / "1.safetensors"
    path.write_bytes(encode_snippet(snippet, feature=np.ones(3, np.float32)))
    back = read_snippet(path)
    for field in dataclasses.fields(Snippet):
        if field.name == "intrinsics":
            continue
        before, after = getattr(snippet, field.name), getattr(back, field.name)
        np.testing.assert_array_equal(after, before, err_msg=field.name)
        assert after.dtype == before.dtype
    assert back.intrinsics == snippet.intrinsics
    feature, shape = read_note(path, "feature")
    assert feature.tolist() == [1, 1, 1]
    assert shape == (4, 6, 3)


def test_what_is_unknown_stays_unknown(tmp_path: Path) -> None:
    names = [f.name for f in dataclasses.fields(Snippet) if f.default is None]
    assert len(names) == 10
    plain = dataclasses.replace(full_snippet(), **dict.fromkeys(names))
    path = tmp_path / "1.safetensors"
    path.write_bytes(encode_snippet(plain))
    back = read_snippet(path)
    assert [getattr(back, name) for name in names] == [None] * len(names)


@pytest.mark.parametrize("damage", ["half", "flipped", "zeros", "foreign"])
def test_a_damaged_file_is_refused(tmp_path: Path, damage: str) -> None:
    path = tmp_path / "1.safetensors"
    content = bytearray(encode_snippet(full_snippet()))
    if damage == "half":
        content = content[: len(content) // 2]
    elif damage == "flipped":
        content[-100] ^= 0x10
    elif damage == "zeros":  # a block that never reached the disk
        content[-64:] = bytes(64)
    else:
        content = bytearray(save({"other": np.ones(3)}))
    path.write_bytes(content)
    with pytest.raises(DataError, match="damaged"):
        read_snippet(path)
