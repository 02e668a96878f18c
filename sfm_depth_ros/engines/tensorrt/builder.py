# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Build of a TensorRT plan from an ONNX graph, with a GPU or without.

TensorRT returns None or False where it fails; each of them becomes an error with the reason.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from sfm_depth_ros.engines.tensorrt.runtime import TensorRt
from sfm_depth_ros.errors import EngineError

WORKSPACE_BYTES = 1 << 30
LONGEST_REASON = 400  # characters of TensorRT's own message in an error

Progress = Callable[[float], bool]  # completed share in [0, 1] -> whether to go on

_logger = logging.getLogger(__name__)


class BuildStoppedError(EngineError):
    """The build was stopped by its progress function."""


@dataclass(frozen=True)
class PlanRequest:
    """Graph, shapes and devices of a plan."""

    graph: bytes  # Content of an `.onnx` file, typed as it shall compute; one input
    # Input shapes that the plan serves, one optimisation profile each. Free dimensions of the
    # graph are bound to exactly these.
    shapes: tuple[tuple[int, ...], ...]
    # Compute capabilities to build for; empty = the GPU of this machine
    capabilities: tuple[tuple[int, int], ...] = ()
    refittable: bool = False  # Whether its weights can be replaced; needs a GPU
    workspace_bytes: int = WORKSPACE_BYTES  # Most GPU memory that one layer may use for itself


@dataclass(frozen=True)
class BuiltPlan:
    """A plan, its timing cache, and the duration of its build."""

    plan: bytes  # Serialised engine
    # Measured tactics, which make the next build quicker; empty for TensorRT-RTX, which measures
    # nothing
    timing_cache: bytes
    seconds: float  # Parsing and building


def build_plan(
    runtime: TensorRt,
    request: PlanRequest,
    progress: Progress | None = None,
    timing_cache: bytes = b"",
) -> BuiltPlan:
    """Parse a graph and build a plan.

    Args:
        runtime: TensorRT.
        request: Graph, shapes, devices.
        progress: Called with the completed share; False ends the build.
        timing_cache: Of an earlier build on this GPU with this version.

    Raises:
        EngineError: The graph is refused, memory runs out, no GPU is there or does not fit.
        BuildStoppedError: ``progress`` ended the build.
    """
    started = time.perf_counter()
    runtime.log.take_errors()
    builder = _builder(runtime)
    network = builder.create_network(_network_flags(runtime.module))
    if network is None:
        raise failed(runtime, "cannot create a network")
    parser = _parse(runtime, network, request.graph)
    config = _config(runtime, builder, network, request)
    is_timed = not runtime.builds_ahead  # RTX measures nothing, and would need a GPU
    if is_timed:
        _set_timing_cache(config, timing_cache)
    monitor = _monitor(runtime.module, progress) if progress is not None else None
    if monitor is not None:
        config.progress_monitor = monitor
    plan = builder.build_serialized_network(network, config)
    del parser  # not earlier: the network's weights lie in its memory
    if monitor is not None and monitor.is_cancelled:
        raise BuildStoppedError(
            "the build of the TensorRT plan was stopped; start again to build it"
        )
    if plan is None:
        raise failed(runtime, "cannot build the graph")
    timing = bytes(config.get_timing_cache().serialize()) if is_timed else b""
    return BuiltPlan(bytes(plan), timing, time.perf_counter() - started)


def _builder(runtime: TensorRt) -> Any:
    try:
        builder = runtime.module.Builder(runtime.log)
    except TypeError as error:  # the bindings' sign that the factory returned nothing
        raise failed(runtime, "cannot start") from error
    if builder is None:
        raise failed(runtime, "cannot start")
    return builder


def _network_flags(module: Any) -> int:
    """Strongly typed: an option of TensorRT 10, the only mode of 11 and RTX."""
    flag = getattr(module.NetworkDefinitionCreationFlag, "STRONGLY_TYPED", None)
    return 0 if flag is None else 1 << int(flag)


def _parse(runtime: TensorRt, network: Any, graph: bytes) -> Any:
    """Fill the network; the parser, which must live as long as the network is used."""
    parser = runtime.module.OnnxParser(network, runtime.log)
    if parser.parse(graph):
        return parser
    reasons = []
    for index in range(parser.num_errors):
        error = parser.get_error(index)
        where = " ".join(part for part in (error.node_operator(), error.node_name()) if part)
        reasons.append(f"{where}: {error.desc()}" if where else str(error.desc()))
    raise failed(runtime, "refuses the graph", reasons)


