# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""``sfm-depth play``: the console script ``bag_player`` under the common command."""

from __future__ import annotations

import argparse
import os
import sys


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments: bag_player's own."""
    parser.add_argument(
        "words",
        nargs=argparse.REMAINDER,
        metavar="...",
        help="arguments of bag_player; see: bag_player --help",
    )


def run(options: argparse.Namespace) -> int:
    """Become bag_player, which handles signals from its first moment."""
    words = options.words[1:] if options.words[:1] == ["--"] else options.words
    command = [sys.executable, "-m", "sfm_depth_ros.ros.main", "bag_player", *words]
    os.execv(sys.executable, command)
