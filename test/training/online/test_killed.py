# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""C14: a trainer that is killed at any instant, most of them within a second of a deployment."""

from __future__ import annotations

import dataclasses
import itertools
import logging
import multiprocessing
import os
import signal
import time
import uuid
from pathlib import Path

import numpy as np
import pytest
import torch

from sfm_depth_ros.model_folder.folder import ModelFolder, read_model_folder
from sfm_depth_ros.training.online.parts import TrainerParts
from sfm_depth_ros.training.online.trainer import OnlineTrainer

pytestmark = [pytest.mark.slow, pytest.mark.timeout(880)]

KILLS = 50


class NamedWriter:
    """Writes models under names of their own, as the node's do."""

    def __init__(self, writer, folder: Path) -> None:
        self._writer, self._folder = writer, folder

    def __call__(self, *networks, **facts) -> ModelFolder:
        self._writer.folder = self._folder / uuid.uuid4().hex
        return self._writer(*networks, **facts)


def hand_over(current: Path):
    """Lets a link name the newest model, atomically."""

    def point(folder: ModelFolder) -> None:
        link = current.with_name(f".{uuid.uuid4().hex}")
        link.symlink_to(folder.path)
        link.replace(current)

    return point


def train_for_ever(parts: TrainerParts, snippets, first: int) -> None:
    """Take snippets, learn and deploy, until killed."""
    trainer = OnlineTrainer(parts)
    trainer.start()
    for number in itertools.count(first):
        snippet = snippets[number % len(snippets)]
        shift = number // len(snippets) * 100 * 10**9
        trainer.add_snippet(
            dataclasses.replace(snippet, stamps_ns=snippet.stamps_ns + np.int64(shift))
        )
        if number % 5 == 4:
            trainer.save_model().result(60.0)
        time.sleep(0.02)


def test_every_restart_goes_on_and_every_model_is_whole(
    make_parts, writer, drive, tmp_path, caplog
) -> None:
    caplog.set_level(logging.INFO)
    torch.set_num_threads(1)  # whoever is forked has none of the parent's threads
    current = tmp_path / "current"
    parts = make_parts(calibrate_scale=False, min_snippets=2, validate_every=1000)
    parts = dataclasses.replace(
        parts, save=NamedWriter(writer, tmp_path / "models"), deploy=hand_over(current)
    )
    OnlineTrainer(parts)  # imports what the first optimiser needs, which takes seconds
    snippets, rng = drive(40), np.random.default_rng(0)
    steps = deployed = 0
    for kill in range(KILLS):
        if current.exists():
            parts = dataclasses.replace(parts, folder=read_model_folder(current.resolve()))
        context = multiprocessing.get_context("fork")
        process = context.Process(target=train_for_ever, args=(parts, snippets, 10 * kill))
        process.start()
        time.sleep(rng.uniform(0.6, 1.8))
        assert process.is_alive()
        os.kill(process.pid, signal.SIGKILL)
        process.join()
        if not current.exists():
            continue
        deployed += 1
        folder = read_model_folder(current.resolve())
        again = OnlineTrainer(dataclasses.replace(parts, folder=folder))
        assert "training starts afresh" not in caplog.text
        assert again.status().steps >= steps
        steps = again.status().steps
        assert again._loop.deployment.predecessor() is not None
    assert deployed >= KILLS - 2
    assert steps > 0
