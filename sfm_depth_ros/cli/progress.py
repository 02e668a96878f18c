# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Progress in a terminal: frames done, and the key figures of a training run."""

from __future__ import annotations

import logging
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from sfm_depth_ros.optional import is_available, require

if TYPE_CHECKING:
    from sfm_depth_ros.training.network_pair import NetworkPair
    from sfm_depth_ros.training.offline.observers import StepReport

_logger = logging.getLogger(__name__)


class FrameCounter:
    """Counter of frames in a terminal; call it with the number done. Else it shows nothing."""

    def __init__(self, what: str) -> None:
        """Begin.

        Args:
            what: Word before the number.
        """
        self._bar: Any = None
        if ProgressBar.is_possible():
            self._bar = require("tqdm").tqdm(
                desc=what, unit=" frames", leave=False, dynamic_ncols=True
            )

    def __call__(self, count: int) -> None:
        """Show the number of frames done."""
        if self._bar is not None:
            self._bar.update(count - self._bar.n)

    def end(self) -> None:
        """Clear the line."""
        if self._bar is not None:
            self._bar.close()


SMOOTHING = 0.05  # share of the newest step in the loss that is shown


class ProgressBar:
    """Shows steps, loss, share of waiting, and the newest score."""

    def __init__(self) -> None:
        self._bar: Any = None
        self._loss: float | None = None
        self._waited = self._seconds = 0.0
        self._score = ""

    @staticmethod
    def is_possible() -> bool:
        """Whether somebody watches and tqdm is installed."""
        return sys.stderr.isatty() and is_available("tqdm")

    def on_step(self, report: StepReport) -> None:
        """Move on."""
        if self._bar is None:
            self._bar = require("tqdm").tqdm(
                total=report.steps, initial=report.step - 1, unit="step", dynamic_ncols=True
            )
        total = report.terms.get("total", 0.0)
        self._loss = (
            total if self._loss is None else ((1 - SMOOTHING) * self._loss + SMOOTHING * total)
        )
        self._waited += report.waited_s
        self._seconds += report.seconds
        waited = 100 * self._waited / max(self._seconds, 1e-9)
        self._bar.set_postfix_str(
            f"loss {self._loss:.4f}, waited {waited:.1f} %{self._score}", refresh=False
        )
        self._bar.update()

    def on_validation(self, step: int, found: Mapping[str, float], networks: NetworkPair) -> None:
        """Write the figures above the bar."""
        self._score = f", score {found['score']:.4f}" if "score" in found else ""
        figures = "  ".join(f"{name} {value:.4g}" for name, value in found.items())
        require("tqdm").tqdm.write(f"validation at step {step}: {figures}", file=sys.stderr)

    def close(self) -> None:
        """Leave the bar as it is."""
        if self._bar is not None:
            self._bar.close()


class MetresLines:
    """Writes a line after each validation: the error in metres now and before.

    Args:
        before: Figures of the model that training began with.
    """

    def __init__(self, before: Mapping[str, float]) -> None:
        self._before = before
        self._share = 0.0

    def on_step(self, report: StepReport) -> None:
        """Remember how far the run is."""
        self._share = report.share_done

    def on_validation(self, step: int, found: Mapping[str, float], networks: NetworkPair) -> None:
        """Write the line."""
        names = [name for name in ("landmark_abs_rel", "abs_rel", "score") if name in found]
        labels = {"abs_rel": "rendered drives"}
        figures = ", ".join(
            f"{labels.get(name, name)} {found[name]:.3f} (before {self._before[name]:.3f})"
            for name in names[:2]
            if name in self._before
        )
        _logger.info("%.0f %% done, step %d: %s", 100 * self._share, step, figures)

    def close(self) -> None:
        """Nothing is open."""
