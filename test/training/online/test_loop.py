# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The online loop, piece by piece: waits, calibrates, learns, judges, deploys, goes back."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch

from sfm_depth_ros.errors import ModelError, TrainingError
from sfm_depth_ros.geometry.camera import Intrinsics
from sfm_depth_ros.snippets.replay_buffer import ReplayBuffer
from sfm_depth_ros.training.network_pair import networks_of
from sfm_depth_ros.training.online.guard import FEWEST
from sfm_depth_ros.training.online.loop import OnlineLoop
from sfm_depth_ros.training.online.parts import TrainerParts
from sfm_depth_ros.training.online.rehearsal import HELD_OUT, HELD_OUT_SEED, POOL, World

JUDGED = 0.3  # seconds between snippets of a drive that is long enough to have two places


@pytest.fixture
def make_loop(make_parts, drive, tmp_path):
    def make(
        snippets: int = 40,
        slip: float = 1.0,
        spacing_s: float = 0.2,
        depth_factor: float = 1.0,
        **options,
    ) -> OnlineLoop:
        parts = make_parts(**options)
        if depth_factor != 1.0:
            parts = scaled(parts, depth_factor)
        training = parts.training
        buffer = ReplayBuffer(
            tmp_path / "buffer",
            training.buffer_size,
            1 << 30,
            training.holdout_share,
            training.seed,
        )
        loop = OnlineLoop(parts, buffer)
        take(loop, drive(snippets, slip, spacing_s=spacing_s))
        return loop

    return make


def take(loop: OnlineLoop, snippets) -> None:
    for snippet in snippets:
        loop.buffer.add(snippet)
        loop.take(snippet)


def scaled(parts: TrainerParts, depth_factor: float) -> TrainerParts:
    """The same with a model whose depths are wrong by a factor from the start."""
    networks, known = networks_of(parts.folder), parts.folder.metadata
    networks.scale(depth_factor, 1.0)
    facts = {name: known[name] for name in ("preprocessing", "trained_on", "steps", "metrics")}
    folder = parts.save(networks.depth, networks.pose, metadata=facts)
    return dataclasses.replace(parts, folder=folder)


def weights(networks) -> torch.Tensor:
    return torch.cat([t.flatten().float() for t in networks.state_dict().values()])


def test_waits_for_snippets_and_says_how_many(make_loop) -> None:
    loop = make_loop(snippets=3)
    assert loop.why_waiting() == "3 of 6 snippets"
    assert not loop.advance()
    assert loop.learner.steps == 0


def test_calibrates_first_by_a_part_of_a_small_factor(make_loop) -> None:
    loop = make_loop()
    before = loop.learner.networks.depth.log_scale.item()
    assert loop.advance()
    assert loop.calibration.is_done
    assert loop.learner.steps == 0
    applied = loop.learner.networks.depth.log_scale.item() - before
    assert -0.03 < applied < 0  # a part of log 0.93
    assert loop.learner.networks.pose.log_scale.item() == 0  # far off: left to training
    assert "left to training" in loop.note


@pytest.mark.parametrize("slip", [2.0, 3.6])
def test_slip_and_other_units_from_the_start_change_nothing(make_loop, slip) -> None:
    loop = make_loop(slip=slip)
    before = weights(loop.learner.networks)
    for _ in range(5):
        loop.advance()
    assert not loop.calibration.is_done
    assert loop.learner.steps == loop.deployment.count == 0
    assert torch.equal(weights(loop.learner.networks), before)
    assert "not believed" in loop.calibration.doubt
    assert ("km/h" in loop.calibration.doubt) == (slip == 3.6)
    assert loop.why_waiting() == loop.calibration.doubt


