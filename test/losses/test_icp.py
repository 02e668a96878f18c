# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Alignment of clouds: a room seen from two places, known misalignments, and a slow reference."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from sfm_depth_ros.geometry.pinhole import backproject
from sfm_depth_ros.geometry.se3 import invert_transform, motion_to_transform
from sfm_depth_ros.losses.icp import CUT_OFF, NEAR_ENOUGH, icp_loss

HEIGHT, WIDTH, FOCAL = 30, 44, 33.0
# A room: normal and distance of floor, right and left wall, far wall, ceiling.
PLANES = (
    ((0.0, 1, 0), 1.5), ((1.0, 0, 0), 3.0), ((-1.0, 0, 0), 3.5), ((0.0, 0, 1), 9.0),
    ((0.0, -1, 0), 2.0),
)  # fmt: skip
TRUE_MOTION = (0.1, 0.02, -0.5, 0.01, 0.03, -0.01)
NAN = float("nan")


def _transform(motion: tuple[float, ...]) -> Tensor:
    return motion_to_transform(torch.tensor([motion], dtype=torch.float64))


def _camera() -> Tensor:
    K = [[FOCAL, 0, (WIDTH - 1) / 2], [0, FOCAL, (HEIGHT - 1) / 2], [0, 0, 1]]
    return torch.tensor([K], dtype=torch.float64)


def _room(T_room_camera: Tensor) -> Tensor:
    """Points ``(1, 3, H, W)`` that a camera sees of the room, by its rays."""
    rays = backproject(torch.ones(1, 1, HEIGHT, WIDTH, dtype=torch.float64), _camera())
    turned = T_room_camera[0, :3, :3] @ rays[0].flatten(1)
    depth = torch.full((HEIGHT * WIDTH,), torch.inf, dtype=torch.float64)
    for direction, distance in PLANES:
        normal = torch.tensor(direction, dtype=torch.float64)
        along = (distance - normal @ T_room_camera[0, :3, 3]) / (normal @ turned)
        depth = torch.where((along > 0) & (along < depth), along, depth)
    return backproject(depth.view(1, 1, HEIGHT, WIDTH), _camera())


def _clouds() -> tuple[Tensor, Tensor, Tensor]:
    """Target's points, a source's ``(1, 1, 3, H, W)``, and the true ``T_b_a`` ``(1, 1, 4, 4)``."""
    T_b_a = _transform(TRUE_MOTION)
    room = torch.eye(4, dtype=torch.float64)[None]
    return _room(room), _room(invert_transform(T_b_a))[:, None], T_b_a[:, None]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_aligned_clouds_cost_next_to_nothing(dtype: torch.dtype) -> None:
    a, b, T = (x.to(dtype) for x in _clouds())
    transform, points = icp_loss(a, b, T, _camera().to(dtype))
    assert transform.dtype == points.dtype == dtype
    # Where the walls meet there is no tangent plane: millimetres in a room of nine metres.
    assert float(transform) < 0.015 and float(points) < 1e-3


@pytest.mark.parametrize(
    "wrong",
    [
        (0.1, 0, 0, 0, 0, 0), (0, -0.1, 0, 0, 0, 0), (0, 0, 0.2, 0, 0, 0), (0, 0, 0, 0, 0.03, 0),
        (0, 0, 0, -0.02, 0, 0.03), (0.05, -0.03, 0.1, 0.01, -0.02, 0.01),
    ],
)  # fmt: skip
def test_known_misalignments_are_found(wrong: tuple[float, ...]) -> None:
    a, b, T = _clouds()
    transform, points = icp_loss(a, b, _transform(wrong)[:, None] @ T, _camera())
    expected = sum(abs(x) for x in wrong)
    assert float(transform) == pytest.approx(expected, abs=0.015)
    assert float(points) < 1e-3  # the correction leaves nothing to the depths


def test_what_one_image_alone_sees_does_not_pull() -> None:
    """A thing before a third of the far wall has come into the source's view."""
    a, b, T = _clouds()
    b = b.clone()
    b[..., 9:18, 14:22] *= 0.6
    wrong = _transform((0.1, 0, 0, 0, 0, 0))[:, None] @ T
    transform, points = icp_loss(a, b, wrong, _camera())
    assert float(transform) == pytest.approx(0.1, abs=0.02)
    assert float(points) < 2e-3


