# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Training from prepared snippets: a plain loop that can be interrupted and resumed."""

from __future__ import annotations

import dataclasses
import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from sfm_depth_ros.config.schema import ObjectiveConfig, OfflineTrainingConfig
from sfm_depth_ros.data.augmentation import JitterStrength, PhotometricJitter, random_flip
from sfm_depth_ros.data.batch import SnippetBatch
from sfm_depth_ros.errors import TrainingError
from sfm_depth_ros.training.averaging import WeightAverage
from sfm_depth_ros.training.batch_loader import BatchLoader
from sfm_depth_ros.training.network_pair import NetworkPair
from sfm_depth_ros.training.optimiser import (
    Rates,
    cosine,
    create_optimiser,
    set_rate,
    take_step,
    warmed_up,
)
from sfm_depth_ros.training.progress import RunningTerms, peak_memory_mib
from sfm_depth_ros.training.state_file import (
    load_module,
    load_optimiser,
    module_tensors,
    optimiser_tensors,
    read_state,
    write_state,
)
from sfm_depth_ros.training.step import StepOptions, training_step
from sfm_depth_ros.training.validation import Validation, validate

MOST_REFUSED_IN_A_ROW = 20

_logger = logging.getLogger(__name__)


@dataclass
class Progress:
    """How far a run is; what a resumed one starts from.

    Attributes:
        step: Steps done.
        seconds: Time spent in steps, waiting for data included.
        refused: Steps refused because loss or gradient was not finite.
        history: Validations so far, each with its step.
    """

    step: int = 0
    seconds: float = 0.0
    refused: int = 0
    history: list[dict[str, float]] = field(default_factory=list)


