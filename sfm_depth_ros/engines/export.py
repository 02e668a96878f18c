# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Networks to ONNX, and new weights into an existing ONNX without exporting again."""

from __future__ import annotations

import contextlib
import json
import logging
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from sfm_depth_ros.engines.base import CHANNELS
from sfm_depth_ros.errors import EngineError, ModelError
from sfm_depth_ros.networks.folding import (
    FoldedNorm,
    find_batch_norms,
    fold_batch_norm,
    fold_state,
)
from sfm_depth_ros.optional import is_available, require

OPSET = 18
FOLDED_NORMS = "folded_batch_norms"  # keys of the graph's metadata, read by update_onnx
WEIGHTS = "weights"  # names of the state dict, whether the graph uses them
PREFIX = "network."


class _Exported(nn.Module):
    """What the graph computes: the finest depth, or the motion."""

    network: Any  # a DepthNet or a PoseNet

    def __init__(self, network: nn.Module, kind: str) -> None:
        super().__init__()
        self.network = network
        self.kind = kind

    def forward(self, image: Tensor) -> Any:
        return self.network.depth(image) if self.kind == "depth" else self.network(image)


def export_onnx(network: nn.Module, kind: str) -> bytes:
    """Export a network for any height and width that are multiples of 32, batch 1.

    Args:
        network: Depth or pose network; it stays as it is.
        kind: ``"depth"`` or ``"pose"``.

    Returns:
        Content of an ``.onnx`` file. Input ``image`` is ``(1, 3, height, width)`` (pose: 6
        channels), output ``depth`` is ``(1, 1, height, width)`` or ``motion`` ``(1, 6)``.
        Batch norms are folded; initialisers have the names of parameters.

    Raises:
        ModelError: The exporter lost or renamed a parameter.
        EngineError: ONNX Runtime, where installed, answers something else than torch.
    """
    if kind not in CHANNELS:
        raise ValueError(f"kind: expected 'depth' or 'pose', got {kind!r}")
    require("onnxscript")
    folded = _Exported(fold_batch_norm(network).cpu().float(), kind).eval()
    proto = _exported_graph(folded, kind)
    _name_everything(proto, kind)
    norms = {name: asdict(norm) for name, norm in find_batch_norms(network).items()}
    _write_note(proto, FOLDED_NORMS, norms)
    _write_note(proto, WEIGHTS, _weights_in_use(proto, folded, kind))
    content: bytes = proto.SerializeToString()
    if is_available("onnxruntime"):
        _compare_with_torch(content, folded, CHANNELS[kind])
    return content


def update_onnx(onnx_bytes: bytes, state: Mapping[str, Tensor | np.ndarray]) -> bytes:
    """Put new weights into an exported graph; nothing else of it changes.

    Args:
        onnx_bytes: Content of a file made by :func:`export_onnx`.
        state: State dict of the (unfolded) network.

    Returns:
        Content of the new file.

    Raises:
        ModelError: The weights belong to another network; the message lists their names.
    """
    onnx = require("onnx")
    proto = _parsed(onnx, onnx_bytes)
    pairs = {name: FoldedNorm(**norm) for name, norm in _read_note(proto, FOLDED_NORMS).items()}
    tensors = {name: torch.as_tensor(value).detach().cpu() for name, value in state.items()}
    folded = fold_state(tensors, pairs)
    _check_fit(proto, folded)
    for initializer in proto.graph.initializer:
        if initializer.name in folded:
            values = folded[initializer.name].float().numpy()
            initializer.CopyFrom(onnx.numpy_helper.from_array(values, initializer.name))
    content: bytes = proto.SerializeToString()
    return content


def _exported_graph(module: _Exported, kind: str) -> Any:
    example = torch.zeros(1, CHANNELS[kind], 96, 160)
    sizes = {2: torch.export.Dim.DYNAMIC, 3: torch.export.Dim.DYNAMIC}
    with _quiet():
        program = torch.onnx.export(
            module, (example,), dynamo=True, dynamic_shapes=(sizes,), opset_version=OPSET,
            input_names=["image"], output_names=["depth" if kind == "depth" else "motion"],
            # The optimiser folds log_scale into an anonymous constant, which no update reaches.
            optimize=False, verbose=False,
        )
    if program is None:
        raise ModelError(f"torch.onnx.export gave no graph for the {kind} network")
    return program.model_proto


