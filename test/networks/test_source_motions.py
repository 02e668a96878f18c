# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Pairs or three images: whoever asks for the motions of a target gets the same."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from sfm_depth_ros.config.schema import PoseNetworkConfig
from sfm_depth_ros.networks.pose import PoseOutput
from sfm_depth_ros.networks.predictions import predict_source_motions

REFERENCE, FOCAL = 50.0, 80.0
H, W = 4, 6


class Told(nn.Module):
    """Knows each image by its brightness and answers what is true of it.

    The motion between images a and b is (b - a) * STEP; a mask is the brightness of its image; a
    field is the brightness of its image and, along y, that of the pair's other image.
    """

    STEP = torch.tensor([0.1, 0.2, 1.0, 0.01, -0.02, 0.03])

    def __init__(self, name: str) -> None:
        super().__init__()
        self.config = PoseNetworkConfig(
            name=name,
            reference_focal=REFERENCE,
            explainability=True,
            residual_translation=True,
            learn_intrinsics=True,
        )
        self.images = self.config.images

    def forward(self, stack: Tensor) -> Tensor:
        shades = stack[:, ::3, 0, 0]  # (B, images)
        return (shades.diff(dim=1)[..., None] * self.STEP).flatten(1)

    def observe(self, stack: Tensor) -> PoseOutput:
        shades = stack[:, ::3, 0, 0]
        pairs = shades.unfold(1, 2, 1)  # (B, P, 2)
        masks = pairs[..., None, None].expand(-1, -1, -1, H, W)
        own, other = pairs, pairs.flip(-1)
        field = torch.stack((own, other, own), dim=3)[..., None, None]
        field = field.expand(-1, -1, -1, 3, H, W)
        K = shades.mean(dim=1)[:, None, None] * torch.ones(3, 3)
        return PoseOutput(self(stack), [masks, masks[..., ::2, ::2]], field, K)


def frames(shades: list[list[float]]) -> tuple[Tensor, Tensor]:
    """Target and sources of snippets whose images (earlier, target, later) have these shades."""
    images = torch.tensor(shades)[..., None, None, None].expand(-1, -1, 3, H, W)
    return images[:, 1], images[:, ::2]


K = torch.tensor([[FOCAL, 0, 3], [0, FOCAL, 2], [0, 0, 1.0]]).repeat(2, 1, 1)
SHADES = [[0.1, 0.4, 0.9], [0.2, 0.3, 0.8]]


def matrix(motion: np.ndarray) -> np.ndarray:
    """Transform of [t, axis-angle] by the series of the matrix exponential."""
    x, y, z = motion[3:]
    cross = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    rotation, term = np.eye(3), np.eye(3)
    for n in range(1, 20):
        term = term @ cross / n
        rotation = rotation + term
    T = np.eye(4)
    T[:3, :3], T[:3, 3] = rotation, motion[:3]
    return T


def T_earlier_later(first: float, second: float) -> np.ndarray:
    motion = (second - first) * Told.STEP.double().numpy()
    motion = motion * [1, 1, FOCAL / REFERENCE, REFERENCE / FOCAL, REFERENCE / FOCAL, 1]
    return matrix(motion)


@pytest.mark.parametrize("name", ["small", "posenet"])
def test_motions_are_towards_the_sources_in_metres(name: str) -> None:
    said = predict_source_motions(Told(name), *frames(SHADES), K)
    for row, (earlier, target, later) in enumerate(SHADES):
        expected = [
            T_earlier_later(earlier, target),
            np.linalg.inv(T_earlier_later(target, later)),
        ]
        assert np.allclose(said.T_source_target[row], expected, atol=1e-6)
    assert said.T_target_source is None
    assert said.residual_reverse is None


@pytest.mark.parametrize("name", ["small", "posenet"])
def test_the_way_back_is_a_pass_of_its_own(name: str) -> None:
    said = predict_source_motions(Told(name), *frames(SHADES), K, both_ways=True)
    assert said.T_target_source is not None
    for row, (earlier, target, later) in enumerate(SHADES):
        expected = [
            T_earlier_later(target, earlier),  # the pair was shown turned round
            np.linalg.inv(T_earlier_later(later, target)),
        ]
        assert np.allclose(said.T_target_source[row], expected, atol=1e-6)


@pytest.mark.parametrize("name", ["small", "posenet"])
def test_masks_and_fields_lie_where_they_are_used(name: str) -> None:
    said = predict_source_motions(Told(name), *frames(SHADES), K, both_ways=True)
    assert said.explainability is not None
    assert [m.shape for m in said.explainability] == [(2, 2, H, W), (2, 2, H // 2, W // 2)]
    forth, back = said.residual_translation, said.residual_reverse
    assert forth is not None and back is not None
    assert forth.shape == back.shape == (2, 2, 3, H, W)
    for row, (earlier, target, later) in enumerate(SHADES):
        for source, shade in enumerate((earlier, later)):
            assert torch.allclose(said.explainability[0][row, source], torch.tensor(target))
            stretched = target * FOCAL / REFERENCE  # along z the focal rule holds
            assert torch.allclose(
                forth[row, source, :, 1, 2], torch.tensor([target, shade, stretched])
            )
            assert torch.allclose(
                back[row, source, :, 1, 2],
                torch.tensor([shade, target, shade * FOCAL / REFERENCE]),
            )


@pytest.mark.parametrize("name", ["small", "posenet"])
def test_intrinsics_are_the_mean_over_passes(name: str) -> None:
    said = predict_source_motions(Told(name), *frames(SHADES), K)
    assert said.intrinsics is not None
    for found, (earlier, target, later) in zip(said.intrinsics, SHADES, strict=True):
        expected = (earlier + target + later) / 3
        if name == "small":
            expected = (earlier + 2 * target + later) / 4
        assert torch.allclose(found, torch.tensor(expected))
