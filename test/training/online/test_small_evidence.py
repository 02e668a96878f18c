# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Evidence of one stretch, one speed or one unlucky setting: not believed, not deployed."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch

from sfm_depth_ros.config.schema import OnlineTrainingConfig
from sfm_depth_ros.snippets.replay_buffer import ReplayBuffer
from sfm_depth_ros.training.frame_errors import FrameErrors
from sfm_depth_ros.training.online.guard import Judgement, judge
from sfm_depth_ros.training.online.loop import OnlineLoop
from sfm_depth_ros.training.online.metres import MetreTrust, Stretch
from sfm_depth_ros.training.scale_calibration import ScaleMeasurement

PLACES = np.repeat([0, 1], 8)
SPEEDS = np.tile([1.0, 4.0, 8.0, 14.0], 4)


def judged_by(translation_ratio: np.ndarray, landmark: float = 0.2) -> Judgement:
    one = np.ones(16)
    errors = FrameErrors(
        photometric=0.1 * one,
        translation=np.abs(translation_ratio - 1),
        landmark=landmark * one,
        translation_ratio=translation_ratio,
        depth_ratio=one,
    )
    return Judgement(errors, np.ones(8) * 0.1)


def verdict(new: Judgement, old: Judgement):
    return judge(new, old, PLACES, None, OnlineTrainingConfig())


def test_a_ratio_that_changes_with_speed_is_no_right_ratio() -> None:
    """C30: 2.9 at the start, 0.45 at 14 m/s; one factor cannot mend it."""
    by_speed = np.interp(SPEEDS, [1.0, 8.0, 14.0], [2.9, 0.9, 0.45])
    steady = judged_by(np.full(16, 1.1))
    assert np.median(by_speed) == pytest.approx(1.3, abs=0.2)
    centred = judged_by(by_speed / np.median(by_speed))  # right in the median alone
    assert centred.means().translation_scale_ratio == pytest.approx(1.0)
    assert verdict(steady, centred).is_accepted
    assert not verdict(centred, steady).is_accepted


def test_a_gain_in_images_does_not_pay_for_a_loss_of_depth() -> None:
    """C29: photometric error 20 % better, landmarks 15 % worse."""
    old = judged_by(np.ones(16))
    errors = dataclasses.replace(old.errors, photometric=0.08 * np.ones(16))
    new = Judgement(dataclasses.replace(errors, landmark=0.23 * np.ones(16)), old.rehearsal)
    found = verdict(new, old)
    assert not found.is_accepted
    assert "landmark" in found.reason or "no gain" in found.reason


def stretch(depth: float, translation: float) -> Stretch:
    found = ScaleMeasurement(
        depth_factor=depth,
        translation_scale_ratio=1 / translation,
        photometric=0.1,
        translation_deviation=0.1,
        triangulated=24,
        spread=0.02,
    )
    return Stretch(found, 24, 0, 3 * 10**9, float("nan"))


def test_one_slow_stretch_does_not_rescale_a_model() -> None:
    """C13: translations x 0.54 measured at 1 to 5 m/s are not applied at all."""
    decision = MetreTrust().decide(stretch(1.0, 0.54))
    assert not decision.doubt
    assert decision.translation == 1.0
    assert "left to training" in decision.remark
    assert MetreTrust().decide(stretch(1.2, 1.0)).depth < 1.06


def test_a_learning_rate_out_of_reason_deploys_nothing_and_corrects_no_scale(
    make_parts, drive, tmp_path
) -> None:
    """C12: 0.1, live."""
    torch.manual_seed(0)
    parts = make_parts(learning_rate=0.1, warmup_steps=0, validate_every=5, calibrate_scale=True)
    training = parts.training
    loop = OnlineLoop(parts, ReplayBuffer(tmp_path / "b", 200, 1 << 30, 0.2, 0))
    for snippet in drive(40, spacing_s=0.3):
        loop.buffer.add(snippet)
        loop.take(snippet)
    first = [loop.deployment.networks.depth.log_scale.item()]
    notes = []
    for _ in range(40):
        loop.advance()
        notes.append(loop.note)
    assert training.learning_rate == 0.1
    assert loop.deployment.count == 0
    assert [loop.deployment.networks.depth.log_scale.item()] == first
    corrections = [float(n.split("x ")[1].split(",")[0]) for n in notes if "corrected" in n]
    assert all(0.7 < factor < 1.4 for factor in corrections)
