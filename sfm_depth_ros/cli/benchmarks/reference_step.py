# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The training step in straightforward composition: the reference of the benchmark.

Every scale and every source is treated by itself, as the equations are written: nothing is shared,
nothing has its derivative written out. The same networks, batch and optimiser give the same loss.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional

from sfm_depth_ros.config.schema import ObjectiveConfig
from sfm_depth_ros.networks.model import DepthNet, PoseNet
from sfm_depth_ros.networks.predictions import predict_depths, predict_motions
from sfm_depth_ros.snippets.batch import SnippetBatch


def reference_step(
    depth_net: DepthNet, pose_net: PoseNet, batch: SnippetBatch, config: ObjectiveConfig
) -> Tensor:
    """Total loss of one step, with its gradient."""
    depths = predict_depths(depth_net, batch.target, batch.K)
    earlier, later = batch.sources[:, 0], batch.sources[:, 1]
    motions = predict_motions(pose_net, earlier, batch.target, later, batch.K)
    return reference_objective(batch, depths, motions, config)


def reference_objective(
    batch: SnippetBatch, depths: Sequence[Tensor], motions: Tensor, config: ObjectiveConfig
) -> Tensor:
    """Photometric error, smoothness and velocity loss, scale by scale and source by source.

    Args:
        batch: Snippets.
        depths: Each ``(B, 1, h, w)`` metres, finest first.
        motions: ``(B, S, 4, 4)`` of ``T_source_target``.
        config: Weights and switches.
    """
    photometric, smoothness = [], []
    for scale, depth in enumerate(depths):
        inverse = 1.0 / depth.clamp(min=1e-6)
        full = functional.interpolate(
            inverse, batch.target.shape[-2:], mode="bilinear", align_corners=False
        )
        photometric.append(_photometric(batch, 1.0 / full, motions, config))
        image = functional.interpolate(batch.target, depth.shape[-2:], mode="area")
        smoothness.append(_smoothness(inverse, image) / 2**scale)
    velocity = (motions[..., :3, 3].norm(dim=-1) - batch.displacements).abs().mean()
    return (
        config.photometric_weight * sum(photometric) / len(depths)
        + config.smoothness_weight * sum(smoothness) / len(depths)
        + config.velocity_weight * velocity
    )


def _photometric(
    batch: SnippetBatch, depth: Tensor, motions: Tensor, config: ObjectiveConfig
) -> Tensor:
    errors, identities, target = [], [], batch.target.contiguous()
    for index in range(batch.sources.shape[1]):
        source = batch.sources[:, index].contiguous()
        warped, valid = _warp(source, depth, batch.K, motions[:, index])
        error = _dissimilarity(warped, target, config.ssim_weight)
        errors.append(torch.where(valid, error, torch.full_like(error, torch.inf)))
        identities.append(_dissimilarity(source, target, config.ssim_weight))
    if config.auto_mask:
        errors += identities
    error = torch.cat(errors, 1).amin(1, keepdim=True)
    used = error.isfinite()
    return torch.where(used, error, torch.zeros_like(error)).sum() / used.sum().clamp(min=1)


def _warp(source: Tensor, depth: Tensor, K: Tensor, T: Tensor) -> tuple[Tensor, Tensor]:
    """The source as seen from the target, and where that is inside of it."""
    batch, _, height, width = depth.shape
    v, u = torch.meshgrid(
        torch.arange(height, dtype=depth.dtype, device=depth.device),
        torch.arange(width, dtype=depth.dtype, device=depth.device),
        indexing="ij",
    )
    pixels = torch.stack((u, v, torch.ones_like(u))).flatten(1).expand(batch, -1, -1)
    points = torch.linalg.inv(K) @ pixels * depth.flatten(2)
    points = K @ (T[:, :3, :3] @ points + T[:, :3, 3:])
    z = points[:, 2:].clamp(min=1e-3)
    xy = points[:, :2] / z
    size = torch.tensor([width - 1, height - 1], dtype=depth.dtype, device=depth.device)
    grid = (2 * xy / size.view(1, 2, 1) - 1).view(batch, 2, height, width).permute(0, 2, 3, 1)
    warped = functional.grid_sample(source, grid, padding_mode="border", align_corners=True)
    inside = (grid.abs() <= 1).all(-1).unsqueeze(1) & (points[:, 2:] > 1e-3).view_as(depth)
    return warped, inside


def _dissimilarity(a: Tensor, b: Tensor, ssim_weight: float) -> Tensor:
    """SSIM + L1 per pixel, ``(B, 1, H, W)``."""
    padded_a, padded_b = (functional.pad(x, (1, 1, 1, 1), mode="reflect") for x in (a, b))
    mean_a, mean_b = functional.avg_pool2d(padded_a, 3, 1), functional.avg_pool2d(padded_b, 3, 1)
    var_a = functional.avg_pool2d(padded_a**2, 3, 1) - mean_a**2
    var_b = functional.avg_pool2d(padded_b**2, 3, 1) - mean_b**2
    covariance = functional.avg_pool2d(padded_a * padded_b, 3, 1) - mean_a * mean_b
    ssim = (2 * mean_a * mean_b + 1e-4) * (2 * covariance + 9e-4)
    ssim = ssim / ((mean_a**2 + mean_b**2 + 1e-4) * (var_a + var_b + 9e-4))
    structure = ((1 - ssim) / 2).clamp(0, 1).mean(1, keepdim=True)
    return ssim_weight * structure + (1 - ssim_weight) * (a - b).abs().mean(1, keepdim=True)


def _smoothness(inverse: Tensor, image: Tensor) -> Tensor:
    normalised = inverse / inverse.mean((2, 3), keepdim=True).clamp(min=1e-6)
    total = normalised.new_zeros(())
    for dim in (2, 3):
        weight = torch.exp(-image.diff(dim=dim).abs().mean(1, keepdim=True))
        total = total + (normalised.diff(dim=dim).abs() * weight).mean()
    return total
