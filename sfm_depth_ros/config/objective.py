# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What training minimises."""

from __future__ import annotations

from dataclasses import dataclass

from sfm_depth_ros.config.option import check_options, option


@dataclass(frozen=True)
class ObjectiveConfig:
    """Weights and switches of the self-supervised objective (PackNet-SfM, Monodepth2)."""

    ssim_weight: float = option(0.85, "share of SSIM in the photometric error, the rest is L1",
                                minimum=0.0, maximum=1.0)
    photometric_weight: float = option(1.0, "weight of the photometric error",
                                       minimum=0.0, maximum=100.0, dynamic=True)
    smoothness_weight: float = option(1e-3, "weight of the edge-aware smoothness, halved at "
                                      "each coarser scale", minimum=0.0, maximum=10.0,
                                      dynamic=True)
    velocity_weight: float = option(0.3, "weight of the velocity loss",
                                    minimum=0.0, maximum=100.0, dynamic=True)
    auto_mask: bool = option(True, "leave out pixels that the unwarped source explains better")
    reduction: str = option("minimum", "how sources are joined per pixel",
                            choices=("minimum", "mean"))
    supervised_weight: float = option(1.0, "weight of exact depth and motion where a batch has "
                                      "them (rendered worlds)", minimum=0.0, maximum=100.0,
                                      dynamic=True)

    def __post_init__(self) -> None:
        check_options(self)
