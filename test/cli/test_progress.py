# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import io
import sys
from typing import Any

import pytest

pytest.importorskip("tqdm")
pytest.importorskip("torch")

from sfm_depth_ros.cli.progress import ProgressBar
from sfm_depth_ros.training.offline.observers import StepReport


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_key_figures(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    assert ProgressBar.is_possible()
    bar, nobody = ProgressBar(), Any
    for step in (8, 9):
        bar.on_step(StepReport(step, 10, step / 10, 2.0, 0.5, 0, 1e-3, {"total": 0.25}))
    bar.on_validation(9, {"score": 0.125}, nobody)
    bar.on_step(StepReport(10, 10, 1.0, 1.0, 0.0, 0, 1e-3, {"total": 0.25}))
    bar.close()
    said = terminal.getvalue()
    assert "10/10" in said
    assert "loss 0.2500, waited 20.0 %, score 0.1250" in said
    assert "validation at step 9: score 0.125" in said


def test_no_terminal_no_bar(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    assert not ProgressBar.is_possible()
    ProgressBar().close()
