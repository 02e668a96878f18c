# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Saved state of the online trainer: weights, optimiser and counts in one file."""

from __future__ import annotations

import logging
from pathlib import Path

from sfm_depth_ros.errors import TrainingError
from sfm_depth_ros.training.online.loop import OnlineLoop
from sfm_depth_ros.training.state_file import load_module, module_tensors, read_state, write_state

STATE_FILE = "state.safetensors"

_logger = logging.getLogger(__name__)


def store_state(loop: OnlineLoop, folder: Path) -> None:
    """Write weights, optimiser and counts; the old state stays until the new one is whole.

    Raises:
        TrainingError: The disk is full or not writable.
    """
    tensors = {
        **loop.learner.tensors(),
        **module_tensors("good", loop.good),
    }
    values = {
        "model_id": loop.deployment.folder.model_id,
        "base_abs_rel": loop.comparison.base_abs_rel,
        "is_calibrated": loop.calibration.is_done,
        "size": loop.size,
        **loop.learner.values(),
    }
    write_state(folder / STATE_FILE, tensors, values)


def restore_state(loop: OnlineLoop, folder: Path) -> bool:
    """Go on where :func:`store_state` left off, if that was with the same deployed model.

    A state that is absent, damaged or of another model is no error: training starts afresh from
    the deployed model, and the log gives the reason.

    Returns:
        Whether the state was taken up.
    """
    path = folder / STATE_FILE
    if not path.exists():
        return False
    try:
        tensors, values = read_state(path)
        if values["model_id"] != loop.deployment.folder.model_id:
            _logger.info(
                "training starts afresh: its state is of model %s, not of %s",
                values["model_id"],
                loop.deployment.folder.model_id,
            )
            return False
        loop.learner.load(tensors, values)
        load_module("good", loop.good, tensors)
    except (TrainingError, KeyError) as error:
        _logger.warning("training starts afresh: %s", error)
        loop.learner.restart_from(loop.deployment.networks)
        loop.good.load_state_dict(loop.deployment.networks.state_dict())
        return False
    loop.comparison.base_abs_rel = float(values["base_abs_rel"])
    loop.calibration.is_done = bool(values["is_calibrated"])
    loop.size = tuple(values["size"]) if values["size"] else None
    _logger.info("training goes on at step %d", loop.learner.steps)
    return True
