# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Both networks in one graph answer what each answers alone."""

from __future__ import annotations

import numpy as np
import onnx
import pytest

from sfm_depth_ros.engines.graphs.agreement import open_session
from sfm_depth_ros.engines.graphs.export import update_onnx
from sfm_depth_ros.engines.graphs.joint import join_graphs
from sfm_depth_ros.errors import ModelError
from sfm_depth_ros.model_folder.folder import ModelFolder
from sfm_depth_ros.model_folder.loading import load_network


def joint(model: ModelFolder) -> bytes:
    return join_graphs(model.onnx("depth").read_bytes(), model.onnx("pose").read_bytes(), 6)


def answers(content: bytes, image: np.ndarray) -> list[np.ndarray]:
    session = open_session(content)
    return session.run(None, {session.get_inputs()[0].name: image})


def test_both_answers_in_one_call(tiny_model: ModelFolder) -> None:
    content = joint(tiny_model)
    onnx.checker.check_model(onnx.load_model_from_string(content), full_check=True)
    pair = np.random.default_rng(0).random((1, 6, 64, 96), dtype=np.float32)
    depth, motion = answers(content, pair)
    (expected,) = answers(tiny_model.onnx("depth").read_bytes(), pair[:, 3:])
    np.testing.assert_allclose(depth, expected, rtol=1e-6)
    (expected,) = answers(tiny_model.onnx("pose").read_bytes(), pair)
    np.testing.assert_allclose(motion, expected, rtol=1e-6)


def test_it_takes_new_weights_of_both(tiny_model: ModelFolder, other_model: ModelFolder) -> None:
    state = {
        f"{kind}.{name}": value
        for kind in ("depth", "pose")
        for name, value in load_network(other_model, kind).state_dict().items()
    }
    pair = np.random.default_rng(0).random((1, 6, 64, 96), dtype=np.float32)
    found = answers(update_onnx(joint(tiny_model), state), pair)
    for value, expected in zip(found, answers(joint(other_model), pair), strict=True):
        np.testing.assert_allclose(value, expected, rtol=1e-5, atol=1e-7)


def test_graphs_of_others_are_refused() -> None:
    empty = onnx.ModelProto().SerializeToString()
    with pytest.raises(ModelError, match="other inputs than one image"):
        join_graphs(empty, empty, 6)
