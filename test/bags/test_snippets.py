# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from exact_drive import make_drive, write_bag

from sfm_depth_ros.bags.frames import read_frames
from sfm_depth_ros.bags.snippets import read_snippets, taught
from sfm_depth_ros.camera.image_layout import NetworkInput
from sfm_depth_ros.snippets.image_gate import ImageGate

GATES = (0.05, 5.0, 0.5)


@pytest.fixture(scope="module")
def frames(tmp_path_factory):
    drive = make_drive(7, speed=6.0, yaw_rate=0.05)
    return read_frames(
        write_bag(tmp_path_factory.mktemp("bags") / "drive", drive),
        NetworkInput(160),
        needs_velocity=True,
    )


@pytest.fixture(scope="module")
def snippets(frames):
    return list(read_snippets(frames, *GATES, with_truth=True))


def test_tracks_teach_depth_in_metres(frames, snippets):
    for snippet in taught(snippets, frames, "tracks"):
        assert snippet.sparse_depth.shape == snippet.target.shape[:2]
        known = (snippet.sparse_depth > 0) & (snippet.depth > 0)
        assert np.count_nonzero(known) > 20
        ratio = snippet.sparse_depth[known] / snippet.depth[known]
        assert np.median(ratio) == pytest.approx(1.0, abs=0.05)


def test_swept_planes_teach_depth_in_metres_but_not_of_what_moves(frames, snippets):
    instances = np.zeros((3, *snippets[0].target.shape[:2]), np.uint8)
    instances[0, :, :80] = 1
    given = [dataclasses.replace(snippet, instances=instances) for snippet in snippets]
    ratios = []
    for snippet in taught(given, frames, "multi_view_stereo"):
        assert snippet.measured_depth.shape == snippet.target.shape[:2]
        assert not snippet.measured_depth[:, :80].any()
        known = (snippet.measured_depth > 0) & (snippet.depth > 0)
        ratios.append(snippet.measured_depth[known] / snippet.depth[known])
    every = np.concatenate(ratios)
    assert len(every) > 100 * len(given)
    assert np.median(every) == pytest.approx(1.0, abs=0.05)


def test_no_teacher_leaves_them_as_they_are(frames, snippets):
    assert all(a is b for a, b in zip(taught(snippets, frames, "none"), snippets, strict=True))


def test_what_a_sensor_measured_outweighs_the_tracks(frames, snippets):
    measured = np.zeros(snippets[0].target.shape[:2], np.float32)
    measured[:20] = 4.5
    given = [dataclasses.replace(snippets[0], sparse_depth=measured)]
    (snippet,) = taught(given, frames, "tracks")
    assert (snippet.sparse_depth[:20] == 4.5).all()
    assert (snippet.sparse_depth[20:] > 0).any()


def test_an_unknown_teacher_is_refused(frames, snippets):
    with pytest.raises(ValueError, match="expected one of none, tracks, stereo"):
        list(taught(snippets, frames, "guess"))


def test_tracks_correct_the_rotation_that_was_measured(frames, snippets):
    """An odometer whose heading drifts: labels carry the rotation that the corners show."""
    drift = np.eye(4, dtype=np.float32)
    angle = 0.004
    drift[0, 0] = drift[2, 2] = np.cos(angle)
    drift[0, 2], drift[2, 0] = np.sin(angle), -np.sin(angle)
    drifted = [dataclasses.replace(s, T_measured=drift @ s.T_measured) for s in snippets]
    for given, snippet in zip(drifted, taught(drifted, frames, "tracks"), strict=True):
        truth = snippet.T_source_target[:, :3, :3]
        for corrected, wrong, right in zip(
            snippet.T_measured[:, :3, :3], given.T_measured[:, :3, :3], truth, strict=True
        ):
            assert np.abs(corrected - right).max() < 0.4 * np.abs(wrong - right).max()


def test_images_that_teach_nothing_are_refused(frames):
    class Refusal(ImageGate):
        def refusal(self, image, moved):
            self.counts["covered"] += 1
            return "covered"

    assert list(read_snippets(frames, *GATES, image_gate=Refusal())) == []
    assert frames.refused["covered"] == len(frames)
