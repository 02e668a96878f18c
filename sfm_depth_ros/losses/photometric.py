# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""How unlike two images are, pixel by pixel, and how several sources are joined.

Structural dissimilarity and L1 have their derivative written out: one backward pass serves the
whole error, which the objective would otherwise spend most of its time in.

The minimum over sources and the auto-mask are those of Monodepth2 (Godard et al., ICCV 2019),
whose authors (Niantic) state that a patent on them is pending: see to it before commercial use,
or choose ``reduction="mean"`` and ``auto_mask=False``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from sfm_depth_ros.losses.window import box_mean, box_mean_adjoint

# Wang et al. 2004 for images in [0, 1]; both published objectives use these.
C1, C2 = 0.01**2, 0.03**2

# A source must beat the unwarped one by more than this to teach a pixel. Monodepth2 breaks ties
# by random noise of this size; a constant makes results repeatable and lets flat areas rest.
TIE_BREAK = 1e-5


@dataclass(frozen=True)
class WindowStatistics:
    """Means over the windows around each pixel, shared by all that an image is compared with.

    Attributes:
        mean: Like the image, ``(..., C, H, W)``.
        mean_square: Mean of the square, the same shape.
    """

    mean: Tensor
    mean_square: Tensor


@torch.no_grad()
def window_statistics(image: Tensor, window: int = 3) -> WindowStatistics:
    """Statistics of an image ``(..., C, H, W)`` for ``photometric_error``."""
    return WindowStatistics(box_mean(image, window), box_mean(image * image, window))


def ssim(a: Tensor, b: Tensor, window: int = 3) -> Tensor:
    """Structural dissimilarity clamp((1 - SSIM) / 2, 0, 1), averaged over channels.

    Args:
        a: ``(B, C, H, W)`` image in [0, 1].
        b: ``(B, C, H, W)`` image in [0, 1].
        window: Odd side of the averaging window in pixels; the border is reflected.

    Returns:
        ``(B, 1, H, W)``.
    """
    return photometric_error(a, b, ssim_weight=1.0, window=window)


def photometric_error(
    image: Tensor,
    reference: Tensor,
    ssim_weight: float,
    window: int = 3,
    statistics: WindowStatistics | None = None,
) -> Tensor:
    """Share of structural dissimilarity plus the rest of absolute difference.

    Args:
        image: ``(..., C, H, W)`` image in [0, 1].
        reference: Image that broadcasts to it.
        ssim_weight: Share of the structural part in [0, 1].
        window: Odd side of the averaging window in pixels.
        statistics: ``window_statistics(reference)`` where they are at hand.

    Returns:
        ``(..., 1, H, W)``, mean over channels.
    """
    _check(image, reference, window)
    statistics = statistics or window_statistics(reference, window)
    error: Tensor = _PhotometricError.apply(
        image, reference, statistics.mean, statistics.mean_square, ssim_weight, window
    )
    return error


def reduce_sources(
    errors: Tensor, valid: Tensor, identity_errors: Tensor | None, reduction: str
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
    if reduction == "minimum":
        joined = errors.masked_fill(~valid, torch.inf).amin(1, keepdim=True)
    else:
        count = valid.sum(1, keepdim=True).clamp(min=1)
        joined = errors.masked_fill(~valid, 0).sum(1, keepdim=True) / count
        joined = joined.masked_fill(~used, torch.inf)
    if identity_errors is None:
        return joined.masked_fill(~used, 0), used
    unwarped = identity_errors.amin(1, keepdim=True) if reduction == "minimum" else (
        identity_errors.mean(1, keepdim=True))
    rest = joined + TIE_BREAK >= unwarped
    return torch.where(rest, unwarped, joined), torch.ones_like(used)


class _PhotometricError(torch.autograd.Function):
    """SSIM + L1 with the chain rule applied by hand (checked against finite differences)."""

    @staticmethod
    def forward(
        ctx: Any,
        a: Tensor,
        b: Tensor,
        mean_b: Tensor,
        square_b: Tensor,
        ssim_weight: float,
        window: int,
    ) -> Tensor:
        mean_a = box_mean(a, window)
        cross = box_mean(a * b, window)
        mean_product = mean_a * mean_b
        squares = mean_a * mean_a + mean_b * mean_b
        n1 = (2 * mean_product).add_(C1)
        n2 = cross.sub_(mean_product).mul_(2).add_(C2)
        d2 = box_mean(a * a, window).add_(square_b).sub_(squares).add_(C2)
        d1 = squares.add_(C1)
        inverse = (d1 * d2).reciprocal_()
        similarity = n1 * n2 * inverse
        if any(ctx.needs_input_grad[:2]):
            ctx.save_for_backward(a, b, mean_a, mean_b, n1, n2, d1, d2, inverse, similarity)
        ctx.weights, ctx.window = (ssim_weight, 1.0 - ssim_weight), window
        dissimilarity = (0.5 - 0.5 * similarity).clamp_(0.0, 1.0).mean(-3, keepdim=True)
        return dissimilarity.mul_(ssim_weight) + (a - b).abs_().mean(-3, keepdim=True).mul_(
            1.0 - ssim_weight
        )

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        a, b, mean_a, mean_b, n1, n2, d1, d2, inverse, similarity = ctx.saved_tensors
        ssim_weight, l1_weight = ctx.weights
        channels = a.shape[-3]
        upstream = gradient * (-0.5 * ssim_weight / channels)  # clamp never binds but by rounding
        # Derivatives of SSIM by the window means of a^2 (or b^2), of a b, and of a (or b).
        by_square = similarity.div(d2).neg_()
        by_cross = (n1 * inverse).mul_(2)
        other = (n2 - n1).mul_(inverse).mul_(2)
        own = (similarity / d1).add_(by_square).mul_(-2)
        back_square = box_mean_adjoint(by_square.mul_(upstream), ctx.window).mul_(2)
        back_cross = box_mean_adjoint(by_cross.mul_(upstream), ctx.window)
        back_l1 = (a - b).sign_().mul_(gradient * (l1_weight / channels))

        def back(x: Tensor, y: Tensor, mean_x: Tensor, mean_y: Tensor) -> Tensor:
            by_mean = (other * mean_y).addcmul_(own, mean_x).mul_(upstream)
            total = box_mean_adjoint(by_mean, ctx.window)
            return total.addcmul_(back_square, x).addcmul_(back_cross, y)

        grad_a = grad_b = None
        if ctx.needs_input_grad[0]:
            grad_a = back(a, b, mean_a, mean_b).add_(back_l1).sum_to_size(a.shape)
        if ctx.needs_input_grad[1]:
            grad_b = back(b, a, mean_b, mean_a).sub_(back_l1).sum_to_size(b.shape)
        return grad_a, grad_b, None, None, None, None


def _check(image: Tensor, reference: Tensor, window: int) -> None:
    if image.ndim < 4 or image.shape[-3:] != reference.shape[-3:]:
        raise ValueError(
            f"expected two images (..., C, H, W), got {tuple(image.shape)} and "
            f"{tuple(reference.shape)}"
        )
    if window < 1 or window % 2 == 0 or min(image.shape[-2:]) <= window // 2:
        raise ValueError(f"expected an odd window that fits the image, got {window}")
