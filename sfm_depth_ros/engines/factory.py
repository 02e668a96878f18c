# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Engines by name, and the automatic choice: of those that pass the check frames, the fastest."""

from __future__ import annotations

import contextlib
import functools
import json
import logging
import os
import platform
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from pathlib import Path

from sfm_depth_ros.engine_table import ENGINES
from sfm_depth_ros.engines.base import NETWORKS, Engine, EngineRequest, input_channels
from sfm_depth_ros.engines.building import available_engines, checked_engine, plan_engine
from sfm_depth_ros.engines.choice import Candidate, Choice, processor_name
from sfm_depth_ros.engines.quantisation import find_calibration
from sfm_depth_ros.engines.serving import BackgroundBuild, ServingEngine
from sfm_depth_ros.engines.tensorrt.cuda_driver import load_cuda
from sfm_depth_ros.errors import EngineError, MissingDependencyError, SfmDepthError
from sfm_depth_ros.model_folder.folder import ModelFolder
from sfm_depth_ros.model_folder.metadata import DEPTH_ONNX
from sfm_depth_ros.optional import is_available, require
from sfm_depth_ros.storage import cache_directory

PLAN_PATIENCE_S = 5.0  # enough to load a cached plan; else another engine serves meanwhile

_logger = logging.getLogger(__name__)


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
        input_hw: Height and width of the image, multiples of the model's ``multiple``.
        name: Engine, or ``"auto"``: the fastest of those that are installed and pass; should it
            fail while it runs, the next one takes over.
        precision: ``"fp32"``, ``"bf16"``, ``"fp16"`` or ``"int8"``, never changed silently; or
            ``"auto"``: the fastest that passes.
        threads: CPU threads.
        cache_file: File of the latencies that ``auto`` measured; None = in the user's cache.

    Raises:
        EngineError: The named engine, or every one, is absent or does not pass.
    """
    multiple = folder.multiple
    if network not in NETWORKS or any(size <= 0 or size % multiple for size in input_hw):
        raise ValueError(
            f"expected 'depth' or 'pose' and multiples of {multiple}, got {network!r} and "
            f"{input_hw}"
        )
    if name not in ("auto", *ENGINES):
        raise EngineError(f"engine: expected auto, {', '.join(ENGINES)}, got {name!r}")
    shape = (1, input_channels(folder, network), *input_hw)
    request = EngineRequest(folder, network, shape, precision, threads)
    if name == "auto" or precision == "auto":
        return _chosen(request, name, cache_file or cache_directory() / "engines.json")
    checked = checked_engine(Candidate(name, precision), request)
    engine = checked.accepted(precision)
    _logger.info(
        "engine %s as requested: %s; relative error p50 %.1e, p99 %.1e, max %.1e",
        name,
        request,
        checked.error.p50,
        checked.error.p99,
        checked.error.max,
    )
    return engine


def _chosen(request: EngineRequest, name: str, cache_file: Path) -> Engine:
    """The best of one engine's precisions, or of all engines."""
    names = list(ENGINES) if name == "auto" else [name]
    planned = next((one for one in names if ENGINES[one].builds_plan), "")
    candidates = _candidates(request, [one for one in names if one != planned])
    _load_runtimes(candidates)
    refused: dict[str, str] = {}
    build: BackgroundBuild | None = None
    if planned:
        build = BackgroundBuild(
            lambda report: plan_engine(planned, request, _precisions(request, planned), report),
            planned,
        )
        try:
            engine = build.take(PLAN_PATIENCE_S if name == "auto" else None)
            return _serving(engine, candidates, request)
        except TimeoutError:
            _logger.info("%s builds its plan; the next best engine serves meanwhile", planned)
        except SfmDepthError as error:
            if name == planned:
                raise EngineError(str(error)) from error
            refused[planned], build = str(error), None
    key = _cache_key(request, name, candidates)
    choice = Choice(
        request,
        candidates,
        lambda one: checked_engine(one, request),
        cache_file,
        key,
        _last_resort(),
        refused,
    )
    try:
        engine, spare = choice.fastest()
    except BaseException:
        if build is not None:
            build.cancel()
        raise
    return _serving(engine, spare if name == "auto" else [], request, build)


def _serving(
    engine: Engine,
    spare: Sequence[Candidate],
    request: EngineRequest,
    better: BackgroundBuild | None = None,
) -> Engine:
    """The engine, with its successors and with the one that is being built."""

    def build(candidate: Candidate) -> Engine:
        return checked_engine(candidate, request).accepted(request.precision)

    return ServingEngine(engine, spare, build, better)


def _load_runtimes(candidates: Iterable[Candidate]) -> None:
    """Import every runtime that may be needed later, before frames arrive.

    An import holds the interpreter until the library is loaded: when a new model chooses another
    engine than the last one did, that would lose frames.
    """
    for name in {one.name for one in candidates if not ENGINES[one.name].is_last_resort}:
        for module in filter(is_available, ENGINES[name].modules):
            with contextlib.suppress(MissingDependencyError):
                require(module)


def _candidates(request: EngineRequest, names: Iterable[str]) -> list[Candidate]:
    """Engines and precisions to measure; int8 only where it was calibrated or is requested."""
    return [
        Candidate(name, precision)
        for name in names
        for precision in _precisions(request, name)
        if precision != "int8"
        or request.precision == "int8"
        or find_calibration(request.folder, request.network)
    ]


def _precisions(request: EngineRequest, name: str) -> tuple[str, ...]:
    if request.precision != "auto":
        return (request.precision,)
    kind = ENGINES[name]
    return (kind.gpu_precisions if _has_gpu() else ()) or kind.precisions


def _last_resort() -> str:
    """Engine that is slow to import and therefore tried last; none beside a GPU."""
    names = (name for name, kind in ENGINES.items() if kind.is_last_resort)
    return "" if _has_gpu() else next(names, "")


@functools.cache
def _has_gpu() -> bool:
    try:
        load_cuda()
    except EngineError:
        return False
    return True


def _cache_key(request: EngineRequest, name: str, candidates: Sequence[Candidate]) -> str:
    return json.dumps(
        [
            platform.machine(),
            processor_name(),
            os.cpu_count(),
            available_engines(),
            request.network,
            asdict(request.folder.network_config(request.network)),
            request.folder.metadata["files"][DEPTH_ONNX] if request.folder.is_foreign else "",
            request.input_shape,
            name,
            request.precision,
            request.threads,
            [str(candidate) for candidate in candidates],
        ]
    )