def test_more_iterations_correct_what_one_left() -> None:
    a, b, T = _clouds()
    far = _transform((0.2, -0.1, 0.4, 0.03, -0.05, 0.02))[:, None] @ T
    left = [float(icp_loss(a, b, far, _camera(), n)[1]) for n in (1, 2, 5)]
    assert left[0] > 2 * left[1] > 2 * left[2]


def _reference_pairs(
    placed: np.ndarray, b: np.ndarray, K: np.ndarray
) -> list[tuple[int, np.ndarray, np.ndarray, float]]:
    """Number of the point, partner, normal and weight of every pair, pixel by pixel."""
    pairs = []
    for number, point in enumerate(placed.T):
        x, y, z = K @ point
        column, row = round(x / z), round(y / z)
        if z <= 0 or not (0 <= column < WIDTH and 0 <= row < HEIGHT):
            continue
        partner = b[:, row, column]
        left, right = b[:, row, max(column - 1, 0)], b[:, row, min(column + 1, WIDTH - 1)]
        above, below = b[:, max(row - 1, 0), column], b[:, min(row + 1, HEIGHT - 1), column]
        bends = [abs(x[2] + y[2] - 2 * partner[2]) for x, y in ((left, right), (above, below))]
        if max(bends) > NEAR_ENOUGH * partner[2]:
            continue
        normal = np.cross(right - left, below - above)
        pairs.append((number, partner, normal / np.linalg.norm(normal), 1 / partner[2]))
    distances = [abs((placed[:, i] - q) @ n) * w for i, q, n, w in pairs]
    limit = max(CUT_OFF * np.sort(distances)[(len(distances) - 1) // 2], NEAR_ENOUGH)
    return [pair for pair, d in zip(pairs, distances, strict=True) if d <= limit]


def _reference(a: np.ndarray, b: np.ndarray, T: np.ndarray) -> tuple[float, float, np.ndarray]:
    """Both residuals of one iteration, and the point residual's gradient by the points of a."""
    placed = T[:3, :3] @ a + T[:3, 3:]
    pairs = _reference_pairs(placed, b, _camera()[0].numpy())
    normal, right = np.zeros((6, 6)), np.zeros(6)
    for i, q, n, w in pairs:
        slope = w * np.concatenate([n, np.cross(placed[:, i], n)])
        normal += np.outer(slope, slope)
        right += slope * w * ((placed[:, i] - q) @ n)
    motion = -np.linalg.solve(normal + 1e-6 * np.trace(normal) / 6 * np.eye(6), right)
    correction = motion_to_transform(torch.from_numpy(motion)).numpy()
    total = correction @ T
    left, gradient = [], np.zeros_like(a)
    for i, q, n, w in pairs:
        distance = (total[:3, :3] @ a[:, i] + total[:3, 3] - q) @ n
        left.append(abs(distance) * w)
        gradient[:, i] = np.sign(distance) * w * (total[:3, :3].T @ n) / len(pairs)
    return float(np.abs(motion).sum()), float(np.mean(left)), gradient


def test_one_iteration_equals_the_reference() -> None:
    a, b, T = _clouds()
    T = _transform((0.05, -0.03, 0.1, 0.01, -0.02, 0.01))[:, None] @ T
    b = b.clone()
    b[..., 10:16, 20:27] *= 0.6  # something stands before the far wall, in one cloud alone
    a.requires_grad_()
    b.requires_grad_()
    transform, points = icp_loss(a, b, T, _camera(), iterations=1)
    expected = _reference(
        a.detach()[0].flatten(1).numpy(), b.detach()[0, 0].numpy(), T[0, 0].numpy()
    )
    assert transform.item() == pytest.approx(expected[0], abs=1e-9)
    assert points.item() == pytest.approx(expected[1], abs=1e-9)
    by_a, by_b = torch.autograd.grad(points, (a, b))
    np.testing.assert_allclose(by_a[0].flatten(1).numpy(), expected[2], atol=1e-12)
    # Each pair pulls both of its points alike, in opposite directions; b's frame is turned.
    assert float(by_b.norm(dim=2).sum()) > 0
    moved = T[0, 0, :3, :3] @ by_a[0].flatten(1).sum(1)
    assert float((moved + by_b[0, 0].flatten(1).sum(1)).norm()) < 0.1 * float(moved.norm())


def test_the_correction_teaches_the_motion_alone_and_the_rest_the_depths_alone() -> None:
    a, b, T = (x.requires_grad_() for x in _clouds())
    transform, points = icp_loss(a, b, T, _camera())
    of_transform = torch.autograd.grad(transform, (a, b, T), allow_unused=True, retain_graph=True)
    of_points = torch.autograd.grad(points, (a, b, T), allow_unused=True)
    assert of_transform[0] is None and of_transform[1] is None
    assert of_transform[2] is not None and (of_transform[2] != 0).any()
    assert of_points[2] is None
    assert all(gradient is not None and (gradient != 0).any() for gradient in of_points[:2])


def test_gradients_of_the_motion_by_finite_differences() -> None:
    a, b, _ = _clouds()
    motion = torch.tensor([[TRUE_MOTION]], dtype=torch.float64) + 0.02

    def transform_residual(motion: Tensor) -> Tensor:
        return icp_loss(a[..., ::3, ::3], b, motion_to_transform(motion), _camera(), iterations=1)[
            0
        ]

    assert torch.autograd.gradcheck(transform_residual, (motion.requires_grad_(),))


def test_the_gradient_leads_to_the_true_motion() -> None:
    a, b, _ = _clouds()
    start = motion_to_transform(torch.tensor([[TRUE_MOTION]], dtype=torch.float64))
    motion = torch.zeros(1, 1, 6, dtype=torch.float64)
    motion[..., :3] = torch.tensor([0.12, -0.05, 0.2])
    motion.requires_grad_()
    optimiser = torch.optim.SGD([motion], lr=4e-3)
    first = None
    for _ in range(50):
        optimiser.zero_grad()
        loss = icp_loss(a[..., ::3, ::3], b, motion_to_transform(motion) @ start, _camera())[0]
        first = loss.item() if first is None else first
        loss.backward()
        optimiser.step()
    assert loss.item() < 0.15 * first
    torch.testing.assert_close(motion.detach(), torch.zeros_like(motion), atol=0.03, rtol=0)


def test_points_that_are_none_poison_nothing() -> None:
    a, b, T = _clouds()
    a, b, T = a.clone(), b.clone(), T.clone()
    a[..., :4, :5], a[..., 8, 9], a[..., 9, 9] = NAN, torch.inf, 0.0
    b[..., 20:24, 30:34], b[..., 3, 3], b[..., 4, 4] = NAN, -torch.inf, 0.0
    for tensor in (a, b, T):
        tensor.requires_grad_()
    transform, points = icp_loss(a, b, T, _camera())
    (transform + points).backward()
    assert transform.item() < 0.02 and points.item() < 1e-3
    for tensor in (a, b, T):
        assert tensor.grad is not None and tensor.grad.isfinite().all()
    assert a.grad is not None and (a.grad[..., :4, :5] == 0).all()


def test_nothing_to_pair_is_zero_with_zero_gradient() -> None:
    a, b, _ = _clouds()
    behind = _transform((0, 0, -20.0, 0, 0, 0))[:, None].requires_grad_()
    a.requires_grad_()
    transform, points = icp_loss(a, b, behind, _camera())
    (transform + points).backward()
    assert transform.item() == points.item() == 0.0
    assert a.grad is not None and (a.grad == 0).all()
    assert behind.grad is not None and (behind.grad == 0).all()


def test_sources_and_batches_are_apart() -> None:
    a, b, T = _clouds()
    wrong = _transform((0.1, 0, 0, 0, 0, 0))[:, None] @ T
    many = icp_loss(
        a.repeat(2, 1, 1, 1), b.repeat(2, 2, 1, 1, 1), torch.cat([T, wrong], 1).repeat(2, 1, 1, 1),
        _camera().repeat(2, 1, 1),
    )  # fmt: skip
    one, other = (icp_loss(a, b, motion, _camera()) for motion in (T, wrong))
    assert float(many[0]) == pytest.approx((float(one[0]) + float(other[0])) / 2)
    assert float(many[1]) == pytest.approx((float(one[1]) + float(other[1])) / 2, rel=0.01)


def test_wrong_arguments_are_refused() -> None:
    a, b, T = _clouds()
    with pytest.raises(ValueError, match="points_a"):
        icp_loss(a[0], b, T, _camera())
    with pytest.raises(ValueError, match="points_b"):
        icp_loss(a, b[:, 0], T, _camera())
    with pytest.raises(ValueError, match="T_b_a"):
        icp_loss(a, b, T[:, 0], _camera())
    with pytest.raises(ValueError, match="K"):
        icp_loss(a, b, T, _camera()[0])
    with pytest.raises(ValueError, match="iteration"):
        icp_loss(a, b, T, _camera(), iterations=0)
