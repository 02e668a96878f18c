# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""History of a training run, kept for its report: loss curves and example pictures."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from sfm_depth_ros.config.schema import ObjectiveConfig
from sfm_depth_ros.snippets.batch import SnippetBatch
from sfm_depth_ros.training.network_pair import NetworkPair
from sfm_depth_ros.training.offline.observers import RunningMeans, StepReport, example_pictures


@dataclass
class RunHistory:
    """An observer that keeps what a report shows; it grows by one row every ``every`` steps."""

    every: int  # Steps between two rows
    example: SnippetBatch | None = None  # Snippets that pictures are made of
    objective: ObjectiveConfig = field(default_factory=ObjectiveConfig)  # Of the pictures' error
    # Rows: `step`, `learning_rate`, `step_s`, and the mean of every loss term under `loss.NAME`
    rows: list[dict[str, float]] = field(default_factory=list)
    # Step and pictures by name, `(B * H, W, 3)` uint8 RGB, of the first and the newest validation
    pictures: list[tuple[int, dict[str, np.ndarray]]] = field(default_factory=list)
    _means: RunningMeans = field(default_factory=RunningMeans, repr=False)

    def on_step(self, report: StepReport) -> None:
        """Collect, and keep the means of the last steps."""
        self._means.add(report)
        if report.step % self.every:
            return
        recent = self._means.take()
        self.rows.append(
            {
                "step": report.step,
                "learning_rate": report.learning_rate,
                "step_s": recent.step_s,
                **{f"loss.{name}": value for name, value in recent.terms.items()},
            }
        )

    def on_validation(self, step: int, found: Mapping[str, float], networks: NetworkPair) -> None:
        """Keep pictures of the networks' outputs."""
        if self.example is not None:
            pictures = example_pictures(networks, self.example, self.objective)
            self.pictures[1:] = [(step, pictures)]  # the first stays

    def close(self) -> None:
        """Nothing is open."""
