# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""One network in TensorRT, running at one input shape on a stream of its own."""

from __future__ import annotations

import contextlib
import hashlib
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from sfm_depth_ros.engines.base import Engine, check_input, check_output, closed, floats_of
from sfm_depth_ros.engines.tensorrt.context import PlanContext
from sfm_depth_ros.engines.tensorrt.cuda_driver import CudaDriver
from sfm_depth_ros.engines.tensorrt.plan import NetworkGraph
from sfm_depth_ros.engines.tensorrt.runtime import TensorRt
from sfm_depth_ros.errors import EngineError
from sfm_depth_ros.optional import require

WARM_UP_RUNS = 2  # TensorRT-RTX compiles its kernels in the first, TensorRT allocates
BYTES_TOLERANCE = 1e-3  # of an image in [0, 1]; a quarter of a grey level

_logger = logging.getLogger(__name__)


class TensorRtSession(Engine):
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
        kernels: File for the kernels that are compiled in the first run; None = not kept.
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
        kernels: Path | None = None,
    ) -> None:
        self.precision, self.input_shape = precision, shape
        self._runtime, self._cuda = runtime, cuda
        self._releases = contextlib.ExitStack()  # frees in the reverse order
        self._network: PlanContext | None = None
        self._bytes: np.ndarray | None = None
        cuda.use()
        try:
            self._open(engine, profile, kernels)
        except BaseException:
            self.close()
            raise

    def infer(self, image: np.ndarray) -> np.ndarray:
        """Run the network, see :class:`~sfm_depth_ros.engines.base.Engine`."""
        if self._network is None:
            raise closed(self)
        self._host_input[...] = check_input(self, image)
        return self._output(self._run)

    def infer_bytes(self, images: np.ndarray) -> np.ndarray:
        """Run the network on bytes, see ``TensorRtEngine.infer_bytes``."""
        if self._network is None:
            raise closed(self)
        if self._bytes is None:
            raise ValueError("tensorrt: expected take_bytes before infer_bytes")
        if images.shape != self._bytes.shape or images.dtype != np.uint8:
            raise ValueError(
                f"tensorrt: expected uint8 {self._bytes.shape}, got {images.dtype} {images.shape}"
            )
        self._bytes[...] = images
        return self._output(self._run_bytes)

    def accept_bytes(self, engine: Any) -> None:
        """Accept bytes too: the GPU converts them to the network's image.

        Args:
            engine: Deserialised engine of :func:`bytes_network`.

        Raises:
            EngineError: It does not run, gives a wrong image, or too little memory is left.
        """
        if self._network is None:
            raise closed(self)
        shape = _bytes_shape(self.input_shape)
        network, cuda, stream = self._network, self._cuda, self._stream
        cuda.use()
        front = PlanContext(self._runtime, cuda, engine, shape, stream)
        self._bytes, device = front.input_buffers(self._releases)
        front.bind(device, self._device_input)
        host = self._bytes

        def enqueue() -> None:
            cuda.upload(device, host, stream)
            front.enqueue()
            network.enqueue()
            cuda.download(self._host_output, self._device_output, stream)

        self._bytes[...] = 0
        self._run_bytes = self._ready(enqueue)
        self._check_bytes(np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8))

    def close(self) -> None:
        """Free buffers, stream and context; calling it twice is harmless."""
        self._network = None
        self._run = self._run_bytes = _nothing  # they hold contexts
        # After a fault of the GPU nothing can be freed any more, and need not be.
        with contextlib.suppress(EngineError):
            self._cuda.use()
        with contextlib.suppress(EngineError):
            self._releases.close()

    def _open(self, engine: Any, profile: int, kernels: Path | None) -> None:
        cuda = self._cuda
        stream = self._stream = cuda.create_stream()
        self._releases.callback(cuda.destroy_stream, stream)
        network = PlanContext(
            self._runtime, cuda, engine, self.input_shape, stream, profile, kernels
        )
        self._host_input, self._device_input = network.input_buffers(self._releases)
        self._host_output, self._device_output = network.output_buffers(self._releases)
        network.bind(self._device_input, self._device_output)

        def enqueue() -> None:
            cuda.upload(self._device_input, self._host_input, stream)
            network.enqueue()
            cuda.download(self._host_output, self._device_output, stream)

        self._network = network
        self._host_input[...] = 0
        self._run = self._ready(enqueue)
        network.keep_kernels()

    def _check_bytes(self, images: np.ndarray) -> None:
        """Compare the network's image on the GPU with the one computed here."""
        self.infer_bytes(images)
        self._cuda.download(self._host_input, self._device_input, self._stream)
        self._cuda.synchronize(self._stream)
        error = np.abs(self._host_input - floats_of(images)).max()
        if not error <= BYTES_TOLERANCE:
            raise EngineError(
                f"tensorrt converts bytes wrongly (by {error:.1e} of 1); report the versions "
                "that sfm-depth info prints"
            )

    def _output(self, run: Callable[[], None]) -> np.ndarray:
        self._cuda.use()
        run()
        self._cuda.synchronize(self._stream)
        return check_output(self, self._host_output)

    def _ready(self, enqueue: Callable[[], None]) -> Callable[[], None]:
        """Warm up, and record the work of one image where TensorRT does not."""
        for _ in range(WARM_UP_RUNS):
            enqueue()
            self._cuda.synchronize(self._stream)
        if self._network is not None and self._network.records_itself:
            return enqueue
        cuda, stream = self._cuda, self._stream
        recorded: list[int] = []
        try:
            with cuda.capture(stream, recorded):
                enqueue()
        except EngineError as error:
            self._runtime.log.take_errors()
            _logger.info("the network is run without a CUDA graph: %s", error)
            return enqueue
        self._releases.callback(cuda.destroy_graph, recorded[0])
        return lambda: cuda.launch(recorded[0], stream)


