# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A model folder's graph in OpenVINO's own two files, and how far they are from torch."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from sfm_depth_ros.engines.model_graph import GraphForm, model_graph
from sfm_depth_ros.engines.verification import RelativeError, check_shape, verify_engine
from sfm_depth_ros.model_folder.folder import ModelFolder
from sfm_depth_ros.optional import require


def save_openvino_graph(
    folder: ModelFolder, network: str, form: GraphForm, out: Path
) -> list[Path]:
    """Write ``NETWORK.xml`` and ``NETWORK.bin``.

    Args:
        folder: The model.
        network: ``"depth"`` or ``"pose"``.
        form: What the graph shall be like; at fp16 the weights are half, and whoever runs it
            chooses the arithmetic.
        out: Folder to write into.

    Raises:
        MissingDependencyError: OpenVINO is not installed.
    """
    openvino = require("openvino")
    content = model_graph(folder, network, replace(form, precision="fp32"))
    target = out / f"{network}.xml"
    graph = openvino.Core().read_model(content, b"")
    openvino.save_model(graph, target, compress_to_fp16=form.precision == "fp16")
    return [target, target.with_suffix(".bin")]


def check_openvino_graph(folder: ModelFolder, network: str, form: GraphForm) -> RelativeError:
    """Compare such files, read back by OpenVINO, with the model's check frames.

    Raises:
        EngineError: They answer something else than torch did.
        MissingDependencyError: OpenVINO is not installed.
    """
    any_size = replace(form, size_hw=None)
    with tempfile.TemporaryDirectory(prefix="sfm_depth_export_") as scratch:
        file, _ = save_openvino_graph(folder, network, any_size, Path(scratch))
        graph = _Graph(file, check_shape(folder, network), form)
        return verify_engine(graph, folder, network)


class _Graph:
    """OpenVINO's files as an engine, computing in float32."""

    name = "the exported graph"

    def __init__(self, file: Path, shape: tuple[int, int, int, int], form: GraphForm) -> None:
        self.precision, self.input_shape = form.precision, shape
        self._batch = form.batch or 2
        hint = {"INFERENCE_PRECISION_HINT": "f32"}
        self._compiled: Any = require("openvino").Core().compile_model(file, "CPU", hint)

    def infer(self, image: np.ndarray) -> np.ndarray:
        """Answer to one image; a batch of several is filled with it."""
        answers = self._compiled({0: np.repeat(image, self._batch, axis=0)})[0]
        return np.array(answers[:1])

    def close(self) -> None:
        """Nothing is held that the collector does not free."""
