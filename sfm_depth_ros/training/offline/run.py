# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Composition of a training run: data, networks, loop, judge and observers become a model."""

from __future__ import annotations

import contextlib
import dataclasses
import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from sfm_depth_ros.bags.selection import BagSelection, WeightedBag
from sfm_depth_ros.config.extra_inputs import extra_inputs
from sfm_depth_ros.config.loading import to_dict
from sfm_depth_ros.config.networks import DepthNetworkConfig, PoseNetworkConfig
from sfm_depth_ros.config.schema import RecipeConfig
from sfm_depth_ros.errors import ConfigError
from sfm_depth_ros.model_folder.folder import ModelFolder
from sfm_depth_ros.model_folder.metadata import HAS_METRES
from sfm_depth_ros.model_folder.saving import save_model
from sfm_depth_ros.snippets.batch import SnippetBatch
from sfm_depth_ros.snippets.zoom import whole_view
from sfm_depth_ros.training.device import require_device
from sfm_depth_ros.training.network_pair import (
    NetworkPair,
    fresh_networks,
    networks_of,
    with_companions,
)
from sfm_depth_ros.training.offline.caches import CacheStore, default_cache_folder
from sfm_depth_ros.training.offline.data import (
    TrainingData,
    prepare_data,
    profile_of_data,
)
from sfm_depth_ros.training.offline.judge import DataJudge
from sfm_depth_ros.training.offline.loop import Judge, OfflineTrainer
from sfm_depth_ros.training.offline.observers import Observer, tensorboard_log
from sfm_depth_ros.training.offline.processes import Processes
from sfm_depth_ros.training.offline.run_parts import RunParts
from sfm_depth_ros.training.offline.run_state import flat

LICENCE_OF_RENDERED = "Apache-2.0"
LICENCE_OF_RECORDED = "that of the recordings it was trained on"
EXAMPLES = 2  # snippets in the pictures of a run
# Options that do not decide the result: places, pace of reports
_INDIFFERENT = (
    "device", "cache_dir", "cache_gib", "render_processes", "log_every", "save_every",
    "tensorboard",
)  # fmt: skip

_logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class TrainingRun:
    """Description of a run: what is trained on what, and where it goes."""

    recipe: RecipeConfig  # Networks, objective and loop; see :func:`for_machine`
    out: Path  # Model folder to write
    bags: Sequence[WeightedBag] = ()  # Bags to learn from
    validation_bags: Sequence[BagSelection] = ()  # Bags to judge by; none = held-out blocks
    rendered: int = 0  # Rendered snippets to learn from
    parent: ModelFolder | None = None  # Model whose weights the run begins with
    licence: str | None = None  # Written into the model; None = by where the snippets are from

    @property
    def state_folder(self) -> Path:
        """Folder of the run's state."""
        return self.out.with_name(self.out.name + ".training")

    def data(self) -> TrainingData:
        """Decode and render, or find what was prepared before.

        Raises:
            DataError: A bag cannot be used, or the disk is full.
        """
        config = self.recipe.training
        return prepare_data(
            self.bags,
            self.validation_bags,
            self.rendered,
            config,
            cache_store(config.cache_dir, config.cache_gib),
            extra_inputs(self.recipe.objective),
        )

    def networks(self) -> NetworkPair:
        """Networks that the run begins with."""
        recipe, seed = self.recipe, self.recipe.training.seed
        if self.parent is not None:
            pair = networks_of(self.parent)
        else:
            pair = fresh_networks(recipe.depth, recipe.pose, seed)
        return with_companions(pair, recipe.objective, seed)

    @property
    def options(self) -> dict[str, Any]:
        """Value of every option of the recipe by dotted name."""
        return flat(to_dict(self.recipe))

    def identity(self, processes: int) -> dict[str, Any]:
        """Everything that decides the result, by dotted name; compared on resumption."""
        options = self.options
        for name in _INDIFFERENT:
            del options[f"training.{name}"]
        return options | {
            "bags": [f"{bag.selection.name}={bag.weight:g}" for bag in self.bags],
            "validate": [bag.name for bag in self.validation_bags],
            "synthetic": self.rendered,
            "processes": processes,
        }

    def observers(self, data: TrainingData, first_step: int) -> Iterator[Observer]:
        """TensorBoard's log, where it is wanted and installed."""
        config = self.recipe.training
        if not config.tensorboard:
            return
        folder = self.state_folder / "tensorboard"
        example = self.example(data)
        log = tensorboard_log(folder, first_step, config.log_every, example, self.recipe.objective)
        if log is not None:
            yield log

    def example(self, data: TrainingData) -> SnippetBatch:
        """Snippets that pictures are made of: held-out ones, where there are any."""
        config = self.recipe.training
        source = [*data.recorded_validation, *data.rendered_validation, *data.recorded][0]
        rows = source.rows[:: max(1, len(source.rows) // EXAMPLES)][:EXAMPLES]
        return whole_view(source.cache.batch(rows), config.width).to(config.device)

    @property
    def has_metres(self) -> bool:
        """Whether depth is tied to metres: by the model it began with, or by what it learns."""
        objective = self.recipe.objective
        by_truth = self.rendered > 0 and objective.supervised_weight > 0
        by_recorded = bool(self.bags) and objective.ties_to_metres
        return by_truth or by_recorded or (self.parent is not None and self.parent.has_metres)

    def save(
        self,
        networks: NetworkPair,
        report: dict[str, Any],
        data: TrainingData,
        figures: Mapping[str, float] | None = None,
    ) -> ModelFolder:
        """Write the model folder, with what it was trained on.

        Args:
            networks: To be written.
            report: Of the run that they come from.
            data: What they learnt from.
            figures: Theirs, where they are not simply the best of the run.

        Raises:
            ModelError: The disk is full, or the exported networks differ from the trained ones.
        """
        bags = [bag.selection.name for bag in self.bags]
        world = f"{self.rendered} rendered snippets, seed {self.recipe.training.seed}"
        parent = self.parent
        before: dict[str, Any] = parent.metadata if parent else {"steps": 0, "trained_on": []}
        judged = {entry["step"]: entry for entry in report["validations"]}
        metadata = {
            "preprocessing": {"width": self.recipe.training.width},
            "trained_on": [*before["trained_on"], *bags, *([world] if self.rendered else [])],
            "licence": self.licence or (LICENCE_OF_RECORDED if bags else LICENCE_OF_RENDERED),
            "steps": before["steps"] + report["best_step"],
            "metrics": dict(figures or judged.get(report["best_step"], {})),
            HAS_METRES: self.has_metres,
        }
        folder = save_model(
            self.out.resolve().parent,
            networks.depth,
            networks.pose,
            metadata=metadata,
            parent=parent,
            check_images=_check_images(data),
            profile=profile_of_data(data),
            name=self.out.name,
        )
        _logger.info("wrote %s", folder.path)
        return folder


def cache_store(folder: str, gib: float) -> CacheStore:
    """Store of prepared snippets; an empty name = the user's cache."""
    place = Path(folder).expanduser() if folder else default_cache_folder()
    return CacheStore(place, int(gib * 2**30))


def for_machine(
    recipe: RecipeConfig, parent: ModelFolder | None, processes: Processes
) -> RecipeConfig:
    """The recipe with this process's device, and with the networks that it begins with.

    Raises:
        ConfigError: The device is absent, or the recipe has other networks than the model.
    """
    device = processes.device(recipe.training.device)
    require_device(device)
    training = dataclasses.replace(recipe.training, device=device)
    recipe = dataclasses.replace(recipe, training=training)
    if parent is None:
        return _with_fitting_sizes(recipe)
    for wanted, default, found in (
        (recipe.depth, DepthNetworkConfig(), parent.depth_config),
        (recipe.pose, PoseNetworkConfig(), parent.pose_config),
    ):
        if wanted not in (default, found):
            raise ConfigError(
                f"--init {parent.path} holds the network {found}, but the recipe has "
                f"{wanted}; leave --init out, or take a recipe with the model's networks"
            )
    return _with_fitting_sizes(
        dataclasses.replace(recipe, depth=parent.depth_config, pose=parent.pose_config)
    )


def _with_fitting_sizes(recipe: RecipeConfig) -> RecipeConfig:
    """The recipe, where its image sizes are what its depth network takes."""
    depth, training = recipe.depth, recipe.training
    if depth.multiple != training.multiple:
        raise ConfigError(
            f"{depth.name} takes images of multiples of {depth.multiple}, got training.width "
            f"{training.width} and synthetic_heights {list(training.synthetic_heights)}; choose "
            f"others, for example {9 * depth.multiple} and [{5 * depth.multiple}]"
        )
    return recipe


def train(
    networks: NetworkPair,
    parts: RunParts,
    data: TrainingData,
    is_resumed: bool = False,
    observers: Callable[[int], Iterable[Observer]] = lambda first_step: (),
    judge: Judge | None = None,
) -> tuple[dict[str, Any], NetworkPair]:
    """Run the loop on prepared data; report and averaged networks.

    Args:
        networks: Trained in place.
        parts: State's folder, configuration, processes.
        data: Snippets to learn from and to be judged by.
        is_resumed: Whether the saved state is taken up.
        observers: From the first step to further observers; called at rank 0.
        judge: Judges the averaged networks; None = a ``DataJudge``.

    Raises:
        TrainingError: Diverged, the disk is full, or there is no state to take up.
        KeyboardInterrupt: The end was requested; the state is saved.
    """
    trainer, processes = OfflineTrainer(networks, parts), parts.processes
    if is_resumed:
        trainer.resume()
    make_batch = partial(data.batch, rank=processes.rank, processes=processes.count)
    with contextlib.ExitStack() as stack:
        if processes.is_first:
            for observer in observers(trainer.progress.step):
                stack.callback(observer.close)
                trainer.observers.append(observer)
        judge = judge or DataJudge(data, parts.objective, parts.config.device)
        report = trainer.run(make_batch, judge)
    return report, trainer.average.network


def _check_images(data: TrainingData) -> tuple[Tensor, Tensor] | None:
    """Images on which exported networks are compared with the trained ones."""
    source = next(iter(data.rendered_validation), None)
    if source is None or len(source.rows) < 2:
        return None
    batch = whole_view(source.cache.batch(source.rows[[0, -1]]), data.config.width)
    stack = torch.cat((batch.sources[:, 0], batch.target, batch.sources[:, 1]), dim=1)
    return batch.target.contiguous(), stack.contiguous()
