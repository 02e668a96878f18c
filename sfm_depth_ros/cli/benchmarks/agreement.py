# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""How far every engine at every precision is from torch in fp32, on real frames."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from sfm_depth_ros.engine_table import ENGINES
from sfm_depth_ros.engines.base import Engine, EngineRequest
from sfm_depth_ros.engines.factory import build_engine
from sfm_depth_ros.engines.verification import relative_error
from sfm_depth_ros.errors import SfmDepthError

if TYPE_CHECKING:
    from sfm_depth_ros.model_folder.folder import ModelFolder

FRAMES = 16
PRECISIONS = ("fp32", "bf16", "fp16", "int8")


def measure_agreement(
    folder: ModelFolder, bag: Path | None, width: int = 0, threads: int = 1
) -> dict[str, Any]:
    """Run both networks on frames of a bag, or on the model's check frames.

    Args:
        folder: Model.
        bag: A rosbag2; None = the check frames.
        width: Width of the network's image in pixels; 0 = the model's own.
        threads: CPU threads.

    Returns:
        ``frames``, and by network, engine and precision ``{p50, p99, max}`` of the relative error,
        or ``{unavailable: reason}``.
    """
    inputs = _inputs(folder, bag, width)
    figures: dict[str, Any] = {"frames": len(inputs["depth"])}
    for network, images in inputs.items():
        _, channels, height, width = images.shape
        request = EngineRequest(folder, network, (1, channels, height, width), "fp32", threads)
        expected = outputs(build_engine("torch", request), images)
        figures[network] = {
            f"{name} {precision}": _error(
                name, replace(request, precision=precision), images, expected
            )
            for name in ENGINES
            for precision in PRECISIONS
        }
    return figures


def _inputs(folder: ModelFolder, bag: Path | None, width: int) -> dict[str, np.ndarray]:
    if bag is None:
        frames = folder.check_frames()
        return {network: frames.of(network)[0] for network in folder.networks}
    from sfm_depth_ros.cli.export_int8 import read_stacks

    images = folder.pose_config.images if folder.has_pose else 1
    stacks = spread(read_stacks(bag, width or folder.width, images, folder.multiple), FRAMES)
    inputs = {"depth": stacks[:, -3:], "pose": stacks}
    return {network: inputs[network] for network in folder.networks}


def spread(images: np.ndarray, count: int) -> np.ndarray:
    """At most ``count`` of some images, from the first to the last."""
    return images[np.linspace(0, len(images) - 1, min(count, len(images))).astype(int)]


def outputs(engine: Engine, images: np.ndarray) -> np.ndarray:
    """Outputs of an engine for single images; the engine is closed afterwards."""
    try:
        return np.concatenate([engine.infer(image[None]) for image in images])
    finally:
        engine.close()


def _error(
    name: str, request: EngineRequest, images: np.ndarray, expected: np.ndarray
) -> dict[str, Any]:
    try:
        found = outputs(build_engine(name, request), images)
    except SfmDepthError as error:
        return {"unavailable": str(error)}
    return asdict(relative_error(found, expected, request.network))
