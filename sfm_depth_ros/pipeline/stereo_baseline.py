# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Classical stereo judged as a network is: the baseline that a second camera would give."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from sfm_depth_ros.data.bag_frames import BagFrame, BagFrames, read_frames
from sfm_depth_ros.data.bag_selection import BagSelection
from sfm_depth_ros.data.bag_topics import BagTopics
from sfm_depth_ros.data.second_camera import find_second_camera
from sfm_depth_ros.data.stereo_matching import StereoMatcher
from sfm_depth_ros.errors import DataError
from sfm_depth_ros.geometry.camera import Intrinsics
from sfm_depth_ros.metrics.matching import match_depth
from sfm_depth_ros.metrics.protocol import DepthProtocol
from sfm_depth_ros.pipeline.drive_evaluation import DepthRows
from sfm_depth_ros.pipeline.evaluation import name_bags
from sfm_depth_ros.pipeline.evaluation_report import depth_report

_MULTIPLE = 32
_WAITING = 8  # right images that may wait for their left one


@dataclass
class StereoEvaluation:
    """Errors of stereo depth, where it has an answer.

    Attributes:
        rows: Depth errors of every frame with truth.
        known: Points with truth that count.
    """

    rows: DepthRows = field(default_factory=DepthRows)
    known: int = 0


def evaluate_stereo(bag: BagSelection, protocol: DepthProtocol) -> StereoEvaluation:
    """Match a bag's stereo pairs at the camera's size and judge their depth.

    Args:
        bag: The bag, or a part of it.
        protocol: How depth is judged.

    Raises:
        DataError: The bag has no second camera, or its images do not fit the first's.
    """
    second = find_second_camera(bag.path)
    if second is None:
        raise DataError(
            f"{bag.path} has no second camera: stereo needs images beside a camera_info whose "
            "P[3] is minus focal length times baseline"
        )
    width = second.camera.width // _MULTIPLE * _MULTIPLE
    left = read_frames(bag, width)
    topics = BagTopics(image=second.image, camera_info=second.camera_info)
    right = read_frames(bag, width, topics=topics)
    evaluation, matcher = StereoEvaluation(), StereoMatcher()
    for given, other in _pairs(left, right):
        if given.camera_truth is not None:
            _judge(evaluation, matcher, given, other, second.baseline_m, protocol)
    return evaluation


def add_stereo_baseline(
    report: dict[str, Any], bags: Sequence[str | Path], protocol: DepthProtocol
) -> None:
    """Add ``stereo_baseline`` to a report and to each of its bags.

    Args:
        report: As ``report_of`` makes it, of the same bags.
        bags: Bags and parts of bags.
        protocol: How depth is judged.

    Raises:
        DataError: A bag has no second camera.
    """
    found = {name: evaluate_stereo(bag, protocol) for name, bag in name_bags(bags).items()}
    report["stereo_baseline"] = stereo_report(list(found.values()))
    for name, evaluation in found.items():
        report["bags"][name]["stereo_baseline"] = stereo_report([evaluation])


def stereo_report(evaluations: Sequence[StereoEvaluation]) -> dict[str, Any]:
    """Rows as for a network, and ``coverage``: the share of the truth with an answer."""
    known = sum(evaluation.known for evaluation in evaluations)
    report = depth_report([evaluation.rows for evaluation in evaluations])
    points = report["depth"]["points"] if report["depth"] else 0
    return {**report, "coverage": points / known if known else None}


def _judge(
    evaluation: StereoEvaluation,
    matcher: StereoMatcher,
    given: BagFrame,
    other: BagFrame,
    baseline: float,
    protocol: DepthProtocol,
) -> None:
    K, K_right = given.frame.intrinsics, other.frame.intrinsics
    _check_rectified(K, K_right)
    depth = matcher.depth(given.frame.image, other.frame.image, K.fx, baseline, K.cx - K_right.cx)
    truth = given.camera_truth
    if truth is None:
        return
    everywhere = match_depth(np.ones_like(depth), truth, protocol)
    evaluation.known += len(everywhere)
    matched = match_depth(depth, truth, protocol)
    evaluation.rows.add(given.frame.stamp_ns, matched, protocol)


def _pairs(left: BagFrames, right: BagFrames) -> Iterator[tuple[BagFrame, BagFrame]]:
    """Images of one moment, by their stamps."""
    waiting: dict[int, BagFrame] = {}
    others = iter(right)
    for given in left:
        stamp = given.frame.stamp_ns
        while stamp not in waiting and len(waiting) < _WAITING:
            other = next(others, None)
            if other is None:
                break
            waiting[other.frame.stamp_ns] = other
        if stamp in waiting:
            yield given, waiting[stamp]
        for old in [key for key in waiting if key <= stamp]:
            del waiting[old]


def _check_rectified(left: Intrinsics, right: Intrinsics) -> None:
    """Rows must correspond: the same focal lengths, size and row of the principal point."""
    same = np.isclose(
        [left.fx, left.fy, left.cy, left.height], [right.fx, right.fy, right.cy, right.height],
        rtol=1e-3, atol=0.05,
    )  # fmt: skip
    if not same.all():
        raise DataError(
            "the second camera's rectified image has another focal length, size or centre row "
            "than the first's: calibrate the pair together, so that both P agree"
        )
