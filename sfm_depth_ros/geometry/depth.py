# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Depth of a sigmoid, of inverse depth, and of a camera of another focal length (the focal rule).

The focal rule: an image alone does not distinguish a near scene through a short lens from a far
one through a long lens. So the networks predict as if every image came from one reference camera,
and two functions convert the prediction to the real one: stretching the world along the optical
axis by ``f / f_ref`` leaves the image as it is. Plain arithmetic: arrays and tensors alike.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor


def disparity_to_depth(disparity: Tensor, min_depth: float, max_depth: float) -> Tensor:
    """Depth in metres of a sigmoid output in [0, 1]: 0 is ``max_depth``, 1 is ``min_depth``.

    Inverse depth is linear in disparity (Monodepth2). Tensors of any shape.
    """
    _check_range(min_depth, max_depth)
    far, near = 1.0 / max_depth, 1.0 / min_depth
    return 1.0 / (far + (near - far) * disparity)


def inverse_depth(depth: Tensor, smallest: float = 1e-6) -> Tensor:
    """1 / depth in 1/m, any shape; depths below ``smallest`` metres count as ``smallest``."""
    return 1.0 / depth.clamp(min=smallest)


def _check_range(min_depth: float, max_depth: float) -> None:
    if not 0.0 < min_depth < max_depth:
        raise ValueError(f"expected 0 < min_depth < max_depth, got {min_depth}, {max_depth}")


def canonical_to_depth(canonical_depth: Any, focal: Any, reference_focal: float) -> Any:
    """Depth of the real camera.

    Args:
        canonical_depth: Network output, metres at the reference focal length, any shape.
        focal: The image's horizontal focal length in pixels, a number or broadcastable.
        reference_focal: Reference focal length in pixels.

    Returns:
        Depth in metres, the shape of ``canonical_depth``.
    """
    return canonical_depth * (focal / reference_focal)


def motion_focal_factors(focal: Any, reference_focal: float) -> tuple[Any, Any]:
    """Factors of (forward translation, pitch and yaw) from the reference to the real camera.

    The stretch of the world moves the forward translation with it, and the same flow of pixels is
    a smaller pitch or yaw under a longer lens; sideways translation and roll stay.
    """
    return focal / reference_focal, reference_focal / focal


def canonical_to_motion(motion: Any, focal: Any, reference_focal: float) -> Any:
    """Camera motion of the real camera.

    Args:
        motion: ``(B, 6)`` array or tensor [tx ty tz rx ry rz], metres and radians at the
            reference focal length.
        focal: ``(B,)`` or a number, the image's horizontal focal length in pixels.
        reference_focal: Reference focal length in pixels.

    Returns:
        ``(B, 6)``, a new array or tensor of the same kind.
    """
    forward, rotation = motion_focal_factors(focal, reference_focal)
    factors = motion * 0 + 1
    factors[..., 2] = factors[..., 2] * forward
    factors[..., 3] = factors[..., 3] * rotation
    factors[..., 4] = factors[..., 4] * rotation
    return motion * factors
