# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Terms of the objective, each in a scene where it must fall and one where it must rise."""

from __future__ import annotations

import dataclasses
from dataclasses import replace

import pytest
import torch
from losses.textured_wall import (
    DEPTH,
    HEIGHT,
    STEP,
    WIDTH,
    features_of,
    own_motion,
    photometric,
    sideways,
    sliding_flow,
    terms,
    value,
    wall,
)

from sfm_depth_ros.config.schema import ObjectiveConfig
from sfm_depth_ros.geometry.se3 import motion_to_transform
from sfm_depth_ros.losses.inputs import Prediction
from sfm_depth_ros.losses.objective import TERMS, LossTerms, self_supervised_objective
from sfm_depth_ros.losses.photometric import photometric_error
from sfm_depth_ros.snippets.batch import SnippetBatch


def test_every_term_has_its_field_and_its_weight() -> None:
    fields = {field.name for field in dataclasses.fields(LossTerms)}
    supervised = {"total", "depth_supervision", "motion_supervision"}
    assert set(TERMS) == fields - supervised
    assert {f"{name}_weight" for name in TERMS} <= set(vars(ObjectiveConfig()))


def test_all_terms_are_off_by_default_but_three(observed, predicted) -> None:
    found = self_supervised_objective(observed, predicted, ObjectiveConfig()).as_floats()
    assert set(found) == {"total", "photometric", "smoothness", "velocity"}


@pytest.mark.parametrize("name", [name for name in TERMS if name not in ("photometric",)])
def test_a_term_adds_its_weight_times_itself(observed, predicted, name: str) -> None:
    field = 0.1 * torch.rand(1, 2, 3, HEIGHT, WIDTH, dtype=torch.float64)
    predicted = replace(
        predicted,
        depths=[wall() + torch.rand(1, 1, HEIGHT, WIDTH, dtype=torch.float64)],
        T_source_target=sideways(-0.4, 0.6),
        residual_translation=field,
        residual_reverse=field,
        explainability=[torch.full((1, 2, 8, 12), 0.5, dtype=torch.float64)],
        features=features_of(observed),
        T_unaligned=sideways(-0.3, 0.3),
        flow=sliding_flow(),
    )
    turn = motion_to_transform(torch.tensor([0, 0, 0, 0, 0.02, 0], dtype=torch.float64))
    observed = replace(
        observed,
        sparse_depth=wall(6.0),
        T_measured=turn.expand(1, 2, 4, 4),
        teacher_disparity=torch.rand(1, 1, HEIGHT, WIDTH, dtype=torch.float64),
    )
    off, on = (terms(observed, predicted, **{f"{name}_weight": w}) for w in (0.0, 0.7))
    assert getattr(off, name) is None
    assert getattr(on, name).item() > 0
    expected = 0.7 * getattr(on, name) + on.photometric
    assert on.total.item() == pytest.approx(expected.item(), rel=1e-12)


def test_what_there_is_no_data_for_is_left_out(observed) -> None:
    bare = SnippetBatch(observed.target, observed.sources, observed.K, observed.displacements)
    predicted = Prediction([wall()], sideways(-STEP, STEP))
    weights = {f"{name}_weight": 1.0 for name in TERMS}
    found = terms(
        bare,
        predicted,
        **weights,
        use_instance_mask=True,
        self_discovered_mask=True,
        occlusion_mask="nearer",
        velocity_kind="vector",
    )
    assert set(found.as_floats()) == {"total", "photometric", "smoothness", "velocity"}


def test_charbonnier_rounds_the_tip(observed, predicted) -> None:
    inside = replace(observed, sources=observed.target[:, None].expand(-1, 2, -1, -1, -1))
    still = replace(predicted, T_source_target=sideways(0.0, 0.0))
    assert photometric(inside, still, ssim_weight=0.0) == pytest.approx(0.0, abs=1e-9)
    rounded = photometric(inside, still, ssim_weight=0.0, difference="charbonnier")
    assert rounded == pytest.approx(1e-3, rel=1e-6)


