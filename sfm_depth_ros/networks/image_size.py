# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Which image sizes a network can take, said before a tensor of the wrong shape says it worse."""

from __future__ import annotations

from torch import Tensor

from sfm_depth_ros.errors import DataError


def check_image_size(image: Tensor, multiple: int = 32, minimum: int = 32) -> None:
    """Refuse an image that the network's halvings do not divide.

    While a graph is traced or exported its sizes are symbols, and nothing is checked.

    Args:
        image: ``(B, C, H, W)``.
        multiple: What height and width must be multiples of.
        minimum: Smallest height and width.

    Raises:
        DataError: The size does not fit; the message names one that does.
    """
    height, width = image.shape[-2], image.shape[-1]
    if not isinstance(height, int) or not isinstance(width, int):
        return
    near = [max(minimum, round(side / multiple) * multiple) for side in (width, height)]
    if near != [width, height]:
        raise DataError(
            f"this network takes images of at least {minimum}x{minimum} whose sides "
            f"are multiples of {multiple}, got {width}x{height}; resize them to "
            f"{near[0]}x{near[1]}"
        )
