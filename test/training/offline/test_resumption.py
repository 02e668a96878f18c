# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Killed at a random step and resumed, a run ends with the weights of an uninterrupted one."""

from __future__ import annotations

import dataclasses
import os
import random
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import tiny_run
import torch
from tiny_run import CONFIG, judge, make_trainer

STEPS = 14


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory: pytest.TempPathFactory) -> dict[str, torch.Tensor]:
    trainer, data = make_trainer(
        tmp_path_factory.mktemp("whole"), dataclasses.replace(CONFIG, steps=STEPS)
    )
    report = trainer.run(data.batch, judge)
    assert report["best_step"] < STEPS  # the best weights are not the last
    return _weights(trainer)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_killed_and_resumed_is_uninterrupted(tmp_path: Path, uninterrupted, number) -> None:
    last = random.SystemRandom().randrange(4, STEPS - 3)
    status = _run_and_signal(tmp_path, last, number)
    assert status == (-signal.SIGKILL if number == signal.SIGKILL else 130)
    trainer, data = make_trainer(tmp_path, dataclasses.replace(CONFIG, steps=STEPS))
    trainer.resume()
    if number == signal.SIGKILL:
        assert trainer.progress.step % CONFIG.save_every == 0
    else:
        assert trainer.progress.step >= last
    trainer.run(data.batch, judge)
    resumed = _weights(trainer)
    for name, tensor in uninterrupted.items():
        assert torch.equal(tensor, resumed[name]), f"{name}, killed at step {last}"


def _run_and_signal(folder: Path, step: int, number: int) -> int:
    """Start a run as a process, and end it when it has done some steps."""
    command = [sys.executable, tiny_run.__file__, str(folder), str(STEPS)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if line.strip() == f"step {step}":
                process.send_signal(number)
                break
        return process.wait(60)


def _weights(trainer) -> dict[str, torch.Tensor]:
    return {
        **{f"networks.{k}": v for k, v in trainer.networks.state_dict().items()},
        **{f"average.{k}": v for k, v in trainer.average.network.state_dict().items()},
    }
