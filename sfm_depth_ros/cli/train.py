# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""``sfm-depth train``: a model from bags, from rendered drives, or from both."""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import json
import logging
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sfm_depth_ros.bags.selection import BagSelection
from sfm_depth_ros.bags.weighted_bag import WeightedBag
from sfm_depth_ros.cli.output_paths import output_file, sole_writer
from sfm_depth_ros.cli.progress_bar import ProgressBar
from sfm_depth_ros.cli.recipe_file import recipe_file
from sfm_depth_ros.cli.stop_signals import StopSignals
from sfm_depth_ros.config.extra_inputs import extra_inputs
from sfm_depth_ros.config.loading import load_config, to_dict
from sfm_depth_ros.config.networks import DepthNetworkConfig, PoseNetworkConfig
from sfm_depth_ros.config.schema import RecipeConfig
from sfm_depth_ros.errors import ConfigError
from sfm_depth_ros.optional import require

if TYPE_CHECKING:
    from sfm_depth_ros.model_folder.folder import ModelFolder
    from sfm_depth_ros.training.network_pair import NetworkPair
    from sfm_depth_ros.training.offline.data import TrainingData
    from sfm_depth_ros.training.offline.loop import OfflineTrainer
    from sfm_depth_ros.training.offline.observers import Observer
    from sfm_depth_ros.training.offline.processes import Processes

LICENCE_OF_RENDERED = "Apache-2.0"
LICENCE_OF_RECORDED = "that of the recordings it was trained on"
EXAMPLES = 2  # snippets in the pictures for TensorBoard

_logger = logging.getLogger(__name__)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument(
        "bags",
        nargs="*",
        type=WeightedBag.parse,
        metavar="BAG[@START-END][=WEIGHT]",
        help="rosbag2 to learn from, or a "
        "part of it in seconds after its first image; its snippets are drawn "
        "WEIGHT times as often",
    )
    parser.add_argument(
        "--out",
        type=Path,
        required=True,
        metavar="MODEL",
        help="model folder to write; the run's state lies in MODEL.training",
    )
    parser.add_argument(
        "--synthetic",
        type=int,
        default=0,
        metavar="N",
        help="learn from N rendered snippets as well; training.synthetic_share says how often",
    )
    parser.add_argument(
        "--validate",
        action="append",
        default=[],
        type=BagSelection.parse,
        metavar="BAG[@START-END]",
        help="judge by this bag, instead of by held "
        "out blocks of the bags that are learnt from; may be repeated",
    )
    parser.add_argument(
        "--init", type=Path, metavar="MODEL", help="begin with the weights of this model"
    )
    parser.add_argument(
        "--config",
        metavar="NAME|FILE",
        help="a recipe of config/train by name, or a YAML file with the groups "
        "depth, pose, objective, training",
    )
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="A.B=C",
        dest="overrides",
        help="set one option, for example training.batch_size=8",
    )
    parser.add_argument("--steps", type=int, metavar="N", help="the same as training.steps")
    parser.add_argument("--resume", action="store_true", help="go on with an interrupted run")
    parser.add_argument("--licence", metavar="TEXT", help="licence written into the model")
    parser.add_argument("--json", type=output_file, metavar="FILE", help="write the report here")


def run(options: argparse.Namespace) -> int:
    """Train, save the model, report."""
    recipe = _recipe(options)
    torch = require("torch")
    from sfm_depth_ros.model_folder.folder import read_model_folder
    from sfm_depth_ros.training.offline.processes import Processes

    processes = Processes.of_environment()
    if not processes.is_first:
        logging.getLogger().setLevel(logging.ERROR)
    if recipe.training.threads:
        torch.set_num_threads(recipe.training.threads)
    parent = read_model_folder(options.init) if options.init else None
    recipe = _for_machine(recipe, parent, processes)
    with StopSignals() as signals:
        data = _training_data(options, recipe)
        with processes.joined(recipe.training.device):
            signals.be_patient()
            report, networks = _train(options, recipe, parent, data, (processes, signals))
        if processes.is_first:
            _finish(options, recipe, networks, report, parent, data)
    return 0


