# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Terms and masks of what the camera's motion alone does not explain: hidden, moving, unclear."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from losses.textured_wall import (
    HEIGHT,
    STEP,
    THING,
    WIDTH,
    own_motion,
    photometric,
    sideways,
    terms,
    texture_of,
    value,
    wall,
)
from torch import Tensor

from sfm_depth_ros.config.schema import ObjectiveConfig
from sfm_depth_ros.losses.objective import needs_source_depths


def test_explaining_less_costs_and_saves(observed, predicted) -> None:
    wrong = replace(predicted, depths=[wall(3.0)])
    found = {}
    for belief in (0.9, 0.5):
        mask = torch.full((1, 2, 8, 12), belief, dtype=torch.float64)
        masked = replace(wrong, explainability=[mask])
        found[belief] = terms(observed, masked, explainability_weight=1.0).as_floats()
        expected = belief * photometric(observed, wrong)
        assert found[belief]["photometric"] == pytest.approx(expected, rel=1e-9)
    assert found[0.5]["explainability"] > found[0.9]["explainability"] > 0


def test_the_self_discovered_mask_weighs_and_is_not_learnt_through(observed, predicted) -> None:
    wrong = replace(predicted, depths=[wall(3.0)])
    source_depths = wrong.source_depths.clone().requires_grad_()
    found = terms(observed, replace(wrong, source_depths=source_depths), self_discovered_mask=True)
    weight = 1 - (5.0 - 3.0) / (5.0 + 3.0)
    expected = weight * photometric(observed, wrong)
    assert found.photometric.item() == pytest.approx(expected, rel=1e-9)
    assert not found.photometric.requires_grad


def test_a_thing_that_moves_is_explained_by_its_residual(moving, predicted) -> None:
    alone = photometric(moving, predicted)
    with_field = replace(predicted, residual_translation=own_motion())
    assert photometric(moving, with_field) < 0.5 * alone


def test_with_the_mask_each_thing_moves_as_a_whole(moving, predicted) -> None:
    noise = torch.randn(
        1, 2, 3, HEIGHT, WIDTH, dtype=torch.float64, generator=torch.Generator().manual_seed(0)
    )
    noise[THING] -= noise[THING].mean((-2, -1), keepdim=True)
    noisy = replace(predicted, residual_translation=own_motion() + 0.3 * noise)
    clean = replace(predicted, residual_translation=own_motion())
    masked = photometric(moving, noisy, use_instance_mask=True)
    assert masked == pytest.approx(photometric(moving, clean), rel=1e-9)
    assert photometric(moving, noisy) > masked + 0.02
    unknown = replace(moving, instances=None)
    without = photometric(unknown, noisy, use_instance_mask=True)
    assert without == pytest.approx(photometric(moving, predicted), rel=1e-9)


def test_motion_there_and_back_must_agree(moving, predicted) -> None:
    def cycle(residual_reverse: Tensor | None, **changed: object) -> float:
        scene = replace(
            predicted,
            residual_translation=own_motion(),
            residual_reverse=residual_reverse,
            **changed,
        )
        return value("cycle", moving, scene, cycle_weight=1.0, use_instance_mask=True)

    agreed = cycle(-own_motion())
    assert agreed < 0.02  # the column of wall that the thing has come to hide
    assert cycle(own_motion()) > 5 * agreed
    assert cycle(-own_motion(), T_target_source=sideways(-STEP, STEP)) > agreed + 0.5


def test_what_something_hides_in_the_source_is_left_out(observed, predicted) -> None:
    # A pole 1 m ahead: from the sources, 5 pixels to one side, it hides what the target sees.
    pole = slice(10, 13)
    depth = wall()
    depth[..., pole] = 1.0
    images = [observed.target.clone(), *observed.sources.clone().unbind(1)]
    for image, shift in zip(images, (0, 5, -5), strict=True):
        image[..., pole.start + shift : pole.stop + shift] = texture_of(1)[..., pole]
    seen = replace(observed, target=images[0], sources=torch.stack(images[1:], dim=1))
    source_depths = torch.stack([depth.roll(5, -1), depth.roll(-5, -1)], dim=1)
    scene = replace(predicted, depths=[depth], source_depths=source_depths)
    all_pixels = photometric(seen, scene)
    for mask in ("splat", "nearer"):
        assert photometric(seen, scene, occlusion_mask=mask) < 0.7 * all_pixels


def test_the_right_image_has_hidden_places_too(observed, predicted) -> None:
    # The pole lies 10 pixels to the left there, the wall 2: it hides three columns of the wall.
    depth, right = wall(), observed.right.clone()
    depth[..., 15:18] = 1.0
    target = observed.target.clone()
    target[..., 15:18] = right[..., 5:8] = texture_of(1)[..., 15:18]
    seen = replace(observed, target=target, right=right)

    def stereo(**options: object) -> float:
        return value(
            "stereo",
            seen,
            replace(predicted, depths=[depth]),
            stereo_weight=1.0,
            photometric_weight=0.0,
            ssim_weight=0.0,
            **options,
        )

    assert stereo() > 0.01
    assert stereo(occlusion_mask="splat") < 1e-9


def test_the_principled_mask_takes_the_border_windows_too(observed, predicted) -> None:
    # The outermost column in view is compared by windows that reach out of it.
    assert photometric(observed, predicted, principled_mask=True) < 1e-6
    assert photometric(observed, predicted) > 1e-4


def test_who_needs_the_depths_of_sources() -> None:
    assert not needs_source_depths(ObjectiveConfig())
    for options in (
        {"consistency_weight": 0.1},
        {"icp_weight": 0.1},
        {"self_discovered_mask": True},
        {"occlusion_mask": "nearer"},
    ):
        assert needs_source_depths(ObjectiveConfig(**options)), options
    assert not needs_source_depths(ObjectiveConfig(occlusion_mask="splat"))
