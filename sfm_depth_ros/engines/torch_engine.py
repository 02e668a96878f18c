# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Inference by torch itself, on the CPU: the reference that the others are compared with."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch

from sfm_depth_ros.engines.base import EngineRequest, check_input, check_output, closed
from sfm_depth_ros.errors import EngineError
from sfm_depth_ros.networks.folding import fold_batch_norm
from sfm_depth_ros.networks.memory_format import channels_last
from sfm_depth_ros.networks.model_loading import load_network


class TorchEngine:
    """A network in eager torch, fp32 or bf16."""

    name = "torch"

    def __init__(self, request: EngineRequest) -> None:
        """Load the weights.

        Raises:
            EngineError: The precision is not supported.
        """
        if request.precision not in ("fp32", "bf16"):
            raise EngineError(f"torch has no {request.precision} here; set precision: fp32")
        self.precision, self.input_shape = request.precision, request.input_shape
        self._threads = request.threads
        self._kind = request.network
        folded = fold_batch_norm(load_network(request.folder, request.network))
        self._network: Any = channels_last(folded)

    def infer(self, image: np.ndarray) -> np.ndarray:
        """Run the network, see :class:`~sfm_depth_ros.engines.base.Engine`."""
        if self._network is None:
            raise closed(self)
        writable = np.require(check_input(self, image), requirements="W")  # torch warns else
        x = torch.from_numpy(writable).to(memory_format=torch.channels_last)
        half = self.precision == "bf16"
        with (
            _threads(self._threads),
            torch.inference_mode(),
            torch.autocast("cpu", torch.bfloat16, enabled=half),
        ):
            try:
                y = self._network.depth(x) if self._kind == "depth" else self._network(x)
            except RuntimeError as error:
                raise EngineError(f"torch failed ({error}); choose another engine") from error
        return check_output(self, y.float().contiguous().numpy())

    def close(self) -> None:
        """Free the weights."""
        self._network = None


@contextlib.contextmanager
def _threads(count: int) -> Iterator[None]:
    """Run with so many threads, and leave the rest of the process as it was."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)
