# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Windows of larger images: every pixel still looks where its intrinsics say."""

from __future__ import annotations

import dataclasses

import pytest
import torch

from sfm_depth_ros.snippets.batch import SnippetBatch
from sfm_depth_ros.snippets.zoom import random_view, whole_view

HEIGHT, WIDTH, FOCAL = 70, 128, 90.0
RAY_SCALE = 0.25  # images hold 0.5 + rays times this, so that they lie in [0, 1]


def looking() -> SnippetBatch:
    """Images whose red and green say along which ray each pixel looks; x / z and y / z."""
    K = torch.tensor([[FOCAL, 0, 60.0], [0, FOCAL, 33.0], [0, 0, 1]]).repeat(3, 1, 1)
    y, x = torch.meshgrid(torch.arange(HEIGHT), torch.arange(WIDTH), indexing="ij")
    rays = torch.stack(((x - 60) / FOCAL, (y - 33) / FOCAL, torch.zeros(HEIGHT, WIDTH)))
    image = (0.5 + RAY_SCALE * rays).repeat(3, 1, 1, 1)
    sparse, depth = torch.zeros(3, 1, HEIGHT, WIDTH), torch.zeros(3, 1, HEIGHT, WIDTH)
    generator = torch.Generator().manual_seed(1)
    known = torch.rand(3, 1, HEIGHT, WIDTH, generator=generator) < 0.02
    sparse[known] = 5.0 + torch.rand(int(known.sum()), generator=generator)
    depth[:] = x.float() + 1  # says its column
    return SnippetBatch(
        target=image,
        sources=image[:, None].repeat(1, 2, 1, 1, 1),
        K=K,
        displacements=torch.ones(3, 2),
        valid=torch.ones(3, 1, HEIGHT, WIDTH, dtype=torch.bool),
        depth=depth,
        sparse_depth=sparse,
        right=image,
        instances=torch.arange(WIDTH).expand(3, 3, HEIGHT, WIDTH).to(torch.uint8),
    )


def rays_of(batch: SnippetBatch) -> torch.Tensor:
    """Rays ``(B, 2, H, W)`` that the intrinsics say."""
    height, width = batch.target.shape[-2:]
    y, x = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    pixels = torch.stack((x, y, torch.ones_like(x))).float().flatten(1)
    return (torch.linalg.inv(batch.K) @ pixels)[:, :2].unflatten(2, (height, width))


def views(count: int = 12) -> list[SnippetBatch]:
    return [random_view(looking(), 64, torch.Generator().manual_seed(n)) for n in range(count)]


def test_every_pixel_looks_where_its_intrinsics_say() -> None:
    focals = set()
    for view in views():
        assert view.target.shape == (3, 3, 32, 64)  # 35 rows would be no multiple of 32
        focals.add(round(float(view.K[0, 0, 0]), 3))
        inner = (..., slice(1, -1), slice(1, -1))  # at borders a mean has less to go by
        for image in (view.target, view.sources[:, 1], view.right):
            assert image is not None
            found = (image[:, :2] - 0.5) / RAY_SCALE
            pixels_off = (found - rays_of(view))[inner].abs() * view.K[0, 0, 0]
            assert pixels_off.max() < 0.1  # a filter's weights are not quite symmetric
            assert pixels_off.mean() < 0.05
        assert view.valid is not None and view.valid.all()
    assert min(focals) == FOCAL / 2 and 0.8 * FOCAL < max(focals) <= FOCAL
    assert len(focals) > 6
    places = {tuple(view.K[:, 0, 2].tolist()) for view in views()}
    assert any(len(set(place)) == 3 for place in places)  # each snippet has a place of its own


