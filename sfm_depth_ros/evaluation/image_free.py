# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Predictions that see no image, judged as a network is: the bar that a model has to beat."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from sfm_depth_ros.bags.frames import BagFrames, read_frames
from sfm_depth_ros.bags.selection import BagSelection
from sfm_depth_ros.bags.snippets import tracked_points
from sfm_depth_ros.camera.image_layout import NetworkInput
from sfm_depth_ros.geometry.camera import Intrinsics
from sfm_depth_ros.model_folder.row_profile import RowProfile, RowProfileFit, require_profile

ROW_PROFILE, ONE_DEPTH = "row_profile", "one_depth"
IMAGE_FREE = (ROW_PROFILE, ONE_DEPTH)


def image_free_depths(profile: RowProfile, intrinsics: Intrinsics) -> dict[str, np.ndarray]:
    """``(height, width)`` float32 metres by each rule."""
    by_row = profile.image(intrinsics)
    return {ROW_PROFILE: by_row, ONE_DEPTH: np.full_like(by_row, profile.everywhere)}


def profile_of_bags(bags: Sequence[str | Path | BagSelection], width: int) -> RowProfile:
    """The profile of some drives: of their true depth, or of tracked corners where there is none.

    Args:
        bags: Bags and parts of bags.
        width: Width in pixels that images are read at, or a narrower camera's own.

    Raises:
        DataError: No depth can be had from them.
    """
    fit = RowProfileFit()
    for bag in bags:
        frames = read_frames(bag, NetworkInput(width, narrows=True))
        for depth, intrinsics in _known_depths(frames):
            fit.add(depth, intrinsics)
    return require_profile(fit.profile(), ", ".join(map(str, bags)))


def _known_depths(frames: BagFrames) -> Iterable[tuple[np.ndarray, Intrinsics]]:
    if frames.topics.depth_truth:
        for given in frames:
            if given.depth is not None:
                yield given.depth, given.frame.intrinsics
    elif len(frames.velocities):
        for points in tracked_points(frames).values():
            yield points.image(points.intrinsics), points.intrinsics


def verdict(part: dict[str, Any]) -> dict[str, Any] | None:
    """Whether a network is better than every prediction without an image.

    Args:
        part: Report of a bag, with ``row_profile`` and ``one_depth``.

    Returns:
        ``{"metric": bool, "shape": bool}``: of ``abs_rel`` unscaled, and after scaling each frame
        by its medians; of a network that is not metric, held to landmarks. None where nothing was
        compared.
    """
    rules = [part[name] for name in IMAGE_FREE if part.get(name)]
    rows = {"metric": "depth", "shape": "depth_median_scaled"}
    # a relative network has metres by landmarks alone
    prefix = "depth" if part.get("is_metric", True) else "depth_anchored"
    own: dict[str, Any] = {row: part.get(row.replace("depth", prefix, 1)) for row in rows.values()}
    if not rules or any(of.get(row) is None for of in (own, *rules) for row in rows.values()):
        return None
    return {
        name: all(own[row]["abs_rel"] < rule[row]["abs_rel"] for rule in rules)
        for name, row in rows.items()
    }


def verdict_words(part: dict[str, Any]) -> str:
    """The verdict in a sentence, or an empty string where nothing was compared."""
    found = part.get("beats_image_free")
    if not found:
        return ""
    if all(found.values()):
        return "better than the row profile and one depth for all, in metres and in shape"
    if not any(found.values()):
        return (
            "NOT better than the row profile and one depth for all, which see no image, neither "
            "in metres nor in shape: here this model is no better than depth by image row"
        )
    good, bad = ("metres", "shape") if found["metric"] else ("shape", "metres")
    return (
        f"better in {good}, but NOT in {bad} than the row profile and one depth for all, which "
        "see no image"
    )
