# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Moving pixels: a patch that moves by itself is found, a static scene has none."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from exact_drive import CAMERA, make_drive

from sfm_depth_ros.geometry.frames import rotation_matrix
from sfm_depth_ros.snippets.values import Snippet
from sfm_depth_ros.training.moving_pixels import dense_flow, moving_pixels, static_flow
from sfm_depth_ros.visual_odometry.snippet_tracks import with_tracks

TARGET = 4
PATCH = (slice(20, 44), slice(60, 92))  # rows, columns
SHIFT = 5  # pixels to the right from image to image


@pytest.fixture(scope="module")
def snippet() -> Snippet:
    return make_drive(9, speed=6.0, yaw_rate=0.1).snippet(TARGET)


def with_patch(snippet: Snippet) -> Snippet:
    """A textured patch over the scene that moves to the right."""
    texture = np.random.default_rng(1).integers(0, 255, (6, 8, 3), np.uint8)
    texture = np.repeat(np.repeat(texture, 4, axis=0), 4, axis=1)
    images = np.stack([snippet.sources[0], snippet.target, snippet.sources[1]])
    rows, columns = PATCH
    for image, shift in zip(images, (-SHIFT, 0, SHIFT), strict=True):
        image[rows, columns.start + shift : columns.stop + shift] = texture
    return dataclasses.replace(snippet, target=images[1], sources=images[::2])


def test_a_static_scene_has_none(snippet: Snippet) -> None:
    assert moving_pixels(snippet, snippet.depth).mean() < 0.01


def test_a_patch_that_moves_is_found(snippet: Snippet) -> None:
    truth = np.zeros(snippet.depth.shape, bool)
    truth[PATCH] = True
    found = moving_pixels(with_patch(snippet), snippet.depth)
    assert (found & truth).sum() / (found | truth).sum() > 0.6


def test_wrong_depth_and_pitch_are_no_movement(snippet: Snippet) -> None:
    assert moving_pixels(snippet, 1.2 * snippet.depth).mean() < 0.02
    T = snippet.T_measured.copy()
    T[:, :3, :3] = rotation_matrix(np.array([0.01, 0.0, 0.0])) @ T[:, :3, :3]  # 1.5 pixels
    pitched = dataclasses.replace(snippet, T_measured=T)
    assert moving_pixels(with_tracks(pitched), snippet.depth).mean() < 0.02


def test_without_measured_motion_nothing_moves(snippet: Snippet) -> None:
    for T in (None, np.full((2, 4, 4), np.nan, np.float32)):
        blind = dataclasses.replace(with_patch(snippet), T_measured=T)
        assert not moving_pixels(blind, snippet.depth).any()


def test_the_static_flow_is_that_of_a_plane() -> None:
    T = np.eye(4)
    T[0, 3] = 0.5  # the source's camera stands half a metre to the left
    flow, inside = static_flow(np.full((CAMERA.height, CAMERA.width), 5.0), CAMERA, T)
    shift = CAMERA.fx * 0.5 / 5.0
    np.testing.assert_allclose(flow[..., 0], shift, atol=1e-9)
    np.testing.assert_allclose(flow[..., 1], 0.0, atol=1e-9)
    assert inside[:, 0].all() and not inside[:, -1].any()
    assert inside.sum() == CAMERA.height * int(np.floor(CAMERA.width - shift))


def test_the_dense_flow_is_that_of_a_shift() -> None:
    image = np.random.default_rng(0).integers(0, 255, (16, 40), np.uint8)
    image = np.repeat(np.repeat(image, 5, axis=0), 5, axis=1)
    flow = dense_flow(image, np.roll(image, 3, axis=1))[20:-20, 20:-20]
    assert np.median(np.abs(flow - (3.0, 0.0))) < 0.1