@pytest.mark.parametrize("window", [3, 7])
def test_the_window_of_ssim_is_the_configurations(observed, predicted, window: int) -> None:
    still = replace(predicted, T_source_target=sideways(0.0, 0.0))
    expected = photometric_error(observed.sources, observed.target[:, None], 0.85, window).mean()
    found = photometric(observed, still, ssim_window=window)
    assert found == pytest.approx(expected.item(), abs=1e-9)


def test_a_window_that_touches_an_invalid_pixel_is_left_out(observed, predicted) -> None:
    valid = torch.ones(1, 1, HEIGHT, WIDTH, dtype=torch.bool)
    valid[..., :1] = False
    soiled = replace(observed, target=torch.where(valid, observed.target, 0.0), valid=valid)
    clean = replace(observed, valid=valid)
    for window in (3, 7):
        same = (photometric(seen, predicted, ssim_window=window) for seen in (soiled, clean))
        assert next(same) == pytest.approx(next(same), abs=1e-9)


def test_scales_beyond_the_configured_are_not_compared(observed, predicted) -> None:
    wrong = replace(predicted, depths=[wall(), torch.full((1, 1, 8, 12), 2.0).double()])
    assert photometric(observed, wrong) > photometric(observed, predicted) + 0.05
    alone = photometric(observed, wrong, scales=1)
    assert alone == pytest.approx(photometric(observed, predicted), abs=1e-12)


def test_second_order_smoothness_likes_any_plane(observed, predicted) -> None:
    slanted = (1 / (0.1 + 0.01 * torch.arange(WIDTH).double())).expand(1, 1, HEIGHT, WIDTH)
    tilted = replace(predicted, depths=[slanted])
    first = value("smoothness", observed, tilted, smoothness_weight=1.0)
    second = value("smoothness", observed, tilted, smoothness_weight=1.0, smoothness_order=2)
    assert first > 0.02
    assert second < 1e-9


def test_depths_that_agree_are_consistent(observed, predicted) -> None:
    options = {"consistency_weight": 1.0}
    assert value("consistency", observed, predicted, **options) == pytest.approx(0.0, abs=1e-12)
    farther = replace(predicted, source_depths=1.1 * predicted.source_depths)
    found = value("consistency", observed, farther, **options)
    assert found == pytest.approx(0.1 / 2.1, rel=1e-9)


def test_clouds_that_align_cost_nothing(observed, predicted) -> None:
    def icp(**changed: object) -> float:
        return value("icp", observed, replace(predicted, **changed), icp_weight=1.0)

    assert icp() == pytest.approx(0.0, abs=1e-9)
    forward = sideways(-STEP, STEP)
    forward[..., 2, 3] = 0.3  # the wall comes no nearer, says the depth of the sources
    assert icp(T_source_target=forward) == pytest.approx(0.3 / DEPTH, rel=0.2)
    bent = 5.0 + 0.02 * torch.arange(WIDTH).double().sub(12).square().expand(1, 2, 1, HEIGHT, -1)
    assert icp(source_depths=bent) > 0.02


def test_measured_depth_teaches_where_it_is_known(observed, predicted) -> None:
    measured = torch.zeros(1, 1, HEIGHT, WIDTH, dtype=torch.float64)
    measured[..., 3, 4] = 6.0
    found = value(
        "sparse_depth",
        replace(observed, sparse_depth=measured),
        predicted,
        sparse_depth_weight=1.0,
    )
    assert found == pytest.approx(torch.tensor(6.0 / 5.0).log().item(), abs=1e-6)


def test_the_right_image_is_a_source_with_known_motion(observed, predicted) -> None:
    depths = {
        depth: value(
            "stereo",
            observed,
            replace(predicted, depths=[wall(depth)]),
            stereo_weight=1.0,
            photometric_weight=0.0,
        )
        for depth in (4.0, 5.0, 6.5)
    }
    assert depths[5.0] < 0.03  # the column that has come into view alone
    assert min(depths[4.0], depths[6.5]) > depths[5.0] + 0.1


