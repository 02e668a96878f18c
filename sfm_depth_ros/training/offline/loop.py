# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Training from prepared snippets: a plain loop that can be interrupted and resumed."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from typing import Any

import torch

from sfm_depth_ros.errors import TrainingError
from sfm_depth_ros.snippets.augmentation import JitterStrength, PhotometricJitter, random_flip
from sfm_depth_ros.snippets.batch import SnippetBatch
from sfm_depth_ros.snippets.rotations import random_rotation
from sfm_depth_ros.snippets.zoom import random_view, whole_view
from sfm_depth_ros.training.device import needs_gradient_scaling
from sfm_depth_ros.training.network_pair import NetworkPair, keep_statistics
from sfm_depth_ros.training.offline.data import BatchLoader
from sfm_depth_ros.training.offline.observers import Observer, StepReport, peak_memory_mib
from sfm_depth_ros.training.offline.processes import (
    GradientExchange,
    synchronise_batch_norms,
)
from sfm_depth_ros.training.offline.run_parts import RunParts
from sfm_depth_ros.training.offline.run_state import SCORE, Progress, RunState
from sfm_depth_ros.training.offline.schedule import Schedule, objective_at, phase_of
from sfm_depth_ros.training.optimiser import (
    Rates,
    WeightAverage,
    create_optimiser,
    set_rate,
    take_step,
)
from sfm_depth_ros.training.recall import recalled
from sfm_depth_ros.training.step import StepOptions, training_step
from sfm_depth_ros.training.trained_part import WeightAnchor, choose_trained

MOST_REFUSED_IN_A_ROW = 20

Judge = Callable[[NetworkPair], dict[str, float]]

_logger = logging.getLogger(__name__)


