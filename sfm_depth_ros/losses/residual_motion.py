# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Residual motion: regularisers of the field, its cycle, one translation for each instance.

After Gordon et al., ICCV 2019 (Depth from Videos in the Wild: the field and its cycle), Li et al.,
CoRL 2020 (no masks needed: sparsity and smoothness) and Casser et al., AAAI 2019 (instances).
"""

from __future__ import annotations

import torch
from torch import Tensor

# Squares below these count as no motion, so that ratios of rounding errors have no gradient.
STILL_SQUARE = 1e-8  # metres squared: a tenth of a millimetre
UNROTATED_SQUARE = 1e-12  # radians squared


def residual_sparsity(field: Tensor) -> Tensor:
    """Sparsity of the field: mean of 2 m sqrt(1 + |f| / m), m the mean of |f| over the image.

    Component by component, m detached: L1 for what is small beside m, a square root, which is
    lenient, for what is large (the L1/2 regulariser of Li et al., CoRL 2020).

    Args:
        field: ``(B, S, 3, H, W)`` residual translations in metres.

    Returns:
        Scalar in metres; zero where nothing moves.
    """
    _check(field)
    size = field.abs()
    mean = size.mean((-2, -1), keepdim=True).detach()
    # 2 m sqrt(1 + |f| / m) = 2 sqrt(m (m + |f|)), which has no quotient to guard.
    product = (size + mean) * mean
    return 2 * product.clamp(min=torch.finfo(field.dtype).tiny).sqrt().mean()


def residual_smoothness(field: Tensor, wrap_around: bool = True) -> Tensor:
    """Smoothness of the field: mean of sqrt(f_x^2 + f_y^2), so that things move as wholes.

    Component by component (group smoothness of Li et al., CoRL 2020).

    Args:
        field: ``(B, S, 3, H, W)`` residual translations in metres.
        wrap_around: Whether opposite borders are neighbours, as published: a field that grows
            across the image, as a rotation of the camera does, then costs at the border.

    Returns:
        Scalar in metres per pixel.
    """
    _check(field)
    if wrap_around:
        along_x, along_y = field - field.roll(1, -1), field - field.roll(1, -2)
    else:
        along_x, along_y = field.diff(dim=-1)[..., 1:, :], field.diff(dim=-2)[..., 1:]
    square = along_x.square() + along_y.square()
    # The root has no derivative at zero; what is rounded off there has none.
    still = square < STILL_SQUARE**2
    length = square.masked_fill(still, 1).sqrt().masked_fill(still, 0)
    return length.sum() / max(length.numel(), 1)


def motion_cycle(
    T_source_target: Tensor,
    field: Tensor | None,
    T_target_source: Tensor,
    field_reverse: Tensor | None,
    valid: Tensor,
) -> tuple[Tensor, Tensor]:
    """Forward-backward motion consistency, both directions predicted independently.

    With R, t of the target's points in the source (t = camera's translation + residual) and R', t'
    of the inverse: |R' R - I|^2 / (|R - I|^2 + |R' - I|^2) and |R' t + t'|^2 / (|t|^2 + |t'|^2).
    Relative, else the cheapest cycle would be no motion (Gordon et al., ICCV 2019).

    Args:
        T_source_target: ``(B, S, 4, 4)``.
        field: ``(B, S, 3, H, W)`` metres in the source frame at the target's pixels, or None = 0.
        T_target_source: ``(B, S, 4, 4)``, predicted by its own pass.
        field_reverse: ``(B, S, 3, H, W)`` metres in the target frame, sampled from the source's
            pixels where the target's points fall (``sample_sources`` at the detached grid), or
            None = 0.
        valid: ``(B, S, H, W)`` bool or weights: which pixels count for the translation.

    Returns:
        Rotation error, mean over motions, and translation error, mean over pixels times their
        ``valid``; both scalars without unit.
    """
    if (
        T_source_target.shape != T_target_source.shape
        or valid.ndim != 4
        or (T_source_target.shape != (*valid.shape[:2], 4, 4))
    ):
        raise ValueError(
            "expected T_source_target and T_target_source (B, S, 4, 4) and valid (B, S, H, W), "
            f"got {tuple(T_source_target.shape)}, {tuple(T_target_source.shape)} and "
            f"{tuple(valid.shape)}"
        )
    there, back = T_source_target[..., :3, :3], T_target_source[..., :3, :3]
    t = _translation(T_source_target, field, valid)
    t_back = _translation(T_target_source, field_reverse, valid)
    returned = (back @ t.flatten(3)).view_as(t) + t_back
    translation = _square(returned, 2) / (_square(t, 2) + _square(t_back, 2) + STILL_SQUARE)
    eye = torch.eye(3, dtype=there.dtype, device=there.device)
    rotations = _square(there - eye, (-2, -1)) + _square(back - eye, (-2, -1))
    rotation = _square(back @ there - eye, (-2, -1)) / (rotations + UNROTATED_SQUARE)
    return rotation.mean(), (translation * valid).mean()


def _translation(T: Tensor, field: Tensor | None, valid: Tensor) -> Tensor:
    """Translation of each pixel's point, ``(B, S, 3, H, W)``, or ``(B, S, 3, 1, 1)`` of all."""
    of_camera = T[..., :3, 3, None, None]
    if field is None:
        return of_camera
    if field.shape != (*valid.shape[:2], 3, *valid.shape[2:]):
        raise ValueError(
            f"expected a field {(*valid.shape[:2], 3, *valid.shape[2:])}, got {tuple(field.shape)}"
        )
    return of_camera + field


def _square(x: Tensor, dim: int | tuple[int, ...]) -> Tensor:
    return x.square().sum(dim)


def _check(field: Tensor) -> None:
    if field.ndim != 5 or field.shape[2] != 3:
        raise ValueError(f"expected a field (B, S, 3, H, W), got {tuple(field.shape)}")


def motion_of_instances(field: Tensor, instances: Tensor) -> Tensor:
    """One translation per instance: the mean of the field over its pixels; zero where static.

    struct2depth (Casser et al., AAAI 2019) predicts one rigid motion for every instance of a mask;
    between two images of a drive things hardly rotate, so a translation is enough.

    Args:
        field: ``(B, S, 3, H, W)`` metres.
        instances: ``(B, H, W)`` numbers of the things that are seen, 0 = static.

    Returns:
        ``(B, S, 3, H, W)``.
    """
    if instances.shape != (field.shape[0], *field.shape[-2:]):
        raise ValueError(
            f"expected instances {(field.shape[0], *field.shape[-2:])}, "
            f"got {tuple(instances.shape)}"
        )
    numbers = instances.long().flatten(1)[:, None]  # (B, 1, HW)
    flat = field.flatten(1, 2).flatten(2)  # (B, 3 S, HW)
    count = int(numbers.max()) + 1
    sizes = field.new_zeros(len(field), 1, count).scatter_add_(
        2, numbers, torch.ones_like(flat[:, :1])
    )
    sums = field.new_zeros(*flat.shape[:2], count).scatter_add(2, numbers.expand_as(flat), flat)
    means = sums / sizes.clamp(min=1)
    static = torch.arange(count, device=field.device) == 0
    return means.masked_fill(static, 0).gather(2, numbers.expand_as(flat)).view_as(field)