def _config(runtime: TensorRt, builder: Any, network: Any, request: PlanRequest) -> Any:
    module = runtime.module
    config = builder.create_builder_config()
    if config is None:
        raise failed(runtime, "cannot create a configuration")
    config.set_memory_pool_limit(module.MemoryPoolType.WORKSPACE, request.workspace_bytes)
    config.clear_flag(module.BuilderFlag.TF32)  # fp32 means fp32
    if request.refittable:
        config.set_flag(module.BuilderFlag.REFIT)
    _set_capabilities(runtime, config, request.capabilities)
    image = network.get_input(0)
    for shape in request.shapes if -1 in tuple(image.shape) else ():
        profile = builder.create_optimization_profile()
        profile.set_shape(image.name, shape, shape, shape)
        if config.add_optimization_profile(profile) < 0:
            raise failed(runtime, f"refuses the shape {shape}")
    return config


def _set_capabilities(
    runtime: TensorRt, config: Any, capabilities: tuple[tuple[int, int], ...]
) -> None:
    if not capabilities:
        return
    if not runtime.builds_ahead:
        raise EngineError(
            f"{runtime} builds for the GPU of this machine alone; install "
            "tensorrt_rtx to build for another one"
        )
    config.num_compute_capabilities = len(capabilities)
    for index, number in enumerate(capabilities):
        if not config.set_compute_capability(runtime.capability(number), index):
            raise failed(runtime, f"does not build for compute capability {number}")


def _set_timing_cache(config: Any, content: bytes) -> None:
    cache = config.create_timing_cache(content)
    if cache is None or not config.set_timing_cache(cache, False):
        _logger.info("the timing cache of an earlier build does not fit and is replaced")
        config.set_timing_cache(config.create_timing_cache(b""), False)


def _monitor(module: Any, progress: Progress) -> Any:
    """TensorRT's progress interface on our function."""

    class Monitor(module.IProgressMonitor):
        """Converts the steps of the outermost phase to a completed share."""

        def __init__(self) -> None:
            module.IProgressMonitor.__init__(self)
            self.is_cancelled = False
            self._outermost: tuple[str, int] | None = None

        def phase_start(self, name: str, parent: str | None, steps: int) -> None:
            """Called by TensorRT."""
            if not parent:
                self._outermost = (name, max(steps, 1))

        def phase_finish(self, name: str) -> None:
            """Called by TensorRT."""

        def step_complete(self, name: str, step: int) -> bool:
            """Called by TensorRT; False ends the build."""
            if self._outermost is not None and name == self._outermost[0]:
                share = min((step + 1) / self._outermost[1], 1.0)
                self.is_cancelled = self.is_cancelled or not progress(share)
            return not self.is_cancelled

    return Monitor()


def failed(runtime: TensorRt, what: str, reasons: list[str] | None = None) -> EngineError:
    """Error in one line: what failed, TensorRT's reasons, and the remedy."""
    errors = runtime.log.take_errors()
    reason = " ".join("; ".join(reasons or errors).split()) or "it gives no reason"
    # A refused graph also logs an error about the missing GPU, which is not the reason.
    mend = remedy("" if reasons else reason)
    return EngineError(f"{runtime} {what} ({reason[:LONGEST_REASON]}); {mend}")


def remedy(reason: str) -> str:
    """Remedy for an error message of TensorRT or of the CUDA driver."""
    words = reason.lower()
    if "out of memory" in words or "outofmemory" in words or "cannot allocate" in words:
        return "free GPU memory, lower input_width or set precision: fp16"
    if "insufficient for cuda runtime" in words or "no cuda-capable" in words:
        return "install or update the NVIDIA driver, or choose engine: openvino"
    if "compute capability" in words or "unsupported sm" in words or "sm version" in words:
        return (
            "this TensorRT does not know the GPU: install the other one (tensorrt, "
            "tensorrt_rtx), or choose another engine"
        )
    return "choose another engine and report the line with what sfm-depth info prints"
