# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Drives that training is measured on, rendered as `sfm-depth synth` does."""

from __future__ import annotations

import argparse
import re
from pathlib import Path


def render_drive(folder: Path, arguments: str) -> Path:
    """Write a drive as a rosbag2 under the name of its options, unless it is there.

    Args:
        folder: Where drives are kept.
        arguments: Options of ``sfm-depth synth``, for example ``--seconds 20 --stereo``.

    Returns:
        Folder of the bag.
    """
    from sfm_depth_ros.cli import synth

    path = folder / re.sub(r"[^\w.]+", "_", arguments).strip("_")
    if not path.exists():
        parser = argparse.ArgumentParser()
        synth.add_arguments(parser)
        synth.run(parser.parse_args([str(path), *arguments.split()]))
    return path
