# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""One engine built, and compared with the model's check frames."""

from __future__ import annotations

import importlib
import importlib.metadata
import logging
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from sfm_depth_ros.engine_table import ENGINES
from sfm_depth_ros.engines.base import Engine, EngineRequest
from sfm_depth_ros.engines.choice import Candidate, Checked
from sfm_depth_ros.engines.tensorrt.builder import Progress
from sfm_depth_ros.engines.verification import (
    RelativeError,
    check_shape,
    measure_error,
    refusal,
)
from sfm_depth_ros.errors import EngineError, MissingDependencyError, SfmDepthError
from sfm_depth_ros.model_folder.folder import ModelFolder
from sfm_depth_ros.optional import install_command, is_available, require

_logger = logging.getLogger(__name__)

TORCH = "torch"  # the one engine that needs the network itself, not its graph


def available_engines() -> dict[str, str]:
    """Version of every engine's runtime, or how to install one; nothing is imported."""
    return {name: _version(name) for name in ENGINES}


def engine_error(
    name: str, folder: ModelFolder, network: str, precision: str = "fp32", threads: int = 1
) -> RelativeError:
    """Error of an engine against torch on the check frames, without a verdict."""
    shape = check_shape(folder, network)
    engine = build_engine(name, EngineRequest(folder, network, shape, precision, threads))
    try:
        return measure_error(engine, folder, network)
    finally:
        engine.close()


def build_engine(name: str, request: EngineRequest) -> Engine:
    """Build an engine without any check of its output.

    Raises:
        EngineError: It is not installed, or cannot run the network.
    """
    if name == TORCH and request.network == "depth" and request.folder.is_foreign:
        raise EngineError(
            "torch cannot run an imported ONNX graph; choose engine onnxruntime, openvino or "
            "tensorrt"
        )
    try:
        engine: Engine = engine_class(name)(request)
    except MissingDependencyError as error:
        raise EngineError(str(error)) from error
    return engine


def engine_class(name: str) -> Any:
    """Class of an engine in the table.

    Raises:
        MissingDependencyError: It needs its runtime to be imported, which is not installed.
    """
    kind = ENGINES[name]
    module, _, attribute = kind.implementation.partition(":")
    try:
        return getattr(importlib.import_module(module), attribute)
    except ImportError:
        require(kind.modules[0])
        raise


def plan_engine(
    name: str, request: EngineRequest, precisions: Sequence[str], progress: Progress
) -> Engine:
    """Engine at the first of ``precisions`` whose plan can be built and passes."""
    *reduced, last = precisions
    create = engine_class(name)
    for precision in reduced:
        try:
            engine = create(replace(request, precision=precision), progress=progress)
            return _with_bytes(engine)
        except EngineError as error:
            _logger.debug("%s %s is not used: %s", name, precision, error)
    return _with_bytes(create(replace(request, precision=last), progress=progress))


def _with_bytes(engine: Engine) -> Engine:
    """The engine, prepared for bytes; floats serve where it cannot take them."""
    try:
        engine.take_bytes()
    except SfmDepthError as error:
        _logger.info("%s gets images as floats, not as bytes: %s", engine.name, error)
    return engine


def checked_engine(candidate: Candidate, request: EngineRequest) -> Checked:
    """Build an engine and compare it with the check frames, at their shape."""
    request = replace(request, precision=candidate.precision)
    if ENGINES[candidate.name].builds_plan:
        engine = build_engine(candidate.name, request)
        assert engine.error is not None  # it has compared itself: one plan has both shapes
        return Checked(_with_bytes(engine), engine.error)
    shape = check_shape(request.folder, request.network)
    engine = build_engine(candidate.name, replace(request, input_shape=shape))
    try:
        error = measure_error(engine, request.folder, request.network)
    except EngineError:
        engine.close()
        raise
    reason = refusal(engine, error, request.folder, request.network)
    if shape != request.input_shape:
        engine.close()
        engine = build_engine(candidate.name, request)
    return Checked(_with_bytes(engine), error, reason)


def _version(name: str) -> str:
    module = next(filter(is_available, ENGINES[name].modules), None)
    if module is None:
        return f"not installed; type: {install_command(ENGINES[name].modules[-1])}"
    try:
        return importlib.metadata.version(module)
    except importlib.metadata.PackageNotFoundError:
        return "installed, of an unknown version"
