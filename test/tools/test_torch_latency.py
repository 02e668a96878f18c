# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Latency of the networks in torch on a GPU."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from tools.torch_latency import TABLE, main

DOCUMENT = "before\n<!-- torch latency -->\n<!-- end -->\n"


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")
def test_without_a_gpu_the_table_stays(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    document = tmp_path / "engines.md"
    document.write_text(DOCUMENT)
    assert main(document, []) == 1
    assert "no CUDA device" in capsys.readouterr().err
    assert document.read_text() == DOCUMENT


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device")
def test_both_precisions_of_a_network_become_rows(tmp_path: Path) -> None:
    document = tmp_path / "engines.md"
    document.write_text(DOCUMENT)
    assert main(document, ["depth small"]) == 0
    rows = document.read_text().splitlines()[4:6]
    assert [row.split("|")[2].strip() for row in rows] == ["fp32", "fp16"]
    assert TABLE.head in document.read_text()