def _recipe(options: argparse.Namespace) -> RecipeConfig:
    path = recipe_file(options.config) if options.config else None
    recipe: RecipeConfig = load_config(RecipeConfig, path, options.overrides)
    if options.steps is not None:
        training = dataclasses.replace(recipe.training, steps=options.steps)
        recipe = dataclasses.replace(recipe, training=training)
    if not options.bags and options.synthetic < 1:
        raise ConfigError("nothing to learn from: give a BAG, or --synthetic N")
    if options.out.exists():
        raise ConfigError(f"{options.out} exists already; choose another --out or remove it")
    state = _work_folder(options) / "state.safetensors"
    if state.exists() and not options.resume:
        raise ConfigError(
            f"{state} is the state of an interrupted run; go on with --resume, or remove it"
        )
    if options.resume and not state.exists():
        raise ConfigError(
            f"there is no interrupted run to go on with ({state} is absent); leave --resume out"
        )
    return recipe


def _for_machine(
    recipe: RecipeConfig, parent: ModelFolder | None, processes: Processes
) -> RecipeConfig:
    """The recipe with this process's device, and with the networks that it begins with.

    Raises:
        ConfigError: The device is absent, or the recipe asks for other networks than the model's.
    """
    from sfm_depth_ros.training.device import require_device

    device = processes.device(recipe.training.device)
    require_device(device)
    recipe = dataclasses.replace(
        recipe, training=dataclasses.replace(recipe.training, device=device)
    )
    if parent is None:
        return recipe
    for asked, default, found in (
        (recipe.depth, DepthNetworkConfig(), parent.depth_config),
        (recipe.pose, PoseNetworkConfig(), parent.pose_config),
    ):
        if asked not in (default, found):
            raise ConfigError(
                f"--init {parent.path} holds the network {found}, but the recipe asks for "
                f"{asked}; leave --init out, or take a recipe with the model's networks"
            )
    return dataclasses.replace(recipe, depth=parent.depth_config, pose=parent.pose_config)


def _work_folder(options: argparse.Namespace) -> Path:
    folder: Path = options.out.with_name(options.out.name + ".training")
    return folder


def _training_data(options: argparse.Namespace, recipe: RecipeConfig) -> TrainingData:
    from sfm_depth_ros.training.offline.caches import CacheStore, default_cache_folder
    from sfm_depth_ros.training.offline.data import prepare_data

    config = recipe.training
    folder = Path(config.cache_dir).expanduser() if config.cache_dir else default_cache_folder()
    store = CacheStore(folder, int(config.cache_gib * 2**30))
    return prepare_data(
        options.bags,
        options.validate,
        options.synthetic,
        config,
        store,
        extra_inputs(recipe.objective),
    )


def _train(
    options: argparse.Namespace,
    recipe: RecipeConfig,
    parent: ModelFolder | None,
    data: TrainingData,
    company: tuple[Processes, StopSignals],
) -> tuple[dict[str, Any], NetworkPair]:
    """Run the loop; returns its report and the averaged networks."""
    from sfm_depth_ros.training.network_pair import fresh_networks, networks_of
    from sfm_depth_ros.training.offline.judging import DataJudge
    from sfm_depth_ros.training.offline.loop import OfflineTrainer, RunParts

    config, (processes, signals) = recipe.training, company
    networks = (
        networks_of(parent) if parent else fresh_networks(recipe.depth, recipe.pose, config.seed)
    )
    observers: list[Observer] = []
    parts = RunParts(
        _work_folder(options),
        config,
        recipe.objective,
        _said(options, recipe, processes),
        processes,
        signals.is_asked,
        observers,
    )
    trainer = OfflineTrainer(networks, parts)
    if options.resume:
        trainer.resume()
    make_batch = partial(data.batch, rank=processes.rank, processes=processes.count)
    judge = DataJudge(data, recipe.objective, config.device)
    with contextlib.ExitStack() as stack:
        if processes.is_first:
            stack.enter_context(sole_writer(parts.folder))
            observers += _observers(parts.folder, recipe, data, trainer)
        for observer in observers:
            stack.callback(observer.close)
        report = trainer.run(make_batch, judge)
    return report, trainer.average.network


