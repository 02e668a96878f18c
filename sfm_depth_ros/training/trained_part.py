# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The part of the depth network that learns, and the pull of its weights towards the first ones.

On a robot a large network has neither the data nor the memory to learn as a whole: its decoder,
a few low-rank adapters or its normalisation suffice, and forget less. The pose network always
learns.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from sfm_depth_ros.errors import ConfigError
from sfm_depth_ros.networks.adapters import add_adapters
from sfm_depth_ros.training.network_pair import NetworkPair, keep_statistics

_NORMS = (nn.BatchNorm2d, nn.GroupNorm, nn.LayerNorm)


def choose_trained(networks: NetworkPair, part: str) -> None:
    """Freeze everything in the depth network but a part; scales and shifts always learn.

    A batch norm whose network is frozen in part keeps its statistics: they belong to the weights.

    Args:
        networks: Changed in place.
        part: ``"all"``; ``"decoder"``: all but the encoder; ``"auto"``: the decoder behind an
            encoder with published weights, else all; ``"adapters"``: low-rank additions to linear
            layers and convolutions; ``"normalisation"``: gains and offsets of norms.

    Raises:
        ConfigError: The network has no encoder of its own, or no norms.
    """
    depth = networks.depth
    if part == "auto":
        part = "decoder" if depth.config.has_published_encoder else "all"
    if part == "all":
        return
    if part == "decoder":
        _freeze_encoder(depth)
    elif part == "adapters":
        add_adapters(depth)
    elif part == "normalisation":
        _freeze_all_but_norms(depth)
    else:
        raise ValueError(
            f"part: expected auto, all, decoder, adapters or normalisation, got {part!r}"
        )
    keep_statistics(depth)


def _freeze_encoder(depth: nn.Module) -> None:
    encoder = getattr(depth, "encoder", None)
    if encoder is None:
        raise ConfigError(
            "trained_part: decoder needs a depth network with an encoder of its own; choose "
            "adapters, normalisation or all"
        )
    encoder.requires_grad_(False)


def _freeze_all_but_norms(depth: nn.Module) -> None:
    for parameter in depth.parameters():
        parameter.requires_grad_(parameter.ndim == 0)
    norms = [module for module in depth.modules() if isinstance(module, _NORMS)]
    if not norms:
        raise ConfigError(
            "trained_part: normalisation needs a depth network with norms; choose adapters, "
            "decoder or all"
        )
    for norm in norms:
        norm.requires_grad_(True)


class WeightAnchor:
    """Pulls learnt weights towards those that training began with, as weight decay does to zero.

    Decoupled from the gradient, like AdamW's decay (L2-SP: Li et al., "Explicit Inductive Bias for
    Transfer Learning with Convolutional Networks", ICML 2018). Metric scales and shifts are free:
    the odometer teaches them.

    Args:
        networks: What learns; its weights now are the anchor.
        strength: Share of the distance that a step of rate 1 takes back; 0 = no anchor.
    """

    def __init__(self, networks: nn.Module, strength: float) -> None:
        learnt = [p for p in networks.parameters() if p.requires_grad and p.ndim > 0]
        self._learnt: list[Tensor] = [*learnt] if strength > 0 else []
        self._anchor: list[Tensor] = [p.detach().clone() for p in self._learnt]
        self._strength = strength

    @torch.no_grad()
    def pull(self, rate: float) -> None:
        """Move back a little, after a step of this learning rate."""
        if self._learnt:
            torch._foreach_lerp_(self._learnt, self._anchor, min(rate * self._strength, 1.0))
