# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""``sfm-depth view``: a live page of both nodes, for a browser on this computer."""

from __future__ import annotations

import argparse
import os
import sys

from sfm_depth_ros.report.live_page import PORT


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument(
        "--port",
        type=int,
        default=PORT,
        help="port of this computer alone, 0 = any that is free (default: %(default)d); from "
        "elsewhere: ssh -L 8642:localhost:8642 ROBOT",
    )
    parser.add_argument(
        "--image", default="image", metavar="TOPIC", help="camera's topic, raw or compressed"
    )
    parser.add_argument("--namespace", default="", metavar="NS", help="namespace of the nodes")


def run(options: argparse.Namespace) -> int:
    """Become the viewer, which handles signals from its first moment."""
    remaps = ["-r", f"image:={options.image}"]
    if options.namespace:
        remaps += ["-r", f"__ns:=/{options.namespace.strip('/')}"]
    command = [sys.executable, "-m", "sfm_depth_ros.ros.main", "view", "--port", str(options.port)]
    os.execv(sys.executable, [*command, "--ros-args", *remaps])
