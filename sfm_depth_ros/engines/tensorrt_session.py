# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""One deserialised TensorRT engine, running at one input shape on a stream of its own."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable
from typing import Any

import numpy as np

from sfm_depth_ros.engines.base import check_input, check_output, closed
from sfm_depth_ros.engines.cuda_driver import CudaDriver
from sfm_depth_ros.engines.tensorrt_builder import failed
from sfm_depth_ros.engines.tensorrt_runtime import TensorRt
from sfm_depth_ros.errors import EngineError

WARM_UP_RUNS = 2  # TensorRT-RTX compiles its kernels in the first, TensorRT allocates

_log = logging.getLogger(__name__)


class TensorRtSession:
    """Follows :class:`~sfm_depth_ros.engines.base.Engine`.

    All buffers are allocated once. Where TensorRT does not record CUDA graphs by itself (RTX
    does), the copies and the network are recorded as one graph and replayed for every image.

    Args:
        runtime: TensorRT.
        cuda: The GPU.
        engine: Deserialised engine (``ICudaEngine``) with one input and one output.
        shape: Input shape, the one of optimisation profile ``profile``.
        precision: Of the engine, for its errors.
        profile: Index of the optimisation profile.
    """

    name = "tensorrt"

    def __init__(
        self,
        runtime: TensorRt,
        cuda: CudaDriver,
        engine: Any,
        shape: tuple[int, int, int, int],
        precision: str,
        profile: int = 0,
    ) -> None:
        self.precision, self.input_shape = precision, shape
        self._runtime, self._cuda, self._engine = runtime, cuda, engine
        self._releases: list[Callable[[], None]] = []
        self._graph: int | None = None
        self._context: Any = None
        cuda.use()
        try:
            self._open(shape, profile)
        except BaseException:
            self.close()
            raise

    def infer(self, image: np.ndarray) -> np.ndarray:
        """Run the network, see :class:`~sfm_depth_ros.engines.base.Engine`."""
        if self._context is None:
            raise closed(self)
        self._host_input[...] = check_input(self, image)
        self._cuda.use()
        if self._graph is None:
            self._enqueue()
        else:
            self._cuda.launch(self._graph, self._stream)
        self._cuda.synchronize(self._stream)
        return check_output(self, self._host_output)

    def close(self) -> None:
        """Free buffers, stream and context; calling it twice is harmless."""
        if self._releases:
            self._cuda.use()
        self._context = None
        while self._releases:
            # After a fault of the GPU nothing can be freed any more, and need not be.
            with contextlib.suppress(EngineError):
                self._releases.pop()()

    def _open(self, shape: tuple[int, int, int, int], profile: int) -> None:
        cuda = self._cuda
        self._stream = cuda.create_stream()
        self._releases.append(lambda: cuda.destroy_stream(self._stream))
        self._records_itself = False
        self._context = self._create_context()
        self._select_shape(shape, profile)
        source, target = self._tensor_names()
        self._host_input, self._device_input = self._buffers(source, shape)
        answer_shape = tuple(self._context.get_tensor_shape(target))
        self._host_output, self._device_output = self._buffers(target, answer_shape)
        for name, address in ((source, self._device_input), (target, self._device_output)):
            if not self._context.set_tensor_address(name, address):
                raise failed(self._runtime, f"takes no buffer for {name}")
        self._host_input[...] = 0
        for _ in range(WARM_UP_RUNS):
            self._enqueue()
            cuda.synchronize(self._stream)
        if not self._records_itself:
            self._record()

    def _create_context(self) -> Any:
        engine = self._engine
        has_config = hasattr(engine, "create_runtime_config")
        config = engine.create_runtime_config() if has_config else None
        if config is not None and hasattr(config, "cuda_graph_strategy"):
            strategies = self._runtime.module.CudaGraphStrategy
            config.cuda_graph_strategy = strategies.WHOLE_GRAPH_CAPTURE
            # The shape never changes: its kernels are compiled before the first image, not in it.
            shapes = self._runtime.module.DynamicShapesKernelSpecializationStrategy
            config.dynamic_shapes_kernel_specialization_strategy = shapes.EAGER
            self._records_itself = True
            context = engine.create_execution_context(config)
        else:
            context = engine.create_execution_context()
        if context is None:
            raise failed(self._runtime, "cannot make the plan ready to run")
        return context

    def _select_shape(self, shape: tuple[int, int, int, int], profile: int) -> None:
        if profile and not self._context.set_optimization_profile_async(profile, self._stream):
            raise failed(self._runtime, f"lacks optimisation profile {profile}")
        if not self._context.set_input_shape(self._tensor_names()[0], shape):
            raise failed(self._runtime, f"was not built for the shape {shape}")

    def _tensor_names(self) -> tuple[str, str]:
        """Names of the input and of the output, whatever their order in the plan."""
        engine, modes = self._engine, self._runtime.module.TensorIOMode
        names = [engine.get_tensor_name(index) for index in range(engine.num_io_tensors)]
        inputs = [name for name in names if engine.get_tensor_mode(name) == modes.INPUT]
        outputs = [name for name in names if engine.get_tensor_mode(name) == modes.OUTPUT]
        if len(inputs) != 1 or len(outputs) != 1:
            raise EngineError(f"a plan with inputs {inputs} and outputs {outputs} is none of "
                              "ours; remove it from the cache of plans")
        return inputs[0], outputs[0]

    def _buffers(self, name: str, shape: tuple[int, ...]) -> tuple[np.ndarray, int]:
        """Pinned host array and address of as much memory on the GPU."""
        kind = self._runtime.module.nptype(self._engine.get_tensor_dtype(name))
        host = self._cuda.allocate_host(shape, kind)
        self._releases.append(lambda: self._cuda.free_host(host))
        device = self._cuda.allocate(host.nbytes)
        self._releases.append(lambda: self._cuda.free(device))
        return host, device

    def _enqueue(self) -> None:
        """Queue one image's work."""
        cuda, stream = self._cuda, self._stream
        cuda.upload(self._device_input, self._host_input, stream)
        if not self._context.execute_async_v3(stream):
            raise failed(self._runtime, "failed to run")
        cuda.download(self._host_output, self._device_output, stream)

    def _record(self) -> None:
        """Record one image's work as a graph; without one, it is queued piece by piece."""
        recorded: list[int] = []
        try:
            with self._cuda.capture(self._stream, recorded):
                self._enqueue()
        except EngineError as error:
            self._runtime.log.take_errors()
            _log.info("the network is run without a CUDA graph: %s", error)
            return
        self._graph = recorded[0]
        self._releases.append(lambda: self._cuda.destroy_graph(recorded[0]))
