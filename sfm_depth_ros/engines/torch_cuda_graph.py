# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A function of one image recorded as a CUDA graph, with its buffers on both sides."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

WARM_UP_RUNS = 3  # cuDNN chooses its kernels, the allocator finds its blocks


class CudaGraph:
    """Copies an image to the GPU, replays the graph, copies the answer back; one launch.

    Args:
        forward: Maps ``shape`` float32, channels last, to the answer, float32.
        shape: ``(N, C, H, W)``.
        device: A CUDA device.

    Raises:
        RuntimeError: No such device, or too little memory.
    """

    def __init__(
        self, forward: Callable[[Tensor], Tensor], shape: tuple[int, ...], device: torch.device
    ) -> None:
        self._stream = torch.cuda.Stream(device)
        self._image = torch.zeros(shape, device=device).to(memory_format=torch.channels_last)
        with torch.inference_mode(), torch.cuda.device(device):
            with torch.cuda.stream(self._stream):
                for _ in range(WARM_UP_RUNS):
                    answer = forward(self._image)
            self._stream.synchronize()
            self._graph = torch.cuda.CUDAGraph()
            with torch.cuda.graph(self._graph, stream=self._stream):
                answer = forward(self._image)
        self._answer = answer
        # Pinned: the copies then run beside the host, and the driver needs none of its own.
        self._host_image = torch.zeros(shape, pin_memory=True)
        self._host_answer = torch.zeros(answer.shape, pin_memory=True)

    def __call__(self, image: np.ndarray) -> np.ndarray:
        """Run once.

        Args:
            image: ``shape`` float32.

        Returns:
            The answer; overwritten by the next call.
        """
        self._host_image.copy_(torch.from_numpy(image))
        with torch.inference_mode(), torch.cuda.stream(self._stream):
            self._image.copy_(self._host_image, non_blocking=True)
            self._graph.replay()
            self._host_answer.copy_(self._answer, non_blocking=True)
        self._stream.synchronize()
        return self._host_answer.numpy()
