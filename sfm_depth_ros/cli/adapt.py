# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""``sfm-depth adapt``: from bags of a robot to a model of its own, within minutes."""

from __future__ import annotations

import argparse
import dataclasses
import json
import logging
import time
from collections.abc import Iterator, Sequence
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
from sfm_depth_ros.cli.progress import MetresLines, ProgressBar
from sfm_depth_ros.cli.stop_signals import StopSignals
from sfm_depth_ros.config.loading import load_config
from sfm_depth_ros.config.schema import RecipeConfig
from sfm_depth_ros.errors import ConfigError
from sfm_depth_ros.optional import require
from sfm_depth_ros.storage import write_whole

if TYPE_CHECKING:
    from sfm_depth_ros.bags.frames import BagFrames
    from sfm_depth_ros.model_folder.folder import ModelFolder
    from sfm_depth_ros.training.network_pair import NetworkPair
    from sfm_depth_ros.training.offline.adaptation import AdaptationPlan, LandmarkJudge
    from sfm_depth_ros.training.offline.data import TrainingData
    from sfm_depth_ros.training.offline.observers import Observer
    from sfm_depth_ros.training.offline.run import TrainingRun

RECIPE = "adapt"
REHEARSAL = 240  # rendered snippets to learn from
FORGETTING = 0.05
LONGEST = 10080.0  # minutes: a week
_BY_STEPS = 0.0  # minutes of a run that ends by its steps
_logger = logging.getLogger(__name__)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument(
        "bags",
        nargs="+",
        type=WeightedBag.parse,
        metavar="BAG[@START-END][=WEIGHT]",
        help="rosbag2 of the robot, or a part of it in seconds after its first image: images, "
        "camera_info, odometry",
    )
    parser.add_argument(
        "--out",
        type=Path,
        required=True,
        metavar="MODEL",
        help="model folder to write, and beside it a page of what was gained, MODEL.html; "
        "the same command goes on after an interruption",
    )
    parser.add_argument(
        "--minutes",
        type=float,
        default=20.0,
        metavar="N",
        help="time for all of it, preparing the snippets included (default: %(default)g)",
    )
    parser.add_argument(
        "--init", default="shipped", metavar="MODEL", help=f"begin with this {MODEL_HELP}"
    )
    parser.add_argument("--teacher", metavar="MODEL", help=TEACHER_HELP)
    parser.add_argument(
        "--validate",
        action="append",
        default=[],
        type=BagSelection.parse,
        metavar="BAG[@START-END]",
        help="judge by this bag instead of by held-out blocks of the others; may be repeated",
    )
    _add_run_arguments(parser)
    add_bag_arguments(parser)


def _add_run_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--config", default=RECIPE, metavar="NAME|FILE", help="recipe (default: %(default)s)"
    )
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="A.B=C",
        dest="overrides",
        help="set one option, for example training.seed=1",
    )
    parser.add_argument(
        "--rehearsal",
        type=int,
        default=REHEARSAL,
        metavar="N",
        help="rendered snippets to learn from as well, against forgetting (default: %(default)s)",
    )
    parser.add_argument(
        "--max-forgetting",
        type=float,
        default=FORGETTING,
        metavar="SHARE",
        help="relative loss of accuracy on rendered drives that is allowed; as much of the learnt "
        "weights as stays below it is kept (default: %(default)g)",
    )
    parser.add_argument(
        "--steps", type=int, metavar="N", help="end after N steps instead of by the clock"
    )
    parser.add_argument("--json", type=output_file, metavar="FILE", help="write the report here")


def run(options: argparse.Namespace) -> int:
    """Prepare, train, judge, write the model and its page."""
    begin = time.perf_counter()
    _check(options)
    require("torch")
    from sfm_depth_ros.training.offline import adaptation
    from sfm_depth_ros.training.offline.adaptation_verdict import (
        chosen_mixture,
        mixtures,
        verdict_of,
    )

    parent = named_model(options.init)
    with StopSignals() as signals:
        asked = _training_run(options, parent)
        with sole_writer(asked.state_folder):
            data = adaptation.thinned(asked.data())
            asked, judge, plan = _planned(options, asked, data, begin)
            signals.be_patient()
            report, learnt = _train(asked, data, judge, plan, signals)
            first = asked.networks().to(asked.recipe.training.device).eval()
            allowed = options.max_forgetting
            found = mixtures(first, learnt, judge, plan.before, allowed)
            mixture = chosen_mixture(found, plan.before, allowed)
            verdict = verdict_of(plan.before, mixture.figures, allowed)
            if verdict.is_better:
                folder = asked.save(mixture.networks, report, data, mixture.figures)
            else:
                folder = adaptation.write_back(parent, options.out)
    whole = adaptation.report_of(plan, report, found, mixture, verdict, folder)
    _close(options, whole, asked, data, mixture.networks)
    return 0


def _check(options: argparse.Namespace) -> None:
    if options.out.exists():
        raise ConfigError(f"{options.out} exists already; choose another --out or remove it")
    if not options.max_forgetting >= 0:
        raise ConfigError(f"--max-forgetting: expected 0 or more, got {options.max_forgetting:g}")
    if not 0 < options.minutes <= LONGEST:
        raise ConfigError(
            f"--minutes: expected more than 0 and at most {LONGEST:g}, got {options.minutes:g}"
        )
    if options.steps is not None and options.steps < 1:
        raise ConfigError(f"--steps: expected 1 or more, got {options.steps}")
    if options.rehearsal < 0:
        raise ConfigError(f"--rehearsal: expected 0 or more, got {options.rehearsal}")


