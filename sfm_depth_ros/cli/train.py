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
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sfm_depth_ros.bags.selection import BagSelection, WeightedBag
from sfm_depth_ros.cli.arguments import (
    MODEL_HELP,
    TEACHER_HELP,
    named_model,
    output_file,
    recipe_file,
    sole_writer,
    teacher_options,
)
from sfm_depth_ros.cli.bag_options import add_bag_arguments, selected, selected_weighted
from sfm_depth_ros.cli.progress import ProgressBar
from sfm_depth_ros.cli.stop_signals import StopSignals
from sfm_depth_ros.config.loading import load_config
from sfm_depth_ros.config.schema import RecipeConfig
from sfm_depth_ros.errors import ConfigError
from sfm_depth_ros.optional import require
from sfm_depth_ros.storage import write_whole

if TYPE_CHECKING:
    from sfm_depth_ros.training.network_pair import NetworkPair
    from sfm_depth_ros.training.offline.data import TrainingData
    from sfm_depth_ros.training.offline.history import RunHistory
    from sfm_depth_ros.training.offline.observers import Observer
    from sfm_depth_ros.training.offline.processes import Processes
    from sfm_depth_ros.training.offline.run import TrainingRun

MOST_SYNTHETIC = 10_000_000  # snippets, a terabyte of them


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
        help="learn from N rendered snippets as well; training.synthetic_share sets how often",
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
    parser.add_argument("--teacher", metavar="MODEL", help=TEACHER_HELP)
    parser.add_argument(
        "--init", metavar="MODEL", help=f"begin with the weights of this {MODEL_HELP}"
    )
    _add_run_arguments(parser)
    add_bag_arguments(parser)


def _add_run_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of the recipe and of the run."""
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
    parser.add_argument(
        "--html", type=output_file, metavar="FILE", help="write a page with curves and pictures"
    )


def run(options: argparse.Namespace) -> int:
    """Train, save the model, report."""
    recipe = _recipe(options)
    _apply_bag_options(options)
    torch = require("torch")
    if options.html:
        require("matplotlib")
    from sfm_depth_ros.training.offline.history import RunHistory
    from sfm_depth_ros.training.offline.processes import Processes
    from sfm_depth_ros.training.offline.run import TrainingRun, for_machine

    processes = Processes.of_environment()
    if not processes.is_first:
        logging.getLogger().setLevel(logging.ERROR)
    if recipe.training.threads:
        torch.set_num_threads(recipe.training.threads)
    parent = named_model(options.init) if options.init else None
    job = TrainingRun(
        for_machine(recipe, parent, processes),
        options.out,
        options.bags,
        options.validate,
        options.synthetic,
        parent,
        options.licence,
    )
    with StopSignals() as signals:
        data = job.data()
        with processes.joined(job.recipe.training.device):
            signals.be_patient()
            history = RunHistory(job.recipe.training.log_every) if options.html else None
            report, networks = _train(job, options.resume, data, processes, signals, history)
        if processes.is_first:
            folder = job.save(networks, report, data)
            report = {"model": str(folder.path), "model_id": folder.model_id, **report}
            _print_report(report)
            if options.json:
                write_whole(options.json, json.dumps(report, indent=2) + "\n")
            if history is not None:
                from sfm_depth_ros.cli.training_page import write_training_page

                write_training_page(options.html, report, history, job.options)
    return 0


def _apply_bag_options(options: argparse.Namespace) -> None:
    options.bags = selected_weighted(options, options.bags)
    options.validate = selected(options, options.validate)


def _recipe(options: argparse.Namespace) -> RecipeConfig:
    path = recipe_file(options.config) if options.config else None
    recipe: RecipeConfig = load_config(
        RecipeConfig, path, [*teacher_options(options.teacher), *options.overrides]
    )
    if options.steps is not None:
        training = dataclasses.replace(recipe.training, steps=options.steps)
        recipe = dataclasses.replace(recipe, training=training)
    if not 0 <= options.synthetic <= MOST_SYNTHETIC:
        raise ConfigError(
            f"--synthetic: expected 0 to {MOST_SYNTHETIC} snippets, got {options.synthetic}"
        )
    if not options.bags and not options.synthetic:
        raise ConfigError("nothing to learn from: give a BAG, or --synthetic N")
    if options.out.exists():
        raise ConfigError(f"{options.out} exists already; choose another --out or remove it")
    state = options.out.with_name(options.out.name + ".training") / "state.safetensors"
    if state.exists() and not options.resume:
        raise ConfigError(
            f"{state} is the state of an interrupted run; go on with --resume, or remove it"
        )
    if options.resume and not state.exists():
        raise ConfigError(
            f"there is no interrupted run to go on with ({state} is absent); leave --resume out"
        )
    return recipe


def _train(
    job: TrainingRun,
    is_resumed: bool,
    data: TrainingData,
    processes: Processes,
    signals: StopSignals,
    history: RunHistory | None = None,
) -> tuple[dict[str, Any], NetworkPair]:
    from sfm_depth_ros.training.offline.observers import LogLines
    from sfm_depth_ros.training.offline.run import train
    from sfm_depth_ros.training.offline.run_parts import RunParts

    config = job.recipe.training

    def observers(first_step: int) -> Iterator[Observer]:
        yield ProgressBar() if ProgressBar.is_possible() else LogLines(config.log_every)
        yield from job.observers(data, first_step)
        if history is not None:
            history.example, history.objective = job.example(data), job.recipe.objective
            yield history

    parts = RunParts(
        job.state_folder,
        config,
        job.recipe.objective,
        job.identity(processes.count),
        processes,
        signals.is_asked,
    )
    alone = sole_writer(parts.folder) if processes.is_first else contextlib.nullcontext()
    with alone:
        return train(job.networks(), parts, data, is_resumed, observers)


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
