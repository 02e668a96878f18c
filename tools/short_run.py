# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A short training run in a process of its own: what it begins with, and what it comes to."""

from __future__ import annotations

import multiprocessing
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from statistics import fmean
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sfm_depth_ros.config.schema import RecipeConfig
    from sfm_depth_ros.training.network_pair import NetworkPair
    from sfm_depth_ros.training.offline.data import Source

FIRST_AND_LAST = 20  # steps whose mean loss is reported
GIB = 1.0  # of prepared snippets


@dataclass(frozen=True)
class ShortRun:
    """Network, recipe and drives of a short training run."""

    recipe: RecipeConfig  # Networks, objective and loop
    drive: Path  # Bag to learn from
    judge: Path  # Bag to judge by
    scratch: Path  # Folder for prepared snippets
    # Model folder whose weights the networks begin with, as far as they have them; None = random
    begin_with: Path | None = None
    more_drives: tuple[Path, ...] = ()  # More bags to learn from
    more_judges: tuple[Path, ...] = ()  # More bags to judge by; each is judged by itself as well
    lost_scale: float = 1.0  # Depths and translations begin this many times too large
    focal_factor: float = 1.0  # How many times the true focal length the bags report
    flow: Path | None = None  # Weights that `tools.flow --save` wrote, which flow begins with


@dataclass
class _Totals:
    """Remembers the loss of every step (an Observer)."""

    values: list[float] = field(default_factory=list)

    def on_step(self, report: Any) -> None:
        self.values.append(report.terms["total"])

    def on_validation(self, step: int, found: Mapping[str, float], networks: NetworkPair) -> None:
        pass

    def close(self) -> None:
        pass


def measure_run(run: ShortRun) -> dict[str, Any]:
    """Train in a fresh process, so that peak memory is the run's own; figures by name."""
    with multiprocessing.get_context("spawn").Pool(1, maxtasksperchild=1) as pool:
        figures: dict[str, Any] = pool.apply(_train, (run,))
        return figures


def _train(run: ShortRun) -> dict[str, Any]:
    import torch

    from sfm_depth_ros.bags.selection import BagSelection, WeightedBag
    from sfm_depth_ros.config.extra_inputs import INSTANCE_MASK, extra_inputs
    from sfm_depth_ros.training.offline.data import batches_of, prepare_data
    from sfm_depth_ros.training.offline.run import cache_store, train
    from sfm_depth_ros.training.offline.run_parts import RunParts

    config, objective = run.recipe.training, run.recipe.objective
    if config.threads:
        torch.set_num_threads(config.threads)
    store = cache_store(str(run.scratch / "cache"), GIB)
    bags = [WeightedBag.parse(str(drive)) for drive in (run.drive, *run.more_drives)]
    judges = [BagSelection.parse(str(judge)) for judge in (run.judge, *run.more_judges)]
    beside = {*extra_inputs(objective), INSTANCE_MASK}  # what moves is judged by itself
    data = prepare_data(bags, judges, 0, config, store, tuple(sorted(beside)))
    networks, totals = _begin(run), _Totals()
    held_out = next(batches_of(data.recorded_validation))
    before = _objective(networks, held_out, objective)
    with TemporaryDirectory(dir=run.scratch) as folder:
        keeps = run.begin_with is not None
        parts = RunParts(Path(folder), config, objective, keeps_statistics=keeps)
        report, trained = train(networks, parts, data, observers=lambda first_step: [totals])
    trained = trained.cpu()
    found = _figures(report, totals.values) | {
        "held_out_before": before,
        "held_out_after": _objective(trained, held_out, objective),
    }
    found["judged"] = [
        _judged(trained, source, run.focal_factor) for source in data.recorded_validation
    ]
    return found


def _judged(networks: NetworkPair, source: Source, focal_factor: float) -> dict[str, float]:
    """Errors against the truth of one bag."""
    from sfm_depth_ros.training.offline.data import batches_of
    from sfm_depth_ros.training.validation import validate
    from tools.special_pixels import errors_where_difficult

    found = validate(networks.depth, networks.pose, batches_of([source])).as_floats()
    return found | errors_where_difficult(networks, batches_of([source]), focal_factor)


def _begin(run: ShortRun) -> NetworkPair:
    import torch

    from sfm_depth_ros.model_folder.folder import read_model_folder
    from sfm_depth_ros.training.network_pair import (
        fresh_networks,
        networks_of,
        with_companions,
    )

    seed = run.recipe.training.seed
    networks = fresh_networks(run.recipe.depth, run.recipe.pose, seed)
    networks = with_companions(networks, run.recipe.objective, seed)
    if run.begin_with is not None:
        known = networks_of(read_model_folder(run.begin_with)).state_dict()
        networks.load_state_dict(known, strict=False)  # heads that it lacks stay fresh
    if run.flow is not None and networks.companions.flow is not None:
        networks.companions.flow.load_state_dict(torch.load(run.flow, weights_only=True))
    networks.scale(run.lost_scale, run.lost_scale)
    return networks


def _objective(networks: NetworkPair, batch: Any, config: Any) -> float:
    """The objective of one batch without its truth; norms take its statistics, as in training."""
    import copy
    import dataclasses

    import torch

    from sfm_depth_ros.training.step import StepOptions, training_step

    copied = copy.deepcopy(networks).train()
    with torch.no_grad():
        config = dataclasses.replace(config, supervised_weight=0.0)
        options = StepOptions(companions=copied.companions)
        terms = training_step(copied.depth, copied.pose, batch, config, options).terms
    return terms.as_floats()["total"]


def _figures(report: Mapping[str, Any], totals: list[float]) -> dict[str, Any]:
    found = report["validations"][-1]
    names = (
        "abs_rel",
        "abs_rel_scaled",
        "a1",
        "depth_scale_ratio",
        "translation_scale_ratio",
        "rotation_error_deg",
        "photometric",
    )
    return {
        "steps": report["steps"], "refused": report["refused"], "step_s": report["step_s"],
        "data_wait_share": report["data_wait_share"], "peak_mib": report["peak_mib"],
        "loss_first": fmean(totals[:FIRST_AND_LAST]), "loss_last": fmean(totals[-FIRST_AND_LAST:]),
        **{name: found[f"recorded_{name}"] for name in names},
    }  # fmt: skip
