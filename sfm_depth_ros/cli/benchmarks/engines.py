# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Engines side by side: latency and distance from torch, at every precision they have."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sfm_depth_ros.networks.model_folder import ModelFolder


def measure_engines(
    folder: ModelFolder, input_hw: tuple[int, int], threads: int
) -> dict[str, Any]:
    """Measure the depth network on every engine that is here.

    Args:
        folder: Model.
        input_hw: Height and width of the network's image.
        threads: CPU threads.

    Returns:
        By engine: ``precision``, ``latency_ms_p50``, ``frames_per_s``, ``relative_error`` and,
        where the engine has bf16 as well, ``bf16`` with the same; or ``unavailable`` with the
        reason.
    """
    from sfm_depth_ros.engines.factory import ENGINES

    return {name: _measure(folder, name, input_hw, threads) for name in ENGINES}


def _measure(
    folder: ModelFolder, name: str, input_hw: tuple[int, int], threads: int
) -> dict[str, Any]:
    from sfm_depth_ros.errors import EngineError

    try:
        row = _measure_at(folder, name, input_hw, "fp32", threads)
    except EngineError as error:
        return {"unavailable": str(error)}
    try:
        row["bf16"] = _measure_at(folder, name, input_hw, "bf16", threads)
    except EngineError as error:
        row["bf16"] = {"unavailable": str(error)}
    return row


def _measure_at(
    folder: ModelFolder, name: str, input_hw: tuple[int, int], precision: str, threads: int
) -> dict[str, Any]:
    from sfm_depth_ros.engines.factory import create_engine, engine_error, measure_latency

    engine = create_engine(folder, "depth", input_hw, name, precision, threads)
    try:
        latency_ms = measure_latency(engine)
    finally:
        engine.close()
    error = engine_error(name, folder, "depth", precision, threads)
    return {
        "precision": engine.precision,
        "latency_ms_p50": latency_ms,
        "frames_per_s": 1e3 / latency_ms,
        "relative_error": asdict(error),
    }
