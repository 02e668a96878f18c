# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Drives that training is measured on, rendered as `sfm-depth synth` does."""

from __future__ import annotations

import argparse
from pathlib import Path


def render_drive(path: Path, arguments: str) -> Path:
    """Write a drive as a rosbag2, unless it is there.

    Args:
        path: Folder of the bag.
        arguments: Options of ``sfm-depth synth``, for example ``--seconds 20 --stereo``.
    """
    from sfm_depth_ros.cli import synth

    if not path.exists():
        parser = argparse.ArgumentParser()
        synth.add_arguments(parser)
        synth.run(parser.parse_args([str(path), *arguments.split()]))
    return path
