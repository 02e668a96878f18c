# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The focal rule: what the networks say at their reference focal length, in a real camera's terms.

An image alone does not tell a near scene through a short lens from a far one through a long lens.
So the networks answer as if every image came from one reference camera, and these two functions
bring the answer to the real one: stretching the world along the optical axis by ``f / f_ref``
leaves the image as it is. Plain arithmetic: arrays and tensors alike.
"""

from __future__ import annotations

from typing import Any


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
    forward, turn = motion_focal_factors(focal, reference_focal)
    factors = motion * 0 + 1
    factors[..., 2] = factors[..., 2] * forward
    factors[..., 3] = factors[..., 3] * turn
    factors[..., 4] = factors[..., 4] * turn
    return motion * factors
