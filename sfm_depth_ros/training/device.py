# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Whether torch can compute where it is asked to."""

from __future__ import annotations

import torch

from sfm_depth_ros.errors import ConfigError


def require_device(name: str) -> torch.device:
    """The device of that name.

    Args:
        name: For example ``"cpu"`` or ``"cuda:0"``.

    Raises:
        ConfigError: There is no such device, or this torch was built without it.
    """
    try:
        device = torch.device(name)
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError) as error:
        reason = str(error).splitlines()[0]
        raise ConfigError(f"device {name!r} cannot be used ({reason}); choose cpu") from error
    return device
