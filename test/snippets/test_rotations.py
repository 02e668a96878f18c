# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Turned sources: what they show, and what is known of their motion, belong together."""

from __future__ import annotations

import dataclasses
import math

import pytest
import torch

from sfm_depth_ros.geometry.se3 import matrix_to_axis_angle
from sfm_depth_ros.snippets.batch import SnippetBatch
from sfm_depth_ros.snippets.rotations import random_rotation
from sfm_depth_ros.snippets.zoom import random_view

HEIGHT, WIDTH, FOCAL, COUNT = 128, 256, 180.0, 6


def far_away() -> SnippetBatch:
    """A scene without parallax: colour says along which ray each pixel of every image looks."""
    K = torch.tensor([[FOCAL, 0, 125.0], [0, FOCAL, 60.0], [0, 0, 1]]).repeat(COUNT, 1, 1)
    y, x = torch.meshgrid(torch.arange(HEIGHT), torch.arange(WIDTH), indexing="ij")
    rays = torch.stack(((x - 125) / FOCAL, (y - 60) / FOCAL, torch.zeros(HEIGHT, WIDTH)))
    image = (0.5 + 0.25 * rays).repeat(COUNT, 1, 1, 1)
    T = torch.eye(4).repeat(COUNT, 2, 1, 1)
    T[:, 0, 2, 3], T[:, 1, 2, 3] = 0.5, -0.5
    marks = ((x // 16) % 2 + 1).expand(COUNT, 3, HEIGHT, WIDTH).to(torch.uint8)
    return SnippetBatch(
        target=image,
        sources=image[:, None].repeat(1, 2, 1, 1, 1),
        K=K,
        displacements=torch.full((COUNT, 2), 0.5),
        T_measured=T,
        T_source_target=T,
        instances=marks,
    )


def seen(number: int, batch: SnippetBatch | None = None) -> SnippetBatch:
    batch = far_away() if batch is None else batch
    generator = torch.Generator().manual_seed(number)
    return random_rotation(random_view(batch, 128, generator), batch, 5.0, generator)


def turns_of(batch: SnippetBatch) -> torch.Tensor:
    assert batch.T_measured is not None
    return matrix_to_axis_angle(batch.T_measured[..., :3, :3])


def rays_shown(image: torch.Tensor) -> torch.Tensor:
    """Rays ``(2, N)`` as colours say them."""
    return ((image[:2] - 0.5) / 0.25).flatten(1)


def test_what_turned_images_show_is_where_their_motion_says() -> None:
    angles = []
    for view in map(seen, range(12)):
        assert view.T_measured is not None
        height, width = view.target.shape[-2:]
        y, x = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
        pixels = torch.stack((x, y, torch.ones_like(x))).float().flatten(1)
        for index in range(COUNT):
            for source in range(2):
                rays = torch.linalg.inv(view.K[index]) @ pixels
                there = view.T_measured[index, source, :3, :3].T @ rays
                off = rays_shown(view.sources[index, source]) - there[:2] / there[2:]
                assert (off.abs() * view.K[index, 0, 0]).max() < 0.2  # pixels
        angles.append(turns_of(view))
    yaw = torch.stack(angles)[..., 1].rad2deg()
    assert 3.0 < yaw.abs().max() <= 5.0
    is_turned = yaw.abs() > 1e-3
    assert 0.15 < is_turned.float().mean() < 0.6
    earlier, later = yaw[is_turned.all(-1)].unbind(-1)
    assert (earlier * later < 0).all()  # one way of turning
    assert ((earlier / later).abs().log().abs() < math.log(1 / 0.69)).all()


def test_lengths_and_targets_stay() -> None:
    whole = far_away()
    for number in range(6):
        view = seen(number)
        plain = random_view(whole, 128, torch.Generator().manual_seed(number))
        assert torch.equal(view.target, plain.target)
        assert view.T_measured is not None and view.T_source_target is not None
        ways = view.T_measured[..., :3, 3].norm(dim=-1)
        torch.testing.assert_close(ways, whole.displacements)
        assert torch.equal(view.T_source_target, view.T_measured)


def test_marks_turn_with_their_images() -> None:
    for view in map(seen, range(6)):
        assert view.instances is not None
        for index in range(COUNT):
            column = rays_shown(view.sources[index, 0])[0] * FOCAL + 125
            expected = (column.round().long() // 16) % 2 + 1
            found = view.instances[index, 1].flatten()
            assert (found == expected).float().mean() > 0.9  # but for what a rounding decides


def test_who_has_no_room_stays() -> None:
    whole = far_away()
    assert random_rotation(whole, whole, 5.0, torch.Generator()) is whole
    valid = torch.ones(COUNT, 1, HEIGHT, WIDTH, dtype=torch.bool)
    valid[:, :, ::8] = False  # everywhere something has no source
    for number in range(6):
        view = seen(number, dataclasses.replace(whole, valid=valid))
        assert (turns_of(view) == 0).all()


def test_without_a_largest_turn_nothing_turns() -> None:
    whole = far_away()
    for number in range(6):
        generator = torch.Generator().manual_seed(number)
        view = random_view(whole, 128, generator)
        assert random_rotation(view, whole, 0.0, generator) is view


def test_parts_turn_as_the_whole_batch() -> None:
    number = next(n for n in range(20) if (turns_of(seen(n)) != 0).any())
    whole = seen(number)
    for rank in range(2):
        batch = far_away().select(slice(rank * COUNT // 2, (rank + 1) * COUNT // 2))
        generator = torch.Generator().manual_seed(number)
        view = random_view(batch, 128, generator, (rank, 2))
        part = random_rotation(view, batch, 5.0, generator, (rank, 2))
        assert part.T_measured is not None and whole.T_measured is not None
        half = slice(rank * COUNT // 2, (rank + 1) * COUNT // 2)
        torch.testing.assert_close(part.T_measured, whole.T_measured[half])
        torch.testing.assert_close(part.sources, whole.sources[half], atol=1e-5, rtol=0)


def test_turns_need_room() -> None:
    from sfm_depth_ros.config.schema import OfflineTrainingConfig
    from sfm_depth_ros.errors import ConfigError

    with pytest.raises(ConfigError, match="zoom > 1"):
        OfflineTrainingConfig(largest_turn=3.0)
    assert OfflineTrainingConfig(largest_turn=3.0, zoom=2.0).prepared_width == 640
