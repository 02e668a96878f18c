# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Depth of landmarks against the exact depth of a small world, and errors against landmarks."""

from __future__ import annotations

import dataclasses
import math
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from exact_drive import CAMERA, make_drive

from sfm_depth_ros.snippets.batch import collate
from sfm_depth_ros.snippets.values import Snippet
from sfm_depth_ros.training.landmark_depth import (
    landmark_depths,
    with_landmarks,
)
from sfm_depth_ros.training.validation import LandmarkErrors, landmark_errors
from sfm_depth_ros.visual_odometry.snippet_tracks import SnippetTracks

PLACES = (2, 4, 6)


@pytest.fixture(scope="module")
def snippets() -> list[Snippet]:
    drive = make_drive(9, speed=6.0, yaw_rate=0.1)
    return [drive.snippet(place) for place in PLACES]


def relative_errors(snippet: Snippet) -> np.ndarray:
    points = SnippetTracks.of(snippet).landmarks()
    known = (points > 0) & (snippet.depth > 0)
    return points[known] / snippet.depth[known] - 1


def network_of(batch, factor: float):
    """A depth network whose prediction is the truth times a factor."""

    def network(_: torch.Tensor):
        return [batch.depth * 57.0 / CAMERA.fx * factor]

    network.config = SimpleNamespace(reference_focal=57.0, has_extras=False)
    return network


def test_landmarks_are_where_the_world_has_them(snippets) -> None:
    for snippet in snippets:
        errors = relative_errors(snippet)
        assert len(errors) > 25
        assert abs(np.median(errors)) < 0.02
    every = np.abs(np.concatenate([relative_errors(snippet) for snippet in snippets]))
    assert np.median(every) < 0.06, "a fifth of a pixel in three of parallax"


def test_metres_are_the_odometers(snippets) -> None:
    motions = snippets[1].T_measured.copy()
    motions[:, :3, 3] *= 1.5
    errors = relative_errors(dataclasses.replace(snippets[1], T_measured=motions))
    assert np.median(errors) == pytest.approx(0.5, abs=0.05)


def test_a_batch_has_the_same_landmarks(snippets) -> None:
    of_batch = landmark_depths([collate(snippets)])[0]
    assert of_batch.shape == (3, 1, CAMERA.height, CAMERA.width)
    for row, snippet in enumerate(snippets):
        # a batch has its intrinsics in float32
        assert of_batch[row, 0].numpy() == pytest.approx(
            SnippetTracks.of(snippet).landmarks(), rel=1e-3
        )


def test_kept_landmarks_are_not_triangulated_again(snippets) -> None:
    kept = [dataclasses.replace(s, landmarks=np.full_like(s.depth, 7.0)) for s in snippets[:2]]
    batch = collate([*kept, dataclasses.replace(snippets[2], T_measured=None)])
    assert landmark_depths([batch])[0].flatten(1).amax(1).tolist() == [7.0, 7.0, 0.0]
    taught = with_landmarks(batch, 1).sparse_depth
    assert taught.flatten(1).amax(1).tolist() == [7.0, 0.0, 0.0]


@pytest.mark.parametrize("lacks", ["motion", "texture", "finite"])
def test_without_motion_or_texture_there_are_none(snippets, lacks) -> None:
    snippet = snippets[0]
    if lacks == "motion":
        snippet = dataclasses.replace(snippet, T_measured=None)
    elif lacks == "texture":
        snippet = dataclasses.replace(snippet, target=np.full_like(snippet.target, 90))
    else:
        snippet = dataclasses.replace(snippet, T_measured=np.full((2, 4, 4), np.nan, np.float32))
    assert not SnippetTracks.of(snippet).landmarks().any()
    assert not landmark_depths([collate([snippet])])[0].any()


@pytest.mark.parametrize("factor", [1.0, 1.3, 0.7])
def test_a_wrong_scale_shows_in_metres_and_not_in_shape(snippets, factor) -> None:
    batch = collate(snippets)
    found = landmark_errors(network_of(batch, factor), [batch])
    base = landmark_errors(network_of(batch, 1.0), [batch])
    assert found.snippets == len(snippets)
    assert found.scale_ratio == pytest.approx(factor * base.scale_ratio, rel=1e-4)
    assert found.abs_rel_scaled == pytest.approx(base.abs_rel_scaled, rel=1e-3)
    values = found.as_floats()
    assert values["landmark_scale_ratio"] == pytest.approx(factor, rel=0.03)
    assert values["landmark_abs_rel"] == pytest.approx(abs(factor - 1), abs=0.12)
    assert values["landmark_snippets"] == 3


def test_given_landmarks_are_the_ones_that_judge(snippets) -> None:
    batch = collate(snippets)
    doubled = [2 * points for points in landmark_depths([batch])]
    found = landmark_errors(network_of(batch, 1.0), [batch], doubled)
    assert found.as_floats()["landmark_scale_ratio"] == pytest.approx(0.5, rel=0.03)


def test_a_landmark_on_an_edge_is_compared_with_either_side(snippets) -> None:
    sparse = np.zeros((CAMERA.height, CAMERA.width), np.float32)
    sparse[10:80:4, 20:300:4] = 5.0
    depth = np.full_like(sparse, 5.5)
    depth[:, 120:] = 80.0
    batch = dataclasses.replace(collate(snippets[:1]), depth=torch.from_numpy(depth)[None, None])
    landmarks = [torch.from_numpy(sparse)[None, None]]
    columns = np.arange(20, 300, 4)
    network = network_of(batch, 1.0)
    plain = landmark_errors(network, [batch], landmarks)
    expected = np.where(columns < 120, 0.1, 15.0).mean()
    assert plain.abs_rel[0] == pytest.approx(expected, rel=1e-4)
    tolerant = landmark_errors(network, [batch], landmarks, on_edges=True)
    # the pixels at column 120 touch the near side
    expected = np.where(columns <= 120, 0.1, 15.0).mean()
    assert tolerant.abs_rel[0] == pytest.approx(expected, rel=1e-4)
    assert tolerant.scale_ratio[0] == plain.scale_ratio[0]


def test_without_landmarks_nothing_is_known(snippets) -> None:
    batch = collate([dataclasses.replace(snippets[0], T_measured=None)])
    found = landmark_errors(network_of(batch, 1.0), [batch])
    assert found.snippets == 0
    assert math.isnan(found.as_floats()["landmark_abs_rel"])
    joined = LandmarkErrors.joined([found, found])
    assert joined.abs_rel.shape == (2,)
