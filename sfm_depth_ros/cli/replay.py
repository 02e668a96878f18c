# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""``sfm-depth replay``: a bag with depth and ego-motion written back into it, no ROS running."""

from __future__ import annotations

import argparse
from pathlib import Path

from sfm_depth_ros.cli.arguments import (
    add_inference_arguments,
    named_model,
    node_config,
    output_file,
)
from sfm_depth_ros.cli.bag_options import add_bag_arguments, bag_options
from sfm_depth_ros.cli.progress import FrameCounter
from sfm_depth_ros.estimation.output_topics import DEFAULT_EXTRAS, EXTRAS

OUTPUT_OPTIONS = ("depth_encoding", "output_size", "max_depth")  # of depth_node


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    add_inference_arguments(parser, OUTPUT_OPTIONS)
    parser.add_argument("bag", metavar="BAG", help="rosbag2 to read")
    add_bag_arguments(parser)
    parser.add_argument(
        "--out", type=Path, required=True, metavar="BAG", help="rosbag2 to write; must not exist"
    )
    parser.add_argument(
        "--extras",
        nargs="*",
        choices=tuple(EXTRAS),
        default=DEFAULT_EXTRAS,
        help="what is written beside depth, its camera_info and the ego-motion; --extras alone = "
        f"nothing (default: {' '.join(DEFAULT_EXTRAS)})",
    )
    parser.add_argument(
        "--rerun",
        type=output_file,
        metavar="FILE",
        help="write a recording of Rerun (.rrd) as well; needs rerun-sdk",
    )


def run(options: argparse.Namespace) -> int:
    """Replay and print what was written."""
    from sfm_depth_ros.estimation.replay import replay

    config = node_config(options, **{name: getattr(options, name) for name in OUTPUT_OPTIONS})
    counter = FrameCounter("replay")
    counts = replay(
        named_model(options.model),
        options.bag,
        options.out,
        config,
        options=bag_options(options),
        extras=options.extras,
        rerun=options.rerun,
        on_image=counter,
    )
    counter.end()
    late = f" ({counts.late} late ones skipped)" if counts.late else ""
    print(
        f"{options.out}: {counts.written} depth images of {counts.images} images{late}, "
        f"{counts.motions} motions; topics {', '.join(counts.topics)}"
    )
    return 0 if counts.written else 1
