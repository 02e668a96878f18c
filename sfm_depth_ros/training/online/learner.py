# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Online learner: optimiser, averaged weights, refusal of steps, restart from other weights."""

from __future__ import annotations

import copy
import dataclasses
import logging
import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from sfm_depth_ros.config.schema import ObjectiveConfig, OnlineTrainingConfig
from sfm_depth_ros.errors import TrainingError
from sfm_depth_ros.networks.adapters import load_plain
from sfm_depth_ros.snippets.augmentation import JitterStrength, PhotometricJitter, random_flip
from sfm_depth_ros.snippets.batch import SnippetBatch
from sfm_depth_ros.training.device import uses_bfloat16
from sfm_depth_ros.training.landmark_depth import with_landmarks
from sfm_depth_ros.training.network_pair import NetworkPair
from sfm_depth_ros.training.online.guard import rendered_scales
from sfm_depth_ros.training.optimiser import (
    Rates,
    WeightAverage,
    create_optimiser,
    set_rate,
    take_step,
    warmed_up,
)
from sfm_depth_ros.training.recall import FirstModel
from sfm_depth_ros.training.state_file import (
    load_module,
    load_optimiser,
    module_tensors,
    optimiser_tensors,
)
from sfm_depth_ros.training.step import StepOptions, training_step
from sfm_depth_ros.training.trained_part import WeightAnchor, choose_trained

JITTER = JitterStrength(brightness=0.1, contrast=0.1, saturation=0.1, hue=0.02, grey_share=0.1)
PHOTOMETRIC_SCALES = 2  # the finest: live networks are past the need of coarse guidance

_logger = logging.getLogger(__name__)


class WorldScale(nn.Module):
    """Size of the rendered world to the live camera, as a multiple of its truth.

    Metric scale is the odometer's to teach, and a world that is twice as large looks the same from
    a camera twice as high. So rendered drives teach the sizes that the first model saw in them:
    for one that was trained in this very world, its metres.
    """

    _measured: Tensor

    def __init__(self) -> None:
        """Begin with the truth as it is."""
        super().__init__()
        self.register_buffer("_measured", torch.zeros(()))
        self.depth, self.translation = _LogScale(), _LogScale()

    def forward(self) -> tuple[Tensor, Tensor]:
        """Factors of (depth, translation), scalars."""
        return self.depth.log_scale.exp(), self.translation.log_scale.exp()

    @property
    def is_measured(self) -> bool:
        """Whether the first model's sizes are known."""
        return bool(self._measured)

    def measure(self, depth: float, translation: float) -> None:
        """Note how many times larger the first model saw it than it is."""
        self.depth.log_scale.fill_(math.log(depth))
        self.translation.log_scale.fill_(math.log(translation))
        self._measured.fill_(1.0)

    @torch.no_grad()
    def scale(self, depth_factor: float, translation_factor: float) -> None:
        """Multiply both factors."""
        self.depth.log_scale.add_(math.log(depth_factor))
        self.translation.log_scale.add_(math.log(translation_factor))


class _LogScale(nn.Module):
    """One scale."""

    log_scale: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("log_scale", torch.zeros(()))


