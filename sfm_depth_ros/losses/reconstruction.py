# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The target rebuilt from other images through depth and motion, and how unlike it is."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from sfm_depth_ros.geometry.warping import WarpResult, warp_sources
from sfm_depth_ros.losses.joining import reduce_sources
from sfm_depth_ros.losses.masked_mean import counted
from sfm_depth_ros.losses.occlusion import nearer_mask, principled_mask, splat_occlusion_mask
from sfm_depth_ros.losses.photometric import photometric_error
from sfm_depth_ros.losses.scene import Scene


def photometric(scene: Scene) -> Tensor:
    """Mean error over scales of the target rebuilt from its sources."""
    identity_errors = _identity_errors(scene) if scene.config.auto_mask else None
    visible, agreement = _visible(scene), _agreement(scene)
    means = []
    for scale in range(len(scene.depths)):
        errors, inside = _errors(scene.warped(scale), scene)
        if visible is not None:
            inside = inside & visible
        means.append(
            _mean_error(scene, errors, inside, identity_errors, _weights(scene, scale, agreement))
        )
    return torch.stack(means).mean()


def stereo(scene: Scene) -> Tensor | None:
    """Mean error over scales of the target rebuilt from the right image (Monodepth).

    The right image is one more source, whose motion is known: everything in it has a parallax, so
    that no auto-mask is needed. A wide baseline hides much, of which the masks that follow from
    depth and motion alone know.
    """
    right, T_right_target = scene.observed.right, scene.observed.T_right_target
    if right is None or T_right_target is None:
        return None
    known = T_right_target.flatten(1).isfinite().all(dim=1)  # (B,)
    T = T_right_target.masked_fill(~known[:, None, None], 0)[:, None]
    source = scene.with_validity(right[:, None])
    visible, means = known[:, None, None, None], []
    for scale in range(len(scene.depths)):
        warped = warp_sources(source, scene.points(scale), scene.observed.K, T)
        if scale == 0:
            for mask in _visible_in(warped, scene):
                visible = visible & mask
        errors, inside = _errors(warped, scene)
        means.append(_mean_error(scene, errors, inside & visible, None, None))
    return torch.stack(means).mean()


def _errors(warped: WarpResult, scene: Scene) -> tuple[Tensor, Tensor]:
    """Photometric errors ``(B, S, H, W)`` and where the warp stayed inside valid pixels."""
    image, inside = warped.image, warped.valid[:, :, 0]
    if scene.valid is not None:
        inside = inside & (image[:, :, 3].detach() > 1 - 1e-3)
        image = image[:, :, :3]
    return _unlikeness(image, scene), inside


def _unlikeness(images: Tensor, scene: Scene) -> Tensor:
    config = scene.config
    return photometric_error(
        images,
        scene.reference,
        config.ssim_weight,
        config.ssim_window,
        scene.statistics,
        config.difference,
    )[:, :, 0]


@torch.no_grad()
def _identity_errors(scene: Scene) -> Tensor:
    return _unlikeness(scene.observed.sources, scene)


def _visible(scene: Scene) -> Tensor | None:
    """Where the sources see the target's points ``(B, S, H, W)``; None = wherever inside."""
    masks = _visible_in(scene.warped(0), scene)
    if scene.config.occlusion_mask == "nearer" and scene.sampled_depths is not None:
        masks.append(nearer_mask(scene.warped(0), scene.sampled_depths))
    return torch.stack(masks).all(0) if masks else None


def _visible_in(warped: WarpResult, scene: Scene) -> list[Tensor]:
    """Where depth and motion alone say so, each ``(B, S, H, W)``."""
    config, masks = scene.config, []
    if config.principled_mask:
        masks.append(principled_mask(warped, config.ssim_window))
    if config.occlusion_mask == "splat":
        masks.append(splat_occlusion_mask(warped))
    return masks


def _agreement(scene: Scene) -> Tensor | None:
    """The self-discovered mask: how well depths agree, ``(B, S, H, W)`` in [0, 1].

    It weighs and is not learnt through, lest networks disagree where they cannot explain.
    """
    if not scene.config.self_discovered_mask or scene.disagreement is None:
        return None
    return 1 - scene.disagreement[0].detach()


def _weights(scene: Scene, scale: int, agreement: Tensor | None) -> Tensor | None:
    """How much each source is believed ``(B, S, H, W)``; None = fully."""
    masks, target = scene.predicted.explainability, scene.observed.target
    if masks is None:
        return agreement
    explained, size = masks[min(scale, len(masks) - 1)], (target.shape[-2], target.shape[-1])
    if explained.shape[-2:] != size:
        explained = functional.interpolate(explained, size, mode="bilinear", align_corners=False)
    return explained if agreement is None else explained * agreement


def _mean_error(
    scene: Scene,
    errors: Tensor,
    inside: Tensor,
    identity_errors: Tensor | None,
    weights: Tensor | None,
) -> Tensor:
    """Mean over the used pixels of the joined errors."""
    error, used = reduce_sources(errors, inside, identity_errors, scene.config.reduction, weights)
    if scene.valid is not None:
        used = used & scene.valid
        error = error * used
    return error.sum() / counted(used.sum())
