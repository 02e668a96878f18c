# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Engines by name, and the choice among them: checked first, then the fastest.

To add an engine, write a class that follows :class:`~sfm_depth_ros.engines.base.Engine` and give
it a line in ``ENGINES``.
"""

from __future__ import annotations

import contextlib
import functools
import importlib.metadata
import json
import logging
import os
import platform
from collections.abc import Callable, Iterable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from sfm_depth_ros.engines.background_build import BackgroundBuild, InterimEngine
from sfm_depth_ros.engines.base import NETWORKS, Engine, EngineRequest, input_channels
from sfm_depth_ros.engines.choice import (
    Candidate,
    Checked,
    Choice,
    default_cache_file,
    processor_name,
)
from sfm_depth_ros.engines.fallback import FallbackEngine
from sfm_depth_ros.engines.onnxruntime_engine import OnnxRuntimeEngine
from sfm_depth_ros.engines.openvino_engine import OpenVinoEngine
from sfm_depth_ros.engines.quantisation import find_calibration
from sfm_depth_ros.engines.tensorrt.builder import Progress
from sfm_depth_ros.engines.tensorrt.cuda_driver import load_cuda
from sfm_depth_ros.engines.tensorrt.engine import TensorRtEngine
from sfm_depth_ros.engines.verification import (
    RelativeError,
    check_shape,
    measure_error,
    refusal,
)
from sfm_depth_ros.errors import EngineError, MissingDependencyError, SfmDepthError
from sfm_depth_ros.model_folder.folder import ModelFolder
from sfm_depth_ros.optional import EXTRAS, is_available, require

PLAN_PATIENCE_S = 5.0  # a plan from the cache is there by then; else another engine serves first

_logger = logging.getLogger(__name__)


def _torch_engine(request: EngineRequest) -> Engine:
    require("torch")
    from sfm_depth_ros.engines.torch_engine import TorchEngine

    return TorchEngine(request)


# In the order in which they are tried; each is named as the module that it needs.
ENGINES: dict[str, Callable[[EngineRequest], Engine]] = {
    "tensorrt": TensorRtEngine,
    "openvino": OpenVinoEngine,
    "onnxruntime": OnnxRuntimeEngine,
    "torch": _torch_engine,
}
# What ``precision: auto`` tries of each; a named precision is asked of every engine.
PRECISIONS = {
    "tensorrt": ("fp16", "fp32"),
    "openvino": ("fp32", "bf16", "int8"),
    "onnxruntime": ("fp32", "int8"),
    "torch": ("fp32",),
}
GPU_PRECISIONS = {"torch": ("fp32", "fp16")}
LAST_RESORT = "torch"  # seconds and 200 MB to import: without a GPU only where nothing else serves
MODULES = {"tensorrt": ("tensorrt", "tensorrt_rtx")}


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
        name: Engine, or ``"auto"``: the fastest of those that are installed and pass; should it
            fail while it runs, the next one takes over.
        precision: ``"fp32"``, ``"bf16"``, ``"fp16"`` or ``"int8"``, never changed behind the
            caller's back; or ``"auto"``: the fastest that passes.
        threads: CPU threads.
        cache_file: Where ``auto`` remembers what it measured; None = in the user's cache.

    Raises:
        EngineError: The named engine, or every one, is absent or does not pass.
    """
    if network not in NETWORKS or min(input_hw) < 32 or any(size % 32 for size in input_hw):
        raise ValueError(
            f"expected 'depth' or 'pose' and multiples of 32, got {network!r} and {input_hw}"
        )
    if name not in ("auto", *ENGINES):
        raise EngineError(f"engine: expected auto, {', '.join(ENGINES)}, got {name!r}")
    shape = (1, input_channels(folder, network), *input_hw)
    request = EngineRequest(folder, network, shape, precision, threads)
    if name == "auto" or precision == "auto":
        return _chosen(request, name, cache_file or default_cache_file())
    checked = _checked(Candidate(name, precision), request)
    engine = checked.accepted(precision)
    _logger.info(
        "engine %s as asked: %s; relative error p50 %.1e, p99 %.1e, max %.1e",
        name,
        request,
        checked.error.p50,
        checked.error.p99,
        checked.error.max,
    )
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


