# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Export of networks to ONNX, and replacement of the weights of an exported graph."""

from __future__ import annotations

import contextlib
import logging
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from sfm_depth_ros.engines.graphs.agreement import check_agreement
from sfm_depth_ros.engines.graphs.constants import fold_constants, lower_ir_version, parse_graph
from sfm_depth_ros.engines.graphs.names import (
    FOLDED_NORMS,
    PREFIX,
    WEIGHTS,
    name_plainly,
    read_note,
    replace_weights,
    write_note,
)
from sfm_depth_ros.engines.graphs.precision import to_half
from sfm_depth_ros.errors import ModelError
from sfm_depth_ros.networks.acceleration import (
    FoldedNorm,
    find_batch_norms,
    fold_batch_norm,
    fold_state,
)
from sfm_depth_ros.optional import require

OPSET = 18
PRECISIONS = ("fp32", "fp16")
OUTPUTS = {"depth": "depth", "pose": "motion"}  # name of the graph's output, by network
DYNAMIC = 0  # a batch of any size


class _Exported(nn.Module):
    """Network as exported: its output is the finest depth, or the motion."""

    network: Any  # a DepthNet or a PoseNet

    def __init__(self, network: nn.Module, kind: str) -> None:
        super().__init__()
        self.network = network
        self.kind = kind

    def forward(self, image: Tensor) -> Any:
        return self.network.depth(image) if self.kind == "depth" else self.network(image)


def export_onnx(network: nn.Module, kind: str, precision: str = "fp32", batch: int = 1) -> bytes:
    """Export a network for any height and width that are multiples of 32, or of its patches.

    Args:
        network: Depth or pose network; it stays as it is.
        kind: ``"depth"`` or ``"pose"``.
        precision: ``"fp32"``, or ``"fp16"``: typed in the graph, see
            :mod:`~sfm_depth_ros.engines.graphs.precision`.
        batch: Images at a time; ``DYNAMIC`` = any number.

    Returns:
        Content of an ``.onnx`` file. Input ``image`` is ``(batch, 3, height, width)`` (pose: 3
        channels an image), output ``depth`` is ``(batch, 1, height, width)`` or ``motion``
        ``(batch, 6)``, all float32. Batch norms are folded; initialisers have the names of
        parameters.

    Raises:
        ModelError: The exporter lost or renamed a parameter, or a weight does not fit into fp16.
        EngineError: The output in ONNX Runtime, where installed, differs from torch's.
    """
    if kind not in OUTPUTS:
        raise ValueError(f"kind: expected 'depth' or 'pose', got {kind!r}")
    if precision not in PRECISIONS or batch < 0:
        raise ValueError(f"expected {PRECISIONS} and a batch >= 0, got {precision!r} and {batch}")
    require("onnxscript")
    folded = _Exported(fold_batch_norm(network).cpu().float(), kind).eval()
    proto = _exported_graph(folded, kind, batch)
    axes = {2: "height", 3: "width"} | ({0: "batch"} if batch == DYNAMIC else {})
    name_plainly(proto, axes, 4 if kind == "depth" else 1)
    fold_constants(proto)
    norms = {name: asdict(norm) for name, norm in find_batch_norms(network).items()}
    write_note(proto, FOLDED_NORMS, norms)
    write_note(proto, WEIGHTS, _weights_in_use(proto, folded, kind))
    if precision == "fp16":
        to_half(proto)
    lower_ir_version(proto)
    content: bytes = proto.SerializeToString()
    check_agreement(
        content,
        _reference(folded),
        channels(network, kind),
        precision,
        batch or 2,
        _multiple(network),
    )
    return content


def channels(network: Any, kind: str) -> int:
    """Channels of a network's input: three for every image it takes."""
    return 3 if kind == "depth" else 3 * int(network.images)


def _multiple(network: Any) -> int:
    """Divisor of the sides of a network's images."""
    return int(network.config.multiple)


