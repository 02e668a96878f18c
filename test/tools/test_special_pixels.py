# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Errors of moving and of hidden things, and what focal length is believed."""

from __future__ import annotations

import dataclasses

import pytest
import torch

from sfm_depth_ros.config.schema import DepthNetworkConfig, PoseNetworkConfig
from sfm_depth_ros.snippets.batch import SnippetBatch
from sfm_depth_ros.training.network_pair import NetworkPair, fresh_networks
from tools.special_pixels import errors_where_difficult, hidden

HEIGHT, WIDTH, FOCAL = 32, 64, 40.0


def a_post_before_a_wall() -> SnippetBatch:
    """A wall 8 m away, a post 2 m away in columns 24 to 31; the later camera 0.4 m to the right.

    There the post lies 8 pixels to the left, the wall 2: six columns of wall left of the post
    are hidden.
    """
    depth = torch.full((1, 1, HEIGHT, WIDTH), 8.0)
    depth[..., 24:32] = 2.0
    K = torch.tensor([[[FOCAL, 0, 31.5], [0, FOCAL, 15.5], [0, 0, 1]]])
    T = torch.eye(4).repeat(1, 2, 1, 1)
    T[:, 1, 0, 3] = -0.4
    instances = torch.zeros(1, 3, HEIGHT, WIDTH, dtype=torch.uint8)
    instances[..., 24:32] = 1
    return SnippetBatch(
        torch.rand(1, 3, HEIGHT, WIDTH),
        torch.rand(1, 2, 3, HEIGHT, WIDTH),
        K,
        torch.tensor([[0.0, 0.4]]),
        depth=depth,
        T_source_target=T,
        instances=instances,
    )


def tiny(**pose: bool) -> NetworkPair:
    return fresh_networks(
        DepthNetworkConfig(width=8, reference_focal=FOCAL),
        PoseNetworkConfig(width=8, reference_focal=FOCAL, **pose),
        0,
    ).eval()


def test_the_wall_behind_the_post_is_hidden() -> None:
    columns = hidden(a_post_before_a_wall())[0, 0, 5].nonzero().flatten().tolist()
    assert columns == list(range(18, 24))


def test_errors_are_of_their_own_pixels(monkeypatch: pytest.MonkeyPatch) -> None:
    said = torch.full((1, 1, HEIGHT, WIDTH), 3.0)  # half too far on the post, 5/8 too near behind
    monkeypatch.setattr("tools.special_pixels.predict_depths", lambda *_: [said])
    found = errors_where_difficult(tiny(), [a_post_before_a_wall()], focal_factor=1.25)
    assert found["things_abs_rel"] == pytest.approx(0.5)
    assert found["hidden_abs_rel"] == pytest.approx(5 / 8)
    assert found["focal_ratio"] == found["focal_ratio_y"] == 1.25


def test_the_networks_focal_length_is_compared_with_the_true_one() -> None:
    networks = tiny(learn_intrinsics=True)  # which says the width
    found = errors_where_difficult(networks, [a_post_before_a_wall()], focal_factor=2.0)
    assert found["focal_ratio"] == pytest.approx(2 * WIDTH / FOCAL)
    assert found["focal_ratio_y"] == pytest.approx(2 * WIDTH / FOCAL)


def test_moving_pixels_by_flow_are_compared_where_motion_was_measured() -> None:
    batch = a_post_before_a_wall()
    assert "flow_iou" not in errors_where_difficult(tiny(), [batch])
    still = dataclasses.replace(
        batch,
        sources=batch.target[:, None].expand(-1, 2, -1, -1, -1),  # the camera saw no motion
        T_measured=torch.eye(4).repeat(1, 2, 1, 1),
    )
    assert errors_where_difficult(tiny(), [still])["flow_iou"] == 0.0  # the post did not move