class OfflineTrainer:
    """Networks, optimiser and average of one training run.

    Everything random is a function of seed and step, so a run that was killed at any moment and
    resumed ends with the same weights, on a CPU bit for bit.

    Args:
        networks: Trained in place.
        parts: What else it needs.
    """

    def __init__(self, networks: NetworkPair, parts: RunParts) -> None:
        config = parts.config
        self.networks = networks.to(config.device).train()
        choose_trained(self.networks, config.trained_part)
        self.average = WeightAverage(self.networks, config.average_decay)
        self.progress = Progress()
        self.observers: list[Observer] = []  # Called after steps and validations, at rank 0
        self._config, self._parts, self._schedule = config, parts, Schedule(config)
        if parts.processes.count > 1 and config.synchronise_batch_norm:
            synchronise_batch_norms(self.networks, parts.processes)
        if parts.keeps_statistics:
            keep_statistics(self.networks)
        self._buffers = [b for b in self.networks.buffers() if b.is_floating_point()]
        self._anchor = WeightAnchor(self.networks, config.anchor_weight)
        rates = Rates(config.learning_rate, config.scale_rate_factor, config.weight_decay)
        scales = config.mixed_precision and needs_gradient_scaling(config.device)
        self._state = RunState(
            parts.folder,
            self.networks,
            self.average,
            create_optimiser(self.networks, rates),
            torch.amp.GradScaler(torch.device(config.device).type, enabled=scales),
        )
        self._exchange = GradientExchange(self.networks, parts.processes, parts.is_stopping)

    def resume(self) -> None:
        """Go on from the saved state.

        Raises:
            TrainingError: There is none, or it is of another run.
        """
        self.progress = self._state.load(self._parts.identity)
        _logger.info("resumed at step %d", self.progress.step)

    def run(self, make_batch: Callable[[int], SnippetBatch], judge: Judge) -> dict[str, Any]:
        """Train to the end of the schedule.

        Args:
            make_batch: Makes this process's batch of a step.
            judge: Judges the averaged networks; what it calls ``score`` decides which are best.

        Returns:
            Report: steps, seconds, step_s, data_wait_share, peak_mib, refused, processes,
            snippets_per_s, validations, best_step, ended.

        Raises:
            TrainingError: Diverged, the disk is full, or another process is gone.
            KeyboardInterrupt: The end was requested; the state is saved.
        """
        progress = self.progress
        first_step, first_seconds = progress.step, progress.seconds
        with BatchLoader(
            make_batch, progress.step, pins=self._config.device.startswith("cuda")
        ) as loader:
            ended = self._loop(loader, judge)
        if ended == "interrupted":
            self._save()
            _logger.warning("interrupted at step %d; --resume goes on there", progress.step)
            raise KeyboardInterrupt
        self._validate(judge)
        self._save()
        best = self._keep()
        steps, seconds = progress.step - first_step, progress.seconds - first_seconds
        processes = self._parts.processes.count
        return {
            "steps": progress.step,
            "seconds": round(progress.seconds, 1),
            "step_s": seconds / max(steps, 1),
            "data_wait_share": loader.waited / max(seconds, 1e-9),
            "peak_mib": peak_memory_mib(self._config.device),
            "refused": progress.refused,
            "processes": processes,
            "snippets_per_s": steps * processes * self._config.batch_size / max(seconds, 1e-9),
            "validations": progress.history,
            "best_step": best,
            "ended": ended,
        }

    def _loop(self, loader: BatchLoader, judge: Judge) -> str:
        """Take steps until one of the ends: finished, early, interrupted."""
        config, progress = self._config, self.progress
        while self._share_done() < 1.0:
            begin, waited = time.perf_counter(), loader.waited
            terms = self._step(loader.next())
            progress.seconds += time.perf_counter() - begin
            if config.max_minutes:  # the schedule follows the clock: one clock for all
                progress.seconds = self._parts.processes.of_first(progress.seconds)
            self._report(terms, loader.waited - waited, time.perf_counter() - begin)
            if progress.step % config.validate_every == 0:
                self._validate(judge)
                if config.patience and progress.worse_in_a_row >= config.patience:
                    return "early"
            if self._exchange.stops:
                return "interrupted"
            if progress.step % config.save_every == 0:
                self._save()
        return "finished"

    def _step(self, batch: SnippetBatch) -> dict[str, float]:
        config, step, processes = self._config, self.progress.step, self._parts.processes
        batch = batch.to(config.device)
        generator = torch.Generator().manual_seed(config.seed * 1_000_003 + step)
        part = (processes.rank, processes.count)
        batch, jitter = self._seen(batch, generator, part), None
        if config.jitter:
            batch = random_flip(batch, generator)
            jitter = PhotometricJitter(JitterStrength(), generator, part)
        photometric_rows = None if self._schedule.is_photometric(step, batch) else 0
        if self._parts.remembered is not None and batch.depth is not None:
            batch = recalled(batch, self._parts.remembered, config.mixed_precision)
        phase = phase_of(step, self._share_done(), config.phase_steps, self._parts.objective)
        options = StepOptions(
            jitter,
            photometric_rows,
            mixed_precision=config.mixed_precision,
            companions=self.networks.companions,
            is_bootstrap=phase.is_bootstrap,
        )
        statistics = [buffer.clone() for buffer in self._buffers]
        with processes.counts_shared(), phase.only_learners(self.networks):
            result = training_step(
                self.networks.depth,
                self.networks.pose,
                batch,
                objective_at(self._parts.objective, self._share_done()),
                options,
            )
        rate = config.learning_rate * self._rate_share()
        set_rate(self._state.optimiser, rate)
        is_taken = take_step(
            self._state.optimiser,
            result.terms.total,
            config.gradient_clip,
            self._exchange,
            self._state.scaler if self._state.scaler.is_enabled() else None,
        )
        if is_taken:
            self._anchor.pull(rate)
        self._count(is_taken, statistics)
        return result.terms.as_floats()

    def _seen(
        self, batch: SnippetBatch, generator: torch.Generator, part: tuple[int, int]
    ) -> SnippetBatch:
        """The batch as networks see it: a window of larger images, with rotations of its own."""
        config = self._config
        if self._share_done() >= config.zoom_until:
            return whole_view(batch, config.width)
        view = random_view(batch, config.width, generator, part)
        return random_rotation(view, batch, config.largest_turn, generator, part)

    @torch.no_grad()
    def _count(self, is_taken: bool, statistics: Sequence[torch.Tensor]) -> None:
        """Note a step; one that was refused leaves no trace in the running statistics either."""
        progress = self.progress
        progress.step += 1
        if is_taken:
            self.average.update(self.networks)
            progress.refused_in_a_row = 0
            return
        for buffer, before in zip(self._buffers, statistics, strict=True):
            buffer.copy_(before)
        progress.refused += 1
        progress.refused_in_a_row += 1
        if progress.refused_in_a_row >= MOST_REFUSED_IN_A_ROW:
            raise TrainingError(
                f"{MOST_REFUSED_IN_A_ROW} steps in a row had no finite gradient "
                f"(step {progress.step}); lower training.learning_rate"
            )

    def _rate_share(self) -> float:
        return self._schedule.rate_share(self.progress.step, self._clock)

    def _share_done(self) -> float:
        return self._schedule.share_done(self.progress.step, self._clock)

    @property
    def _clock(self) -> float:
        """Seconds that `max_minutes` counts."""
        return self.progress.seconds + self.progress.judged_seconds

    def _report(self, terms: dict[str, float], waited: float, seconds: float) -> None:
        if not self._parts.processes.is_first:
            return
        progress, config = self.progress, self._config
        report = StepReport(
            progress.step,
            config.steps,
            self._share_done(),
            seconds,
            waited,
            progress.refused,
            config.learning_rate * self._rate_share(),
            terms,
        )
        for observer in self.observers:
            observer.on_step(report)

    def _validate(self, judge: Judge) -> None:
        """Judge the averaged networks at rank 0; all processes know the outcome."""
        progress, processes = self.progress, self._parts.processes
        if progress.history and progress.history[-1]["step"] == progress.step:
            return
        begin = time.perf_counter()
        found = judge(self.average.network) if processes.is_first else {}
        found = processes.of_first(found)
        if self._config.max_minutes:  # one clock for all, as for steps
            progress.judged_seconds += processes.of_first(time.perf_counter() - begin)
        if not found:
            return
        progress.history.append({"step": progress.step, **found})
        if not processes.is_first:
            return
        if progress.best is progress.history[-1]:
            self._state.keep_best(progress.history[-1])
        for observer in self.observers:
            observer.on_validation(progress.step, found, self.average.network)

    def _save(self) -> None:
        if self._parts.processes.is_first:
            self._state.save(self.progress, self._parts.identity)

    def _keep(self) -> int:
        """Take the weights that become the model; returns their step."""
        best = self.progress.best
        if self._config.keep == "last" or best is None:
            return self.progress.step
        if self._parts.processes.is_first and best["step"] != self.progress.step:
            self._state.take_best(best)
            _logger.info("the model is that of step %d, score %.4g", best["step"], best[SCORE])
        return int(best["step"])
