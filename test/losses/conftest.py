# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Images of the textured wall, and the predictions of true networks."""

from __future__ import annotations

import pytest
from losses.textured_wall import true_observation, true_prediction, with_moving_thing

from sfm_depth_ros.losses.inputs import Prediction
from sfm_depth_ros.snippets.batch import SnippetBatch


@pytest.fixture
def observed() -> SnippetBatch:
    return true_observation()


@pytest.fixture
def predicted() -> Prediction:
    return true_prediction()


@pytest.fixture
def moving(observed: SnippetBatch) -> SnippetBatch:
    return with_moving_thing(observed)
