# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Flow network: correlation by loops, shapes, residual flow, what it learns, and its export."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from sfm_depth_ros.geometry.flow import warp_by_flow
from sfm_depth_ros.networks.flow import (
    FlowNetwork,
    correlation,
    expected_displacement,
    normalised_together,
)
from sfm_depth_ros.networks.moderator import Moderator


def network() -> FlowNetwork:
    torch.manual_seed(0)
    return FlowNetwork()


def test_correlation_equals_the_reference() -> None:
    generator = torch.Generator().manual_seed(0)
    a, b = (torch.rand(1, 3, 4, 5, generator=generator, dtype=torch.float64) for _ in range(2))
    found = correlation(a, b, 1)
    assert found.shape == (1, 9, 4, 5)
    for k, v, u in np.ndindex(9, 4, 5):
        y, x = v + k // 3 - 1, u + k % 3 - 1
        first = a[0, :, v, u].numpy()
        is_inside = 0 <= y < 4 and 0 <= x < 5
        second = b[0, :, y, x].numpy() if is_inside else np.zeros(3)
        assert found[0, k, v, u].item() == pytest.approx(first @ second / 3)


def test_features_are_normalised_together() -> None:
    generator = torch.Generator().manual_seed(0)
    a, b = (2 + torch.rand(2, 3, 4, 5, generator=generator) for _ in range(2))
    both = torch.cat([x.flatten(2) for x in normalised_together(a, b)], dim=2)
    assert both.mean(2).abs().max() < 1e-4
    assert both.std(2).flatten().tolist() == pytest.approx([1.0] * 6, abs=1e-3)
    first, second = normalised_together(a, a)
    assert torch.equal(first, second)


def test_the_displacement_of_a_certain_match_is_its_place() -> None:
    for k, (column, row) in {0: (-2, -2), 9: (2, -1), 12: (0, 0), 23: (1, 2)}.items():
        logits = torch.zeros(1, 25, 3, 4)
        logits[:, k] = 50.0
        found = expected_displacement(logits, 2)
        assert found[:, 0].flatten().tolist() == pytest.approx([column] * 12)
        assert found[:, 1].flatten().tolist() == pytest.approx([row] * 12)
    assert expected_displacement(torch.ones(1, 25, 3, 4), 2).abs().max() < 1e-6


def shifted(columns: int, rows: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Two images ``(1, 3, 64, 128)`` with that flow between them."""
    generator = torch.Generator().manual_seed(0)
    coarse = torch.rand(1, 3, 10, 18, generator=generator)
    texture = torch.nn.functional.interpolate(coarse, (80, 144), mode="bicubic").clamp(0, 1)
    down, right = 8 - rows, 8 - columns
    return texture[..., 8:72, 8:136], texture[..., down : down + 64, right : right + 128]


def test_flow_is_what_is_added_to_the_start() -> None:
    (first, second), start = shifted(3, 3), torch.full((1, 2, 64, 128), 3.0)
    with torch.no_grad():
        free, residual = network()(first, first), network()(first, second, start)
    assert [tuple(f.shape) for f in free] == [(1, 2, 64, 128), (1, 2, 8, 16), (1, 2, 4, 8)]
    inner = (..., slice(16, -16), slice(16, -16))  # what is warped comes from inside the image
    difference = residual[0][inner] - 3 - free[0][inner]
    assert difference.abs().mean() < 0.5 * free[0][inner].abs().mean()


def test_every_parameter_learns() -> None:
    made = network()
    flows = made(torch.rand(1, 3, 32, 64), torch.rand(1, 3, 32, 64))
    sum(flow.square().mean() for flow in flows).backward()
    assert [n for n, p in made.named_parameters() if p.grad is None] == []


def test_it_learns_a_shift_without_labels() -> None:
    first, second = shifted(5, 2)
    made = network()
    optimiser = torch.optim.Adam(made.parameters(), 1e-3)
    for _ in range(120):
        loss = torch.stack([
            (warp_by_flow(second, torch.nn.functional.interpolate(f, (64, 128))) - first).abs()
            .mean() for f in made(first, second)
        ]).mean()  # fmt: skip
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    with torch.no_grad():
        flow = made(first, second)[0][..., 8:-8, 16:-16]
    assert flow.mean((2, 3)).flatten().tolist() == pytest.approx([5.0, 2.0], abs=0.5)


def test_the_network_is_exported(tmp_path) -> None:
    onnxruntime = pytest.importorskip("onnxruntime")
    made, images = network().eval(), (torch.rand(1, 3, 64, 96), torch.rand(1, 3, 64, 96))

    class Finest(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.network = made

        def forward(self, first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
            return self.network(first, second)[0]

    path = tmp_path / "flow.onnx"
    torch.onnx.export(
        Finest(), images, path, dynamo=True, opset_version=18, verbose=False,
        input_names=["first", "second"], output_names=["flow"],
    )  # fmt: skip
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    feed = {name: x.numpy() for name, x in zip(("first", "second"), images, strict=True)}
    (found,) = session.run(["flow"], feed)
    with torch.no_grad():
        np.testing.assert_allclose(found, made(*images)[0].numpy(), atol=1e-4)


def test_a_fresh_moderator_takes_everything_for_static() -> None:
    torch.manual_seed(0)
    images = [torch.rand(2, 3, 32, 64) for _ in range(3)]
    static = Moderator()(*images, torch.zeros(2, 2, 32, 64))
    assert static.shape == (2, 1, 32, 64)
    assert float(static.min()) > 0.8 and float(static.max()) < 0.95
