# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The equation that the whole field stands on, in twenty lines: the recipe ``bare_sfm``.

Nothing trains with this module; it is here to be read. A test holds that the objective gives the
same number.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional


def bare_sfm_loss(
    target: Tensor, sources: Tensor, depth: Tensor, K: Tensor, T_source_target: Tensor
) -> Tensor:
    """Mean of | I_target(p) - I_s(project(K T_s D(p) K^-1 p)) | over pixels p and sources s.

    Args:
        target: ``(B, 3, H, W)`` image.
        sources: ``(B, S, 3, H, W)`` images.
        depth: ``(B, 1, H, W)`` of the target.
        K: ``(B, 3, 3)`` intrinsics in pixels.
        T_source_target: ``(B, S, 4, 4)``.
    """
    height, width = target.shape[-2:]
    v, u = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    p = torch.stack((u, v, torch.ones_like(u))).flatten(1).to(depth)  # (3, HW), homogeneous
    points = depth.flatten(2) * (torch.linalg.inv(K) @ p)  # D(p) K^-1 p, (B, 3, HW)
    differences, seen = [], []
    for source, T in zip(sources.unbind(1), T_source_target.unbind(1), strict=True):
        q = K @ (T[:, :3, :3] @ points + T[:, :3, 3:])  # K T D(p) K^-1 p
        pixels = q[:, :2] / q[:, 2:]
        grid = 2 * pixels / pixels.new_tensor([[width - 1], [height - 1]]) - 1  # -1 to 1
        grid = grid.unflatten(2, (height, width)).permute(0, 2, 3, 1)
        rebuilt = functional.grid_sample(source, grid, align_corners=True)
        differences.append((target - rebuilt).abs().mean(1))
        seen.append((grid.abs() <= 1).all(3) & (q[:, 2] > 0).view_as(differences[-1]))
    shown = torch.stack(seen).to(depth)  # a pixel counts where a source sees it
    of_pixels = (torch.stack(differences) * shown).sum(0) / shown.sum(0).clamp(min=1)
    return of_pixels.sum() / shown.amax(0).sum().clamp(min=1)
