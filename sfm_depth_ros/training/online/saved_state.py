# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Saved state of the online trainer: weights, optimiser, counts and history, in one file."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from sfm_depth_ros.errors import TrainingError
from sfm_depth_ros.training.online.heap import give_back_freed
from sfm_depth_ros.training.online.loop import OnlineLoop
from sfm_depth_ros.training.state_file import load_module, module_tensors, read_state, write_state

STATE_FILE = "state.safetensors"

_logger = logging.getLogger(__name__)


def store_state(loop: OnlineLoop, folder: Path) -> None:
    """Write the whole state; the old one stays until the new one is whole.

    Raises:
        TrainingError: The disk is full or not writable.
    """
    tensors = {
        **loop.learner.tensors(),
        **module_tensors("good", loop.good),
    }
    values = {
        "deployed": loop.deployment.values(),
        "calibration": loop.calibration.values(),
        "loop": loop.values(),
        **loop.learner.values(),
    }
    write_state(folder / STATE_FILE, tensors, values)
    give_back_freed()


def restore_state(loop: OnlineLoop, folder: Path) -> bool:
    """Go on where :func:`store_state` left off, also if a model was deployed after it.

    A state that is absent, damaged or of another model is no error: training starts afresh from
    the deployed model, and the log gives the reason.

    Returns:
        Whether the state was taken up.
    """
    path = folder / STATE_FILE
    if not path.exists():
        _store_at_once(loop, folder)
        return False
    try:
        tensors, values = read_state(path)
        if not loop.deployment.follows(values["deployed"]):
            _logger.info(
                "training starts afresh: its state is of model %s, not of %s",
                values["deployed"]["model_id"],
                loop.deployment.folder.model_id,
            )
            return False
        _take_up(loop, tensors, values)
    except (TrainingError, KeyError, TypeError, ValueError) as error:
        _logger.warning("training starts afresh: %s", error)
        loop.learner.restart_from(loop.deployment.networks)
        loop.good.load_state_dict(loop.deployment.networks.state_dict())
        return False
    _logger.info("training goes on at step %d", loop.learner.steps)
    if values["deployed"]["model_id"] != loop.deployment.folder.model_id:
        _store_at_once(loop, folder)
    return True


def _store_at_once(loop: OnlineLoop, folder: Path) -> None:
    """Write the state of the deployed model before the next deployment.

    A process killed between that and the save would find none, or one that is two models old.
    """
    try:
        store_state(loop, folder)
    except TrainingError as error:
        _logger.warning("%s", error)  # the next save tries again


def _take_up(loop: OnlineLoop, tensors: Mapping[str, Tensor], values: Mapping[str, Any]) -> None:
    loop.learner.load(dict(tensors), dict(values))
    load_module("good", loop.good, dict(tensors))
    loop.calibration.load(values["calibration"])
    loop.load(values["loop"])
    loop.deployment.load(values["deployed"])
    if values["deployed"]["model_id"] != loop.deployment.folder.model_id:
        loop.watch.begin(loop.buffer)  # deployed right before the process ended
