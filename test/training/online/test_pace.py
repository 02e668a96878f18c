# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Share of a core, by arithmetic, and what a person is advised to do."""

from __future__ import annotations

import dataclasses
import time

import pytest

from sfm_depth_ros.config.schema import OnlineTrainingConfig
from sfm_depth_ros.training.online.pace import Pace, rest_s

TRAINING = OnlineTrainingConfig()


def with_steps(*steps: tuple[float, float]) -> Pace:
    pace = Pace()
    pace._steps.extend(steps)
    return pace


@pytest.mark.parametrize(
    ("share", "cpu_s", "rest"),
    [(1.0, 1.0, 0.0), (0.5, 1.0, 1.0), (0.25, 1.0, 3.0), (0.5, 0.5, 0.0), (2.0, 1.0, 0.0)],
)
def test_work_and_rest_make_the_share(share, cpu_s, rest) -> None:
    training = dataclasses.replace(TRAINING, core_share=share)
    assert rest_s(1.0, cpu_s, training) == pytest.approx(rest)


def test_threads_cost_as_many_cores() -> None:
    training = dataclasses.replace(TRAINING, core_share=1.0, threads=2)
    assert rest_s(1.0, 1.0, training) == pytest.approx(1.0)


def test_a_step_is_measured_by_both_clocks() -> None:
    pace = Pace()
    with pace.step():
        time.sleep(0.05)
    assert pace.step_ms >= 50
    assert pace.core_got < 0.5


def test_a_busy_machine_is_named_and_a_free_one_is_not() -> None:
    assert "steps get 30% of a core" in with_steps((1.0, 0.3)).advice(TRAINING)
    assert with_steps((1.0, 0.95)).advice(TRAINING) == ""
    assert "slow" in with_steps((4.0, 3.9)).advice(TRAINING)
    assert Pace().advice(TRAINING) == ""
    assert with_steps((1.0, 0.5)).period_s(
        dataclasses.replace(TRAINING, core_share=0.25)
    ) == pytest.approx(2.0)
