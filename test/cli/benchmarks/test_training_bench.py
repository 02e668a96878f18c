# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Two processes that take steps in turn."""

from __future__ import annotations

import pytest

from sfm_depth_ros.cli.benchmarks.report import plain_lines
from sfm_depth_ros.cli.benchmarks.step_worker import StepSetting, StepWorker
from sfm_depth_ros.cli.benchmarks.training import _in_turn
from sfm_depth_ros.share import SHIPPED_MODEL, find_share


class Clock:
    """A worker whose every step takes longer than the last."""

    def __init__(self, unit: float) -> None:
        self.unit, self.asked = unit, 0

    def request(self, question: str) -> float:
        assert question == "step"
        self.asked += 1
        return self.unit * self.asked


def test_both_sides_are_asked_in_turn_and_warm_up_is_left_out() -> None:
    ours, reference = Clock(1.0), Clock(3.0)
    assert _in_turn(ours, reference, "step", 3) == (4.0, 12.0)  # of 3, 4, 5
    assert ours.asked == reference.asked == 5


def test_a_worker_measures_in_a_process_of_its_own() -> None:
    setting = StepSetting(find_share(SHIPPED_MODEL), batch_size=1, width=64, height=64, steps=2)
    with StepWorker(setting, "ours") as worker:
        assert worker.request("step") > 0
        assert worker.request("objective") > 0
        assert 0 <= worker.request("wait_share") < 1
        assert worker.request("peak_mib") > 50
        with pytest.raises(EOFError):
            worker.request("something else")


def test_groups_of_figures_are_named() -> None:
    lines = plain_lines({"ratio": 2.5, "resnet18": {"ratio": 1.5}, "note": "text"})
    assert [line.split() for line in lines] == [["ratio", "2.5"], ["resnet18.ratio", "1.5"]]