class OfflineTrainer:
    """Networks, optimiser and average of one training run.

    Args:
        networks: Trained in place.
        config: The loop and its pace.
        objective: Weights of the loss terms.
        state_path: File of the run's state.
    """

    def __init__(
        self, networks: NetworkPair, config: OfflineTrainingConfig, objective: ObjectiveConfig,
        state_path: Path,
    ) -> None:
        self.networks = networks.to(config.device).train()
        self.average = WeightAverage(self.networks, config.average_decay)
        self.progress = Progress()
        self._config, self._objective, self._state_path = config, objective, state_path
        rates = Rates(config.learning_rate, config.scale_rate_factor, config.weight_decay)
        self._optimiser = create_optimiser(self.networks, rates)
        self._refused_in_a_row = 0

    def resume(self) -> None:
        """Go on from the saved state.

        Raises:
            TrainingError: There is none, or it is of another run.
        """
        tensors, values = read_state(self._state_path)
        load_module("networks", self.networks, tensors)
        load_module("average", self.average.network, tensors)
        load_optimiser("optimiser", self._optimiser, tensors)
        self.average.updates = values.pop("average_updates")
        self.progress = Progress(**values)
        _logger.info("resumed at step %d", self.progress.step)

    def save(self) -> None:
        """Write the state; an interrupted run resumes from the newest."""
        tensors = {
            **module_tensors("networks", self.networks),
            **module_tensors("average", self.average.network),
            **optimiser_tensors("optimiser", self._optimiser),
        }
        values = {**vars(self.progress), "average_updates": self.average.updates}
        write_state(self._state_path, tensors, values)

    def run(
        self, make_batch: Callable[[int], SnippetBatch], validation: Sequence[SnippetBatch]
    ) -> dict[str, Any]:
        """Train to the end of the schedule.

        Args:
            make_batch: Makes the batch of a step.
            validation: Snippets with truth that training never sees; may be empty.

        Returns:
            Report: steps, seconds, step_s, data_wait_share, peak_mib, refused, validations.
        """
        config, progress = self._config, self.progress
        first_step, first_seconds = progress.step, progress.seconds
        with BatchLoader(make_batch, progress.step) as loader:
            try:
                self._loop(loader, validation)
            except KeyboardInterrupt:
                self.save()
                _logger.warning("interrupted at step %d; --resume goes on there", progress.step)
                raise
            seconds = progress.seconds - first_seconds
        self._validate(validation)
        self.save()
        return {
            "steps": progress.step,
            "seconds": round(progress.seconds, 1),
            "step_s": seconds / max(progress.step - first_step, 1),
            "data_wait_share": loader.waited / max(seconds, 1e-9),
            "peak_mib": peak_memory_mib(config.device),
            "refused": progress.refused,
            "validations": progress.history,
        }

    def _loop(self, loader: BatchLoader, validation: Sequence[SnippetBatch]) -> None:
        config, progress, terms = self._config, self.progress, RunningTerms()
        while self._share_done() < 1.0:
            begin = time.perf_counter()
            terms.add(self._step(loader.next()))
            progress.seconds += time.perf_counter() - begin
            if progress.step % config.log_every == 0:
                self._log(terms.take(), loader)
            if progress.step % config.validate_every == 0:
                self._validate(validation)
            if progress.step % config.save_every == 0:
                self.save()

    def _step(self, batch: SnippetBatch) -> dict[str, float]:
        config, step = self._config, self.progress.step
        batch = batch.to(config.device)
        generator = torch.Generator().manual_seed(config.seed * 1_000_003 + step)
        jitter = None
        if config.jitter:
            batch = random_flip(batch, generator)
            jitter = PhotometricJitter(JitterStrength(), generator)
        photometric_rows = None if self._is_photometric(batch) else 0
        options = StepOptions(
            jitter, photometric_rows, mixed_precision=config.mixed_precision
        )
        result = training_step(
            self.networks.depth, self.networks.pose, batch, self._objective, options
        )
        set_rate(self._optimiser, config.learning_rate * self._rate_share())
        self._count(take_step(self._optimiser, result.terms.total, config.gradient_clip))
        return result.terms.as_floats()

    def _is_photometric(self, batch: SnippetBatch) -> bool:
        """Every n-th step is, and every one whose snippets have no truth to learn from."""
        every = self._config.self_supervised_every
        has_truth = batch.depth is not None and bool((batch.depth > 0).any())
        return not has_truth or (every > 0 and self.progress.step % every == 0)

    def _count(self, is_taken: bool) -> None:
        self.progress.step += 1
        if is_taken:
            self.average.update(self.networks)
            self._refused_in_a_row = 0
            return
        self.progress.refused += 1
        self._refused_in_a_row += 1
        if self._refused_in_a_row >= MOST_REFUSED_IN_A_ROW:
            raise TrainingError(f"{MOST_REFUSED_IN_A_ROW} steps in a row had no finite gradient "
                                f"(step {self.progress.step}); lower training.learning_rate")

    def _share_done(self) -> float:
        by_steps = self.progress.step / self._config.steps
        if not self._config.max_minutes:
            return by_steps
        return max(by_steps, self.progress.seconds / (60 * self._config.max_minutes))

    def _rate_share(self) -> float:
        config = self._config
        rising = warmed_up(self.progress.step, config.warmup_steps)
        return rising * cosine(self._share_done(), config.final_rate_share)

    def _log(self, terms: dict[str, float], loader: BatchLoader) -> None:
        config, progress = self._config, self.progress
        said = "  ".join(f"{name} {value:.4f}" for name, value in terms.items())
        _logger.info(
            "step %d/%d (%.0f %%)  %.0f ms  waited %.1f s  refused %d  %s",
            progress.step, config.steps, 100 * self._share_done(),
            1000 * progress.seconds / progress.step, loader.waited, progress.refused, said,
        )

    def _validate(self, batches: Sequence[SnippetBatch]) -> Validation | None:
        if not batches or (self.progress.history
                           and self.progress.history[-1]["step"] == self.progress.step):
            return None
        average = self.average.network
        on_device = (batch.to(self._config.device) for batch in batches)
        found = validate(average.depth, average.pose, on_device)
        self.progress.history.append({"step": self.progress.step, **dataclasses.asdict(found)})
        _logger.info("validation at step %d: %s", self.progress.step,
                     "  ".join(f"{k} {v:.4g}" for k, v in found.as_floats().items()))
        return found
