# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The offline loop: it learns, refuses NaN, and resumes where it was."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch

from sfm_depth_ros.config.schema import ObjectiveConfig, OfflineTrainingConfig
from sfm_depth_ros.errors import TrainingError
from sfm_depth_ros.snippets.batch import collate
from sfm_depth_ros.snippets.zoom import whole_view
from sfm_depth_ros.training.offline import loop as offline
from sfm_depth_ros.training.offline.loop import OfflineTrainer
from sfm_depth_ros.training.offline.run_parts import RunParts
from sfm_depth_ros.training.validation import validate

CONFIG = OfflineTrainingConfig(
    steps=12,
    batch_size=2,
    warmup_steps=2,
    validate_every=6,
    save_every=6,
    log_every=4,
    learning_rate=3e-3,
    self_supervised_every=3,
    average_decay=0.8,
)


def nobody(networks) -> dict[str, float]:
    """Judge of runs that have no validation."""
    return {}


@pytest.fixture
def make_batch(plane_snippets):
    snippets = plane_snippets(8, with_truth=True)

    def make(step: int):
        rows = np.random.default_rng(step).integers(0, 8, 2)
        return collate([snippets[row] for row in rows])

    return make


@pytest.fixture
def trainer(tiny_networks, tmp_path):
    def make(config=CONFIG):
        return OfflineTrainer(tiny_networks(), RunParts(tmp_path, config, ObjectiveConfig()))

    return make


def test_supervision_lowers_the_error(trainer, make_batch) -> None:
    run = trainer(dataclasses.replace(CONFIG, steps=60, validate_every=20, jitter=False))
    held_out = [make_batch(100), make_batch(101)]

    def judge(networks):
        return validate(networks.depth, networks.pose, held_out).as_floats()

    report = run.run(make_batch, judge)
    errors = [validation["abs_rel"] for validation in report["validations"]]
    assert len(errors) == 3
    assert errors[-1] < 0.7 * errors[0]
    assert report["steps"] == 60
    assert report["refused"] == 0
    assert 0 <= report["data_wait_share"] < 1
    assert report["step_s"] > 0


def test_windows_of_larger_images_until_the_last_part(trainer, make_batch, monkeypatch) -> None:
    focals, sizes, real_step = [], set(), offline.training_step

    def seeing(depth_net, pose_net, batch, config, options):
        focals.append(float(batch.K[0, 0, 0]))
        sizes.add(tuple(batch.target.shape[-2:]))
        return real_step(depth_net, pose_net, batch, config, options)

    monkeypatch.setattr(offline, "training_step", seeing)
    config = dataclasses.replace(CONFIG, zoom=2.0, zoom_until=0.5, width=32)
    trainer(config).run(make_batch, nobody)
    whole = whole_view(make_batch(0), 32)
    assert focals[6:] == pytest.approx([float(whole.K[0, 0, 0])] * 6)
    assert len(set(focals[:6])) > 2 and min(focals) == focals[-1]
    assert sizes == {tuple(whole.target.shape[-2:])} == {(32, 32)}


def test_interrupted_and_resumed_is_the_same_as_uninterrupted(trainer, make_batch) -> None:
    whole = trainer()
    whole.run(make_batch, nobody)

    def stop(step: int):
        if step == 9:
            raise TrainingError("interrupted")
        return make_batch(step)

    with pytest.raises(TrainingError, match="interrupted"):
        trainer().run(stop, nobody)
    resumed = trainer()
    resumed.resume()
    assert resumed.progress.step == 6
    resumed.run(make_batch, nobody)
    for name, tensor in whole.networks.state_dict().items():
        assert torch.equal(tensor, resumed.networks.state_dict()[name]), name
    for name, tensor in whole.average.network.state_dict().items():
        assert torch.equal(tensor, resumed.average.network.state_dict()[name]), name


def test_nan_batches_are_refused_and_many_end_training(trainer, make_batch) -> None:
    def poisoned(step: int):
        batch = make_batch(step)
        bad = torch.full_like(batch.target, float("nan"))
        return batch if step < 3 else dataclasses.replace(batch, target=bad)

    run = trainer(dataclasses.replace(CONFIG, steps=100, validate_every=1000))
    with pytest.raises(TrainingError, match="learning_rate"):
        run.run(poisoned, nobody)
    assert run.progress.refused == 20
    assert all(torch.isfinite(t).all() for t in run.average.network.state_dict().values())
    assert all(torch.isfinite(t).all() for t in run.networks.state_dict().values())


def test_clock_ends_training(trainer, make_batch) -> None:
    run = trainer(dataclasses.replace(CONFIG, steps=10**6, max_minutes=0.01))
    report = run.run(make_batch, nobody)
    assert 1 < report["steps"] < 10**5
    assert report["seconds"] == pytest.approx(0.6, abs=0.5)


def test_the_best_weights_are_kept_and_patience_ends(trainer, make_batch) -> None:
    scores = iter((0.5, 0.3, 0.4, float("nan"), 0.6, 0.1))
    seen = []

    def judge(networks):
        seen.append({k: v.clone() for k, v in networks.state_dict().items()})
        return {"score": next(scores)}

    config = dataclasses.replace(CONFIG, steps=60, validate_every=2, patience=3)
    run = trainer(config)
    report = run.run(make_batch, judge)
    assert report["ended"] == "early"
    assert report["best_step"] == 4
    assert report["steps"] == 10
    for name, tensor in run.average.network.state_dict().items():
        assert torch.equal(tensor, seen[1][name]), name


def test_the_last_weights_where_asked_for(trainer, make_batch) -> None:
    scores = iter((0.1, 0.5, 0.5))
    run = trainer(dataclasses.replace(CONFIG, steps=5, validate_every=2, keep="last"))
    report = run.run(make_batch, lambda networks: {"score": next(scores)})
    assert report["best_step"] == 5
    assert [entry["score"] for entry in report["validations"]] == [0.1, 0.5, 0.5]


def test_somebody_may_ask_for_the_end(tiny_networks, tmp_path, make_batch) -> None:
    asked = iter([False, False, True])
    parts = RunParts(
        tmp_path,
        dataclasses.replace(CONFIG, save_every=100),
        ObjectiveConfig(),
        is_stopping=lambda: next(asked),
    )
    run = OfflineTrainer(tiny_networks(), parts)
    with pytest.raises(KeyboardInterrupt):
        run.run(make_batch, nobody)
    again = OfflineTrainer(tiny_networks(), parts)
    again.resume()
    assert again.progress.step == 3


def test_a_full_disk_keeps_the_state_before(tiny_networks, tmp_path, make_batch, monkeypatch):
    """The third save fails half-way: what is there is the whole second one."""
    parts = RunParts(tmp_path, dataclasses.replace(CONFIG, save_every=2), ObjectiveConfig())
    saves = []

    def fsync(descriptor: int) -> None:
        saves.append(descriptor)
        if len(saves) == 3:
            raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", fsync)
    with pytest.raises(TrainingError, match="free some disk space"):
        OfflineTrainer(tiny_networks(), parts).run(make_batch, nobody)
    assert [path.name for path in tmp_path.iterdir()] == ["state.safetensors"]
    again = OfflineTrainer(tiny_networks(), parts)
    again.resume()
    assert again.progress.step == 4
