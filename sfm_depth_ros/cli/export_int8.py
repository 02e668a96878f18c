# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""``sfm-depth export --precision int8``: calibrates on a bag and reports the accuracy cost."""

from __future__ import annotations

import argparse
from collections import deque
from pathlib import Path
from typing import TYPE_CHECKING

from sfm_depth_ros.errors import ConfigError, EngineError
from sfm_depth_ros.storage import write_whole

if TYPE_CHECKING:
    import numpy as np

    from sfm_depth_ros.model_folder.folder import ModelFolder

FRAMES = 64  # half give the ranges, half judge; more change little


def add_int8_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what int8 needs."""
    parser.add_argument(
        "--calibrate", type=Path, metavar="BAG", help="int8: a bag of what the robot will see"
    )
    parser.add_argument("--insist", action="store_true", help="int8: accept any loss of accuracy")


def write_int8(folder: ModelFolder, options: argparse.Namespace) -> list[Path]:
    """Calibrate both networks, report the loss of accuracy, write graphs with quantise nodes.

    The ranges are kept, so that nodes on this machine run ``precision: int8`` from now on, also of
    models that are trained from this one.

    Raises:
        ConfigError: No bag is given, or the engine has no int8 here.
        EngineError: int8 changes the output too much, without ``--insist``.
    """
    from sfm_depth_ros.engines.quantisation import calibrate, find_calibration, quantised_graph

    if options.calibrate is None:
        raise ConfigError(
            "--precision int8: expected --calibrate BAG, a bag of what the robot will see"
        )
    if options.engine == "tensorrt":
        raise EngineError(
            "--engine tensorrt: give --engine onnx for int8; its quantise nodes are "
            "what TensorRT builds from"
        )
    width = options.size[1] if options.size else folder.width
    images = folder.pose_config.images if folder.has_pose else 1
    stacks = read_stacks(options.calibrate, width, images, folder.multiple)
    inputs = {"depth": stacks[:, -3:], "pose": stacks}
    for network in folder.networks:
        error = calibrate(folder, network, inputs[network], options.insist)
        print(
            f"{network} int8: relative error against fp32 on {len(stacks) // 2} frames of "
            f"{options.calibrate}: p50 {error.p50:.1e}, p99 {error.p99:.1e}, "
            f"max {error.max:.1e}"
        )
    paths = [options.out / f"{network}.onnx" for network in folder.networks]
    for network, path in zip(folder.networks, paths, strict=True):
        calibration = find_calibration(folder, network)
        assert calibration is not None
        graph = folder.onnx(network).read_bytes()
        is_signed = options.engine == "onnx"  # as TensorRT wants it; OpenVINO likes unsigned
        write_whole(path, quantised_graph(graph, calibration, symmetric=is_signed))
    return paths


def read_stacks(bag: Path, width: int, images: int, multiple: int = 32) -> np.ndarray:
    """Images of a bag that follow each other, spread over the whole of it.

    Args:
        bag: A rosbag2.
        width: Width of the network's image in pixels.
        images: How many images make a stack.
        multiple: What the sides of the network's image must be multiples of.

    Returns:
        ``(N, 3 images, h, w)`` float32 in [0, 1], N at most ``FRAMES``.
    """
    import numpy as np

    from sfm_depth_ros.bags.frames import read_frames
    from sfm_depth_ros.camera.image_layout import NetworkInput

    frames = read_frames(bag, NetworkInput(width, multiple=multiple))
    stride = max(1, len(frames) // FRAMES)
    newest: deque[np.ndarray] = deque(maxlen=images)
    stacks: list[np.ndarray] = []
    for index, item in enumerate(frames):
        newest.append(item.frame.image.transpose(2, 0, 1))
        if len(newest) == images and index % stride == 0 and len(stacks) < FRAMES:
            stacks.append(np.concatenate(newest).astype(np.float32) / np.float32(255.0))
    if not stacks:
        raise ConfigError(f"{bag} has fewer than {images} images; give a longer bag")
    return np.stack(stacks)
