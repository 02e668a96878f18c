# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""C26: memory of the trainer and its files stay flat while it learns, judges and deploys."""

from __future__ import annotations

import dataclasses
import gc
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from sfm_depth_ros.snippets.replay_buffer import ReplayBuffer
from sfm_depth_ros.training.online.loop import OnlineLoop

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="needs /proc"),
]
LAP_S = 100.0
BUFFER_BYTES = 3 << 20


def resident_mib() -> float:
    gc.collect()
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def test_memory_handles_and_disk_are_flat(make_parts, writer, drive, tmp_path) -> None:
    torch.manual_seed(0)
    parts = make_parts(calibrate_scale=False, min_improvement=0.0, holdout_share=0.2)
    buffer = ReplayBuffer(tmp_path / "buffer", 60, BUFFER_BYTES, 0.2, 0)
    loop, snippets = OnlineLoop(parts, buffer), drive(40, spacing_s=0.3)

    def run(laps: range) -> None:
        for lap in laps:
            for snippet in snippets:
                shifted = snippet.stamps_ns + np.int64(lap * LAP_S * 1e9)
                snippet = dataclasses.replace(snippet, stamps_ns=shifted)
                buffer.add(snippet)
                loop.take(snippet)
                loop.advance()
            for folder in writer.written[:-3]:  # as the node prunes
                shutil.rmtree(folder.path, ignore_errors=True)

    run(range(4))
    before, handles = resident_mib(), len(os.listdir("/proc/self/fd"))
    steps = loop.learner.steps
    run(range(4, 14))
    assert loop.learner.steps - steps >= 250
    assert resident_mib() - before < 8.0
    assert len(os.listdir("/proc/self/fd")) <= handles + 1
    assert buffer.size_bytes <= BUFFER_BYTES
    on_disk = sum(file.stat().st_size for file in (tmp_path / "buffer").rglob("*.safetensors"))
    assert on_disk == buffer.size_bytes
