# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""State of an offline run: enough to go on as if it had never stopped."""

from __future__ import annotations

import dataclasses
import logging
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from sfm_depth_ros.errors import TrainingError
from sfm_depth_ros.training.network_pair import NetworkPair
from sfm_depth_ros.training.optimiser import WeightAverage
from sfm_depth_ros.training.state_file import (
    load_module,
    load_optimiser,
    module_tensors,
    optimiser_tensors,
    read_state,
    write_state,
)

STATE_FILE = "state.safetensors"
SCORE = "score"  # figure of a validation that decides which weights are best; lowest first
_BEST = "best-{step:09d}.safetensors"
_IDENTITY = "said"  # name in the file, as runs have it that were begun earlier

_logger = logging.getLogger(__name__)


@dataclass
class Progress:
    """Progress of a run."""

    step: int = 0  # Steps done
    seconds: float = 0.0  # Time spent in steps, waiting for data included
    judged_seconds: float = 0.0  # Time spent in validations that the clock counts
    refused: int = 0  # Steps refused because loss or gradient was not finite
    refused_in_a_row: int = 0  # The newest of them without a good one between
    # Validations so far, each with its step
    history: list[dict[str, float]] = field(default_factory=list)

    @property
    def best(self) -> dict[str, float] | None:
        """The first of the validations with the lowest score, or None."""
        judged = [entry for entry in self.history if math.isfinite(entry.get(SCORE, math.nan))]
        return min(judged, key=lambda entry: entry[SCORE]) if judged else None

    @property
    def worse_in_a_row(self) -> int:
        """Validations since the best one."""
        best = self.best
        return 0 if best is None else len(self.history) - 1 - self.history.index(best)


@dataclass(frozen=True)
class RunState:
    """The moving parts of a run, and the folder that keeps them.

    The state is one file, replaced whole. The best weights lie in a file of their own, named by
    their step. The state names the one that counts, so that a kill between the two writes loses
    nothing.
    """

    folder: Path  # Where the files are
    networks: NetworkPair  # What is trained
    average: WeightAverage[NetworkPair]  # Their moving average
    optimiser: torch.optim.Optimizer  # What moves them
    # Scales their gradient; disabled where they do not compute in float16
    scaler: torch.amp.GradScaler

    def save(self, progress: Progress, identity: Mapping[str, Any]) -> None:
        """Write the state.

        Args:
            progress: How far the run is.
            identity: Everything that decides the result, to be compared when it is resumed.

        Raises:
            TrainingError: The disk is full; the state before stays.
        """
        tensors = {
            **module_tensors("networks", self.networks),
            **module_tensors("average", self.average.network),
            **optimiser_tensors("optimiser", self.optimiser),
        }
        values = {
            "progress": dataclasses.asdict(progress),
            "average_updates": self.average.updates,
            "scaler": self.scaler.state_dict(),
            _IDENTITY: dict(identity),
        }
        write_state(self.folder / STATE_FILE, tensors, values)
        best = progress.best
        for path in self.folder.glob("best-*.safetensors"):
            if best is None or path != self._best_path(best):
                path.unlink(missing_ok=True)

    def load(self, identity: Mapping[str, Any]) -> Progress:
        """Take the state up.

        Args:
            identity: The same of the run now; other networks are refused, other options logged.

        Raises:
            TrainingError: There is no state, it is damaged, or it is of other networks.
        """
        path = self.folder / STATE_FILE
        tensors, values = read_state(path)
        try:
            progress = Progress(**values["progress"])
            updates, scaler, before = (
                values["average_updates"],
                values["scaler"],
                values[_IDENTITY],
            )
        except (KeyError, TypeError) as error:
            raise TrainingError(
                f"the training state {path} is of another version ({error}); "
                "remove it to start afresh"
            ) from error
        _compare(before, identity)
        load_module("networks", self.networks, tensors)
        load_module("average", self.average.network, tensors)
        load_optimiser("optimiser", self.optimiser, tensors)
        self.average.updates = updates
        self.scaler.load_state_dict(scaler)
        return progress

    def keep_best(self, entry: Mapping[str, float]) -> None:
        """Keep the averaged weights as those of a validation.

        Raises:
            TrainingError: The disk is full.
        """
        tensors = module_tensors("average", self.average.network)
        write_state(self._best_path(entry), tensors, {})

    def take_best(self, entry: Mapping[str, float]) -> None:
        """Put the weights of a validation into the average.

        Raises:
            TrainingError: They are gone or damaged.
        """
        tensors, _ = read_state(self._best_path(entry))
        load_module("average", self.average.network, tensors)

    def _best_path(self, entry: Mapping[str, float]) -> Path:
        return self.folder / _BEST.format(step=int(entry["step"]))


def _compare(before: Mapping[str, Any], now: Mapping[str, Any]) -> None:
    changed = [key for key in sorted({*before, *now}) if before.get(key) != now.get(key)]
    networks = [key for key in changed if key.startswith(("depth.", "pose."))]
    if networks:
        pairs = ", ".join(f"{k} was {before.get(k)!r} and is {now.get(k)!r}" for k in networks)
        raise TrainingError(
            f"the interrupted run trained other networks ({pairs}); go on with "
            "the options it began with, or choose another --out"
        )
    for key in changed:
        _logger.warning(
            "resumed with another %s: %r instead of %r; the result is not that of an "
            "uninterrupted run",
            key,
            now.get(key),
            before.get(key),
        )


def flat(mapping: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """A nested mapping with dotted names."""
    found: dict[str, Any] = {}
    for key, value in mapping.items():
        if isinstance(value, Mapping):
            found |= flat(value, f"{prefix}{key}.")
        else:
            found[f"{prefix}{key}"] = value
    return found
