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
from sfm_depth_ros.losses.context import ReprojectionContext
from sfm_depth_ros.losses.masked_mean import counted
from sfm_depth_ros.losses.occlusion import nearer_mask, principled_mask, splat_occlusion_mask
from sfm_depth_ros.losses.photometric import photometric_error


def photometric(context: ReprojectionContext) -> Tensor:
    """Photometric error of the target reconstructed from its sources, mean over scales."""
    identity_errors = _identity_errors(context) if context.config.auto_mask else None
    visible, agreement = visible_sources(context), _agreement(context)
    means = []
    for scale in range(len(context.depths)):
        errors, inside = source_errors(context.warped(scale), context)
        if visible is not None:
            inside = inside & visible
        weights = _weights(context, scale, agreement)
        means.append(_mean_error(context, errors, inside, identity_errors, weights))
    return torch.stack(means).mean()


def stereo(context: ReprojectionContext) -> Tensor | None:
    """Photometric error of the target reconstructed from the right image, mean over scales.

    After Monodepth (Godard et al., CVPR 2017). The right image is one more source of known motion:
    everything in it has a parallax, so no auto-mask is needed. A wide baseline occludes much; the
    masks that follow from depth and motion alone leave it out.
    """
    right, pair = context.observed.right, known_stereo(context)
    if right is None or pair is None:
        return None
    T, known = pair
    source = context.with_validity(right[:, None])
    visible, means = known[:, None, None, None], []
    for scale in range(len(context.depths)):
        warped = warp_sources(source, context.points(scale), context.observed.K, T)
        if scale == 0:
            for mask in _visible_in(warped, context):
                visible = visible & mask
        errors, inside = source_errors(warped, context)
        means.append(_mean_error(context, errors, inside & visible, None, None))
    return torch.stack(means).mean()


def known_stereo(context: ReprojectionContext) -> tuple[Tensor, Tensor] | None:
    """Motion to the right camera ``(B, 1, 4, 4)`` and where it is known ``(B,)``, or None."""
    T_right_target = context.observed.T_right_target
    if T_right_target is None:
        return None
    known = T_right_target.flatten(1).isfinite().all(dim=1)
    return T_right_target.masked_fill(~known[:, None, None], 0)[:, None], known


def inside_sources(warped: WarpResult, context: ReprojectionContext) -> Tensor:
    """Pixels ``(B, S, H, W)`` whose warp stayed inside the sources' valid pixels."""
    inside = warped.valid[:, :, 0]
    if context.valid is None:
        return inside
    return inside & (warped.image[:, :, 3].detach() > 1 - 1e-3)


def source_errors(warped: WarpResult, context: ReprojectionContext) -> tuple[Tensor, Tensor]:
    """Photometric errors ``(B, S, H, W)`` and where the warp stayed inside valid pixels."""
    image = warped.image if context.valid is None else warped.image[:, :, :3]
    return _dissimilarity(image, context), inside_sources(warped, context)


def _dissimilarity(images: Tensor, context: ReprojectionContext) -> Tensor:
    config = context.config
    return photometric_error(
        images,
        context.reference,
        config.ssim_weight,
        config.ssim_window,
        context.statistics,
        config.difference,
    )[:, :, 0]


@torch.no_grad()
def _identity_errors(context: ReprojectionContext) -> Tensor:
    return _dissimilarity(context.observed.sources, context)


def visible_sources(context: ReprojectionContext) -> Tensor | None:
    """Visibility of the target's points in the sources ``(B, S, H, W)``; None = all inside."""
    masks = _visible_in(context.warped(0), context)
    if context.config.occlusion_mask == "nearer" and context.sampled_depths is not None:
        masks.append(nearer_mask(context.warped(0), context.sampled_depths))
    return torch.stack(masks).all(0) if masks else None


def _visible_in(warped: WarpResult, context: ReprojectionContext) -> list[Tensor]:
    """Visibility by depth and motion alone, each ``(B, S, H, W)``."""
    config, masks = context.config, []
    if config.principled_mask:
        masks.append(principled_mask(warped, config.ssim_window))
    if config.occlusion_mask == "splat":
        masks.append(splat_occlusion_mask(warped))
    return masks