def bytes_network(input_shape: tuple[int, int, int, int]) -> NetworkGraph:
    """Graph from ``(images, H, W, 3)`` uint8 to a network's input, float32 in [0, 1].

    A plan of its own: the network's plan then serves floats and bytes, and is checked with the
    model's frames.
    """
    onnx = require("onnx")
    kinds, node, constant = onnx.TensorProto, onnx.helper.make_node, onnx.numpy_helper.from_array
    taken, shape = _bytes_shape(input_shape), np.array(input_shape, np.int64)
    graph = onnx.helper.make_graph(
        [
            node("Cast", ["bytes"], ["floats"], "cast", to=kinds.FLOAT),
            node("Transpose", ["floats"], ["planes"], "planes", perm=[0, 3, 1, 2]),
            node("Mul", ["planes", "unit"], ["scaled"], "scale"),
            node("Reshape", ["scaled", "shape"], ["image"], "stack"),
        ],
        "bytes",
        [onnx.helper.make_tensor_value_info("bytes", kinds.UINT8, taken)],
        [onnx.helper.make_tensor_value_info("image", kinds.FLOAT, input_shape)],
        [constant(np.float32(1 / 255), "unit"), constant(shape, "shape")],
    )
    opset = onnx.helper.make_opsetid("", 18)
    proto = onnx.helper.make_model(graph, opset_imports=[opset], ir_version=8)
    content = proto.SerializeToString(deterministic=True)
    digest = hashlib.sha256(content).hexdigest()
    return NetworkGraph(content, digest, "", {}, "fp32", (taken,))


def _bytes_shape(input_shape: tuple[int, int, int, int]) -> tuple[int, int, int, int]:
    """``(images, H, W, 3)`` of an input ``(1, 3 images, H, W)``."""
    return input_shape[1] // 3, input_shape[2], input_shape[3], 3


def _nothing() -> None:
    """Replacement for the work of a closed session."""
