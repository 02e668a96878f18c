# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""``sfm-depth eval``: a model's errors on bags, in metres, with nothing corrected."""

from __future__ import annotations

import argparse
import json
from typing import TYPE_CHECKING

from sfm_depth_ros.bags.selection import BagSelection
from sfm_depth_ros.cli.arguments import (
    add_inference_arguments,
    named_model,
    node_config,
    output_file,
    output_folder,
)
from sfm_depth_ros.cli.bag_options import add_bag_arguments, selected
from sfm_depth_ros.cli.progress import FrameCounter
from sfm_depth_ros.errors import ConfigError
from sfm_depth_ros.evaluation.protocol import RESIZES, DepthProtocol
from sfm_depth_ros.storage import write_whole

if TYPE_CHECKING:
    from sfm_depth_ros.cli.evaluation.scenes import SceneChooser
    from sfm_depth_ros.evaluation.evaluator import EvaluatedFrame
    from sfm_depth_ros.model_folder.folder import ModelFolder
    from sfm_depth_ros.model_folder.row_profile import RowProfile


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    add_inference_arguments(parser)
    parser.add_argument(
        "bags",
        metavar="BAG",
        nargs="+",
        help="rosbag2 with images; truth in /ground_truth/depth and /ground_truth/odom where "
        "there is any; BAG@START-END is the part between two times, seconds after the first image",
    )
    add_bag_arguments(parser)
    _add_protocol_arguments(parser)
    parser.add_argument(
        "--stereo-baseline",
        action="store_true",
        help="judge classical stereo (semi-global matching) too, in bags with a second camera",
    )
    parser.add_argument(
        "--profile",
        action="append",
        default=[],
        type=BagSelection.parse,
        metavar="BAG[@START-END]",
        help="another drive of the same camera: its median depth by image row is the bar that "
        "needs no image; without it the training drives' as the model has it; may be repeated",
    )
    parser.add_argument(
        "--json", type=output_file, metavar="FILE", help="write the report here as well"
    )
    parser.add_argument(
        "--html", type=output_file, metavar="FILE", help="write a page with pictures and plots"
    )
    parser.add_argument(
        "--trajectories",
        type=output_folder,
        metavar="DIR",
        help="write predicted and true trajectories here, as TUM and as KITTI files",
    )


def _add_protocol_arguments(parser: argparse.ArgumentParser) -> None:
    default = DepthProtocol()
    parser.add_argument(
        "--min-depth",
        type=float,
        default=default.min_depth,
        metavar="M",
        help="nearest truth that counts; predictions are clamped to it (default: %(default)g)",
    )
    parser.add_argument(
        "--max-depth",
        type=float,
        default=default.max_depth,
        metavar="M",
        help="farthest truth that counts, likewise (default: %(default)g, as in the literature)",
    )
    parser.add_argument(
        "--garg-crop",
        action="store_true",
        help="only truth within Garg's crop of the image counts, as in KITTI's tables",
    )
    parser.add_argument(
        "--resize",
        choices=RESIZES,
        default=default.resize,
        help="what is brought to the other's pixels: the prediction's disparity or depth to the "
        "truth's, or the truth to the network's (default: %(default)s)",
    )
    parser.add_argument(
        "--flip",
        action="store_true",
        help="flip post-processing: blend each image's depth with its mirror image's",
    )


def run(options: argparse.Namespace) -> int:
    """Evaluate, print tables, write files."""
    from sfm_depth_ros.cli.evaluation.table import table, write_trajectories
    from sfm_depth_ros.evaluation.evaluator import Evaluator
    from sfm_depth_ros.evaluation.report import report_of
    from sfm_depth_ros.evaluation.stereo_baseline import add_stereo_baseline, evaluate_stereo

    protocol = DepthProtocol(
        options.min_depth,
        options.max_depth,
        "garg" if options.garg_crop else "none",
        options.resize,
        options.flip,
    )
    scenes = _scene_chooser(options)
    bags = selected(options, options.bags)
    folder = named_model(options.model)
    profile = _profile(options, folder)
    stereo = evaluate_stereo(bags, protocol) if options.stereo_baseline else {}
    counter = FrameCounter("eval")

    def watch(done: EvaluatedFrame) -> None:
        counter(done.number)
        if scenes:
            scenes.add(done)

    evaluator = Evaluator(folder, node_config(options), protocol, on_frame=watch, profile=profile)
    drives = evaluator.evaluate_bags(bags)
    counter.end()
    report = report_of(folder.model_id, drives, protocol)
    if options.stereo_baseline:
        add_stereo_baseline(report, stereo)
    print("\n".join(table(report)))
    if options.json:
        write_whole(options.json, json.dumps(report, indent=2) + "\n")
    if options.trajectories:
        write_trajectories(options.trajectories, drives)
    if scenes:
        from sfm_depth_ros.cli.evaluation.page import write_page

        write_page(options.html, report, drives, scenes)
    return 0


def _profile(options: argparse.Namespace, folder: ModelFolder) -> RowProfile | None:
    """Depth by image row of the drives that the user names, else of the training drives."""
    if not options.profile:
        return folder.row_profile()
    from sfm_depth_ros.evaluation.image_free import profile_of_bags

    return profile_of_bags(selected(options, options.profile), folder.width)


def _scene_chooser(options: argparse.Namespace) -> SceneChooser | None:
    """Collector of pictures, where a page is wanted; a missing package is an error at once."""
    if not options.html:
        return None
    if options.json and options.json.resolve() == options.html.resolve():
        raise ConfigError(f"--json and --html: expected two files, got {options.html} for both")
    from sfm_depth_ros.cli.evaluation.scenes import SceneChooser
    from sfm_depth_ros.optional import require

    require("matplotlib")
    return SceneChooser()
