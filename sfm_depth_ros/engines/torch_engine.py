# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Inference by torch, on the CPU or a GPU: the reference for the other engines.

On the CPU eager and channels last; on a GPU one recorded CUDA graph, that is a single launch for
each image.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from sfm_depth_ros.engines.base import Engine, EngineRequest, check_input, check_output, closed
from sfm_depth_ros.errors import EngineError
from sfm_depth_ros.model_folder.loading import load_network
from sfm_depth_ros.networks.acceleration import channels_last, fold_batch_norm

# By device: type of convolutions under autocast; None = type of the weights.
PRECISIONS: dict[str, dict[str, torch.dtype | None]] = {
    "cpu": {"fp32": None, "bf16": torch.bfloat16},
    "cuda": {"fp32": None, "bf16": torch.bfloat16, "fp16": torch.float16},
}
WARM_UP_RUNS = 3  # cuDNN chooses its kernels, the allocator finds its blocks


class TorchEngine(Engine):
    """A network in torch; half precisions by autocast, which keeps sensitive operations in fp32.

    Args:
        request: Model, network, shape, precision and threads.
        device: ``"cpu"``, ``"cuda"`` or ``"cuda:1"``; None = a GPU where there is one.
    """

    name = "torch"

    def __init__(self, request: EngineRequest, device: str | None = None) -> None:
        """Load the weights; on a GPU, record the graph.

        Raises:
            EngineError: The device has no such precision, is not there, or has too little memory.
        """
        self.device = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
        self.precision, self.input_shape = request.precision, request.input_shape
        kinds = PRECISIONS.get(self.device.type, {})
        if request.precision not in kinds:
            raise EngineError(
                f"torch has no {request.precision} on {self.device}; set precision: fp32"
            )
        self._run: Callable[[np.ndarray], np.ndarray] | None
        try:
            network = load_network(request.folder, request.network)
            half = kinds[request.precision]
            self._run = runner(network, self.input_shape, self.device, half, request.threads)
        except (RuntimeError, AssertionError) as error:  # torch without CUDA asserts
            raise EngineError(_failure(error)) from error

    def infer(self, image: np.ndarray) -> np.ndarray:
        """Run the network, see :class:`~sfm_depth_ros.engines.base.Engine`."""
        if self._run is None:
            raise closed(self)
        checked = np.require(
            check_input(self, image), requirements="W"
        )  # avoids torch's read-only warning
        try:
            output = self._run(checked)
        except RuntimeError as error:
            raise EngineError(_failure(error)) from error
        return check_output(self, output)

    def close(self) -> None:
        """Free the weights and the graph."""
        self._run = None


def runner(
    network: nn.Module,
    shape: tuple[int, ...],
    device: torch.device,
    half: torch.dtype | None = None,
    threads: int = 1,
) -> Callable[[np.ndarray], np.ndarray]:
    """A network as a function of one image: eager on the CPU, a recorded graph on a GPU.

    Args:
        network: Depth or pose network in eval mode.
        shape: ``(N, C, H, W)`` of the image.
        device: Where it computes.
        half: Type of convolutions under autocast; None = type of the weights.
        threads: On the CPU.
    """
    folded: Any = fold_batch_norm(network)
    prepared: Any = channels_last(folded).to(device)

    def forward(image: Tensor) -> Tensor:
        with torch.autocast(device.type, half, enabled=half is not None, cache_enabled=False):
            output = prepared.depth(image) if hasattr(prepared, "depth") else prepared(image)
        return output.float()

    if device.type == "cuda":
        return CudaGraph(forward, shape, device)

    def eager(image: np.ndarray) -> np.ndarray:
        x = torch.from_numpy(image).to(memory_format=torch.channels_last)
        with _THREADS.limited_to(threads), torch.inference_mode():
            return forward(x).contiguous().numpy()

    return eager


class _Threads:
    """Torch's process-wide number of threads: set by the first user, restored by the last.

    Two networks run at the same time: each restoring what it found would lose the original.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._users = self._before = 0

    @contextlib.contextmanager
    def limited_to(self, count: int) -> Iterator[None]:
        """Limit the threads, and restore the number afterwards."""
        with self._lock:
            if self._users == 0:
                self._before = torch.get_num_threads()
            self._users += 1
            torch.set_num_threads(count)
        try:
            yield
        finally:
            with self._lock:
                self._users -= 1
                if self._users == 0:
                    torch.set_num_threads(self._before)


_THREADS = _Threads()


def _failure(error: BaseException) -> str:
    text = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
    if "out of memory" in text:
        return f"torch: {text}; lower input_width, or choose engine: openvino"
    return f"torch failed ({text}); choose another engine"


class CudaGraph:
    """A function of one image, recorded as a CUDA graph with its buffers on both sides.

    Args:
        forward: Maps ``shape`` float32, channels last, to the output, float32.
        shape: ``(N, C, H, W)``.
        device: A CUDA device.

    Raises:
        RuntimeError: No such device, or too little memory.
    """

    def __init__(
        self, forward: Callable[[Tensor], Tensor], shape: tuple[int, ...], device: torch.device
    ) -> None:
        self._forward = forward  # owns the weights, whose addresses the graph has recorded
        self._stream = torch.cuda.Stream(device)
        self._image = torch.zeros(shape, device=device).to(memory_format=torch.channels_last)
        with torch.inference_mode(), torch.cuda.device(device):
            with torch.cuda.stream(self._stream):
                for _ in range(WARM_UP_RUNS):
                    output = forward(self._image)
            self._stream.synchronize()
            self._graph = torch.cuda.CUDAGraph()
            with torch.cuda.graph(self._graph, stream=self._stream):
                output = forward(self._image)
        self._output = output
        # Pinned: copies then run asynchronously, and the driver needs no buffers of its own.
        self._host_image = torch.zeros(shape, pin_memory=True)
        self._host_output = torch.zeros(output.shape, pin_memory=True)

    def __call__(self, image: np.ndarray) -> np.ndarray:
        """Run once.

        Args:
            image: ``shape`` float32.

        Returns:
            The output; overwritten by the next call.
        """
        self._host_image.copy_(torch.from_numpy(image))
        with torch.inference_mode(), torch.cuda.stream(self._stream):
            self._image.copy_(self._host_image, non_blocking=True)
            self._graph.replay()
            self._host_output.copy_(self._output, non_blocking=True)
        self._stream.synchronize()
        return self._host_output.numpy()
