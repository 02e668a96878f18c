# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A bag decoded once: its snippets with everything that is known of them, in a cache."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable
from functools import partial
from pathlib import Path

from sfm_depth_ros.bags.frames import BagFrames, read_frames
from sfm_depth_ros.bags.selection import BagSelection
from sfm_depth_ros.bags.snippets import read_snippets, taught
from sfm_depth_ros.camera.image_layout import NetworkInput
from sfm_depth_ros.config.extra_inputs import SPARSE_DEPTH
from sfm_depth_ros.config.schema import OfflineTrainingConfig
from sfm_depth_ros.errors import DataError
from sfm_depth_ros.snippets.image_gate import ImageGate
from sfm_depth_ros.snippets.refusals import main_refusal
from sfm_depth_ros.snippets.store import (
    FORMAT_VERSION,
    SnippetStore,
    StoreShape,
    open_store,
    read_store,
)
from sfm_depth_ros.training.offline.caches import CacheStore, bag_content_hash, code_hash
from sfm_depth_ros.training.offline.teacher import TeacherModel

SNIPPETS_BETWEEN_LOOKS = 64  # at the room that is left

_logger = logging.getLogger(__name__)


def recorded_caches(
    bag: BagSelection,
    config: OfflineTrainingConfig,
    store: CacheStore,
    companions: tuple[str, ...] = (),
    teacher_model: TeacherModel | None = None,
) -> list[SnippetStore]:
    """Snippets of a bag with their truth, where it has any; one cache for each image size.

    Args:
        bag: The bag, or a part of it.
        config: Width of the network's image.
        store: Where they are kept, or found from an earlier run.
        companions: Roles of :mod:`sfm_depth_ros.config.extra_inputs` that snippets shall have.
        teacher_model: Gives the targets' disparity, up to a gain and an offset.

    Raises:
        DataError: The bag cannot be used; the message names the remedy.
    """
    frames = read_frames(
        bag,
        NetworkInput(config.width, multiple=config.multiple),
        max_velocity_gap_s=config.max_velocity_gap,
        needs_velocity=True,
        companions=companions,
    )
    frames = frames.at_width(config.prepared_width, keeps_shape=True)
    teacher = config.teacher if SPARSE_DEPTH in companions else "none"  # no term needs it
    taught_roles = () if teacher == "none" else (SPARSE_DEPTH,)
    for role in companions:
        if not getattr(frames.topics, role) and role not in taught_roles:
            _logger.warning("%s has no %s, which the objective could use", bag.name, role)
    content = {
        "format": FORMAT_VERSION,
        "bag": bag_content_hash(bag.path),
        "part_s": [bag.start_s, bag.end_s],
        "options": bag.options.content() if bag.options else [],
        "size": frames.preprocessor.size,
        "companions": companions,
        "teacher": teacher,
        "teacher_model": teacher_model.model_id if teacher_model else "",
        "gates": [
            config.min_displacement,
            config.max_displacement,
            config.max_image_gap,
            config.max_velocity_gap,
        ],
        "code": code_hash(
            "bags", "camera", "geometry", "snippets", "visual_odometry", "messages.py"
        ),
    }
    folder = store.entry(bag.name, content, partial(_fill, frames, config, teacher, teacher_model))
    return [read_store(path) for path in sorted(folder.iterdir())]


def _fill(
    frames: BagFrames,
    config: OfflineTrainingConfig,
    teacher: str,
    teacher_model: TeacherModel | None,
    folder: Path,
    make_room: Callable[[], None],
) -> None:
    name, counts = frames.selection.name, Counter[tuple[int, int]]()
    caches: dict[tuple[int, int], SnippetStore] = {}
    _logger.info("decoding %s (%d images)", name, len(frames))
    snippets = read_snippets(
        frames,
        config.min_displacement,
        config.max_displacement,
        config.max_image_gap,
        with_truth=True,
        image_gate=ImageGate(),
    )
    labelled = taught(snippets, frames, teacher)
    if teacher_model is not None:
        labelled = teacher_model.taught(labelled)
    for number, snippet in enumerate(labelled):
        height, width = size = snippet.target.shape[:2]
        if size not in caches:
            shape = StoreShape(height, width, name)
            caches[size] = open_store(folder / f"{width}x{height}", shape)
        caches[size].write(counts[size], snippet)
        counts[size] += 1
        if number % SNIPPETS_BETWEEN_LOOKS == 0:
            make_room()
    if not caches:
        raise DataError(_nothing_found(frames))
    for size in caches:
        _logger.info("%s: %d snippets of %dx%d", name, counts[size], size[1], size[0])


def _nothing_found(frames: BagFrames) -> str:
    reasons = ", ".join(f"{count} {why}" for why, count in frames.refused.items() if count)
    return (
        f"{frames.selection.name}: no snippet to train on among {len(frames)} images "
        f"(refused: {reasons or 'none, there are too few'}); "
        f"{main_refusal(frames.refused) or 'record a longer drive'}"
    )
