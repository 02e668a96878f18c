# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Observers of a training run: lines in the log, curves and pictures for TensorBoard."""

from __future__ import annotations

import logging
import math
import resource
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Protocol

import cv2
import numpy as np
import torch
from torch import Tensor

from sfm_depth_ros.config.schema import ObjectiveConfig
from sfm_depth_ros.errors import MissingDependencyError
from sfm_depth_ros.geometry.pinhole import backproject
from sfm_depth_ros.geometry.warping import warp_sources
from sfm_depth_ros.losses.photometric import photometric_error
from sfm_depth_ros.networks.predictions import predict_depths, predict_motions
from sfm_depth_ros.optional import require
from sfm_depth_ros.snippets.batch import SnippetBatch
from sfm_depth_ros.training.companion_predictions import moving_mask
from sfm_depth_ros.training.network_pair import NetworkPair

NEAREST = 2.0  # metres: depth pictures show the square root of this over depth
BRIGHTEST = 0.5  # photometric error that is shown white

_logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class StepReport:
    """One step, as observers see it."""

    step: int  # Steps done
    steps: int  # Steps of the whole schedule
    share_done: float  # Of the schedule, 0 to 1
    seconds: float  # This step took, waiting included
    waited_s: float  # Of that, waiting for data
    refused: int  # Steps refused so far
    learning_rate: float  # The base rate of the next step
    terms: Mapping[str, float]  # The step's loss terms


@dataclass(frozen=True)
class RecentSteps:
    """Means over some steps."""

    terms: Mapping[str, float]  # Loss terms; of each, over the steps that had it
    step_s: float  # Seconds of a step, waiting included
    wait_share: float  # Of that, waiting for data


class RunningMeans:
    """Means of steps since they were last taken."""

    def __init__(self) -> None:
        self._reports: list[StepReport] = []

    def add(self, report: StepReport) -> None:
        """Take one step."""
        self._reports.append(report)

    def take(self) -> RecentSteps:
        """Return the means and begin anew; a term that was absent (0) is left out."""
        values: dict[str, list[float]] = {}
        for report in self._reports:
            for name, value in report.terms.items():
                if value != 0.0 and math.isfinite(value):
                    values.setdefault(name, []).append(value)
        seconds = sum(report.seconds for report in self._reports)
        waited = sum(report.waited_s for report in self._reports)
        steps, self._reports = len(self._reports), []
        means = {name: fmean(of_steps) for name, of_steps in values.items()}
        return RecentSteps(means, seconds / max(steps, 1), waited / max(seconds, 1e-9))


class Observer(Protocol):
    """Is called while a run goes on."""

    def on_step(self, report: StepReport) -> None:
        """A step is done."""

    def on_validation(self, step: int, found: Mapping[str, float], networks: NetworkPair) -> None:
        """The averaged ``networks`` were judged."""

    def close(self) -> None:
        """The run has ended, however it ended."""


class LogLines:
    """Writes a line into the log now and then.

    Args:
        every: Steps between two lines.
    """

    def __init__(self, every: int) -> None:
        self._every, self._means = every, RunningMeans()

    def on_step(self, report: StepReport) -> None:
        """Collect, and write the means of the last steps."""
        self._means.add(report)
        if report.step % self._every:
            return
        recent = self._means.take()
        _logger.info(
            "step %d/%d (%.0f %%)  %.0f ms  waited %.1f %%  refused %d  %s",
            report.step,
            report.steps,
            100 * report.share_done,
            1000 * recent.step_s,
            100 * recent.wait_share,
            report.refused,
            "  ".join(f"{name} {value:.4f}" for name, value in recent.terms.items()),
        )

    def on_validation(self, step: int, found: Mapping[str, float], networks: NetworkPair) -> None:
        """Write the figures."""
        figures = "  ".join(f"{name} {value:.4g}" for name, value in found.items())
        _logger.info("validation at step %d: %s", step, figures)

    def close(self) -> None:
        """Nothing is open."""


def peak_memory_mib(device: str) -> float:
    """Most memory used so far: of the GPU where training runs there, else of the process."""
    if device.startswith("cuda"):
        return torch.cuda.max_memory_allocated(device) / 2**20
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


