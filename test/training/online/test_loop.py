# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The online loop, piece by piece: waits, calibrates, learns, judges, deploys, goes back."""

from __future__ import annotations

import pytest
import torch

from sfm_depth_ros.errors import ModelError
from sfm_depth_ros.geometry.camera import Intrinsics
from sfm_depth_ros.snippets.replay_buffer import ReplayBuffer
from sfm_depth_ros.training.network_pair import networks_of
from sfm_depth_ros.training.online.loop import OnlineLoop
from sfm_depth_ros.training.online.memory import HELD_OUT, HELD_OUT_SEED, POOL, World


@pytest.fixture
def make_loop(make_parts, drive, tmp_path):
    def make(snippets: int = 40, **options) -> OnlineLoop:
        parts = make_parts(**options)
        training = parts.training
        buffer = ReplayBuffer(
            tmp_path / "buffer",
            training.buffer_size,
            1 << 30,
            training.holdout_share,
            training.seed,
        )
        loop = OnlineLoop(parts, buffer)
        for snippet in drive(snippets):
            buffer.add(snippet)
            loop.take(snippet)
        return loop

    return make


def weights(networks) -> torch.Tensor:
    return torch.cat([t.flatten().float() for t in networks.state_dict().values()])


def test_waits_for_snippets_and_says_how_many(make_loop) -> None:
    loop = make_loop(snippets=3)
    assert loop.why_waiting() == "3 of 6 snippets"
    assert not loop.advance()
    assert loop.learner.steps == 0


def test_calibrates_first_and_deploys_the_gain(make_loop) -> None:
    loop = make_loop()
    with torch.no_grad():
        loop.learner.networks.pose.head.bias[2] = 1.0  # moves ahead, at a wrong length
        loop.learner.average.reset(loop.learner.networks)
    assert loop.advance()
    assert loop.is_calibrated
    assert loop.learner.steps == 0
    after = loop.comparison.after
    assert after.translation_deviation < 0.5
    assert after.total < loop.comparison.before.total
    assert loop.deployment.count == 1
    metadata = loop.deployment.folder.metadata
    assert metadata["parent"] == loop.parts.folder.model_id
    assert metadata["trained_on"] == ["the robot's own camera, online"]
    assert metadata["metrics"]["total"] == pytest.approx(after.total)
    deployed = networks_of(loop.deployment.folder)
    assert torch.equal(weights(deployed), weights(loop.learner.average.network))


def test_learns_and_counts(make_loop) -> None:
    loop = make_loop()
    before = weights(loop.learner.networks)
    for _ in range(6):
        loop.advance()
    assert loop.learner.steps == 5
    assert loop.step_ms > 0
    assert loop.learner.terms["photometric"] > 0
    assert not torch.equal(before, weights(loop.learner.networks))


def test_stops_learning_when_nothing_new_comes(make_loop) -> None:
    loop = make_loop(max_steps_per_snippet=0.1)
    while loop.advance():
        pass
    assert loop.learner.steps == 4
    assert loop.why_waiting() == "for new snippets after 4 steps on 40"


def test_a_worse_model_is_not_deployed(make_loop) -> None:
    loop = make_loop(calibrate_scale=False)
    loop.validate()
    loop.learner.average.network.scale(1.3, 1.0)
    loop.validate()
    assert loop.deployment.count == 0
    assert "does not improve on" in loop.comparison.reason
    assert loop.deployment.folder is loop.parts.folder


def test_divergence_goes_back_to_the_last_good_weights_at_half_the_rate(make_loop) -> None:
    loop = make_loop(calibrate_scale=False)
    for _ in range(4):
        loop.advance()  # the fourth validates
    good = weights(loop.good)
    with torch.no_grad():
        for parameter in loop.learner.networks.parameters():
            parameter.mul_(float("nan"))
        loop.learner.average.reset(loop.learner.networks)
    loop.validate()
    assert loop.rollbacks == 1
    assert loop.learner.rate_factor == 0.5
    assert torch.equal(weights(loop.learner.networks), good)
    assert "went back" in loop.note


