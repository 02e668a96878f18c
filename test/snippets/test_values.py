# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The table of a snippet's parts is whole, and batches have what it names."""

from __future__ import annotations

import dataclasses

from sfm_depth_ros.snippets.batch import SnippetBatch
from sfm_depth_ros.snippets.values import OF_TARGET, PARTS, Snippet


def test_every_field_but_the_camera_is_a_part() -> None:
    names = {field.name for field in dataclasses.fields(Snippet)}
    assert set(PARTS) == names - {"intrinsics"}


def test_batches_have_every_part_but_stamps() -> None:
    names = {field.name for field in dataclasses.fields(SnippetBatch)}
    assert names == {*PARTS, "K"} - {"stamps_ns"}


def test_a_snippet_takes_what_its_target_has() -> None:
    assert OF_TARGET == ("valid", "right", "T_right_target", "sparse_depth")