class TensorBoardLog:
    """Writes the figures of a run into event files.

    Args:
        folder: Where they are written.
        first_step: Step at which the run goes on; what an interrupted one wrote beyond is dropped.
        every: Steps between two points of a curve.
        example: Snippets that pictures are made of, or None.
        objective: How the error in the pictures is measured.

    Raises:
        MissingDependencyError: TensorBoard is not installed.
    """

    def __init__(
        self,
        folder: Path,
        first_step: int,
        every: int,
        example: SnippetBatch | None,
        objective: ObjectiveConfig,
    ) -> None:
        require("tensorboard")
        writer = require("torch.utils.tensorboard").SummaryWriter
        self._writer = writer(str(folder), purge_step=first_step or None)
        self._every, self._example, self._objective = every, example, objective
        self._means = RunningMeans()

    def on_step(self, report: StepReport) -> None:
        """Write the means of the last steps now and then."""
        self._means.add(report)
        if report.step % self._every:
            return
        recent = self._means.take()
        figures = {f"training/{name}": value for name, value in recent.terms.items()}
        figures["pace/learning_rate"] = report.learning_rate
        figures["pace/step_s"], figures["pace/data_wait_share"] = recent.step_s, recent.wait_share
        for name, value in figures.items():
            self._writer.add_scalar(name, value, report.step)

    def on_validation(self, step: int, found: Mapping[str, float], networks: NetworkPair) -> None:
        """Write figures and pictures."""
        for name, value in found.items():
            self._writer.add_scalar(f"validation/{name}", value, step)
        if self._example is not None:
            for name, picture in example_pictures(
                networks, self._example, self._objective
            ).items():
                self._writer.add_image(f"example/{name}", picture, step, dataformats="HWC")
        self._writer.flush()

    def close(self) -> None:
        """Close the files."""
        self._writer.close()


def tensorboard_log(
    folder: Path,
    first_step: int,
    every: int,
    example: SnippetBatch | None,
    objective: ObjectiveConfig,
) -> TensorBoardLog | None:
    """A log where TensorBoard is installed; else None, and a line in the log."""
    try:
        return TensorBoardLog(folder, first_step, every, example, objective)
    except MissingDependencyError as error:
        _logger.info("nothing is written for TensorBoard: %s", error)
        return None


@torch.no_grad()
def example_pictures(
    networks: NetworkPair, batch: SnippetBatch, objective: ObjectiveConfig
) -> dict[str, np.ndarray]:
    """Pictures of the networks' outputs, one row of images for each snippet.

    Args:
        networks: In eval mode.
        batch: On their device.
        objective: How the error is measured.

    Returns:
        ``target``, ``depth``, ``warped`` (the earlier source as seen from the target), ``error``
        and, where there is a moderator, ``moving`` (white moves), each ``(B * H, W, 3)`` uint8
        RGB.
    """
    depth = predict_depths(networks.depth, batch.target, batch.K)[0]
    T = predict_motions(
        networks.pose, batch.sources[:, 0], batch.target, batch.sources[:, 1], batch.K
    )
    points = backproject(depth, batch.K)
    warped = warp_sources(batch.sources[:, :1], points, batch.K, T[:, :1])
    error = photometric_error(warped.image, batch.target[:, None], objective.ssim_weight)
    shown = (error[:, 0] * warped.valid[:, 0] / BRIGHTEST).expand(-1, 3, -1, -1)
    pictures = {
        "target": _picture(batch.target),
        "depth": _colours(depth),
        "warped": _picture(warped.image[:, 0]),
        "error": _picture(shown),
    }
    moving = moving_mask(networks, batch)
    if moving is not None:
        pictures["moving"] = _picture(moving.expand(-1, 3, -1, -1))
    return pictures


def _picture(images: Tensor) -> np.ndarray:
    """``(B, 3, H, W)`` in [0, 1] below one another, ``(B * H, W, 3)`` uint8."""
    stacked = torch.cat(list(images.clamp(0, 1)), dim=1)  # (3, B * H, W)
    picture: np.ndarray = (stacked * 255).round().byte().movedim(0, -1).cpu().numpy()
    return picture


def _colours(depth: Tensor) -> np.ndarray:
    """``(B, 1, H, W)`` metres, near warm and far dark, on a scale that never changes."""
    column = torch.cat(list(depth[:, 0])).cpu().numpy()  # (B * H, W)
    share = np.sqrt(np.clip(NEAREST / np.maximum(column, 1e-3), 0, 1))
    turbo = cv2.applyColorMap((20 + 235 * share).astype(np.uint8), cv2.COLORMAP_TURBO)
    return cv2.cvtColor(turbo, cv2.COLOR_BGR2RGB)