def test_steps_without_finite_gradient_go_back_and_at_last_stop(make_loop) -> None:
    loop = make_loop(calibrate_scale=False)
    with torch.no_grad():
        for networks in (loop.good, loop.learner.networks, loop.learner.average.network):
            networks.pose.log_scale.fill_(float("inf"))
    for _ in range(100):
        if not loop.advance():
            break
    assert loop.learner.refused >= 20
    assert loop.learner.steps == 0
    assert loop.rollbacks == 7
    assert "~/reset" in loop.stopped
    loop.reset()
    assert loop.stopped == ""
    assert torch.isfinite(weights(loop.learner.networks)).all()


def test_rollback_hands_over_the_weights_before(make_loop) -> None:
    loop = make_loop()
    first = weights(loop.deployment.networks)
    loop.learner.scale(1.2, 1.2)
    loop.deploy()
    assert not torch.equal(weights(loop.deployment.networks), first)
    loop.rollback()
    assert torch.equal(weights(loop.deployment.networks), first)
    assert torch.equal(weights(networks_of(loop.deployment.folder)), first)
    assert torch.equal(weights(loop.learner.networks), first)
    assert "the model before" in loop.note
    assert "the deployed weights" in loop.rollback()


def test_reset_forgets_snippets_and_weights(make_loop) -> None:
    loop = make_loop()
    first = weights(loop.deployment.networks)
    loop.learner.scale(1.2, 1.2)
    loop.deploy()
    loop.reset()
    assert len(loop.buffer) == 0
    assert torch.equal(weights(networks_of(loop.deployment.folder)), first)
    assert loop.learner.steps == 0


def test_a_model_that_cannot_be_written_changes_nothing(make_loop) -> None:
    loop = make_loop()

    def full(*_: object, **__: object):
        raise ModelError("cannot write the model folder; free some disk space")

    loop.deployment._save = full
    before = weights(loop.deployment.networks)
    loop.learner.scale(1.2, 1.2)
    with pytest.raises(ModelError):
        loop.deploy()
    assert torch.equal(weights(loop.deployment.networks), before)
    assert loop.deployment.count == 0
    assert loop.deployment.folder is loop.parts.folder


def test_rehearsal_is_rendered_while_waiting_and_never_more_than_needed(
    make_loop, plane_snippets
) -> None:
    asked = []

    def make_world(intrinsics: Intrinsics) -> World:
        assert (intrinsics.width, intrinsics.height) == (96, 64)
        snippets = plane_snippets(4, with_truth=True)

        def render(number: int):
            asked.append(number)
            return snippets[number % 4]

        return World("planes", render)

    loop = make_loop(snippets=1, make_world=make_world)
    while loop.advance():
        pass
    assert len(asked) == len(set(asked)) == POOL + HELD_OUT
    assert sum(number >= HELD_OUT_SEED for number in asked) == HELD_OUT


def planes_of(plane_snippets):
    """A world of four snippets with truth."""
    snippets = plane_snippets(4, with_truth=True)
    return lambda _: World("planes", lambda number: snippets[number % 4])


def test_held_out_rendered_snippets_come_before_the_first_step(make_loop, plane_snippets) -> None:
    loop = make_loop(make_world=planes_of(plane_snippets), calibrate_scale=False)
    loop.validate()
    assert loop.comparison.reason == "waiting for held-out rendered snippets: 0 of 8"
    for done in range(1, HELD_OUT + 1):
        loop.advance()
        assert loop._rehearsal.held_out_missing == HELD_OUT - done
    assert loop.learner.steps == 0
    loop.advance()
    assert loop.learner.steps == 1
    loop.validate()
    assert loop.comparison.after.rehearsal_abs_rel > 0
    assert loop.comparison.base_abs_rel > 0


def test_few_held_out_snippets_judge_nothing(make_loop) -> None:
    loop = make_loop(snippets=18, calibrate_scale=False)
    assert 0 < loop.buffer.holdout_count < 8
    loop.learner.scale(1.2, 1.2)
    loop.validate()
    count = loop.buffer.holdout_count
    assert loop.comparison.reason == f"waiting for held-out snippets: {count} of 8"
    assert loop.deployment.count == 0
