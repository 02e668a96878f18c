# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A model folder's graph as somebody else's engine wants it, and how far it is from torch."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from sfm_depth_ros.engines.graphs.agreement import open_session
from sfm_depth_ros.engines.graphs.constants import fix_input_shape, fold_constants, parse_graph
from sfm_depth_ros.engines.graphs.precision import to_half
from sfm_depth_ros.engines.verification import RelativeError, check_shape, verify_engine
from sfm_depth_ros.model_folder.folder import ModelFolder
from sfm_depth_ros.optional import require


@dataclass(frozen=True)
class GraphForm:
    """What the graph shall be like."""

    precision: str = "fp32"  # `"fp32"` or `"fp16"`
    batch: int = 1  # Images at a time; 0 = any number
    # Height and width of the image; None = any multiples of 32
    size_hw: tuple[int, int] | None = None


def model_graph(folder: ModelFolder, network: str, form: GraphForm) -> bytes:
    """A network's graph, from the model's own where that has the batch, else exported by torch.

    Args:
        folder: The model.
        network: ``"depth"`` or ``"pose"``.
        form: What it shall be like.

    Raises:
        ModelError: The graph is damaged, or its weights do not fit into the precision.
        MissingDependencyError: ``onnx`` is not installed, or torch where the batch is not 1.
    """
    content = folder.onnx(network).read_bytes()
    if form == GraphForm():
        return content
    if form.batch != 1:
        content = _exported(folder, network, form.batch)
    proto = parse_graph(content)
    fold_constants(proto)
    if form.precision == "fp16":
        to_half(proto)
    if form.size_hw is not None and form.batch:
        fix_input_shape(proto, (form.batch, check_shape(folder, network)[1], *form.size_hw))
    elif form.size_hw is not None:
        _fix_size(proto, form.size_hw)
    result: bytes = proto.SerializeToString()
    return result


def check_graph(folder: ModelFolder, network: str, form: GraphForm) -> RelativeError:
    """Compare such a graph with the model's check frames, in ONNX Runtime.

    Raises:
        EngineError: It answers something else than torch did.
        MissingDependencyError: ONNX Runtime is not installed.
    """
    content = model_graph(folder, network, replace(form, size_hw=None))
    shape = check_shape(folder, network)
    return verify_engine(_Graph(content, shape, form), folder, network)


def _exported(folder: ModelFolder, network: str, batch: int) -> bytes:
    require("torch")
    from sfm_depth_ros.engines.graphs.export import export_onnx
    from sfm_depth_ros.model_folder.loading import load_network

    return export_onnx(load_network(folder, network), network, batch=batch)


def _fix_size(proto: Any, size_hw: tuple[int, int]) -> None:
    for dimension, size in zip(
        proto.graph.input[0].type.tensor_type.shape.dim[2:], size_hw, strict=True
    ):
        dimension.dim_value = size
    for dimension in proto.graph.output[0].type.tensor_type.shape.dim[1:]:
        dimension.ClearField("dim_param")


class _Graph:
    """A graph as an engine; a batch of several is filled with the same image."""

    name = "the exported graph"

    def __init__(self, content: bytes, shape: tuple[int, int, int, int], form: GraphForm) -> None:
        self.precision, self.input_shape = form.precision, shape
        self._batch = form.batch or 2
        self._session = open_session(content)

    def infer(self, image: np.ndarray) -> np.ndarray:
        """Answer to one image."""
        images = np.repeat(image, self._batch, axis=0)
        (answers,) = self._session.run(None, {self._session.get_inputs()[0].name: images})
        first: np.ndarray = answers[:1]
        return first

    def close(self) -> None:
        """Nothing is held that the collector does not free."""
