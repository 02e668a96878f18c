# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Share of the learnt weights that is kept, and the verdict on it."""

from __future__ import annotations

import math

import pytest
import torch

from sfm_depth_ros.training.network_pair import NetworkPair
from sfm_depth_ros.training.offline.adaptation_verdict import (
    chosen_mixture,
    forgotten,
    mixtures,
    verdict_of,
)

BEFORE = {"score": 0.4, "landmark_abs_rel": 0.4, "landmark_snippets": 50, "abs_rel": 0.2}
BEFORE["abs_rel_scaled"] = 0.1


def _after(score: float, **figures: float) -> dict[str, float]:
    return BEFORE | {"score": score, "landmark_abs_rel": score} | figures


@pytest.fixture
def pair(tiny_networks) -> tuple[NetworkPair, NetworkPair]:
    """Two pairs of networks whose metric scales are exp(0) and exp(1)."""
    first, learnt = tiny_networks().eval(), tiny_networks().eval()
    with torch.no_grad():
        first.depth.log_scale.fill_(0.0)
        learnt.depth.log_scale.fill_(1.0)
    return first, learnt


def _place(networks: NetworkPair) -> float:
    """Where networks are on the line from the first to the learnt ones."""
    return float(networks.depth.log_scale.detach())


def test_as_much_is_kept_as_forgets_little(pair) -> None:
    """The error falls with the share, and rendered drives lose 8 % with all of it."""

    def judge(networks: NetworkPair) -> dict[str, float]:
        return _after(0.4 - 0.2 * _place(networks), abs_rel=0.2 * (1 + 0.08 * _place(networks)))

    found = mixtures(*pair, judge, BEFORE, allowed=0.051)
    assert [mixture.share for mixture in found] == [1.0, 0.875, 0.75, 0.625, 0.5]
    mixture = chosen_mixture(found, BEFORE, allowed=0.051)
    assert mixture.share == _place(mixture.networks) == 0.625  # 5 %; three quarters lose 6 %
    assert mixture.figures["score"] == pytest.approx(0.275)
    assert chosen_mixture(found, BEFORE, allowed=0.1).share == 1.0


def test_the_best_mixture_may_have_less_of_the_learnt_weights(pair) -> None:
    def judge(networks: NetworkPair) -> dict[str, float]:
        return _after(0.3 + abs(_place(networks) - 0.75))

    assert chosen_mixture(mixtures(*pair, judge, BEFORE, 0.05), BEFORE, 0.05).share == 0.75


def test_where_all_is_forgotten_the_verdict_is_no(pair) -> None:
    found = mixtures(*pair, lambda _: _after(0.3, abs_rel=0.24), BEFORE, 0.05)
    mixture = chosen_mixture(found, BEFORE, allowed=0.05)
    assert mixture.share == 0.125
    verdict = verdict_of(BEFORE, mixture.figures, allowed=0.05)
    assert not verdict.is_better
    assert "20 % worse than before, 5 % are allowed (--max-forgetting)" in verdict.sentences[0]
    assert "written back unchanged" in verdict.sentences[0]


def test_a_mixture_without_a_number_is_not_chosen(pair) -> None:
    def judge(networks: NetworkPair) -> dict[str, float]:
        return _after(math.nan if _place(networks) > 0.6 else 0.3)

    assert chosen_mixture(mixtures(*pair, judge, BEFORE, 0.05), BEFORE, 0.05).share == 0.5


def test_the_larger_loss_counts_as_forgotten() -> None:
    assert forgotten(BEFORE, _after(0.3, abs_rel=0.21, abs_rel_scaled=0.12)) == pytest.approx(0.2)
    assert forgotten(BEFORE, _after(0.3, abs_rel=0.19, abs_rel_scaled=0.09)) < 0
    assert forgotten(BEFORE, {"score": 0.3}) == math.inf  # was judged, and is no longer
    assert forgotten({"score": 0.4}, {"score": 0.3}) == 0.0  # without rehearsal


def test_a_better_model_is_recommended() -> None:
    verdict = verdict_of(BEFORE, _after(0.3, abs_rel=0.18), allowed=0.05)
    assert verdict.is_better
    assert verdict.sentences == (
        "Use it: the mean error of depth at landmarks of held-out images is 0.300, and was 0.400 "
        "before.",
        "On rendered drives of other places the error changed by -10.0 % in metres and by +0.0 % "
        "in shape.",
    )


@pytest.mark.parametrize("now", [0.4, 0.41, float("nan")])
def test_a_model_that_is_not_better_is_refused(now: float) -> None:
    assert not verdict_of(BEFORE, _after(now), allowed=0.05).is_better


def test_little_evidence_is_named() -> None:
    _, few, _ = verdict_of(BEFORE, _after(0.3, landmark_snippets=9), allowed=0.05).sentences
    assert "Only 9 held-out images" in few
