# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Execution context of a plan, and the buffers of its two tensors."""

from __future__ import annotations

import contextlib
import logging
from pathlib import Path
from typing import Any

import numpy as np

from sfm_depth_ros.engines.tensorrt.builder import failed
from sfm_depth_ros.engines.tensorrt.cuda_driver import CudaDriver
from sfm_depth_ros.engines.tensorrt.runtime import TensorRt
from sfm_depth_ros.errors import EngineError
from sfm_depth_ros.storage import write_whole

_logger = logging.getLogger(__name__)


class PlanContext:
    """One deserialised engine at one input shape; queues its work on a stream.

    Args:
        runtime: TensorRT.
        cuda: The GPU, current in this thread.
        engine: Deserialised engine (``ICudaEngine``) with one input and one output.
        shape: Input shape, the one of optimisation profile ``profile``.
        stream: The stream that it will run on.
        profile: Index of the optimisation profile.
        kernels: File in which TensorRT-RTX keeps the kernels that it compiles when it first runs;
            None = nowhere.
    """

    def __init__(
        self,
        runtime: TensorRt,
        cuda: CudaDriver,
        engine: Any,
        shape: tuple[int, ...],
        stream: int,
        profile: int = 0,
        kernels: Path | None = None,
    ) -> None:
        self._runtime, self._cuda, self._engine, self._stream = runtime, cuda, engine, stream
        self._kernels, self._kernel_cache = kernels, None
        self.records_itself = False
        self._context = self._create()
        self._source, self._target = self._tensor_names()
        self._select_shape(shape, profile)
        self.input_shape = shape
        self.output_shape: tuple[int, ...] = tuple(self._context.get_tensor_shape(self._target))

    def input_buffers(self, releases: contextlib.ExitStack) -> tuple[np.ndarray, int]:
        """Pinned host array for the input, and the address of as much memory on the GPU."""
        return self._buffers(self._source, self.input_shape, releases)

    def output_buffers(self, releases: contextlib.ExitStack) -> tuple[np.ndarray, int]:
        """The same for the output."""
        return self._buffers(self._target, self.output_shape, releases)

    def bind(self, source: int, target: int) -> None:
        """Read from one address of the GPU, and write to another, from now on."""
        for name, address in ((self._source, source), (self._target, target)):
            if not self._context.set_tensor_address(name, address):
                raise failed(self._runtime, f"takes no buffer for {name}")

    def enqueue(self) -> None:
        """Queue one run."""
        if not self._context.execute_async_v3(self._stream):
            raise failed(self._runtime, "failed to run")

    def keep_kernels(self) -> None:
        """Keep compiled kernels for the next start; only time is lost where that fails."""
        if self._kernel_cache is None or self._kernels is None:
            return
        content = bytes(self._kernel_cache.serialize())
        with contextlib.suppress(OSError):
            if self._kernels.exists() and self._kernels.read_bytes() == content:
                return
        try:
            write_whole(self._kernels, content)
        except OSError as error:
            _logger.info("cannot keep compiled kernels in %s (%s)", self._kernels, error)

    def _create(self) -> Any:
        engine = self._engine
        has_config = hasattr(engine, "create_runtime_config")
        config = engine.create_runtime_config() if has_config else None
        if config is not None and hasattr(config, "cuda_graph_strategy"):
            self._configure(config)
            context = engine.create_execution_context(config)
        else:
            context = engine.create_execution_context()
        if context is None:
            raise failed(self._runtime, "cannot make the plan ready to run")
        return context

    def _configure(self, config: Any) -> None:
        """Set the options that TensorRT-RTX has at run time instead of build time."""
        module = self._runtime.module
        config.cuda_graph_strategy = module.CudaGraphStrategy.WHOLE_GRAPH_CAPTURE
        # The shape never changes: its kernels are compiled before the first image, not in it.
        eager = module.DynamicShapesKernelSpecializationStrategy.EAGER
        config.dynamic_shapes_kernel_specialization_strategy = eager
        self.records_itself = True
        if self._kernels is None:
            return
        cache = config.create_runtime_cache()
        with contextlib.suppress(OSError):
            if not cache.deserialize(self._kernels.read_bytes()):
                _logger.info(
                    "the kernels in %s are of another version and are compiled again",
                    self._kernels,
                )
        if config.set_runtime_cache(cache):
            self._kernel_cache = cache

    def _select_shape(self, shape: tuple[int, ...], profile: int) -> None:
        if profile and not self._context.set_optimization_profile_async(profile, self._stream):
            raise failed(self._runtime, f"lacks optimisation profile {profile}")
        if not self._context.set_input_shape(self._source, shape):
            raise failed(self._runtime, f"was not built for the shape {shape}")

    def _tensor_names(self) -> tuple[str, str]:
        """Names of the input and of the output, whatever their order in the plan."""
        engine, modes = self._engine, self._runtime.module.TensorIOMode
        names = [engine.get_tensor_name(index) for index in range(engine.num_io_tensors)]
        inputs = [name for name in names if engine.get_tensor_mode(name) == modes.INPUT]
        outputs = [name for name in names if engine.get_tensor_mode(name) == modes.OUTPUT]
        if len(inputs) != 1 or len(outputs) != 1:
            raise EngineError(
                f"a plan with inputs {inputs} and outputs {outputs} is none of "
                "ours; remove it from the cache of plans"
            )
        return inputs[0], outputs[0]

    def _buffers(
        self, name: str, shape: tuple[int, ...], releases: contextlib.ExitStack
    ) -> tuple[np.ndarray, int]:
        cuda = self._cuda
        kind = self._runtime.module.nptype(self._engine.get_tensor_dtype(name))
        host = cuda.allocate_host(shape, kind)
        releases.callback(cuda.free_host, host)
        device = cuda.allocate(host.nbytes)
        releases.callback(cuda.free, device)
        return host, device
