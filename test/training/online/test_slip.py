# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Slip in the middle of a drive, slow and fast, found by the images alone."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
from exact_drive import CAMERA, make_drive

from sfm_depth_ros.geometry.frames import invert
from sfm_depth_ros.snippets.values import Snippet
from sfm_depth_ros.training.online.slip import SlipWatch
from sfm_depth_ros.visual_odometry.snippet_tracks import SnippetTracks


@pytest.fixture(scope="module", params=[2.5, 8.0], ids=["slow", "fast"])
def frames(request):
    return make_drive(14, speed=request.param, yaw_rate=0.05), request.param


def snippets_of(frames, factors) -> list[Snippet]:
    """Successive snippets; the odometer's factor of every interval between images."""
    (drive, speed), made = frames, []
    stride = 2 if speed < 5 else 1
    places = range(stride, len(drive.frames) - stride, stride)
    for number, k in enumerate(places):
        motions = []
        for side, other in enumerate((k - stride, k + stride)):
            T = invert(drive.poses[other]) @ drive.poses[k]
            T[:3, 3] *= factors[number + side]
            motions.append(T)
        stamps = [drive.frames[i].stamp_ns for i in (k - stride, k, k + stride)]
        images = [drive.frames[i].image for i in (k - stride, k + stride)]
        made.append(
            Snippet(
                target=drive.frames[k].image,
                sources=np.stack(images),
                intrinsics=CAMERA,
                displacements=np.array([np.linalg.norm(m[:3, 3]) for m in motions], np.float32),
                stamps_ns=np.array(stamps),
                T_measured=np.stack(motions).astype(np.float32),
            )
        )
    return made


def step_of(snippet: Snippet) -> float:
    return SnippetTracks.of(snippet).odometer_step()


def is_slipping(watch: SlipWatch, snippet: Snippet, is_trusted: bool = True) -> bool:
    return watch.is_slipping(snippet, SnippetTracks.of(snippet), is_trusted)


def test_a_steady_odometer_has_no_step(frames) -> None:
    steps = [step_of(snippet) for snippet in snippets_of(frames, [1.0] * 20)]
    assert np.abs(steps).max() < 0.06
    steady_slip = [step_of(snippet) for snippet in snippets_of(frames, [2.0] * 20)]
    assert np.abs(steady_slip).max() < 0.06


@pytest.mark.parametrize("factor", [2.0, 0.5, 1.4])
def test_a_step_is_measured(frames, factor) -> None:
    snippet = snippets_of(frames, [1.0, factor, factor, factor] + [1.0] * 20)[0]
    assert step_of(snippet) == pytest.approx(math.log(factor), abs=0.08)


@pytest.mark.parametrize("factor", [2.0, 0.4])
def test_exactly_the_slipping_snippets_are_named(frames, factor) -> None:
    factors = [1.0, 1.0, factor, factor, 1.0, 1.0, 1.0] + [1.0] * 20
    watch = SlipWatch()
    found = [is_slipping(watch, snippet) for snippet in snippets_of(frames, factors)]
    # a snippet is wrong as soon as one of its two intervals is
    assert found[:5] == [False, True, True, True, False]
    assert not any(found[5:])
    assert watch.reason == ""


def test_the_factor_is_told_and_patience_ends(frames) -> None:
    snippets = snippets_of(frames, [1.0] + [2.0] * 20)
    watch = SlipWatch()
    assert is_slipping(watch, snippets[0])
    assert "measures 2.0" in watch.reason
    later = snippets[1].stamps_ns + 31_000_000_000
    assert not is_slipping(watch, dataclasses.replace(snippets[1], stamps_ns=later))
    assert watch.reason == ""


def test_before_metres_are_believed_nothing_is_refused(frames) -> None:
    watch = SlipWatch()
    snippets = snippets_of(frames, [2.0, 1.0] + [1.0] * 20)
    assert not any(is_slipping(watch, snippet, is_trusted=False) for snippet in snippets)


def test_without_texture_or_odometer_nothing_is_known(frames) -> None:
    snippet = snippets_of(frames, [1.0] * 20)[0]
    assert math.isnan(step_of(dataclasses.replace(snippet, T_measured=None)))
    grey = dataclasses.replace(snippet, target=np.full_like(snippet.target, 90))
    assert math.isnan(step_of(grey))