def _said(
    options: argparse.Namespace, recipe: RecipeConfig, processes: Processes
) -> dict[str, Any]:
    """Everything that decides the result, by dotted name; places do not."""
    from sfm_depth_ros.training.offline.run_state import flat

    said = flat(to_dict(recipe))
    for name in (
        "device",
        "cache_dir",
        "cache_gib",
        "render_processes",
        "log_every",
        "save_every",
        "tensorboard",
    ):
        del said[f"training.{name}"]
    return said | {
        "bags": [f"{bag.selection.name}={bag.weight:g}" for bag in options.bags],
        "validate": [bag.name for bag in options.validate],
        "synthetic": options.synthetic,
        "processes": processes.count,
    }


def _observers(
    folder: Path, recipe: RecipeConfig, data: TrainingData, trainer: OfflineTrainer
) -> Iterator[Observer]:
    """Who is told how the run goes."""
    from sfm_depth_ros.snippets.zoom import whole_view
    from sfm_depth_ros.training.offline.observers import LogLines, tensorboard_log

    config = recipe.training
    yield ProgressBar() if ProgressBar.is_possible() else LogLines(config.log_every)
    if config.tensorboard:
        sources = [*data.recorded_validation, *data.rendered_validation, *data.recorded]
        rows = sources[0].rows[:: max(1, len(sources[0].rows) // EXAMPLES)][:EXAMPLES]
        example = whole_view(sources[0].cache.batch(rows), config.width).to(config.device)
        log = tensorboard_log(
            folder / "tensorboard",
            trainer.progress.step,
            config.log_every,
            example,
            recipe.objective,
        )
        yield from [log] if log is not None else []


def _finish(
    options: argparse.Namespace,
    recipe: RecipeConfig,
    networks: NetworkPair,
    report: dict[str, Any],
    parent: ModelFolder | None,
    data: TrainingData,
) -> None:
    folder = _save(options, recipe, networks, report, parent, data)
    report = {"model": str(folder.path), "model_id": folder.model_id, **report}
    _print_report(report)
    if options.json:
        aside = options.json.with_name(f".{options.json.name}.writing")
        aside.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
        aside.replace(options.json)


def _save(
    options: argparse.Namespace,
    recipe: RecipeConfig,
    networks: NetworkPair,
    report: dict[str, Any],
    parent: ModelFolder | None,
    data: TrainingData,
) -> ModelFolder:
    from sfm_depth_ros.model_folder.saving import save_model

    bags = [bag.selection.name for bag in options.bags]
    world = f"{options.synthetic} rendered snippets, seed {recipe.training.seed}"
    before: dict[str, Any] = parent.metadata if parent else {"steps": 0, "trained_on": []}
    licence = LICENCE_OF_RECORDED if bags else LICENCE_OF_RENDERED
    judged = {entry["step"]: entry for entry in report["validations"]}
    metadata = {
        "preprocessing": {"width": recipe.training.width},
        "trained_on": [*before["trained_on"], *bags, *([world] if options.synthetic else [])],
        "licence": options.licence or licence,
        "steps": before["steps"] + report["best_step"],
        "metrics": judged.get(report["best_step"], {}),
    }
    folder = save_model(
        options.out.resolve().parent,
        networks.depth,
        networks.pose,
        metadata=metadata,
        parent=parent,
        check_images=_check_images(data),
        name=options.out.name,
    )
    _logger.info("wrote %s", folder.path)
    return folder


def _check_images(data: TrainingData) -> Any:
    import torch

    from sfm_depth_ros.snippets.zoom import whole_view

    source = next(iter(data.rendered_validation), None)
    if source is None or len(source.rows) < 2:
        return None
    batch = whole_view(source.cache.batch(source.rows[[0, -1]]), data.config.width)
    stack = torch.cat((batch.sources[:, 0], batch.target, batch.sources[:, 1]), dim=1)
    return batch.target.contiguous(), stack.contiguous()


def _print_report(report: dict[str, Any]) -> None:
    print(f"model {report['model_id']} in {report['model']}")
    print(
        f"{report['steps']} steps ({report['ended']}), {1000 * report['step_s']:.0f} ms each, "
        f"{report['snippets_per_s']:.1f} snippets/s, "
        f"{100 * report['data_wait_share']:.1f} % waiting for data, "
        f"{report['peak_mib']:.0f} MiB, {report['refused']} refused"
    )
    for entry in report["validations"]:
        if entry["step"] == report["best_step"]:
            print("  ".join(f"{name} {value:.4g}" for name, value in entry.items()))