def update_onnx(onnx_bytes: bytes, state: Mapping[str, Tensor | np.ndarray]) -> bytes:
    """Replace the weights of an exported graph of any precision; nothing else changes.

    Args:
        onnx_bytes: Content of a file made by :func:`export_onnx`.
        state: State dict of the (unfolded) network.

    Returns:
        Content of the new file.

    Raises:
        ModelError: The weights belong to another network; the message lists their names.
    """
    proto = parse_graph(onnx_bytes)
    pairs = {name: FoldedNorm(**norm) for name, norm in read_note(proto, FOLDED_NORMS).items()}
    tensors = {name: torch.as_tensor(value).detach().cpu() for name, value in state.items()}
    folded = fold_state(tensors, pairs)
    replace_weights(proto, {name: value.float().numpy() for name, value in folded.items()})
    lower_ir_version(proto)
    content: bytes = proto.SerializeToString()
    return content


def _exported_graph(module: _Exported, kind: str, batch: int) -> Any:
    unit = _multiple(module.network)
    example = torch.zeros(batch or 2, channels(module.network, kind), 3 * unit, 5 * unit)
    free = (0, 2, 3) if batch == DYNAMIC else (2, 3)
    sizes = dict.fromkeys(free, torch.export.Dim.DYNAMIC)
    with _quiet():
        program = torch.onnx.export(
            module,
            (example,),
            dynamo=True,
            dynamic_shapes=(sizes,),
            opset_version=OPSET,
            input_names=["image"],
            output_names=[OUTPUTS[kind]],
            custom_translation_table=translations(),
            # The optimiser folds log_scale into an anonymous constant, which no update reaches.
            optimize=False,
            verbose=False,
        )
    if program is None:
        raise ModelError(f"torch.onnx.export gave no graph for the {kind} network")
    return program.model_proto


def _weights_in_use(proto: Any, module: _Exported, kind: str) -> dict[str, bool]:
    """Use of each tensor of the state by the graph; heads that only training reads have none.

    Raises:
        ModelError: The output depends on a parameter that the graph does not have by its name.
    """
    names = {entry.name for entry in proto.graph.initializer}
    module.requires_grad_().zero_grad()  # an average of weights comes without gradients
    side = 2 * _multiple(module.network)
    module(torch.zeros(1, channels(module.network, kind), side, side)).sum().backward()
    needed = {
        name.removeprefix(PREFIX)
        for name, parameter in module.named_parameters()
        if parameter.grad is not None
    }
    if lost := sorted(needed - names):
        raise ModelError(
            f"the exporter of torch {torch.__version__} renamed {lost}; export with "
            "the torch version of constraints.txt"
        )
    return {name: name in names for name in sorted(module.network.state_dict())}


def _reference(module: nn.Module) -> Any:
    @torch.inference_mode()
    def reference(image: np.ndarray) -> np.ndarray:
        output: np.ndarray = module(torch.from_numpy(image)).numpy()
        return output

    return reference


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep the exporter's notices about itself and torchvision out of our log."""
    loggers = [logging.getLogger(name) for name in ("torch.onnx", "onnxscript", "onnx_ir")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", category=FutureWarning)
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


def translations() -> dict[Any, Callable[..., Any]]:
    """The exporter's ``custom_translation_table``."""
    onnx, op = require("onnx"), require("onnxscript").opset18

    def constant(values: Any) -> Any:
        return op.Constant(value=onnx.numpy_helper.from_array(values))

    def elu(x: Any, alpha: float = 1.0, scale: float = 1.0, input_scale: float = 1.0) -> Any:
        if (scale, input_scale) != (1.0, 1.0):
            raise NotImplementedError(f"ELU scaled by {scale} and {input_scale}")
        return op.Elu(x, alpha=alpha)

    def group_norm(
        x: Any,
        num_groups: int,
        weight: Any,
        bias: Any,
        eps: float = 1e-5,
        cudnn_enabled: bool = True,
    ) -> Any:
        # ONNX has an operation of this name, whose first version scaled by group.
        grouped = op.Reshape(x, constant(np.array([0, num_groups, -1])))
        one = constant(np.ones(num_groups, np.float32))
        zero = constant(np.zeros(num_groups, np.float32))
        normal = op.InstanceNormalization(grouped, one, zero, epsilon=eps)
        axes = constant(np.array([1, 2]))
        whole = op.Reshape(normal, op.Shape(x))
        return op.Add(op.Mul(whole, op.Unsqueeze(weight, axes)), op.Unsqueeze(bias, axes))

    return {torch.ops.aten.elu.default: elu, torch.ops.aten.group_norm.default: group_norm}
