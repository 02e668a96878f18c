# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""One network in TensorRT, running at one input shape on a stream of its own."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from sfm_depth_ros.engines.base import check_input, check_output, closed
from sfm_depth_ros.engines.tensorrt.context import PlanContext, Releases
from sfm_depth_ros.engines.tensorrt.cuda_driver import CudaDriver
from sfm_depth_ros.engines.tensorrt.runtime import TensorRt
from sfm_depth_ros.errors import EngineError

WARM_UP_RUNS = 2  # TensorRT-RTX compiles its kernels in the first, TensorRT allocates

_logger = logging.getLogger(__name__)


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
        self._releases = Releases(cuda)
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
        return self._answer(self._run)

    def infer_bytes(self, images: np.ndarray) -> np.ndarray:
        """Run the network on the camera's bytes, see ``TensorRtEngine.infer_bytes``."""
        if self._network is None:
            raise closed(self)
        if self._bytes is None:
            raise ValueError("tensorrt: expected take_bytes before infer_bytes")
        if images.shape != self._bytes.shape or images.dtype != np.uint8:
            raise ValueError(
                f"tensorrt: expected uint8 {self._bytes.shape}, got {images.dtype} {images.shape}"
            )
        self._bytes[...] = images
        return self._answer(self._run_bytes)

    def take_bytes(self, engine: Any, shape: tuple[int, int, int, int]) -> None:
        """Be ready for the camera's bytes: the device makes the network's image of them.

        Args:
            engine: Deserialised engine of ``graph_input.input_graph``.
            shape: ``(images, H, W, 3)``.

        Raises:
            EngineError: It does not run, or too little memory is left.
        """
        if self._network is None:
            raise closed(self)
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

    def network_image(self) -> np.ndarray:
        """The image ``input_shape`` that the network saw last; for checks."""
        if self._network is None:
            raise closed(self)
        self._cuda.use()
        self._cuda.download(self._host_input, self._device_input, self._stream)
        self._cuda.synchronize(self._stream)
        return np.array(self._host_input)

    def close(self) -> None:
        """Free buffers, stream and context; calling it twice is harmless."""
        self._network = None
        self._run = self._run_bytes = _nothing  # they hold contexts
        self._releases.run()

    def _open(self, engine: Any, profile: int, kernels: Path | None) -> None:
        cuda = self._cuda
        stream = self._stream = cuda.create_stream()
        self._releases.add(lambda: cuda.destroy_stream(stream))
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

    def _answer(self, run: Callable[[], None]) -> np.ndarray:
        self._cuda.use()
        run()
        self._cuda.synchronize(self._stream)
        return check_output(self, self._host_output)

    def _ready(self, enqueue: Callable[[], None]) -> Callable[[], None]:
        """Warm up, and record the work of one image where that is ours to do."""
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
        self._releases.add(lambda: cuda.destroy_graph(recorded[0]))
        return lambda: cuda.launch(recorded[0], stream)


def _nothing() -> None:
    """What a closed session runs."""
