# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Edge-aware smoothness against a numpy reference."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from sfm_depth_ros.losses.smoothness import edge_aware_smoothness


def _double(*shape: int, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(*shape, generator=generator, dtype=torch.float64)


def _reference(inverse_depth: np.ndarray, image: np.ndarray) -> float:
    normalised = inverse_depth / inverse_depth.mean((2, 3), keepdims=True)
    total = 0.0
    for axis in (2, 3):
        edges = np.abs(np.diff(image, axis=axis)).mean(1, keepdims=True)
        total += (np.abs(np.diff(normalised, axis=axis)) * np.exp(-edges)).mean()
    return float(total)


def test_value_equals_the_reference() -> None:
    inverse, image = 0.1 + _double(2, 1, 6, 8), _double(2, 3, 6, 8, seed=1)
    value = edge_aware_smoothness(inverse, image)
    assert float(value) == pytest.approx(_reference(inverse.numpy(), image.numpy()), abs=1e-12)


def _second_order_reference(inverse_depth: np.ndarray, image: np.ndarray) -> float:
    """|xx| + |xy| + |yx| + |yy| by loops, each weighed by the gradients between its pixels."""

    def edge(b: int, v: int, u: int, dv: int, du: int) -> float:
        return float(np.abs(image[b, :, v + dv, u + du] - image[b, :, v, u]).mean())

    batch, _, height, width = inverse_depth.shape
    parts: dict[str, list[float]] = {"xx": [], "yy": [], "xy": []}
    for b in range(batch):
        d = inverse_depth[b, 0] / inverse_depth[b, 0].mean()
        for v, u in np.ndindex(height, width):
            if 0 < u < width - 1:
                weight = np.exp(-(edge(b, v, u, 0, 1) + edge(b, v, u, 0, -1)) / 2)
                parts["xx"].append(abs(d[v, u - 1] - 2 * d[v, u] + d[v, u + 1]) * weight)
            if 0 < v < height - 1:
                weight = np.exp(-(edge(b, v, u, 1, 0) + edge(b, v, u, -1, 0)) / 2)
                parts["yy"].append(abs(d[v - 1, u] - 2 * d[v, u] + d[v + 1, u]) * weight)
            if u < width - 1 and v < height - 1:
                edges = edge(b, v, u, 0, 1) + edge(b, v + 1, u, 0, 1)
                edges += edge(b, v, u, 1, 0) + edge(b, v, u + 1, 1, 0)
                twist = d[v, u] - d[v, u + 1] - d[v + 1, u] + d[v + 1, u + 1]
                parts["xy"].append(abs(twist) * np.exp(-edges / 4))
    return float(np.mean(parts["xx"]) + np.mean(parts["yy"]) + 2 * np.mean(parts["xy"]))


def test_second_order_equals_the_reference() -> None:
    inverse, image = 0.1 + _double(2, 1, 5, 7), _double(2, 3, 5, 7, seed=1)
    value = edge_aware_smoothness(inverse, image, order=2)
    expected = _second_order_reference(inverse.numpy(), image.numpy())
    assert float(value) == pytest.approx(expected, abs=1e-12)
    single = edge_aware_smoothness(inverse.float(), image.float(), order=2)
    assert single.dtype == torch.float32 and float(single) == pytest.approx(expected, abs=1e-5)


def test_any_plane_is_smooth_to_second_order_alone() -> None:
    """The inverse depth of a plane is linear in the pixel."""
    rows, columns = torch.meshgrid(torch.arange(6.0), torch.arange(8.0), indexing="ij")
    inverse = (0.2 + 0.03 * rows.double() + 0.01 * columns.double())[None, None]
    image = torch.full((1, 3, 6, 8), 0.5, dtype=torch.float64)
    assert float(edge_aware_smoothness(inverse, image, order=2)) < 1e-12
    assert float(edge_aware_smoothness(inverse, image)) > 0.1


@pytest.mark.parametrize("shape", [(1, 1), (1, 5), (4, 1), (2, 2)])
@pytest.mark.parametrize("order", [1, 2])
def test_images_too_small_for_a_derivative(shape: tuple[int, int], order: int) -> None:
    value = edge_aware_smoothness(torch.rand(1, 1, *shape), torch.rand(1, 3, *shape), order)
    assert value.ndim == 0 and value.isfinite()


def test_one_step_by_hand() -> None:
    inverse = torch.tensor([[1.0, 3.0]], dtype=torch.float64).view(1, 1, 1, 2)
    image = torch.tensor([[0.0, 0.5]], dtype=torch.float64).view(1, 1, 1, 2).repeat(1, 3, 1, 1)
    # Normalised by the mean 2: a step of 1, weighed by exp(-0.5); one row has no vertical step.
    assert float(edge_aware_smoothness(inverse, image)) == pytest.approx(np.exp(-0.5))


def test_scale_of_inverse_depth_does_not_matter() -> None:
    inverse, image = 0.1 + _double(2, 1, 6, 8), _double(2, 3, 6, 8, seed=1)
    torch.testing.assert_close(
        edge_aware_smoothness(inverse * 7, image), edge_aware_smoothness(inverse, image)
    )


def test_constant_depth_is_smooth() -> None:
    assert float(edge_aware_smoothness(torch.ones(1, 1, 4, 4), torch.rand(1, 3, 4, 4))) == 0.0


def test_gradients() -> None:
    inverse, image = (0.1 + _double(1, 1, 4, 5)).requires_grad_(), _double(1, 3, 4, 5, seed=1)
    for order in (1, 2):
        assert torch.autograd.gradcheck(
            lambda x, order=order: edge_aware_smoothness(x, image, order), (inverse,)
        )


def test_wrong_shapes_are_refused() -> None:
    with pytest.raises(ValueError, match="inverse_depth"):
        edge_aware_smoothness(torch.ones(1, 1, 4, 4), torch.ones(1, 3, 4, 5))
    with pytest.raises(ValueError, match="inverse_depth"):
        edge_aware_smoothness(torch.ones(1, 3, 4, 4), torch.ones(1, 3, 4, 4))
    with pytest.raises(ValueError, match="order"):
        edge_aware_smoothness(torch.ones(1, 1, 4, 4), torch.ones(1, 3, 4, 4), order=3)