def test_measured_points_stay_on_their_rays() -> None:
    whole = looking()
    assert whole.sparse_depth is not None
    for view in views():
        assert view.sparse_depth is not None
        image, _, row, column = torch.nonzero(view.sparse_depth, as_tuple=True)
        assert len(image) > 5
        there = rays_of(view)[image, :, row, column]
        depth = view.sparse_depth[view.sparse_depth > 0]
        for index, ray, metres in zip(image, there, depth, strict=True):
            of_image = whole.sparse_depth[index, 0] == metres
            assert of_image.sum() == 1
            off = (rays_of(whole)[index][:, of_image][:, 0] - ray).abs() * view.K[0, 0, 0]
            assert (off <= 0.5 + 1e-3).all()  # half a pixel, each way


def test_the_nearest_of_points_in_a_pixel_stays() -> None:
    batch = looking()
    sparse = torch.zeros(3, 1, HEIGHT, WIDTH)
    sparse[:, :, 40, 60], sparse[:, :, 41, 61] = 7.0, 4.0
    view = whole_view(dataclasses.replace(batch, sparse_depth=sparse), 64)
    assert view.sparse_depth is not None
    assert view.sparse_depth[view.sparse_depth > 0].tolist() == [4.0] * 3
    row = (41 - (HEIGHT - 64)) // 2
    assert (view.sparse_depth[:, 0, row, 30] == 4.0).all()


def test_depth_and_labels_are_taken_whole() -> None:
    view = whole_view(looking(), 64)
    assert view.depth is not None and view.instances is not None
    assert view.depth[0, 0, 5].tolist() == [2.0 * x + 2 for x in range(64)]
    assert view.instances[1, 2, 7].tolist() == [2 * x + 1 for x in range(64)]
    assert view.K[0, 0].tolist() == pytest.approx([FOCAL / 2, 0, (60 + 0.5) / 2 - 0.5])
    top = HEIGHT - 64  # what does not fit is cut off at the top
    assert float(view.K[0, 1, 2]) == pytest.approx((33 - top + 0.5) / 2 - 0.5)


def test_what_has_no_source_spreads_over_what_it_touches() -> None:
    valid = torch.ones(3, 1, HEIGHT, WIDTH, dtype=torch.bool)
    valid[..., :21] = False
    view = whole_view(dataclasses.replace(looking(), valid=valid), 64)
    assert view.valid is not None
    assert not view.valid[..., :11].any() and view.valid[..., 12:].all()


def test_images_that_are_no_wider_stay() -> None:
    batch = looking()
    cut = dataclasses.replace(
        batch, target=batch.target[..., :64, :], sources=batch.sources[..., :64, :]
    )
    assert random_view(cut, WIDTH, torch.Generator()) is cut
    assert whole_view(cut, 2 * WIDTH) is cut


def test_parts_see_what_the_whole_batch_sees() -> None:
    whole = random_view(looking(), 64, torch.Generator().manual_seed(4))
    for rank in range(3):
        alone = looking().select(slice(rank, rank + 1))
        part = random_view(alone, 64, torch.Generator().manual_seed(4), (rank, 3))
        assert torch.equal(part.K[0], whole.K[rank])
        assert torch.equal(part.target[0], whole.target[rank])


@pytest.mark.parametrize("size", [(197, 640), (360, 1000), (448, 640), (192, 1216), (375, 1242)])
@pytest.mark.parametrize("width", [320, 416, 512])
def test_no_column_is_lost_to_rounding(size: tuple[int, int], width: int) -> None:
    """A camera of 640 columns and a network of 416: 640 / (640 / 416) is 415.99."""
    still = torch.rand(1, 1, 1, 1).expand(1, 3, *size)
    K = torch.eye(3)[None]
    batch = SnippetBatch(still, still[:, None].expand(1, 2, 3, *size), K, torch.zeros(1, 2))
    views = [whole_view(batch, width)]
    views += [random_view(batch, width, torch.Generator().manual_seed(n)) for n in range(6)]
    for view in views:
        assert view.target.shape[-1] == view.sources.shape[-1] == width
        assert view.target.shape[-2] % 32 == 0
