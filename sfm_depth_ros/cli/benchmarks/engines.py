# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Engines side by side: latency, and agreement with torch on real frames."""

from __future__ import annotations

import time
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from sfm_depth_ros.engine_table import ENGINES
from sfm_depth_ros.engines.base import Engine, EngineRequest
from sfm_depth_ros.engines.building import build_engine
from sfm_depth_ros.engines.verification import relative_error
from sfm_depth_ros.errors import SfmDepthError

if TYPE_CHECKING:
    from sfm_depth_ros.engines.base import Engine
    from sfm_depth_ros.model_folder.folder import ModelFolder

REDUCED = ("bf16", "fp16", "int8")
RUNS = 40


def measure_engines(
    folder: ModelFolder, input_hw: tuple[int, int], threads: int
) -> dict[str, Any]:
    """Measure the depth network on every engine that is here.

    Args:
        folder: Model.
        input_hw: Height and width of the network's image.
        threads: CPU threads.

    Returns:
        By engine: ``precision``, ``latency_ms_p50`` (p95, p99, min), ``frames_per_s``,
        ``relative_error`` and the same again under the name of every reduced precision; or
        ``unavailable`` with the reason. ``auto`` is what ``engine: auto, precision: auto`` chose,
        with ``speedup`` over ``eager``: the network as plain torch runs it.
    """
    rows = {name: _measure(folder, name, input_hw, threads) for name in ENGINES}
    if "unavailable" in rows.get("torch", {"unavailable": ""}):
        return rows
    rows["eager"] = _eager(folder, input_hw, threads)
    rows["auto"] = _measure_at(folder, "auto", input_hw, "auto", threads)
    rows["auto"]["speedup"] = rows["eager"]["latency_ms_p50"] / rows["auto"]["latency_ms_p50"]
    return rows


def _measure(
    folder: ModelFolder, name: str, input_hw: tuple[int, int], threads: int
) -> dict[str, Any]:
    from sfm_depth_ros.errors import EngineError

    try:
        row = _measure_at(folder, name, input_hw, "fp32", threads)
    except EngineError as error:
        return {"unavailable": str(error)}
    for precision in REDUCED:
        try:
            row[precision] = _measure_at(folder, name, input_hw, precision, threads)
        except EngineError as error:
            row[precision] = {"unavailable": str(error)}
    return row


def _measure_at(
    folder: ModelFolder, name: str, input_hw: tuple[int, int], precision: str, threads: int
) -> dict[str, Any]:
    from sfm_depth_ros.engines.building import engine_error
    from sfm_depth_ros.engines.factory import create_engine

    engine = create_engine(folder, "depth", input_hw, name, precision, threads)
    chosen, precision = engine.name, engine.precision
    try:
        latencies = _latencies(engine)
    finally:
        engine.close()
    error = engine_error(chosen, folder, "depth", precision, threads)
    return {"engine": chosen, "precision": precision, **latencies, "relative_error": asdict(error)}


def _latencies(engine: Engine) -> dict[str, float]:
    """Percentiles of single runs."""
    from sfm_depth_ros.engines.choice import run_times_ms

    return _percentiles(run_times_ms(engine))


def _eager(folder: ModelFolder, input_hw: tuple[int, int], threads: int) -> dict[str, Any]:
    """The depth network in torch as it is written: nothing folded, nothing laid out anew."""
    import torch

    from sfm_depth_ros.model_folder.loading import load_network

    network: Any = load_network(folder, "depth").eval()
    image = torch.rand(1, 3, *input_hw)
    before, times_ms = torch.get_num_threads(), []
    torch.set_num_threads(threads)
    with torch.inference_mode():
        for _ in range(RUNS):
            started = time.perf_counter()
            network.depth(image)
            times_ms.append(1e3 * (time.perf_counter() - started))
    torch.set_num_threads(before)
    return {
        "engine": "eager",
        "precision": "fp32",
        **_percentiles(times_ms[3:]),
        "relative_error": {"p50": 0.0, "p99": 0.0, "max": 0.0},
    }


def _percentiles(times_ms: list[float]) -> dict[str, float]:
    p50, p95, p99 = (float(value) for value in np.percentile(times_ms, (50, 95, 99)))
    return {
        "latency_ms_p50": p50,
        "latency_ms_p95": p95,
        "latency_ms_p99": p99,
        "latency_ms_min": min(times_ms),
        "frames_per_s": 1e3 / p50,
    }


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
