# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Engines by name, and the choice among them: checked first, then the fastest.

To add an engine, write a class that follows :class:`~sfm_depth_ros.engines.base.Engine` and give
it a line in ``ENGINES``.
"""

from __future__ import annotations

import importlib.metadata
import json
import logging
import os
import platform
import time
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np

from sfm_depth_ros.engines.base import NETWORKS, Engine, EngineRequest, input_channels
from sfm_depth_ros.engines.choice_cache import (
    default_cache_file,
    processor_name,
    recall_latencies,
    remember_latencies,
)
from sfm_depth_ros.engines.onnxruntime_engine import OnnxRuntimeEngine
from sfm_depth_ros.engines.openvino_engine import OpenVinoEngine
from sfm_depth_ros.engines.verification import (
    RelativeError,
    check_shape,
    measure_error,
    verify_engine,
)
from sfm_depth_ros.errors import EngineError, MissingDependencyError
from sfm_depth_ros.networks.model_folder import ModelFolder
from sfm_depth_ros.optional import EXTRAS, is_available, require

MEASURE_S, MEASURE_RUNS, WARM_UP_RUNS = 0.7, 30, 3
LAST_RESORT = "torch"  # seconds and 200 MB to import: only where nothing lighter serves

_log = logging.getLogger(__name__)


def _torch_engine(request: EngineRequest) -> Engine:
    require("torch")
    from sfm_depth_ros.engines.torch_engine import TorchEngine

    return TorchEngine(request)


# In the order in which they are tried; each is named as the module that it needs.
ENGINES: dict[str, Callable[[EngineRequest], Engine]] = {
    "openvino": OpenVinoEngine,
    "onnxruntime": OnnxRuntimeEngine,
    "torch": _torch_engine,
}


def available_engines() -> dict[str, str]:
    """Version of every engine's runtime, or why there is none; nothing is imported."""
    return {name: _version(name) for name in ENGINES}


def create_engine(
    folder: ModelFolder,
    network: str,
    input_hw: tuple[int, int],
    name: str = "auto",
    precision: str = "fp32",
    threads: int = 1,
    cache_file: Path | None = None,
) -> Engine:
    """Build an engine that has passed the model's check frames.

    Args:
        folder: Model.
        network: ``"depth"`` or ``"pose"``.
        input_hw: Height and width of the image, multiples of 32.
        name: Engine, or ``"auto"``: the fastest of those that are installed and pass.
        precision: ``"fp32"`` or ``"bf16"``; never changed behind the caller's back.
        threads: CPU threads.
        cache_file: Where ``auto`` remembers what it measured; None = in the user's cache.

    Raises:
        EngineError: The named engine, or every one, is absent or does not pass.
    """
    if network not in NETWORKS or min(input_hw) < 32 or any(size % 32 for size in input_hw):
        raise ValueError("expected 'depth' or 'pose' and multiples of 32, got "
                         f"{network!r} and {input_hw}")
    shape = (1, input_channels(folder, network), *input_hw)
    request = EngineRequest(folder, network, shape, precision, threads)
    if name == "auto":
        return _fastest(request, cache_file or default_cache_file())
    engine = _checked(name, request)
    _log.info("engine %s as asked: %s", name, request)
    return engine


def engine_error(
    name: str, folder: ModelFolder, network: str, precision: str = "fp32", threads: int = 1
) -> RelativeError:
    """How far an engine is from torch on the check frames, without judging it."""
    shape = check_shape(folder, network)
    engine = _build(name, EngineRequest(folder, network, shape, precision, threads))
    try:
        return measure_error(engine, folder, network)
    finally:
        engine.close()


def measure_latency(engine: Engine) -> float:
    """Median time of one run in milliseconds, after a warm-up, in less than a second or so."""
    return float(np.median(run_times_ms(engine)))


