# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Half precision is chosen where the processor has it."""

from __future__ import annotations

import pytest

from sfm_depth_ros.training.device import has_fast_bfloat16, uses_bfloat16


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("flags\t\t: fpu avx2 avx512f avx512_bf16\n", True),
        ("flags\t\t: fpu amx_bf16 amx_tile\n", True),
        ("Features\t: fp asimd bf16\n", True),
        ("flags\t\t: fpu avx2 avx512f avx512bw\n", False),
    ],
)
def test_reads_the_processor(tmp_path, text: str, expected: bool) -> None:
    path = tmp_path / "cpuinfo"
    path.write_text(text)
    assert has_fast_bfloat16("cpu", path) is expected


def test_unknown_processor_stays_exact(tmp_path) -> None:
    assert not has_fast_bfloat16("cpu", tmp_path / "absent")


def test_a_choice_is_kept() -> None:
    assert uses_bfloat16("on", "cpu")
    assert not uses_bfloat16("off", "cpu")
