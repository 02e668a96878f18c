# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Reprojection error: the target reconstructed from other images through depth and motion.

The minimum over sources and the auto-mask are those of Monodepth2 (Godard et al., ICCV 2019),
whose authors (Niantic) state that a patent on them is pending: see to it before commercial use,
or choose ``reduction="mean"`` and ``auto_mask=False``.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional

from sfm_depth_ros.geometry.warping import WarpResult, warp_sources
from sfm_depth_ros.losses.context import Scene
from sfm_depth_ros.losses.masked_mean import counted
from sfm_depth_ros.losses.occlusion import nearer_mask, principled_mask, splat_occlusion_mask
from sfm_depth_ros.losses.photometric import photometric_error


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


# A source must beat the unwarped one by more than this to teach a pixel. Monodepth2 breaks ties
# by random noise of this size; a constant makes results repeatable and lets flat areas rest.
TIE_BREAK = 1e-5


def reduce_sources(
    errors: Tensor,
    valid: Tensor,
    identity_errors: Tensor | None,
    reduction: str,
    weights: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """Join the errors of several sources into one per pixel.

    A source is a candidate where its warp is valid; the unwarped sources are always candidates,
    so that what moves with the camera, or does not move at all, teaches nothing. A pixel without
    any candidate is not used.

    Args:
        errors: ``(B, S, H, W)`` photometric errors of the warped sources.
        valid: ``(B, S, H, W)`` bool, whether the warp stayed inside the source.
        identity_errors: ``(B, S, H, W)`` errors of the unwarped sources (auto-mask), or None.
        reduction: ``"minimum"`` or ``"mean"`` over the valid sources.
        weights: ``(B, S, H, W)`` in [0, 1], how much each source is believed, or None. They
            scale what a source says and have no say in which one is chosen: a source must not
            win by being doubted.

    Returns:
        Error per pixel ``(B, 1, H, W)``, zero where unused, and the used mask, bool, likewise.
    """
    if errors.shape != valid.shape or errors.ndim != 4:
        raise ValueError(
            f"expected errors and valid (B, S, H, W), got {tuple(errors.shape)} and "
            f"{tuple(valid.shape)}"
        )
    if reduction not in ("minimum", "mean"):
        raise ValueError(f"expected reduction minimum or mean, got {reduction!r}")
    used = valid.any(1, keepdim=True)
    join = _least if reduction == "minimum" else _mean
    joined, weighted = join(errors, valid, weights)
    if identity_errors is None:
        return weighted.masked_fill(~used, 0), used
    joined = joined.masked_fill(~used, torch.inf)
    unwarped = (
        identity_errors.amin(1, keepdim=True)
        if reduction == "minimum"
        else (identity_errors.mean(1, keepdim=True))
    )
    rest = joined + TIE_BREAK >= unwarped
    return torch.where(rest, unwarped, weighted), torch.ones_like(used)


def _least(errors: Tensor, valid: Tensor, weights: Tensor | None) -> tuple[Tensor, Tensor]:
    """The smallest error, plain and weighted."""
    candidates = errors.masked_fill(~valid, torch.inf)
    if weights is None:
        least = candidates.amin(1, keepdim=True)
        return least, least
    least, best = candidates.min(1, keepdim=True)
    return least, least.masked_fill(~valid.any(1, keepdim=True), 0) * weights.gather(1, best)


def _mean(errors: Tensor, valid: Tensor, weights: Tensor | None) -> tuple[Tensor, Tensor]:
    """The mean error of the valid sources, plain and weighted."""
    count = valid.sum(1, keepdim=True).clamp(min=1)
    errors = errors.masked_fill(~valid, 0)
    mean = errors.sum(1, keepdim=True) / count
    return mean, mean if weights is None else (errors * weights).sum(1, keepdim=True) / count


_SMALLEST = 1e-7  # keeps the logarithm finite where a sigmoid has underflown


def explainability_regulariser(masks: Sequence[Tensor]) -> Tensor:
    """Cross entropy with a mask of ones: explaining nothing must cost something.

    -log(mask), as Zhou et al. (CVPR 2017) have it with a constant label 1 at every pixel; mean
    over pixels and sources, then over scales.

    Args:
        masks: Each ``(B, S, h, w)`` in (0, 1), finest first.

    Returns:
        Scalar; zero where every mask is one.
    """
    if not masks or any(mask.ndim != 4 for mask in masks):
        shapes = [tuple(mask.shape) for mask in masks]
        raise ValueError(f"expected explainability masks (B, S, h, w), got {shapes}")
    return torch.stack([-mask.clamp(min=_SMALLEST).log().mean() for mask in masks]).mean()
