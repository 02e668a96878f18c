# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The networks and their shapes."""

from __future__ import annotations

from dataclasses import dataclass

from sfm_depth_ros.config.option import check_options, option
from sfm_depth_ros.errors import ConfigError


@dataclass(frozen=True)
class DepthNetworkConfig:
    """Shape of a depth network; written into every model folder."""

    name: str = option("small", "depth network", choices=("small",))
    width: int = option(16, "channels of the first stage; later stages are multiples of it",
                        minimum=8, maximum=64)
    min_depth: float = option(0.1, "nearest depth the network can say, metres at the reference "
                              "focal length", minimum=0.01, maximum=10.0)
    max_depth: float = option(120.0, "farthest depth the network can say, metres at the "
                              "reference focal length", minimum=1.0, maximum=1000.0)
    reference_focal: float = option(200.0, "focal length in pixels of the network's image at "
                                    "which its output is metres", minimum=10.0, maximum=5000.0)

    def __post_init__(self) -> None:
        check_options(self)
        if self.min_depth >= self.max_depth:
            raise ConfigError(
                f"expected min_depth < max_depth, got {self.min_depth} >= {self.max_depth}"
            )


@dataclass(frozen=True)
class PoseNetworkConfig:
    """Shape of a pose network; written into every model folder."""

    name: str = option("small", "pose network", choices=("small",))
    width: int = option(16, "channels of the first stage", minimum=8, maximum=64)
    reference_focal: float = option(200.0, "focal length in pixels at which the output is "
                                    "metres and radians", minimum=10.0, maximum=5000.0)

    def __post_init__(self) -> None:
        check_options(self)
