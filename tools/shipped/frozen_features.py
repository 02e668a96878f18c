# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Features of an encoder that is not trained, as fast as the machine computes them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

Features = Callable[[Tensor], list[Tensor]]


def frozen_features(
    encoder: nn.Module, shape: tuple[int, ...], device: str, precision: str = "f32"
) -> Features:
    """A function from images ``shape`` to the encoder's features, without gradient.

    On a CPU OpenVINO computes them, where it is installed, in half of torch's time.

    Args:
        encoder: In eval mode, its batch statistics included.
        shape: ``(B, 3, H, W)`` of every batch.
        device: Where the decoder trains.
        precision: ``"f32"``, or ``"bf16"``: in half the time where the CPU has it, with an error
            of 1 % (fine features) to 6 % (coarse ones), which acts as noise does.
    """
    encoder = encoder.eval().requires_grad_(False).to(device)
    openvino = _openvino() if device == "cpu" else None
    if openvino is None:
        return _in_torch(encoder, device, precision)
    model = openvino.convert_model(encoder, example_input=torch.zeros(shape), input=list(shape))
    threads = torch.get_num_threads()
    options = {"INFERENCE_PRECISION_HINT": precision, "INFERENCE_NUM_THREADS": threads}
    request = openvino.Core().compile_model(model, "CPU", options).create_infer_request()

    def compute(image: Tensor) -> list[Tensor]:
        outputs = request.infer([image.numpy()]).to_tuple()
        return [torch.from_numpy(output.copy()) for output in outputs]

    return compute


def _in_torch(encoder: nn.Module, device: str, precision: str) -> Features:
    @torch.no_grad()
    def compute(image: Tensor) -> list[Tensor]:
        with torch.autocast(device.partition(":")[0], torch.bfloat16, enabled=precision == "bf16"):
            return encoder(image.contiguous(memory_format=torch.channels_last))

    return compute


def _openvino() -> Any:
    try:
        import openvino
    except ImportError:
        return None
    return openvino
