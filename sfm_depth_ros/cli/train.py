# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""``sfm-depth train``: a model from bags, from rendered drives, or from both."""

from __future__ import annotations

import argparse
import dataclasses
import json
import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sfm_depth_ros.cli.output_paths import output_file
from sfm_depth_ros.cli.recipe_file import recipe_file
from sfm_depth_ros.config.loading import load_config
from sfm_depth_ros.config.schema import RecipeConfig
from sfm_depth_ros.data.bag_part import BagPart, parse_bag_part
from sfm_depth_ros.errors import ConfigError

if TYPE_CHECKING:
    from sfm_depth_ros.networks.model_folder import ModelFolder
    from sfm_depth_ros.training.network_pair import NetworkPair
    from sfm_depth_ros.training.snippet_cache import SnippetCache
    from sfm_depth_ros.training.training_data import TrainingData

LICENCE_OF_RENDERED = "Apache-2.0"
LICENCE_OF_RECORDED = "that of the recordings it was trained on"

_logger = logging.getLogger(__name__)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("bags", nargs="*", metavar="BAG[@START-END][=WEIGHT]",
                        type=parse_bag_part, help="rosbag2 to learn from; of a time range in "
                        "seconds after its first image; WEIGHT times as often as otherwise")
    parser.add_argument("--out", type=Path, required=True, metavar="MODEL",
                        help="model folder to write; state and snippets lie in MODEL.training")
    parser.add_argument("--synthetic", type=int, default=0, metavar="N",
                        help="learn from N rendered snippets as well")
    parser.add_argument("--init", type=Path, metavar="MODEL",
                        help="begin with the weights of this model")
    parser.add_argument("--config", metavar="NAME|FILE",
                        help="a recipe of config/train by name, or a YAML file with the groups "
                        "depth, pose, objective, training")
    parser.add_argument("--set", action="append", default=[], metavar="A.B=C", dest="overrides",
                        help="set one option, for example training.batch_size=8")
    parser.add_argument("--steps", type=int, metavar="N", help="the same as training.steps")
    parser.add_argument("--resume", action="store_true", help="go on with an interrupted run")
    parser.add_argument("--licence", metavar="TEXT", help="licence written into the model")
    parser.add_argument("--json", type=output_file, metavar="FILE", help="write the report here")


def run(options: argparse.Namespace) -> int:
    """Train, save the model, report."""
    recipe = _recipe(options)
    from sfm_depth_ros.optional import require

    torch = require("torch")
    from sfm_depth_ros.networks.model_folder import read_model_folder
    from sfm_depth_ros.training.device import require_device
    from sfm_depth_ros.training.network_pair import fresh_networks, networks_of
    from sfm_depth_ros.training.offline import OfflineTrainer
    from sfm_depth_ros.training.training_data import CacheBatches

    require_device(recipe.training.device)
    if recipe.training.threads:
        torch.set_num_threads(recipe.training.threads)
    work = options.out.with_name(options.out.name + ".training")
    parent = read_model_folder(options.init) if options.init else None
    networks = networks_of(parent) if parent else fresh_networks(
        recipe.depth, recipe.pose, recipe.training.seed
    )
    data = _training_data(options, recipe, Path(recipe.training.cache_dir or work))
    trainer = OfflineTrainer(networks, recipe.training, recipe.objective, _state_file(work))
    if options.resume:
        trainer.resume()
    report = trainer.run(data.batch, CacheBatches(data.validation))
    folder = _save(options, recipe, trainer.average.network, report, parent, data)
    report = {"model": str(folder.path), "model_id": folder.model_id, **report}
    _print_report(report)
    if options.json:
        options.json.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
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
    state = _state_file(options.out.with_name(options.out.name + ".training"))
    if state.exists() and not options.resume:
        raise ConfigError(f"{state} is the state of an interrupted run; go on with --resume, or "
                          "remove it")
    if options.resume and not state.exists():
        raise ConfigError(f"there is no interrupted run to go on with ({state} is absent); leave "
                          "--resume out")
    return recipe


def _state_file(work: Path) -> Path:
    return work / "state.safetensors"


def _training_data(
    options: argparse.Namespace, recipe: RecipeConfig, folder: Path
) -> TrainingData:
    from sfm_depth_ros.training.training_data import TrainingData, rendered_caches

    rendered: list[SnippetCache] = []
    validation: list[SnippetCache] = []
    if options.synthetic:
        rendered, validation = rendered_caches(folder, options.synthetic, recipe.training)
    recorded = [_recorded(part, recipe, folder) for part in options.bags]
    return TrainingData(rendered, recorded, validation, recipe.training)


def _recorded(part: BagPart, recipe: RecipeConfig, folder: Path) -> SnippetCache:
    from sfm_depth_ros.config.schema import NodeConfig
    from sfm_depth_ros.data.bag_frames import read_frames, read_snippets
    from sfm_depth_ros.training.training_data import recorded_cache

    gates, width = NodeConfig(), recipe.training.width
    frames = read_frames(part.path, width, needs_velocity=True)
    first_ns = next(iter(frames)).frame.stamp_ns
    snippets = read_snippets(
        frames, gates.min_displacement, gates.max_displacement, gates.max_image_gap
    )
    snippets = (s for s in snippets if part.contains(s.stamps_ns, first_ns))
    return recorded_cache(folder / f"{part.name}_{width}", part.name, snippets, len(frames))


def _save(
    options: argparse.Namespace, recipe: RecipeConfig, networks: NetworkPair,
    report: dict[str, Any], parent: ModelFolder | None, data: TrainingData,
) -> ModelFolder:
    from sfm_depth_ros.pipeline.model_saving import save_model

    bags = [part.name for part in options.bags]
    world = f"{options.synthetic} rendered snippets, seed {recipe.training.seed}"
    before: dict[str, Any] = parent.metadata if parent else {"steps": 0, "trained_on": []}
    licence = LICENCE_OF_RECORDED if bags else LICENCE_OF_RENDERED
    metadata = {
        "preprocessing": {"width": recipe.training.width},
        "trained_on": [*before["trained_on"], *bags, *([world] if options.synthetic else [])],
        "licence": options.licence or licence,
        "steps": before["steps"] + report["steps"],
        "metrics": report["validations"][-1] if report["validations"] else {},
    }
    folder = save_model(
        options.out.resolve().parent, networks.depth, networks.pose, metadata=metadata,
        parent=parent, check_images=_check_images(data), name=options.out.name,
    )
    _logger.info("wrote %s", folder.path)
    return folder


def _check_images(data: TrainingData) -> Any:
    import torch

    if not data.validation or len(data.validation[0].rows) < 2:
        return None
    batch = data.validation[0].batch(data.validation[0].rows[[0, -1]])
    pair = torch.cat((batch.sources[:, 0], batch.target), dim=1)
    return batch.target.contiguous(), pair.contiguous()


def _print_report(report: dict[str, Any]) -> None:
    print(f"model {report['model_id']} in {report['model']}")
    print(f"{report['steps']} steps, {1000 * report['step_s']:.0f} ms each, "
          f"{100 * report['data_wait_share']:.1f} % waiting for data, "
          f"{report['peak_mib']:.0f} MiB, {report['refused']} refused")
    for validation in report["validations"][-1:]:
        print("  ".join(f"{name} {value:.4g}" for name, value in validation.items()))
