# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Seconds per training step against the straightforward composition, memory, data waits."""

from __future__ import annotations

import dataclasses
from statistics import median
from typing import Any

from sfm_depth_ros.cli.benchmarks.step_worker import StepSetting, StepWorker

WARM_UP = 2  # steps until caches are filled


def measure_training(setting: StepSetting) -> dict[str, Any]:
    """Measure the model's networks, and ResNet-18 for both under ``resnet18``.

    Each pair of networks: both compositions, alternating by step, each in its own process. The
    objective and the share of time spent waiting do not depend on the networks but for their
    pace, so that the faster ones measure them.
    """
    with StepWorker(setting, "ours") as ours, StepWorker(setting, "reference") as reference:
        whole = _whole_step(ours, reference, setting.steps)
        objective_s, reference_objective_s = _in_turn(ours, reference, "objective", setting.steps)
        wait_share = ours.request("wait_share")
    larger = dataclasses.replace(setting, backbone="resnet18")
    with StepWorker(larger, "ours") as ours, StepWorker(larger, "reference") as reference:
        resnet18 = _whole_step(ours, reference, max(setting.steps // 2, 1))
    return {
        **whole,
        "objective_s": objective_s,
        "reference_objective_s": reference_objective_s,
        "objective_ratio": reference_objective_s / objective_s,
        "data_wait_share": wait_share,
        "resnet18": resnet18,
        "batch_size": setting.batch_size,
        "width": setting.width,
        "height": setting.height,
        "threads": setting.threads,
    }


def _whole_step(ours: StepWorker, reference: StepWorker, steps: int) -> dict[str, float]:
    step_s, reference_step_s = _in_turn(ours, reference, "step", steps)
    return {
        "step_s": step_s,
        "reference_step_s": reference_step_s,
        "ratio": reference_step_s / step_s,
        "peak_mib": ours.request("peak_mib"),
        "reference_peak_mib": reference.request("peak_mib"),
    }


def _in_turn(
    ours: StepWorker, reference: StepWorker, question: str, count: int
) -> tuple[float, float]:
    """Median seconds of both, measured alternately ``count`` times."""
    pairs = [(ours.request(question), reference.request(question)) for _ in range(count + WARM_UP)]
    mine, theirs = zip(*pairs[WARM_UP:], strict=True)
    return median(mine), median(theirs)