def test_snippets_without_a_right_image_are_left_out_of_stereo(observed, predicted) -> None:
    both = SnippetBatch(
        *(
            torch.cat([x, x])
            for x in (observed.target, observed.sources, observed.K, observed.displacements)
        ),
        right=torch.cat([observed.right, torch.zeros_like(observed.right)]),
        T_right_target=torch.cat([observed.T_right_target, observed.T_right_target * torch.nan]),
    )
    options = {"stereo_weight": 1.0, "left_right_weight": 1.0}
    depths = torch.cat([wall(), wall(3.0)]).requires_grad_()
    two = Prediction(
        [depths],
        predicted.T_source_target.repeat(2, 1, 1, 1),
        right_depth=torch.cat([wall(5.5), wall(9.0)]),
    )
    found = terms(both, two, **options)
    alone = terms(observed, replace(predicted, right_depth=wall(5.5)), **options)
    assert found.stereo.item() == pytest.approx(alone.stereo.item(), rel=1e-9)
    assert found.left_right.item() == pytest.approx(alone.left_right.item(), rel=1e-9)
    (gradient,) = torch.autograd.grad(found.stereo + found.left_right, depths)
    assert gradient.isfinite().all()
    assert (gradient[1] == 0).all() and (gradient[0] != 0).any()


@pytest.mark.parametrize("side", [1, -1])
def test_left_and_right_have_one_geometry(observed, predicted, side: int) -> None:
    pair = replace(observed, T_right_target=sideways(side * 2 * STEP)[:, 0])
    options = {"left_right_weight": 1.0}
    assert value("left_right", pair, predicted, **options) == pytest.approx(0.0, abs=1e-12)
    nearer = replace(predicted, right_depth=wall(4.0))
    found = value("left_right", pair, nearer, **options)
    assert found == pytest.approx(2 * 10 * (1 / 4 - 1 / 5) / WIDTH, rel=1e-9)  # there and back


def test_the_vector_sees_what_the_length_does_not(observed, predicted) -> None:
    backwards = replace(predicted, T_source_target=sideways(STEP, -STEP))
    options = {"velocity_weight": 1.0}
    assert value("velocity", observed, backwards, **options) == pytest.approx(0.0, abs=1e-9)
    vector = {**options, "velocity_kind": "vector"}
    assert value("velocity", observed, backwards, **vector) == pytest.approx(2 * STEP, rel=1e-9)
    assert value("velocity", observed, predicted, **vector) == pytest.approx(0.0, abs=1e-9)


def test_turns_are_compared_where_the_odometer_measured_them(observed, predicted) -> None:
    T = predicted.T_source_target
    turn = motion_to_transform(torch.tensor([0, 0, 0, 0, 0.02, 0], dtype=T.dtype))
    turning = replace(observed, T_measured=turn.expand_as(T))
    found = terms(turning, predicted, rotation_weight=2.0)
    assert float(found.rotation) == pytest.approx(0.02, rel=1e-9)
    without = terms(turning, predicted)
    assert float(found.total - without.total) == pytest.approx(2 * 0.02, rel=1e-9)
    nobody = replace(observed, T_measured=None)
    assert terms(nobody, predicted, rotation_weight=2.0).rotation is None


def test_in_its_own_range_a_room_counts_as_a_road(observed, predicted) -> None:
    def larger(factor: float, **options: object) -> dict[str, float]:
        grown = sideways(-STEP, STEP)
        grown[..., :3, 3] *= 1.2 * factor  # 20 % too far
        scene = replace(
            predicted,
            depths=[factor * wall()],
            T_source_target=grown,
            source_depths=1.1 * factor * predicted.source_depths,
        )
        seen = replace(observed, displacements=factor * observed.displacements)
        return terms(seen, scene, velocity_weight=1.0, icp_weight=1.0, **options).as_floats()

    room, road = (larger(f, normalise_range=True) for f in (1.0, 20.0))
    assert room == pytest.approx(road, rel=1e-6)
    assert room["velocity"] == pytest.approx(0.2 * STEP / DEPTH, rel=1e-9)
    metres = larger(20.0)["velocity"]
    assert metres == pytest.approx(20 * 0.2 * STEP, rel=1e-9)