def _training_run(options: argparse.Namespace, parent: ModelFolder) -> TrainingRun:
    """The run that the arguments and the bags describe, its time not yet decided."""
    from sfm_depth_ros.training.offline import adaptation
    from sfm_depth_ros.training.offline.processes import Processes
    from sfm_depth_ros.training.offline.run import TrainingRun, for_machine

    bags = selected_weighted(options, options.bags)
    opened = adaptation.open_bags(bags, parent.width)
    own = [*_options_of_bags(opened, parent), *teacher_options(options.teacher)]
    recipe = load_config(RecipeConfig, recipe_file(options.config), [*own, *options.overrides])
    if options.steps is None:
        bags = adaptation.sampled(
            bags, opened, int(options.minutes * adaptation.IMAGES_PER_MINUTE)
        )
    if recipe.training.threads:
        require("torch").set_num_threads(recipe.training.threads)
    return TrainingRun(
        for_machine(recipe, parent, Processes()),
        options.out,
        bags,
        selected(options, options.validate),
        options.rehearsal,
        parent,
    )


def _options_of_bags(opened: Sequence[BagFrames], parent: ModelFolder) -> list[str]:
    """Options that follow from the bags, the model and the machine."""
    from sfm_depth_ros.training.device import uses_bfloat16

    device = "cuda" if require("torch").cuda.is_available() else "cpu"
    width, height = opened[0].preprocessor.size
    found = [
        f"training.width={width}",
        f"training.synthetic_heights=[{height}]",
        f"training.device={device}",
        f"training.mixed_precision={uses_bfloat16('auto', device)}".lower(),
    ]
    if parent.depth_config.has_published_encoder:
        found.append("training.trained_part=decoder")
    if any(frames.topics.right_image for frames in opened):
        found.append("objective.stereo_weight=1")
    return found


def _planned(
    options: argparse.Namespace, asked: TrainingRun, data: TrainingData, begin: float
) -> tuple[TrainingRun, LandmarkJudge, AdaptationPlan]:
    """The run with its time, its judge, and the plan: the interrupted run's where there is one."""
    from sfm_depth_ros.training.offline import adaptation
    from sfm_depth_ros.training.offline.run import DataJudge

    config = asked.recipe.training
    judge = adaptation.LandmarkJudge(DataJudge(data, asked.recipe.objective, config.device))
    assert asked.parent is not None
    bags = [f"{bag.selection.name}={bag.weight:g}" for bag in asked.bags]
    if _is_interrupted(asked):
        plan = adaptation.AdaptationPlan.read(asked.state_folder)
        plan.require_same(bags, asked.parent.model_id, asked.state_folder)
    else:
        before = judge(asked.networks().to(config.device).eval())
        minutes = adaptation.train_minutes(options.minutes, time.perf_counter() - begin)
        minutes = _BY_STEPS if options.steps else minutes
        plan = adaptation.AdaptationPlan(bags, asked.parent.model_id, minutes, before)
        plan.write(asked.state_folder)
    training = dataclasses.replace(
        config, max_minutes=plan.train_minutes, steps=options.steps or config.steps
    )
    recipe = dataclasses.replace(asked.recipe, training=training)
    return dataclasses.replace(asked, recipe=recipe), judge, plan


def _is_interrupted(asked: TrainingRun) -> bool:
    return (asked.state_folder / "state.safetensors").exists()


def _train(
    asked: TrainingRun,
    data: TrainingData,
    judge: LandmarkJudge,
    plan: AdaptationPlan,
    signals: StopSignals,
) -> tuple[dict[str, Any], NetworkPair]:
    from sfm_depth_ros.training.offline.processes import Processes
    from sfm_depth_ros.training.offline.run import train
    from sfm_depth_ros.training.offline.run_parts import RunParts

    def observers(first_step: int) -> Iterator[Observer]:
        if ProgressBar.is_possible():
            yield ProgressBar()
        yield MetresLines(plan.before)

    config = asked.recipe.training
    parts = RunParts(
        asked.state_folder,
        config,
        asked.recipe.objective,
        asked.identity(1),
        Processes(),
        signals.is_asked,
        keeps_statistics=True,  # those of a few drives take the place of all that was seen before
        remembered=asked.networks().depth.to(config.device).eval(),
    )
    until = f"{config.max_minutes:.1f} minutes" if config.max_minutes else f"{config.steps} steps"
    _logger.info("training for %s", until)
    return train(asked.networks(), parts, data, _is_interrupted(asked), observers, judge)


def _close(
    options: argparse.Namespace,
    report: dict[str, Any],
    asked: TrainingRun,
    data: TrainingData,
    networks: NetworkPair,
) -> None:
    """Print, and write the report and the page."""
    from sfm_depth_ros.cli.adaptation_page import compared_frames, write_adaptation_page

    page = options.out.with_name(options.out.name + ".html")
    frames = compared_frames(asked.networks().eval(), networks.to("cpu").eval(), data)
    write_adaptation_page(page, report, frames)
    if options.json:
        write_whole(options.json, json.dumps(report, indent=2) + "\n")
    print(f"model {report['model_id']} in {report['model']}; page {page}")
    for sentence in report["verdict"]:
        print(sentence)
