# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A deployed model that is worse on new snippets than its predecessor goes back by itself."""

from __future__ import annotations

import dataclasses
from types import SimpleNamespace

import pytest
import torch

from sfm_depth_ros.snippets.replay_buffer import ReplayBuffer
from sfm_depth_ros.training.online.loop import OnlineLoop
from sfm_depth_ros.training.online.paired import Change
from sfm_depth_ros.training.online.saved_state import restore_state, store_state
from sfm_depth_ros.training.online.watch import STAGES, must_go_back


@pytest.fixture
def make_loop(make_parts, tmp_path):
    def make(**options) -> OnlineLoop:
        parts = make_parts(calibrate_scale=False, **options)
        return OnlineLoop(parts, ReplayBuffer(tmp_path / "buffer", 200, 1 << 30, 0.3, 0))

    return make


def take(loop: OnlineLoop, snippets) -> None:
    for snippet in snippets:
        loop.buffer.add(snippet)
        loop.take(snippet)


def weights(networks) -> torch.Tensor:
    return torch.cat([t.flatten().float() for t in networks.state_dict().values()])


def deploy_scaled(loop: OnlineLoop, factor: float) -> None:
    loop.learner.average.network.scale(factor, 1.0)
    loop.deploy("for a test")


@pytest.mark.parametrize(
    ("change", "goes"),
    [
        (Change(0.05, 0.01, 0.09, 12), True),
        (Change(0.05, -0.01, 0.11, 12), False),
        (Change(0.01, 0.005, 0.02, 12), False),
        (Change(-0.1, -0.2, -0.05, 12), False),
        (None, False),
    ],
)
def test_only_a_loss_that_is_no_chance_goes_back(change, goes) -> None:
    assert must_go_back(change) == goes


def test_a_worse_model_goes_back_by_itself_with_the_number(make_loop, drive) -> None:
    loop = make_loop()
    take(loop, drive(20))
    first = weights(loop.deployment.networks)
    deploy_scaled(loop, 1.5)
    assert loop.advance()
    assert loop.rollbacks == 0, "nothing new was seen"
    take(loop, drive(2 * STAGES[0], begin_s=20, place=400, spacing_s=0.5))
    assert loop.advance()
    assert loop.rollbacks == 1
    assert torch.equal(weights(loop.deployment.networks), first)
    assert torch.equal(weights(loop.learner.networks), first)
    assert "the error on new snippets had changed by +" in loop.note
    told = loop.deployment.history
    assert [entry.reason.split()[0] for entry in told] == ["for", "rollback"]
    assert told[-1].model_id == loop.deployment.folder.model_id


def test_a_better_model_stays_and_is_compared_three_times(make_loop, drive, monkeypatch) -> None:
    # a third of the plane world's snippets have landmarks; images alone judge no untrained network
    monkeypatch.setattr("sfm_depth_ros.training.frame_errors.LEAST_WITH_LANDMARKS", 0.2)
    loop = make_loop(validate_every=1000)
    take(loop, drive(20))
    loop.deployment.networks.scale(1.5, 1.0)
    loop.deployment.deploy(loop.deployment.networks, loop._facts("worse"))
    deploy_scaled(loop, 1.0)
    deployed = loop.deployment.folder
    take(loop, drive(80, begin_s=20, place=400, spacing_s=0.5))
    for _ in range(6):
        loop.advance()
    assert loop.deployment.folder is deployed
    assert loop.rollbacks == 0
    assert loop.watch.since is None


def test_rollback_by_request_after_a_restart(make_loop, drive, tmp_path) -> None:
    loop = make_loop()
    take(loop, drive(12))
    first = weights(loop.deployment.networks)
    deploy_scaled(loop, 1.2)
    store_state(loop, tmp_path / "state")
    again = restarted(loop, tmp_path)
    assert restore_state(again, tmp_path / "state")
    assert [entry.reason for entry in again.deployment.history] == ["for a test"]
    assert torch.equal(weights(again.deployment.origin), first)
    again.rollback()
    assert torch.equal(weights(again.deployment.networks), first)


def test_a_deployment_after_the_newest_state_is_taken_up(make_loop, drive, tmp_path) -> None:
    """C14: killed after a deployment and before the state was saved."""
    loop = make_loop()
    take(loop, drive(12))
    first = weights(loop.deployment.networks)
    loop.learner.steps = 7
    store_state(loop, tmp_path / "state")
    deploy_scaled(loop, 1.2)
    deployed = weights(loop.deployment.networks)
    again = restarted(loop, tmp_path)
    assert restore_state(again, tmp_path / "state")
    assert again.learner.steps == 7
    assert torch.equal(weights(again.deployment.networks), deployed)
    assert again.watch.since == again.buffer.next_serial
    again.rollback()
    assert torch.equal(weights(again.deployment.networks), first)


def test_killed_after_two_deployments_in_a_row(make_loop, drive, tmp_path) -> None:
    """C14: each process ended between its deployment and the save of its state."""
    loop = make_loop()
    take(loop, drive(12))
    loop.learner.steps = 7
    store_state(loop, tmp_path / "state")
    for factor in (1.2, 1.3, 1.4):
        deploy_scaled(loop, factor)
        loop = restarted(loop, tmp_path)
        assert restore_state(loop, tmp_path / "state")
        assert loop.learner.steps == 7


def test_killed_after_the_very_first_deployment(make_loop, drive, tmp_path) -> None:
    """C14: before any state was saved; the way back to the first model is known all the same."""
    loop = make_loop()
    assert not restore_state(loop, tmp_path / "state")
    take(loop, drive(12))
    first = weights(loop.deployment.networks)
    deploy_scaled(loop, 1.2)
    again = restarted(loop, tmp_path)
    assert restore_state(again, tmp_path / "state")
    again.rollback()
    assert torch.equal(weights(again.deployment.networks), first)


def test_a_state_of_an_unrelated_model_is_left(make_loop, tmp_path) -> None:
    loop = make_loop()
    loop.learner.steps = 7
    folder = loop.deployment.folder
    loop.deployment.folder = SimpleNamespace(model_id="another", path=folder.path)
    store_state(loop, tmp_path / "state")
    loop.deployment.folder = folder
    again = restarted(loop, tmp_path)
    assert not restore_state(again, tmp_path / "state")
    assert again.learner.steps == 0


def restarted(loop: OnlineLoop, tmp_path) -> OnlineLoop:
    """A new process that begins with the deployed model."""
    parts = dataclasses.replace(loop.parts, folder=loop.deployment.folder)
    return OnlineLoop(parts, ReplayBuffer(tmp_path / "buffer", 200, 1 << 30, 0.3, 0))
