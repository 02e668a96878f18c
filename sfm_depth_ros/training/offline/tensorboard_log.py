# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Scalars and pictures of a training run for TensorBoard."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path

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
from sfm_depth_ros.training.network_pair import NetworkPair
from sfm_depth_ros.training.offline.progress import RunningTerms, StepReport

NEAREST = 2.0  # metres: depth pictures show the square root of this over depth
BRIGHTEST = 0.5  # photometric error that is shown white

_logger = logging.getLogger(__name__)


class TensorBoardLog:
    """Writes what a run says of itself into event files.

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
        self._terms = RunningTerms()
        self._seconds = self._waited = 0.0

    def on_step(self, report: StepReport) -> None:
        """Write the means of the last steps now and then."""
        self._terms.add(dict(report.terms))
        self._seconds += report.seconds
        self._waited += report.waited_s
        if report.step % self._every:
            return
        for name, value in self._terms.take().items():
            self._writer.add_scalar(f"training/{name}", value, report.step)
        self._writer.add_scalar("pace/learning_rate", report.learning_rate, report.step)
        self._writer.add_scalar("pace/step_s", self._seconds / self._every, report.step)
        self._writer.add_scalar(
            "pace/data_wait_share", self._waited / max(self._seconds, 1e-9), report.step
        )
        self._seconds = self._waited = 0.0

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
    """A log where TensorBoard is installed; else one line says that there is none."""
    try:
        return TensorBoardLog(folder, first_step, every, example, objective)
    except MissingDependencyError as error:
        _logger.info("nothing is written for TensorBoard: %s", error)
        return None


@torch.no_grad()
def example_pictures(
    networks: NetworkPair, batch: SnippetBatch, objective: ObjectiveConfig
) -> dict[str, np.ndarray]:
    """What the networks make of snippets, one row of images for each.

    Args:
        networks: In eval mode.
        batch: On their device.
        objective: How the error is measured.

    Returns:
        ``target``, ``depth``, ``warped`` (the earlier source as seen from the target) and
        ``error``, each ``(B * H, W, 3)`` uint8 RGB.
    """
    depth = predict_depths(networks.depth, batch.target, batch.K)[0]
    T = predict_motions(
        networks.pose, batch.sources[:, 0], batch.target, batch.sources[:, 1], batch.K
    )
    points = backproject(depth, batch.K)
    warped = warp_sources(batch.sources[:, :1], points, batch.K, T[:, :1])
    error = photometric_error(warped.image, batch.target[:, None], objective.ssim_weight)
    shown = (error[:, 0] * warped.valid[:, 0] / BRIGHTEST).expand(-1, 3, -1, -1)
    return {
        "target": _picture(batch.target),
        "depth": _colours(depth),
        "warped": _picture(warped.image[:, 0]),
        "error": _picture(shown),
    }


def _picture(images: Tensor) -> np.ndarray:
    """``(B, 3, H, W)`` in [0, 1] below one another, ``(B * H, W, 3)`` uint8."""
    stacked = torch.cat(list(images.clamp(0, 1)), dim=1)  # (3, B * H, W)
    picture: np.ndarray = (stacked * 255).round().byte().movedim(0, -1).cpu().numpy()
    return picture


def _colours(depth: Tensor) -> np.ndarray:
    """``(B, 1, H, W)`` metres, near warm and far dark, on a scale that never changes."""
    column = torch.cat(list(depth[:, 0])).cpu().numpy()  # (B * H, W)
    share = np.sqrt(np.clip(NEAREST / np.maximum(column, 1e-3), 0, 1))
    turbo = cv2.applyColorMap((255 * share).astype(np.uint8), cv2.COLORMAP_TURBO)
    return cv2.cvtColor(turbo, cv2.COLOR_BGR2RGB)
