# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Facts about a recording."""

from __future__ import annotations

from pathlib import Path

from sfm_depth_ros.bags.options import BagOptions
from sfm_depth_ros.bags.reader import BagReader
from sfm_depth_ros.errors import DataError
from sfm_depth_ros.inspection.facts import CAMERA, IMAGE, VELOCITY, Facts

DAMAGED = "their bytes are no {}: look at the disk, and record again"


def facts_of_bag(path: str | Path, options: BagOptions | None = None) -> Facts:
    """Read a recording once.

    Raises:
        DataError: It cannot be read.
    """
    options = options or BagOptions()
    with BagReader(path, options.topics) as reader:
        facts = Facts(topics=dict(reader.recorded), seconds=reader.duration_s)
        roles = {
            reader.topics.image: IMAGE,
            reader.topics.camera_info: CAMERA,
            reader.topics.velocity: VELOCITY,
        }
        roles.pop("", None)
        for topic, role in roles.items():
            facts.stream(role).topic = topic
        transforms = {"/tf", "/tf_static"} & set(reader.recorded)
        for raw in reader.raw_messages(*roles, *transforms):
            try:
                message = raw.message
            except DataError:
                if raw.topic in roles:
                    facts.stream(roles[raw.topic]).refused[DAMAGED.format(raw.type_name)] += 1
                continue
            if raw.topic in transforms:
                facts.add_transforms(message)
            else:
                facts.add(roles[raw.topic], message, raw.time_ns)
    frames = facts.velocity.frames
    named = next((frame for frame in frames if frame), "")
    facts.base_frame = options.base_frame or named or facts.base_frame
    return facts