def _chosen(request: EngineRequest, name: str, cache_file: Path) -> Engine:
    """The best of one engine's precisions, or of all engines."""
    _load_runtimes(candidates := _candidates(request, name))
    refused: dict[str, str] = {}
    build: BackgroundBuild | None = None
    if name in ("auto", "tensorrt"):
        build = BackgroundBuild(lambda tell: _plan(request, tell), "tensorrt")
        try:
            engine = build.take(PLAN_PATIENCE_S if name == "auto" else None)
            return _served(engine, candidates if name == "auto" else [], request)
        except TimeoutError:
            _logger.info("tensorrt builds its plan; the next best engine serves meanwhile")
        except SfmDepthError as error:
            if name == "tensorrt":
                raise EngineError(str(error)) from error
            refused["tensorrt"], build = str(error), None
    try:
        choice = Choice(
            request,
            candidates,
            lambda candidate: _checked(candidate, request),
            cache_file,
            _cache_key(request, name),
            "" if _has_gpu() else LAST_RESORT,
            refused,
        )
        engine, spare = choice.fastest()
    except BaseException:
        if build is not None:
            build.cancel()
        raise
    serving = engine if build is None else InterimEngine(engine, build)
    return _served(serving, spare if name == "auto" else [], request)


def _load_runtimes(candidates: Iterable[Candidate]) -> None:
    """Import every runtime that may be needed later, while nobody waits for a frame.

    An import holds the interpreter for as long as the library takes to load: beside frames, when
    a new model wants another engine than the last, that would lose some.
    """
    for name in {candidate.name for candidate in candidates} - {LAST_RESORT}:
        if is_available(name):
            with contextlib.suppress(MissingDependencyError):
                require(name)


def _candidates(request: EngineRequest, name: str) -> list[Candidate]:
    """What is measured: all engines but TensorRT, which has no rival where it runs."""
    names = [one for one in ENGINES if one != "tensorrt"] if name == "auto" else [name]
    return [
        Candidate(one, precision)
        for one in names
        for precision in _precisions(request, one)
        if precision != "int8"
        or request.precision == "int8"
        or find_calibration(request.folder, request.network)
    ]


def _precisions(request: EngineRequest, name: str) -> tuple[str, ...]:
    if request.precision != "auto":
        return (request.precision,)
    return GPU_PRECISIONS.get(name, PRECISIONS[name]) if _has_gpu() else PRECISIONS[name]


@functools.cache
def _has_gpu() -> bool:
    try:
        load_cuda()
    except EngineError:
        return False
    return True


def _plan(request: EngineRequest, progress: Progress) -> Engine:
    """TensorRT at the first precision that it can build and that passes."""
    *reduced, last = _precisions(request, "tensorrt")
    for precision in reduced:
        try:
            return _fed_bytes(
                TensorRtEngine(replace(request, precision=precision), progress=progress)
            )
        except EngineError as error:
            _logger.debug("tensorrt %s is not used: %s", precision, error)
    return _fed_bytes(TensorRtEngine(replace(request, precision=last), progress=progress))


def _fed_bytes(engine: TensorRtEngine) -> TensorRtEngine:
    """The engine, ready for images as bytes; where it cannot take them, floats serve as well."""
    try:
        engine.take_bytes()
    except SfmDepthError as error:
        _logger.info("tensorrt is handed images as floats, not as bytes: %s", error)
    return engine


def _served(engine: Engine, spare: list[Candidate], request: EngineRequest) -> Engine:
    """The engine with those that follow it should it fail."""

    def build(candidate: Candidate) -> Engine:
        return _checked(candidate, request).accepted(request.precision)

    return FallbackEngine(engine, spare, build)


def _checked(candidate: Candidate, request: EngineRequest) -> Checked:
    """Build an engine, and say whether it answers as the check frames say, at their shape."""
    request = replace(request, precision=candidate.precision)
    if getattr(ENGINES[candidate.name], "checks_itself", False):
        itself: Any = _build(candidate.name, request)
        return Checked(_fed_bytes(itself), itself.error)
    shape = check_shape(request.folder, request.network)
    engine = _build(candidate.name, replace(request, input_shape=shape))
    try:
        error = measure_error(engine, request.folder, request.network)
    except EngineError:
        engine.close()
        raise
    said = refusal(engine, error, request.folder, request.network)
    if shape != request.input_shape:
        engine.close()
        engine = _build(candidate.name, request)
    return Checked(engine, error, said)


def _build(name: str, request: EngineRequest) -> Engine:
    """Build an engine without any check."""
    try:
        return ENGINES[name](request)
    except MissingDependencyError as error:
        raise EngineError(str(error)) from error


def _cache_key(request: EngineRequest, name: str) -> str:
    config = (
        request.folder.depth_config if request.network == "depth" else request.folder.pose_config
    )
    return json.dumps(
        [
            platform.machine(),
            processor_name(),
            os.cpu_count(),
            available_engines(),
            request.network,
            asdict(config),
            request.input_shape,
            name,
            request.precision,
            request.threads,
            [str(candidate) for candidate in _candidates(request, name)],
        ]
    )


def _version(name: str) -> str:
    module = next(filter(is_available, MODULES.get(name, (name,))), None)
    if module is None:
        return f"not installed; type: pip install 'sfm_depth_ros[{EXTRAS[name]}]'"
    try:
        return importlib.metadata.version(module)
    except importlib.metadata.PackageNotFoundError:
        return "installed, of an unknown version"
