# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Measurement of flow: exact flow has no error, snippets are neighbours, training ends in time."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from sfm_depth_ros.networks.flow import FlowNetwork
from tools.exact_flow import exact_flow
from tools.flow import Judge, Training, make_drive, train, triples_of

SIZE = (64, 32)


@pytest.fixture(scope="module")
def judge() -> Judge:
    drive = make_drive(12, SIZE)
    first, second = drive.frame(10), drive.frame(11)
    there, back = exact_flow(drive, first, second), exact_flow(drive, second, first)
    return Judge([(first.image, second.image, there), (second.image, first.image, back)])


def test_exact_flow_has_no_error_and_nothing_has_the_mean_length(judge: Judge) -> None:
    known = {id(a): truth.flow for a, _, truth in judge.pairs}
    row = judge.row("exact", lambda first, _: known[id(first)])
    assert float(row.split("|")[2]) == 0
    lengths = [
        np.linalg.norm(truth.flow, axis=0)[truth.visible & ~truth.moving]
        for _, _, truth in judge.pairs
    ]
    row = judge.row("nothing", lambda first, _: np.zeros((2, *first.shape[:2])))
    assert float(row.split("|")[2]) == pytest.approx(np.concatenate(lengths).mean(), abs=0.006)


def test_triples_are_neighbours() -> None:
    drive = np.arange(5, dtype=np.uint8)[:, None, None, None] * np.ones((1, 2, 4, 3), np.uint8)
    triples = triples_of([drive, drive])
    assert triples.shape == (6, 3, 3, 2, 4)
    assert triples[:, :, 0, 0, 0].tolist() == [[0, 1, 2], [1, 2, 3], [2, 3, 4]] * 2


def test_training_ends_by_steps_or_by_seconds_and_changes_weights() -> None:
    torch.manual_seed(0)
    network, triples = FlowNetwork(), torch.randint(0, 255, (3, 3, 3, 32, 64), dtype=torch.uint8)
    before = [p.clone() for p in network.parameters()]
    assert train(network, triples, Training(steps=2)) == 2
    assert all(not torch.equal(a, b) for a, b in zip(before, network.parameters(), strict=True))
    assert train(network, triples, Training(steps=10**9, seconds=0.05)) < 100
