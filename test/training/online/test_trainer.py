# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The trainer as the node sees it: a thread with states, reasons and answers."""

from __future__ import annotations

import dataclasses
import threading
import time
from collections.abc import Callable

import numpy as np
import pytest
import torch

from sfm_depth_ros.errors import TrainingError
from sfm_depth_ros.training.online import trainer as trainer_module
from sfm_depth_ros.training.online.requests import Requests
from sfm_depth_ros.training.online.status import InputReport
from sfm_depth_ros.training.online.trainer import OnlineTrainer


@pytest.fixture
def make_trainer(make_parts):
    trainers = []

    def make(**training) -> OnlineTrainer:
        trainers.append(OnlineTrainer(make_parts(**training)))
        return trainers[-1]

    yield make
    for trainer in trainers:
        trainer.stop()


def wait_until(condition: Callable[[], bool], seconds: float = 30.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "took too long"
        time.sleep(0.02)


def test_says_what_it_waits_for(make_trainer, drive) -> None:
    trainer = make_trainer()
    trainer.set_inputs(InputReport("no camera_info received", "camera"))
    status = trainer.status()
    assert status.state == "waiting_for_camera"
    assert status.reason == "0 of 6 snippets; no camera_info received"
    trainer.set_inputs(InputReport("no velocity has come", "velocity"))
    assert trainer.status().state == "waiting_for_velocity"
    assert trainer.add_snippet(drive(1)[0])
    trainer.set_inputs(InputReport())
    status = trainer.status()
    assert (status.state, status.reason) == ("collecting", "1 of 6 snippets")
    assert not status.is_at_work


def test_a_start_waits_for_the_step_that_the_stop_did_not(make_trainer, monkeypatch) -> None:
    """Deactivated and activated within a step, two threads would train the same weights."""
    trainer, begun, may_end = make_trainer(), threading.Event(), threading.Event()
    at_work: list[int] = []

    def work_once() -> bool:
        at_work.append(threading.get_ident())
        begun.set()
        may_end.wait(30.0)
        return False

    monkeypatch.setattr(trainer, "_work_once", work_once)
    trainer.start()
    assert begun.wait(30.0)
    assert not trainer.stop(timeout=0.01)
    trainer.start()
    time.sleep(0.3)
    assert len(at_work) == 1
    may_end.set()
    wait_until(lambda: len(set(at_work)) == 2)
    assert at_work.count(at_work[0]) == 1, "the first thread ends after its step"
    assert trainer.stop(30.0)


def test_requests_are_done_in_order_cancelled_ones_are_left_out() -> None:
    waiting, done = Requests(), []
    first, second, third = (waiting.put(lambda n=n: done.append(n)) for n in (1, 2, 3))
    assert second.cancel()
    while waiting.do_next():
        pass
    assert done == [1, 3]
    assert first.done() and third.done()


def test_a_request_that_a_stop_overtakes_is_refused(make_trainer, monkeypatch) -> None:
    trainer, begun, may_end = make_trainer(), threading.Event(), threading.Event()

    def work_once() -> bool:
        begun.set()
        return not may_end.wait(30.0)

    monkeypatch.setattr(trainer, "_work_once", work_once)
    trainer.start()
    assert begun.wait(30.0)
    asked = trainer.reset()
    assert not asked.done()
    trainer.stop(timeout=0.0)
    may_end.set()
    with pytest.raises(TrainingError, match="was stopped before that"):
        asked.result(30.0)


def test_gated_inputs_are_named_and_nothing_is_taken_or_learnt(make_trainer, drive) -> None:
    trainer = make_trainer()
    for snippet in drive(30):
        trainer.add_snippet(snippet)
    trainer.set_inputs(InputReport(gated="black: images are black"))
    status = trainer.status()
    assert (status.state, status.reason) == ("gated", "black: images are black")
    assert not trainer.add_snippet(drive(1, begin_s=30)[0])
    assert trainer.status().refusals["gated"] == 1
    trainer.start()
    time.sleep(0.5)
    assert trainer.status().steps == trainer.status().models_deployed == 0
    trainer.set_inputs(InputReport(is_standing=True))
    assert trainer.status().state == "standing"
    time.sleep(0.5)
    assert trainer.status().steps == trainer.status().models_deployed == 0
    trainer.set_inputs(InputReport())
    wait_until(lambda: trainer.status().steps > 0)


def test_doubtful_metres_are_refused_until_a_person_accepts_them(make_trainer, drive) -> None:
    trainer = make_trainer()
    trainer.set_inputs(InputReport())
    for snippet in drive(30, slip=3.6):
        trainer.add_snippet(snippet)
    trainer.start()
    wait_until(lambda: trainer.status().state == "refused")
    status = trainer.status()
    assert "km/h" in status.reason
    assert status.steps == status.models_deployed == 0
    assert trainer.accept_scale().result(60.0).startswith("scales accepted: depth x 3.")
    wait_until(lambda: trainer.status().steps > 0)
    with pytest.raises(TrainingError, match="no measured scale"):
        trainer.accept_scale().result(60.0)


def test_snippets_without_measured_motion_are_refused(make_trainer, drive) -> None:
    trainer = make_trainer()
    first, second = drive(2)
    nan = dataclasses.replace(first, displacements=np.array([0.3, np.nan], np.float32))
    standing = dataclasses.replace(second, displacements=np.array([0.0, 0.3], np.float32))
    assert not trainer.add_snippet(nan)
    assert not trainer.add_snippet(standing)
    status = trainer.status()
    assert status.refusals["not_finite"] == 1
    assert status.refusals["no_displacement"] == 1
    assert status.buffer == status.snippets == 0


def test_trains_pauses_and_goes_on(make_trainer, drive) -> None:
    trainer = make_trainer()
    for snippet in drive(40, spacing_s=0.3):
        trainer.add_snippet(snippet)
    trainer.start()
    wait_until(lambda: trainer.status().steps >= 3)
    status = trainer.status()
    assert status.is_at_work
    assert status.validation_after is not None
    facts = status.as_facts()
    assert facts["steps"] == status.steps
    assert facts["loss.photometric"] > 0
    assert facts["validation_after.total"] == pytest.approx(status.validation_after.total)

    trainer.set_training(False)
    wait_until(lambda: trainer.status().state == "paused")
    time.sleep(0.3)
    steps = trainer.status().steps
    time.sleep(0.3)
    assert trainer.status().steps == steps
    assert trainer.status().reason == "by request"
    folder = trainer.save_model().result(60.0)
    assert trainer.status().deployed_model == folder.model_id
    assert trainer.status().models_deployed >= 1
    trainer.set_training(True)
    wait_until(lambda: trainer.status().steps > steps)
    assert trainer.stop(30.0)


def test_what_comes_while_training_is_paused_is_not_taken(make_trainer, drive) -> None:
    trainer = make_trainer()
    first, second = drive(2)
    assert trainer.add_snippet(first)
    trainer.set_training(False)
    assert not trainer.add_snippet(second)
    assert trainer.status().snippets == 1
    assert trainer.status().refusals["paused"] == 1
    trainer.set_training(True)
    assert trainer.add_snippet(second)


def test_resumes_with_the_same_steps_and_weights(make_parts, drive) -> None:
    parts = make_parts(min_improvement=1.0)  # so that nothing is deployed in between
    trainer = OnlineTrainer(parts)
    for snippet in drive(30):
        trainer.add_snippet(snippet)
    trainer.start()
    wait_until(lambda: trainer.status().steps >= 5)
    assert trainer.stop(30.0)
    before, weights = trainer.status(), trainer._loop.learner.networks.state_dict()

    again = OnlineTrainer(parts)
    after = again.status()
    assert (after.steps, after.buffer, after.held_out) == (
        before.steps,
        before.buffer,
        before.held_out,
    )
    for name, tensor in again._loop.learner.networks.state_dict().items():
        assert torch.equal(tensor, weights[name]), name
    assert again._loop.calibration.is_done
    assert after.reason.startswith("for new snippets")


def test_damaged_state_is_left_behind_with_a_line_in_the_log(make_parts, drive, caplog) -> None:
    parts = make_parts()
    (parts.work_dir / "trainer_state").mkdir(parents=True)
    (parts.work_dir / "trainer_state" / "state.safetensors").write_bytes(b"broken")
    trainer = OnlineTrainer(parts)
    assert trainer.status().steps == 0
    assert "training starts afresh" in caplog.text


def test_full_disk_rests_keeps_everything_and_goes_on(make_trainer, drive, monkeypatch) -> None:
    trainer = make_trainer()
    trainer.set_inputs(InputReport())
    monkeypatch.setattr(trainer_module, "RETRY_S", 0.2)
    snippets = drive(4)
    trainer.add_snippet(snippets[0])

    def full(_: object) -> bool:
        raise TrainingError("No space left on device; free some disk space")

    with monkeypatch.context() as patch:
        patch.setattr(trainer._loop.buffer, "add", full)
        assert not trainer.add_snippet(snippets[1])
    status = trainer.status()
    assert status.state == "paused"
    assert "free some disk space" in status.reason
    assert status.buffer == 1
    assert not trainer.add_snippet(snippets[1])  # the disk is left alone for a while
    assert status.refusals["disk"] == 1
    time.sleep(0.25)
    assert trainer.add_snippet(snippets[1])
    assert trainer.status().state == "collecting"


def test_a_model_that_cannot_be_written_is_tried_again(make_trainer, drive, monkeypatch) -> None:
    monkeypatch.setattr(trainer_module, "RETRY_S", 0.2)
    trainer = make_trainer()
    advance, failures = trainer._loop.advance, iter(range(3))

    def full_at_first() -> bool:
        if next(failures, None) is not None:
            raise TrainingError("No space left on device")
        return advance()

    monkeypatch.setattr(trainer._loop, "advance", full_at_first)
    for snippet in drive(30):
        trainer.add_snippet(snippet)
    trainer.start()
    wait_until(lambda: trainer.status().state == "paused")
    assert "No space left" in trainer.status().reason
    wait_until(lambda: trainer.status().steps > 0)
    assert trainer.status().is_at_work


def test_a_bug_in_the_thread_pauses_with_its_message(make_trainer, monkeypatch) -> None:
    trainer = make_trainer()

    def broken() -> bool:
        raise RuntimeError("surprise")

    monkeypatch.setattr(trainer._loop, "advance", broken)
    trainer.start()
    wait_until(lambda: trainer.status().state == "paused")
    assert "surprise" in trainer.status().reason
    assert trainer.stop()
