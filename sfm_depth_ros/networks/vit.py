# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""DINOv2's vision transformer as an encoder.

Oquab et al., "DINOv2: Learning Robust Visual Features without Supervision", TMLR 2024;
Dosovitskiy et al., "An Image is Worth 16x16 Words", ICLR 2021; layer scale: Touvron et al.,
"Going deeper with Image Transformers", ICCV 2021. Patches of 14 pixels, no registers.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

PATCH = 14
GRID = 37  # rows and columns of the learnt positions: images of 518 pixels
NORM_EPSILON = 1e-6
MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # ImageNet's RGB in [0, 1]
GRID_OFFSET = 0.1  # added to rows and columns when the positions are resized, as published
CUBIC = -0.75  # coefficient of the bicubic kernel, torch's
MARGIN = 3  # positions beyond the grid's border that the kernel reaches


@dataclass(frozen=True)
class ViTShape:
    """A transformer's size."""

    width: int
    blocks: int
    heads: int
    taps: tuple[int, int, int, int]  # blocks whose outputs are features, from 0


class Attention(nn.Module):
    """Softmax attention of several heads."""

    def __init__(self, width: int, heads: int) -> None:
        """Args: channels, heads."""
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(width, 3 * width)
        self.proj = nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        """``(B, N, width)`` to the same shape."""
        parts = self.qkv(x).unflatten(2, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        q, k, v = parts[0], parts[1], parts[2]  # (B, heads, N, width / heads)
        y = functional.scaled_dot_product_attention(q, k, v)
        return self.proj(y.transpose(1, 2).flatten(2))


class Block(nn.Module):
    """Attention and a perceptron, each behind a norm and beside a shortcut."""

    def __init__(self, width: int, heads: int) -> None:
        """Args: channels, heads."""
        super().__init__()
        self.norm1 = nn.LayerNorm(width, eps=NORM_EPSILON)
        self.attn = Attention(width, heads)
        self.gain1 = nn.Parameter(torch.ones(width))
        self.norm2 = nn.LayerNorm(width, eps=NORM_EPSILON)
        self.fc1 = nn.Linear(width, 4 * width)
        self.fc2 = nn.Linear(4 * width, width)
        self.gain2 = nn.Parameter(torch.ones(width))

    def forward(self, x: Tensor) -> Tensor:
        """``(B, N, width)`` to the same shape."""
        x = x + self.gain1 * self.attn(self.norm1(x))
        return x + self.gain2 * self.fc2(functional.gelu(self.fc1(self.norm2(x))))


class VisionTransformer(nn.Module):
    """Features of every patch after four of the blocks."""

    mean: Tensor  # (3, 1, 1), of the image; likewise the deviation
    deviation: Tensor

    def __init__(self, shape: ViTShape) -> None:
        """Args: the size."""
        super().__init__()
        self.shape = shape
        self.patch = nn.Conv2d(3, shape.width, PATCH, PATCH)
        self.class_token = nn.Parameter(torch.zeros(1, 1, shape.width))
        self.positions = nn.Parameter(torch.zeros(1, 1 + GRID * GRID, shape.width))
        self.blocks = nn.ModuleList(Block(shape.width, shape.heads) for _ in range(shape.blocks))
        self.norm = nn.LayerNorm(shape.width, eps=NORM_EPSILON)
        # No part of the state: of real memory also where the weights are yet to come ("meta").
        for name, values in (("mean", MEAN), ("deviation", DEVIATION)):
            constant = torch.tensor(values, device="cpu")[:, None, None]
            self.register_buffer(name, constant, persistent=False)
        self.apply(_initialise)
        nn.init.trunc_normal_(self.positions, std=0.02)
        nn.init.normal_(self.class_token, std=1e-6)

    def forward(self, image: Tensor) -> list[Tensor]:
        """Features behind the last norm, without the class token.

        Args:
            image: ``(B, 3, H, W)`` RGB in [0, 1]; H and W are multiples of 14.

        Returns:
            Four ``(B, width, H / 14, W / 14)``, in the blocks' order.
        """
        patches = self.patch((image - self.mean) / self.deviation)
        batch, _, height, width = patches.shape
        tokens = patches.flatten(2).transpose(1, 2) + self._patch_positions(height, width)
        first = (self.class_token + self.positions[:, :1]).expand(batch, -1, -1)
        x = torch.cat((first, tokens), dim=1)
        features = []
        for index, block in enumerate(self.blocks):
            x = block(x)
            if index in self.shape.taps:
                seen = self.norm(x)[:, 1:].transpose(1, 2)
                features.append(seen.unflatten(2, (height, width)))
        return features

    def _patch_positions(self, height: int, width: int) -> Tensor:
        """The learnt positions of a grid of this size, ``(1, height width, channels)``."""
        grid = self.positions[0, 1:].unflatten(0, (GRID, GRID))  # (GRID, GRID, C)
        rows, columns = (
            torch.arange(size, device=grid.device, dtype=grid.dtype) for size in (height, width)
        )
        # Tensors, not sizes: a comparison of sizes would tie an exported graph to them.
        is_same = (rows[-1] == GRID - 1) & (columns[-1] == GRID - 1)
        offset = torch.where(is_same, 0.0, GRID_OFFSET)
        rows, columns = cubic_weights(rows, offset), cubic_weights(columns, offset)
        resized = torch.einsum("hi,ijc->hjc", rows, grid)
        resized = torch.einsum("wj,hjc->hwc", columns, resized)
        return resized.flatten(0, 1)[None]


def cubic_weights(place: Tensor, offset: Tensor) -> Tensor:
    """Bicubic resizing from ``GRID`` to some other number of places, as a matrix.

    The same as torch's ``interpolate`` by the factor ``(size + offset) / GRID`` without
    antialiasing, which the published network uses; a matrix exports with free sizes.

    Args:
        place: ``(size,)`` 0, 1, ... ``size`` - 1.
        offset: Number added to the size.

    Returns:
        ``(size, GRID)``; rows sum to 1.
    """
    source = (place + 0.5) * (GRID / (place[-1] + 1 + offset)) - 0.5
    reach = torch.arange(-MARGIN, GRID + MARGIN, device=place.device, dtype=place.dtype)
    distance = (source[:, None] - reach).abs()
    near = ((CUBIC + 2) * distance - (CUBIC + 3)) * distance * distance + 1
    far = ((CUBIC * distance - 5 * CUBIC) * distance + 8 * CUBIC) * distance - 4 * CUBIC
    weights = torch.where(distance <= 1, near, torch.where(distance < 2, far, 0 * distance))
    border = weights[:, :MARGIN].sum(1, True), weights[:, -MARGIN:].sum(1, True)
    inner = weights[:, MARGIN:-MARGIN]
    return torch.cat((inner[:, :1] + border[0], inner[:, 1:-1], inner[:, -1:] + border[1]), dim=1)


def _initialise(module: nn.Module) -> None:
    if isinstance(module, nn.Linear):
        nn.init.trunc_normal_(module.weight, std=0.02)
        nn.init.zeros_(module.bias)
