# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Curves and pictures of a run; nothing but a line where TensorBoard is absent."""

from __future__ import annotations

import logging

import numpy as np
import pytest
import torch

from sfm_depth_ros import optional
from sfm_depth_ros.config.schema import ObjectiveConfig
from sfm_depth_ros.errors import MissingDependencyError
from sfm_depth_ros.snippets.batch import collate
from sfm_depth_ros.training.network_pair import Companions
from sfm_depth_ros.training.offline import observers as module
from sfm_depth_ros.training.offline.observers import StepReport, example_pictures, tensorboard_log


class ExactNetworks:
    """Says the true depth and motion of two snippets."""

    def __init__(self, snippets) -> None:
        self.batch = collate(snippets)
        self.depth = self.pose = None
        self.companions = Companions()


def test_pictures_show_target_depth_and_what_is_left_unexplained(
    plane_snippets, monkeypatch: pytest.MonkeyPatch
) -> None:
    snippets = plane_snippets(2, with_truth=True)
    batch = collate(snippets)
    depth, T = batch.depth.clone(), batch.T_source_target
    depth[1] = 60.0  # the second snippet's depth is wrong
    monkeypatch.setattr(module, "predict_depths", lambda *_: [depth])
    monkeypatch.setattr(module, "predict_motions", lambda *_: T)
    pictures = example_pictures(ExactNetworks(snippets), batch, ObjectiveConfig())
    assert {name: p.shape for name, p in pictures.items()} == dict.fromkeys(
        ("target", "depth", "warped", "error"), (128, 96, 3)
    )
    assert all(picture.dtype == np.uint8 for picture in pictures.values())
    np.testing.assert_array_equal(pictures["target"][:64], snippets[0].target)
    right, wrong = pictures["error"][:64].mean(), pictures["error"][64:].mean()
    assert wrong > 2 * right
    near, far = depth[0, 0].argmin(), depth[0, 0].argmax()
    colours = pictures["depth"][:64].reshape(-1, 3).astype(int)
    assert colours[near][0] > colours[far][0]  # near is warm
    assert len(np.unique(pictures["depth"][64:].reshape(-1, 3), axis=0)) == 1


def test_without_tensorboard_one_line_says_so(tmp_path, monkeypatch, caplog) -> None:
    def absent(name: str):
        raise MissingDependencyError("tensorboard is needed here; type: pip install x")

    monkeypatch.setattr(module, "require", absent)
    with caplog.at_level(logging.INFO):
        assert tensorboard_log(tmp_path / "log", 0, 1, None, ObjectiveConfig()) is None
    assert len(caplog.records) == 1
    assert "pip install" in caplog.text
    assert not (tmp_path / "log").exists()


def test_the_extra_is_named() -> None:
    assert optional.install_command("tensorboard") == "pip install tensorboard"


def test_curves_and_pictures_can_be_read_back(tmp_path, plane_snippets, tiny_networks) -> None:
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    networks = tiny_networks().eval()
    log = tensorboard_log(tmp_path, 0, 2, collate(plane_snippets(1)), ObjectiveConfig())
    assert log is not None
    for step in range(1, 5):
        terms = {"total": float(step), "velocity": 0.5}
        log.on_step(StepReport(step, 4, step / 4, 0.1, 0.01, 0, 1e-3, terms))
    with torch.no_grad():
        log.on_validation(4, {"score": 0.25}, networks)
    log.close()
    events = EventAccumulator(str(tmp_path)).Reload()
    assert [(e.step, e.value) for e in events.Scalars("training/total")] == [(2, 1.5), (4, 3.5)]
    assert events.Scalars("pace/data_wait_share")[0].value == pytest.approx(0.1)
    assert events.Scalars("validation/score")[0].value == 0.25
    assert set(events.Tags()["images"]) == {
        f"example/{name}" for name in ("target", "depth", "warped", "error")
    }