def test_slip_from_the_start_ends_and_its_snippets_leave(make_loop, drive) -> None:
    loop = make_loop(slip=2.0)
    loop.advance()
    assert loop.calibration.doubt
    take(loop, drive(20, begin_s=20, place=300))
    loop.advance()
    assert loop.calibration.doubt == ""
    assert loop.calibration.is_done
    kept = [*loop.buffer.newest(100), *loop.buffer.holdout()]
    assert kept
    assert all(snippet.displacements.max() < 0.51 for snippet in kept)  # the slip's are above


def test_slip_in_the_middle_is_noticed_and_undone(make_loop, drive) -> None:
    loop = make_loop()
    for _ in range(4):
        loop.advance()
    good, steps = weights(loop.good), loop.learner.steps
    take(loop, drive(20, slip=2.0, begin_s=20, place=300))
    while not loop.calibration.doubt:
        assert loop.advance()
    assert loop.learner.steps - steps <= 4  # until the next validation
    deployed = loop.deployment.count
    assert "not believed" in loop.calibration.doubt
    assert not loop.advance()
    take(loop, drive(14, begin_s=40, place=500))
    assert loop.advance()
    assert loop.calibration.doubt == ""
    assert torch.equal(weights(loop.learner.networks), good)
    assert loop.deployment.count == deployed
    assert "removed" in loop.note or "left to training" in loop.note


def test_a_person_may_accept_a_large_factor_and_take_it_back(make_loop) -> None:
    loop = make_loop(min_improvement=0.0, spacing_s=JUDGED, depth_factor=1 / 1.6)
    first = weights(loop.deployment.networks)
    with pytest.raises(TrainingError, match="no measured scale"):
        loop.accept_scale()
    loop.advance()
    assert loop.calibration.doubt
    world = loop.learner.world()[0].item()
    assert "accepted: depth x 1." in loop.accept_scale()
    assert loop.calibration.doubt == ""
    assert loop.deployment.count == 1
    assert loop.comparison.after.depth_scale_ratio == pytest.approx(1.0, abs=0.1)
    loop.rollback()
    assert torch.equal(weights(loop.learner.networks), first)
    assert loop.learner.world()[0].item() == pytest.approx(world)


def test_the_height_of_the_camera_confirms_a_large_factor(make_loop, monkeypatch) -> None:
    loop = make_loop(spacing_s=JUDGED, depth_factor=1 / 1.6)
    loop.calibration._parts = dataclasses.replace(loop.parts, mounting=lambda: np.eye(4))
    monkeypatch.setattr("sfm_depth_ros.training.online.calibration.floor_factor", lambda *_: 1.5)
    loop.advance()
    assert loop.calibration.is_done
    assert loop.comparison.after.depth_scale_ratio == pytest.approx(1.0, abs=0.1)
    assert loop.deployment.count == 1


def test_diverged_networks_are_not_corrected(make_loop) -> None:
    loop = make_loop(calibrate_scale=False, spacing_s=JUDGED)
    loop.validate()
    loop.learner.training = dataclasses.replace(loop.learner.training, calibrate_scale=True)
    for factor in (0.1, float("nan")):
        loop.learner.average.network.scale(factor, 1.0)
        before = loop.learner.world()[0].item()
        loop._correct_scale()
        assert loop.learner.world()[0].item() == before


def test_nothing_is_learnt_or_deployed_while_inputs_are_held(make_loop) -> None:
    loop = make_loop()
    loop.hold = "standing"
    for _ in range(5):
        assert not loop.advance()
    assert loop.learner.steps == loop.deployment.count == 0
    loop.hold = ""
    assert loop.advance()


def test_learns_and_counts(make_loop) -> None:
    loop = make_loop()
    before = weights(loop.learner.networks)
    for _ in range(6):
        loop.advance()
    assert loop.learner.steps == 5
    assert loop.pace.step_ms > 0
    assert 0 < loop.next_validation_s < 4 * 60
    assert loop.learner.terms["photometric"] > 0
    assert not torch.equal(before, weights(loop.learner.networks))