def _agreement(context: ReprojectionContext) -> Tensor | None:
    """Self-discovered mask (SC-SfMLearner): 1 - depth difference, ``(B, S, H, W)`` in [0, 1].

    Detached: otherwise disagreement would be rewarded.
    """
    if not context.config.self_discovered_mask or context.disagreement is None:
        return None
    return 1 - context.disagreement[0].detach()


def _weights(context: ReprojectionContext, scale: int, agreement: Tensor | None) -> Tensor | None:
    """Weight of each source ``(B, S, H, W)``; None = 1."""
    masks, target = context.predicted.explainability, context.observed.target
    flow = context.predicted.flow
    if flow is not None and flow.static is not None:
        static = flow.static[:, :, 0]
        agreement = static if agreement is None else agreement * static
    if masks is None:
        return agreement
    explained, size = masks[min(scale, len(masks) - 1)], (target.shape[-2], target.shape[-1])
    if explained.shape[-2:] != size:
        explained = functional.interpolate(explained, size, mode="bilinear", align_corners=False)
    return explained if agreement is None else explained * agreement


def _mean_error(
    context: ReprojectionContext,
    errors: Tensor,
    inside: Tensor,
    identity_errors: Tensor | None,
    weights: Tensor | None,
) -> Tensor:
    """Mean over the used pixels of the aggregated errors."""
    reduction = context.config.reduction
    error, used = reduce_sources(errors, inside, identity_errors, reduction, weights)
    if context.valid is not None:
        used = used & context.valid
        error = error * used
    return error.sum() / counted(used.sum())


# A source must beat the unwarped one by more than this to be used. Monodepth2 breaks ties
# by random noise of this size; a constant makes results repeatable and lets flat areas rest.
TIE_BREAK = 1e-5


def reduce_sources(
    errors: Tensor,
    valid: Tensor,
    identity_errors: Tensor | None,
    reduction: str,
    weights: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """Aggregate the errors of several sources: minimum reprojection and auto-mask, or the mean.

    A source is a candidate where its warp is valid. The unwarped sources are always candidates
    (auto-mask), so that what moves with the camera, or a standing camera, has no gradient. A pixel
    without any candidate is not used.

    Args:
        errors: ``(B, S, H, W)`` photometric errors of the warped sources.
        valid: ``(B, S, H, W)`` bool, whether the warp stayed inside the source.
        identity_errors: ``(B, S, H, W)`` errors of the unwarped sources (auto-mask), or None.
        reduction: ``"minimum"`` or ``"mean"`` over the valid sources.
        weights: ``(B, S, H, W)`` in [0, 1] of the sources, or None. They scale errors and do not
            take part in the minimum: a source must not win by a low weight.

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
    aggregate = _minimum if reduction == "minimum" else _mean
    error, weighted = aggregate(errors, valid, weights)
    if identity_errors is None:
        return weighted.masked_fill(~used, 0), used
    error = error.masked_fill(~used, torch.inf)
    over_sources = identity_errors.amin if reduction == "minimum" else identity_errors.mean
    unwarped = over_sources(1, keepdim=True)
    is_static = error + TIE_BREAK >= unwarped
    return torch.where(is_static, unwarped, weighted), torch.ones_like(used)


def _minimum(errors: Tensor, valid: Tensor, weights: Tensor | None) -> tuple[Tensor, Tensor]:
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
    """Explainability regulariser: cross entropy of the masks with one, mean of ``-log E``.

    Mean over pixels and sources, then over scales (Zhou et al., SfMLearner, CVPR 2017).

    Args:
        masks: Each ``(B, S, h, w)`` in (0, 1), finest first.

    Returns:
        Scalar; zero where every mask is one.
    """
    if not masks or any(mask.ndim != 4 for mask in masks):
        shapes = [tuple(mask.shape) for mask in masks]
        raise ValueError(f"expected explainability masks (B, S, h, w), got {shapes}")
    return torch.stack([-mask.clamp(min=_SMALLEST).log().mean() for mask in masks]).mean()