def run_times_ms(engine: Engine) -> list[float]:
    """Times of single runs after a warm-up."""
    image = np.random.default_rng(0).random(engine.input_shape, dtype=np.float32)
    for _ in range(WARM_UP_RUNS):
        engine.infer(image)
    times: list[float] = []
    while len(times) < MEASURE_RUNS and sum(times) < MEASURE_S:
        start = time.perf_counter()
        engine.infer(image)
        times.append(time.perf_counter() - start)
    return [1e3 * seconds for seconds in times]


def _checked(name: str, request: EngineRequest) -> Engine:
    """Build an engine that answers as the check frames say, at their shape."""
    shape = check_shape(request.folder, request.network)
    engine = _build(name, replace(request, input_shape=shape))
    verify_engine(engine, request.folder, request.network)
    if shape == request.input_shape:
        return engine
    engine.close()
    return _build(name, request)


def _build(name: str, request: EngineRequest) -> Engine:
    """Build an engine without any check."""
    if name not in ENGINES:
        raise EngineError(f"engine: expected auto, {', '.join(ENGINES)}, got {name!r}")
    try:
        return ENGINES[name](request)
    except MissingDependencyError as error:
        raise EngineError(str(error)) from error


def _fastest(request: EngineRequest, cache_file: Path) -> Engine:
    key = _cache_key(request)
    latencies = recall_latencies(cache_file, key)
    refused: dict[str, str] = {}
    if latencies:
        fastest = min(latencies, key=lambda name: latencies[name])
        try:
            return _announced(_checked(fastest, request), request, latencies, refused)
        except EngineError as error:
            _log.warning("engine %s, the fastest so far, is not used: %s", fastest, error)
    engines = _candidates(request, refused)
    if len(engines) == 1:
        (engine,) = engines.values()
        return _announced(engine, request, {}, refused)
    # The quickest run, for other processes disturb the rest while a robot starts.
    latencies = {name: min(run_times_ms(engine)) for name, engine in engines.items()}
    remember_latencies(cache_file, key, latencies)
    fastest = min(latencies, key=lambda name: latencies[name])
    for name, engine in engines.items():
        if name != fastest:
            engine.close()
    return _announced(engines[fastest], request, latencies, refused)


def _candidates(request: EngineRequest, refused: dict[str, str]) -> dict[str, Engine]:
    """Every engine that passes the check; the reasons of the others go into ``refused``."""
    engines: dict[str, Engine] = {}
    for name in ENGINES:
        if name == LAST_RESORT and engines:
            continue
        try:
            engines[name] = _checked(name, request)
        except EngineError as error:
            refused[name] = str(error)
    if not engines:
        reasons = "; ".join(f"{name}: {why}" for name, why in refused.items())
        raise EngineError(f"no engine serves ({request}): {reasons}")
    return engines


def _announced(
    engine: Engine, request: EngineRequest, latencies: dict[str, float], refused: dict[str, str]
) -> Engine:
    """Say in one line what was chosen, and why not the others."""
    measured = {name: f"{ms:.1f} ms" for name, ms in latencies.items()}
    why = measured.pop(engine.name, "the only one")
    others = {**measured, **refused}
    if engine.name != LAST_RESORT:
        others.setdefault(LAST_RESORT, "not tried, for it is slow to load")
    _log.info("engine %s chosen (%s): %s; not %s", engine.name, why, request,
              ", ".join(f"{name} ({reason})" for name, reason in others.items()))
    return engine


def _cache_key(request: EngineRequest) -> str:
    config = (request.folder.depth_config if request.network == "depth"
              else request.folder.pose_config)
    return json.dumps([
        platform.machine(), processor_name(), os.cpu_count(), available_engines(), request.network,
        asdict(config), request.input_shape, request.precision, request.threads,
    ])


def _version(name: str) -> str:
    if not is_available(name):
        return f"not installed; type: pip install 'sfm_depth_ros[{EXTRAS[name]}]'"
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return "installed, of an unknown version"