def test_stops_learning_when_nothing_new_comes(make_loop) -> None:
    loop = make_loop(max_steps_per_snippet=0.1)
    while loop.advance():
        pass
    assert loop.learner.steps == 4
    assert loop.why_waiting() == "for new snippets after 4 steps on 40"


def test_a_worse_model_is_not_deployed(make_loop) -> None:
    loop = make_loop(calibrate_scale=False, spacing_s=JUDGED)
    loop.validate()
    assert "no gain of 1 %" in loop.comparison.reason
    loop.learner.average.network.scale(1.1, 1.0)
    loop.validate()
    assert loop.deployment.count == 0
    assert "worse there beyond chance" in loop.comparison.reason
    assert loop.deployment.folder is loop.parts.folder


def test_divergence_goes_back_to_the_last_good_weights_at_half_the_rate(make_loop) -> None:
    loop = make_loop(calibrate_scale=False, spacing_s=JUDGED)
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
    return lambda _: World("planes", lambda number: snippets[number % 4], has_own_camera=True)


def test_held_out_rendered_snippets_come_before_the_first_step(make_loop, plane_snippets) -> None:
    world = planes_of(plane_snippets)
    loop = make_loop(make_world=world, calibrate_scale=False, spacing_s=JUDGED)
    loop.validate()
    assert loop.comparison.reason == f"waiting for held-out rendered snippets: 0 of {HELD_OUT}"
    for done in range(1, HELD_OUT + 1):
        loop.advance()
        assert loop.rehearsal.opened.held_out_missing == HELD_OUT - done
    assert loop.learner.steps == 0
    assert not loop.learner.is_first_model_known
    loop.advance()
    assert loop.learner.steps == 1
    assert loop.learner.is_first_model_known
    loop.validate()
    assert loop.comparison.after.rehearsal_abs_rel > 0
    assert loop.comparison.first_rehearsal.mean() > 0


def test_what_forgets_too_much_is_stepped_back_from(make_loop, plane_snippets) -> None:
    world = planes_of(plane_snippets)
    loop = make_loop(
        make_world=world, calibrate_scale=False, spacing_s=JUDGED, max_forgetting=0.05
    )
    for _ in range(HELD_OUT + 1):
        loop.advance()
    first = loop.learner.networks.depth.log_scale.item()
    loop.learner.scale(1.5, 1.0, is_camera=False)
    learnt = loop.learner.average.network.depth.log_scale.item()
    loop.validate()
    share = loop.comparison.share
    assert share < 1
    assert "would lose elsewhere" in loop.note
    kept = loop.learner.networks.depth.log_scale.item()
    assert kept == pytest.approx(first + share * (learnt - first), abs=0.01)


def test_few_held_out_snippets_judge_nothing(make_loop) -> None:
    loop = make_loop(snippets=18, calibrate_scale=False)
    assert 0 < loop.buffer.holdout_count < FEWEST
    loop.learner.scale(1.2, 1.2)
    loop.validate()
    count = loop.buffer.holdout_count
    assert loop.comparison.reason == f"waiting for held-out snippets: {count} of {FEWEST}"
    assert loop.deployment.count == 0


def test_autofocus_does_not_begin_the_rehearsal_anew(make_loop, drive, plane_snippets) -> None:
    loop = make_loop(make_world=planes_of(plane_snippets), calibrate_scale=False)
    loop.advance()
    rehearsal = loop.rehearsal.opened
    snippet = drive(1)[0]
    K = dataclasses.replace(snippet.intrinsics, fx=1.001 * snippet.intrinsics.fx)
    loop.take(dataclasses.replace(snippet, intrinsics=K))
    assert loop.rehearsal.opened is rehearsal
    zoomed = dataclasses.replace(K, fx=1.5 * K.fx)
    loop.take(dataclasses.replace(snippet, intrinsics=zoomed))
    assert loop.rehearsal.opened is not rehearsal
