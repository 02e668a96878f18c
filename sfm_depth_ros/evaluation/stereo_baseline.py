# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Classical stereo judged as a network is: the baseline that a second camera would give."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from sfm_depth_ros.bags.events import CameraInfoEvent
from sfm_depth_ros.bags.frames import BagFrames, read_frames
from sfm_depth_ros.bags.reader import BagReader
from sfm_depth_ros.bags.selection import BagSelection
from sfm_depth_ros.bags.stereo_matching import StereoMatcher
from sfm_depth_ros.camera.image_layout import NetworkInput
from sfm_depth_ros.errors import DataError
from sfm_depth_ros.evaluation.drive_evaluation import DepthRows
from sfm_depth_ros.evaluation.evaluator import name_bags
from sfm_depth_ros.evaluation.matching import match_depth
from sfm_depth_ros.evaluation.protocol import DepthProtocol
from sfm_depth_ros.evaluation.report import depth_report

_MULTIPLE = 32  # of the columns of an image that is read


@dataclass
class StereoEvaluation:
    """Errors of stereo depth, where it is known."""

    rows: DepthRows = field(default_factory=DepthRows)  # Depth errors of every frame with truth
    known: int = 0  # Points with truth that count


def evaluate_stereo(
    bags: Sequence[str | Path | BagSelection], protocol: DepthProtocol
) -> dict[str, StereoEvaluation]:
    """Match the stereo pairs of bags at the camera's size and judge their depth.

    Args:
        bags: Bags and parts of bags; all are opened before the first is matched.
        protocol: How depth is judged.

    Returns:
        What was measured, by the names that ``name_bags`` gives.

    Raises:
        DataError: A bag has no second camera, or one that is not rectified to the first.
    """
    opened = {name: _open(bag) for name, bag in name_bags(bags).items()}
    return {name: _evaluate(frames, protocol) for name, frames in opened.items()}


def add_stereo_baseline(report: dict[str, Any], found: dict[str, StereoEvaluation]) -> None:
    """Add ``stereo_baseline`` to a report of the same bags and to each of its bags."""
    report["stereo_baseline"] = stereo_report(list(found.values()))
    for name, evaluation in found.items():
        report["bags"][name]["stereo_baseline"] = stereo_report([evaluation])


def stereo_report(evaluations: Sequence[StereoEvaluation]) -> dict[str, Any]:
    """Rows as for a network, and ``coverage``: the share of the truth with stereo depth."""
    known = sum(evaluation.known for evaluation in evaluations)
    report = depth_report([evaluation.rows for evaluation in evaluations])
    points = report["depth"]["points"] if report["depth"] else 0
    return {**report, "coverage": points / known if known else None}


def _open(bag: BagSelection) -> BagFrames:
    topics = bag.options.topics if bag.options else None
    with BagReader(bag.path, topics) as reader:
        if not (reader.topics.right_image and reader.topics.right_camera_info):
            raise DataError(
                f"{bag.path} has no second camera: stereo needs images under a name with right, "
                "and their camera_info, whose P[3] is minus focal length times baseline"
            )
        events = (e for e in reader.events(CameraInfoEvent) if isinstance(e, CameraInfoEvent))
        first = next(events, None)
    columns = first.camera.width if first else _MULTIPLE  # else reading names what is missing
    return read_frames(
        bag, NetworkInput(columns // _MULTIPLE * _MULTIPLE), companions=("right_image",)
    )


def _evaluate(frames: BagFrames, protocol: DepthProtocol) -> StereoEvaluation:
    evaluation, matcher = StereoEvaluation(), StereoMatcher()
    for given in frames:
        if given.camera_truth is None or given.frame.right is None:
            continue
        depth = matcher.of_pair(given.frame)
        matched = match_depth(depth, given.camera_truth, protocol)
        everywhere = match_depth(np.ones_like(depth), given.camera_truth, protocol)
        evaluation.known += len(everywhere)
        evaluation.rows.add(given.frame.stamp_ns, matched, protocol)
    return evaluation