def _name_everything(proto: Any, kind: str) -> None:
    """Name initialisers as parameters and free dimensions plainly; drop the exporter's notes.

    The notes are stack traces with paths of this machine, and shapes that engines infer.
    """
    graph = proto.graph
    for initializer in graph.initializer:
        initializer.name = initializer.name.removeprefix(PREFIX)
        del initializer.metadata_props[:]
    for node in graph.node:
        for index, name in enumerate(node.input):
            node.input[index] = name.removeprefix(PREFIX)
        del node.metadata_props[:]
    del graph.value_info[:], graph.metadata_props[:], proto.metadata_props[:]
    for value in (*graph.input, *graph.output):
        del value.metadata_props[:]
    for value in (*graph.input, *graph.output) if kind == "depth" else graph.input:
        dimensions = value.type.tensor_type.shape.dim
        dimensions[2].dim_param, dimensions[3].dim_param = "height", "width"


def _weights_in_use(proto: Any, module: _Exported, kind: str) -> dict[str, bool]:
    """Whether the graph uses each tensor of the state; heads that only training reads are not.

    Raises:
        ModelError: The output depends on a parameter that the graph does not have by its name.
    """
    names = {entry.name for entry in proto.graph.initializer}
    module.zero_grad()
    module(torch.zeros(1, CHANNELS[kind], 64, 64)).sum().backward()
    needed = {name.removeprefix(PREFIX) for name, parameter in module.named_parameters()
              if parameter.grad is not None}
    if lost := sorted(needed - names):
        raise ModelError(f"the exporter of torch {torch.__version__} renamed {lost}; export with "
                         "the torch version of constraints.txt")
    return {name: name in names for name in sorted(module.network.state_dict())}


def _parsed(onnx: Any, content: bytes) -> Any:
    from google.protobuf.message import DecodeError  # onnx brings protobuf

    try:
        return onnx.load_model_from_string(content)
    except DecodeError as error:
        raise ModelError(f"this .onnx cannot be read ({error}); export it again") from error


def _write_note(proto: Any, key: str, value: Any) -> None:
    entry = proto.metadata_props.add()
    entry.key, entry.value = key, json.dumps(value)


def _read_note(proto: Any, key: str) -> Any:
    for entry in proto.metadata_props:
        if entry.key == key:
            return json.loads(entry.value)
    raise ModelError(f"this .onnx lacks the note {key}, so its weights cannot be replaced; "
                     "export it again with sfm-depth export")


def _check_fit(proto: Any, tensors: Mapping[str, Tensor]) -> None:
    """Raise ``ModelError`` unless graph and tensors have the same names and shapes."""
    is_used: dict[str, bool] = _read_note(proto, WEIGHTS)
    shapes = {entry.name: tuple(entry.dims) for entry in proto.graph.initializer}
    missing = sorted(set(tensors) - set(is_used))
    unexpected = sorted(name for name, used in is_used.items() if used and name not in tensors)
    reshaped = sorted(name for name, used in is_used.items()
                      if used and name in tensors and tuple(tensors[name].shape) != shapes[name])
    if missing or unexpected or reshaped:
        raise ModelError(
            f"weights and graph do not fit: not in the graph {missing}, not in the weights "
            f"{unexpected}, of another shape {reshaped}; export the network again"
        )


@torch.inference_mode()
def _compare_with_torch(content: bytes, module: nn.Module, channels: int) -> None:
    runtime = require("onnxruntime")
    session = runtime.InferenceSession(content, providers=["CPUExecutionProvider"])
    for height, width in ((64, 96), (96, 224)):
        image = np.random.default_rng(0).random((1, channels, height, width), dtype=np.float32)
        expected = module(torch.from_numpy(image)).numpy()
        (found,) = session.run(None, {"image": image})
        error = float(np.abs(found - expected).max() / max(np.abs(expected).max(), 1e-6))
        if found.shape != expected.shape or not error < 1e-3:
            raise EngineError(
                f"the exported graph answers {found.shape}, {error:.1e} relative error where "
                f"torch answers {expected.shape}; report the versions that sfm-depth info prints"
            )


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