class OnlineLearner:
    """Networks, their optimiser, and the moving average that is validated and deployed.

    Batch norm keeps its running statistics (as CL-SLAM and CoMoDA do): batches of a live camera
    are too small and too alike to estimate them.

    Args:
        networks: Weights to begin with; a copy is trained.
        training: Rates and their limits; may be replaced while training.
        objective: Weights of the loss terms; may be replaced while training.

    Attributes:
        steps: Steps taken since the weights were fresh.
        refused: Steps refused because loss or gradient was not finite.
        refused_in_a_row: The newest of them without a good one between.
        rate_factor: Share of the learning rate that divergence has left.
        terms: Loss terms of the newest good step.
        world: How many times larger than its truth the rendered world is to this camera.
    """

    def __init__(
        self, networks: NetworkPair, training: OnlineTrainingConfig, objective: ObjectiveConfig
    ) -> None:
        self.training, self.objective = training, objective
        self.networks = copy.deepcopy(networks).to(training.device).eval()
        choose_trained(self.networks, training.trained_part)
        self._anchor = WeightAnchor(self.networks, training.anchor_weight)
        self.average = WeightAverage(self.networks, training.average_decay)
        self.steps = self.refused = self.refused_in_a_row = 0
        self.rate_factor = 1.0
        self.terms: dict[str, float] = {}
        self.world = WorldScale().to(training.device)
        self._first_model: FirstModel | None = None
        self._first_size = 0.0  # that a process before measured; 0 = none
        self._uses_bfloat16 = uses_bfloat16(training.mixed_precision, training.device)
        self._generator = torch.Generator().manual_seed(training.seed)
        self._begin_anew()

    @property
    def is_first_model_known(self) -> bool:
        """Whether rendered snippets can teach what the first model saw in them."""
        return self._first_model is not None

    def know_first_model(self, first: NetworkPair, rendered: Sequence[SnippetBatch]) -> None:
        """Let rendered snippets teach the depth that the first model sees in them.

        How large it sees that world is measured, unless a process before has done so.

        Args:
            first: In eval mode.
            rendered: Snippets with true depth and motion.
        """
        if not (self.world.is_measured and self._first_size):
            scales = rendered_scales(first, [batch.to(self.training.device) for batch in rendered])
            self._first_size = self._first_size or scales[0]
            if not self.world.is_measured:
                self.world.measure(*scales)
        self._first_model = FirstModel(first.depth, self._first_size)

    @property
    def learning_rate(self) -> float:
        """Base rate of the next step."""
        rising = warmed_up(self._since_fresh, self.training.warmup_steps)
        return self.training.learning_rate * self.rate_factor * rising

    def step(self, batch: SnippetBatch, live: int) -> bool:
        """Learn from one batch.

        Args:
            batch: Live snippets, then rendered ones.
            live: How many are live: these are judged by the self-supervised objective, the others
                by the first model's depth, or their truth, and by their true motion.

        Returns:
            Whether the step was taken; a refused one changes nothing but the counts.
        """
        objective, weight = self.objective, self.training.landmark_weight
        if weight > 0 and objective.sparse_depth_weight == 0:
            batch = with_landmarks(batch, live)
            objective = dataclasses.replace(objective, sparse_depth_weight=weight)
        batch = random_flip(batch.to(self.training.device), self._generator)
        if self._first_model and self.training.rehearsal_depth == "first_model":
            batch = self._first_model.recalled_from(live, batch, self._uses_bfloat16)
        options = StepOptions(
            PhotometricJitter(JITTER, self._generator),
            photometric_rows=live,
            photometric_scales=PHOTOMETRIC_SCALES,
            mixed_precision=self._uses_bfloat16,
            truth_scales=self.world(),
        )
        result = training_step(self.networks.depth, self.networks.pose, batch, objective, options)
        set_rate(self._optimiser, self.learning_rate)
        is_taken = take_step(self._optimiser, result.terms.total, self.training.gradient_clip)
        if is_taken:
            self._anchor.pull(self.learning_rate)
            self.average.update(self.networks)
            self.terms = result.terms.as_floats()
            self.steps += 1
            self._since_fresh += 1
            self.refused_in_a_row = 0
        else:
            self.refused += 1
            self.refused_in_a_row += 1
        return is_taken

    def scale(
        self, depth_factor: float, translation_factor: float, is_camera: bool = True
    ) -> None:
        """Multiply depths and translations by a measured factor each.

        Args:
            depth_factor: Of depths.
            translation_factor: Of translations.
            is_camera: Whether it is the camera's or the odometer's, so that the rendered world
                follows; a factor of some places does not change the metres of others.
        """
        for module in (self.networks, self.average.network):
            module.scale(depth_factor, translation_factor)
        if is_camera:
            self.world.scale(depth_factor, translation_factor)

    def restart_from(self, networks: NetworkPair, rate_factor: float = 1.0) -> None:
        """Take over weights, forget the optimiser's moments, warm up again.

        The rendered world keeps its size relative to the networks' scales.
        """
        self._follow_scales(networks)
        load_plain(self.networks, networks.state_dict())
        self.average.reset(self.networks)
        self.rate_factor = rate_factor
        self.refused_in_a_row = 0
        self._begin_anew()

    def step_back_to(self, networks: NetworkPair) -> None:
        """Go on from weights between the first and the newest; the optimiser's moments stay."""
        load_plain(self.networks, networks.state_dict())
        self.average.reset(self.networks)

    def tensors(self) -> dict[str, Tensor]:
        """Everything that a restarted process needs to go on."""
        return {
            **module_tensors("networks", self.networks),
            **module_tensors("average", self.average.network),
            **module_tensors("world", self.world),
            **optimiser_tensors("optimiser", self._optimiser),
        }

    def values(self) -> dict[str, float]:
        """Numbers that go with :meth:`tensors`."""
        return {
            "steps": self.steps,
            "refused": self.refused,
            "rate_factor": self.rate_factor,
            "since_fresh": self._since_fresh,
            "average_updates": self.average.updates,
            "first_size": self._first_size,
        }

    def load(self, tensors: dict[str, Tensor], values: dict[str, float]) -> None:
        """Go on from saved tensors and values.

        Raises:
            TrainingError: They are of other networks.
        """
        load_module("networks", self.networks, tensors)
        load_module("average", self.average.network, tensors)
        load_module("world", self.world, tensors)
        try:
            load_optimiser("optimiser", self._optimiser, tensors)
        except TrainingError:
            _logger.info("another part of the network is trained now: its moments begin anew")
            self._begin_anew()
        self.steps, self.refused = int(values["steps"]), int(values["refused"])
        self.rate_factor = float(values["rate_factor"])
        self._since_fresh = int(values["since_fresh"])
        self.average.updates = int(values["average_updates"])
        self._first_size = float(values.get("first_size", 0.0))  # absent in older states

    @torch.no_grad()
    def _follow_scales(self, networks: NetworkPair) -> None:
        for size, new, old in (
            (self.world.depth, networks.depth, self.networks.depth),
            (self.world.translation, networks.pose, self.networks.pose),
        ):
            step = new.log_scale - old.log_scale
            if bool(step.isfinite()):
                size.log_scale.add_(step)

    def _begin_anew(self) -> None:
        rates = Rates(self.training.learning_rate, self.training.scale_rate_factor)
        self._optimiser = create_optimiser(self.networks, rates)
        self._since_fresh = 0