def test_what_is_relative_already_does_not_change_with_the_unit(moving, predicted) -> None:
    field = own_motion()
    scene = replace(
        predicted,
        depths=[1.1 * wall(), wall()[..., ::2, ::2]],
        right_depth=0.9 * wall(),
        source_depths=1.2 * predicted.source_depths,
        residual_translation=field,
        residual_reverse=-0.5 * field,
    )
    seen = replace(moving, sparse_depth=wall(6.0))
    relative = ("photometric", "smoothness", "consistency", "stereo", "left_right", "cycle",
                "sparse_depth", "icp")  # fmt: skip
    weights = {f"{name}_weight": 1.0 for name in relative}
    metres, ranges = (
        terms(seen, scene, **weights, normalise_range=on, velocity_weight=1.0).as_floats()
        for on in (False, True)
    )
    for name in relative:
        assert ranges[name] == pytest.approx(metres[name], rel=1e-4), name
    vector = {"velocity_weight": 1.0, "velocity_kind": "vector", "normalise_range": True}
    short = replace(scene, T_source_target=sideways(-0.4, 0.4))
    assert value("velocity", seen, short, **vector) == pytest.approx(0.1 / (1.1 * DEPTH), rel=1e-6)


@pytest.mark.parametrize(
    "masks",
    [
        {}, {"principled_mask": True}, {"occlusion_mask": "splat"}, {"occlusion_mask": "nearer"},
        {"self_discovered_mask": True}, {"auto_mask": True},
    ],
)  # fmt: skip
def test_masks_leave_the_gradient_of_what_they_let_through(observed, predicted, masks) -> None:
    depth = (1.02 * wall()).requires_grad_()
    T = sideways(-STEP, STEP).requires_grad_()
    near = replace(
        predicted, depths=[depth], T_source_target=T, source_depths=1.1 * predicted.source_depths
    )
    found = terms(observed, near, consistency_weight=1.0, **masks)
    for part in (found.photometric, found.consistency):
        for gradient in torch.autograd.grad(part, (depth, T), retain_graph=True):
            assert gradient.norm() > 1e-4


def test_sources_are_warped_by_the_measured_motion_where_it_is_known(observed, predicted) -> None:
    wrong = replace(predicted, T_source_target=sideways(0.5 * STEP, -0.5 * STEP))
    measured = replace(observed, T_measured=predicted.T_source_target)
    by_network = photometric(measured, wrong)
    by_odometer = photometric(measured, wrong, warp_motion="measured")
    assert by_odometer == pytest.approx(photometric(observed, predicted), abs=1e-12)
    assert by_odometer < 0.5 * by_network
    unknown = replace(observed, T_measured=torch.full_like(predicted.T_source_target, torch.nan))
    for seen in (unknown, replace(observed, T_measured=None)):
        assert photometric(seen, wrong, warp_motion="measured") == pytest.approx(by_network)


def test_a_warp_by_measured_motion_teaches_depth_but_no_motion(observed, predicted) -> None:
    depth = (1.1 * wall()).requires_grad_()
    motion = predicted.T_source_target.clone().requires_grad_()
    measured = replace(observed, T_measured=predicted.T_source_target)
    found = terms(
        measured, replace(predicted, depths=[depth], T_source_target=motion),
        velocity_weight=0.0, warp_motion="measured",
    )  # fmt: skip
    found.total.backward()
    assert depth.grad.abs().max() > 0
    assert motion.grad is None or not motion.grad.any()
