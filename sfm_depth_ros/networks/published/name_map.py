# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Layout of published checkpoints: where each network lies, and the names of its tensors."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from sfm_depth_ros.config.networks import DepthNetworkConfig, PoseNetworkConfig

Config = DepthNetworkConfig | PoseNetworkConfig
State = Mapping[str, Tensor]
Size = tuple[int, int]  # (width, height) in pixels
NORMALISED_FOCAL = 0.58  # of the image's width: KITTI, as the self-supervised projects trained
SIZE = (640, 192)  # of their standard models
COUNTER = "num_batches_tracked"  # of batch norms; old files lack it and nothing reads it


@dataclass(frozen=True)
class NameMap:
    """Names of one published network's tensors."""

    # Our name by the published one, for every tensor of our network but `log_scale`
    ours: Mapping[str, str]
    # Published name by another that versions of the same code have written
    spellings: Mapping[str, str] = field(default_factory=dict)
    # Prefixes of further names that a file may hold: a classifier, an image size
    beyond: tuple[str, ...] = ()

    def missing(self, published: Iterable[str]) -> list[str]:
        """Published names that these lack; the counters of batch norms may be lacking."""
        there = {self.spellings.get(name, name) for name in published}
        return sorted(name for name in self.ours.keys() - there if not name.endswith(COUNTER))

    def unexpected(self, published: Iterable[str]) -> list[str]:
        """Those of these names that the network does not have."""
        return sorted(
            name
            for name in published
            if self.spellings.get(name, name) not in self.ours and not name.startswith(self.beyond)
        )

    def translated(self, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Tensors of the network by our names; what stands beyond is left out."""
        plain = {self.spellings.get(name, name): tensor for name, tensor in state.items()}
        return {self.ours[name]: tensor for name, tensor in plain.items() if name in self.ours}


def encoder_and_decoder(encoder: NameMap, decoder: NameMap, beyond: str) -> NameMap:
    """Names of a network whose two halves lie below ``encoder.`` and ``decoder.``.

    Args:
        encoder: Names of the first half.
        decoder: Names of the second.
        beyond: Prefix of further names of the encoder.
    """
    ours = {f"encoder.{name}": own for name, own in encoder.ours.items()}
    ours |= {f"decoder.{name}": own for name, own in decoder.ours.items()}
    return NameMap(ours, beyond=(f"encoder.{beyond}",))


def below(state: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """The tensors whose names begin with ``prefix``, by what follows it."""
    return {
        name.removeprefix(prefix): tensor
        for name, tensor in state.items()
        if name.startswith(prefix)
    }


@dataclass(frozen=True)
class PublishedNetwork:
    """Layout of one network in a project's checkpoints."""

    # Place of each part, with its map of names; the first part determines the architecture
    parts: tuple[tuple[str, Callable[[Any], NameMap]], ...]
    # The architecture of the first part's tensors and the images' size, None = unknown
    config: Callable[[State, Size], Config | None]
    hint: str  # A name by which people recognise the network in the file


@dataclass(frozen=True)
class PublishedFormat:
    """A project's checkpoints."""

    networks: Mapping[str, PublishedNetwork]  # Its `"depth"` and, where it has one, `"pose"`
    # Whether each part is a file of its own, named as the part, in one folder; else a part is a
    # prefix of the names in one file
    by_file: bool
    licence: str  # Goes into `model.json`
    # Another licence of some of its depth networks, by name
    licences: Mapping[str, str] = field(default_factory=dict)
    filter: str = "lanczos"  # How the project scales images down
    size: Size = SIZE  # Of the images where neither the checkpoint nor the user has one
    layout: Callable[[State], dict[str, Tensor]] = dict  # One layout of the names out of several
    # Whether the same tensors stand for several kinds of head, one of which the user must name
    has_heads: bool = False
    # Focal length in training as a share of the width, by the `max_depth` of a metric head
    metric_focals: Mapping[float, float] = field(default_factory=dict)


def sizeless(config: Callable[[State], Config | None]) -> Callable[[State, Size], Config | None]:
    """An architecture that the tensors alone determine."""
    return lambda state, size: config(state)


def own_names(create: Callable[[Any], nn.Module], config: Any) -> list[str]:
    """Names of our network's tensors; built without memory for their numbers."""
    with torch.device("meta"):
        network = create(config)
    return [name for name in network.state_dict() if name not in ("log_scale", "shift")]
