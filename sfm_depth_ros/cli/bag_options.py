# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Options of every command that reads bags: topics, frames, pose, calibration."""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Sequence
from typing import TYPE_CHECKING

from sfm_depth_ros.errors import ConfigError

if TYPE_CHECKING:
    from sfm_depth_ros.bags.options import BagOptions
    from sfm_depth_ros.bags.selection import BagSelection, WeightedBag

_TOPICS = {
    "image": ("image", "images"),
    "camera-info": ("camera_info", "calibration of the images"),
    "odom": ("velocity", "Odometry, TwistStamped or TwistWithCovarianceStamped"),
    "truth": ("depth_truth", "true depth"),
    "truth-poses": ("pose_truth", "true poses of the base, as Odometry"),
}
_TEXTS = (
    ("camera-info-file", "FILE", "calibration YAML instead of the camera_info"),
    ("base-frame", "FRAME", "frame of the velocities"),
    ("camera-frame", "FRAME", "optical frame of the images"),
)
_NUMBERS = (
    ("white-level", 65535, "value of white in 16-bit images, 4095 of a 12-bit camera"),
    ("truth-tolerance", 0.002, "seconds between an image and its true depth, at most"),
)


def add_bag_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of a bag; by default everything is found by type and name."""
    group = parser.add_argument_group("bags that do not describe themselves")
    for option, (role, text) in _TOPICS.items():
        group.add_argument(
            f"--{option}", dest=f"bag_{role}", default="", metavar="TOPIC", help=f"topic of {text}"
        )
    for option, metavar, text in _TEXTS:
        group.add_argument(f"--{option}", default="", metavar=metavar, help=text)
    group.add_argument(
        "--base-to-camera",
        type=float,
        nargs=7,
        metavar=("X", "Y", "Z", "QX", "QY", "QZ", "QW"),
        help="pose of the optical frame in the base instead of /tf_static, metres",
    )
    for option, default, text in _NUMBERS:
        help_text = f"{text} (default: %(default)g)"
        group.add_argument(
            f"--{option}", type=type(default), default=default, metavar="N", help=help_text
        )


def bag_options(options: argparse.Namespace) -> BagOptions | None:
    """Options of the bags of a command; None where every one has its default.

    Raises:
        ConfigError: A value is impossible.
        DataError: The calibration file cannot be read.
    """
    from sfm_depth_ros.bags.options import BagOptions
    from sfm_depth_ros.bags.topics import BagTopics
    from sfm_depth_ros.camera.camera_model import read_camera_info_file
    from sfm_depth_ros.geometry.frames import pose_to_matrix

    if not 1 <= options.white_level <= 65535:
        raise ConfigError(f"--white-level: expected 1 to 65535, got {options.white_level}")
    if not 0 <= options.truth_tolerance <= 1e6:
        raise ConfigError(
            f"--truth-tolerance: expected 0 or more seconds, got {options.truth_tolerance:g}"
        )
    camera = T_base_camera = None
    if options.camera_info_file:
        camera = read_camera_info_file(options.camera_info_file, options.camera_frame)
    if options.base_to_camera:
        try:
            T_base_camera = pose_to_matrix(options.base_to_camera)
        except ValueError as error:
            raise ConfigError(f"--base-to-camera: {error}") from error
    topics = BagTopics(**{role: getattr(options, f"bag_{role}") for role, _ in _TOPICS.values()})
    made = BagOptions(
        topics, camera, T_base_camera, options.base_frame, options.camera_frame,
        options.white_level, options.truth_tolerance,
    )  # fmt: skip
    return made if made.content() != BagOptions().content() else None


def selected(
    options: argparse.Namespace, bags: Sequence[str | BagSelection]
) -> list[BagSelection]:
    """Bags and parts of bags of a command, with the command's options."""
    from sfm_depth_ros.bags.selection import BagSelection

    made = bag_options(options)
    selections = [b if isinstance(b, BagSelection) else BagSelection.parse(b) for b in bags]
    return [dataclasses.replace(selection, options=made) for selection in selections]


def selected_weighted(
    options: argparse.Namespace, bags: Sequence[WeightedBag]
) -> list[WeightedBag]:
    """Weighted bags of a command, likewise."""
    selections = selected(options, [bag.selection for bag in bags])
    return [
        dataclasses.replace(bag, selection=selection)
        for bag, selection in zip(bags, selections, strict=True)
    ]
