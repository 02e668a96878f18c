# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Published checkpoints to our networks: architecture by names, every tensor accounted for."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from sfm_depth_ros.config.networks import INVERSE_AFFINE, METRIC, DepthNetworkConfig
from sfm_depth_ros.errors import ConfigError, ModelError
from sfm_depth_ros.networks.model import create_depth_network, create_pose_network
from sfm_depth_ros.networks.published.checkpoint_files import (
    FORMATS,
    Files,
    read_files,
    some_of,
    tensor_names,
    tensors_of,
    written_size,
)
from sfm_depth_ros.networks.published.name_map import (
    NORMALISED_FOCAL,
    Config,
    PublishedFormat,
    PublishedNetwork,
    below,
)

UNITS = ("log_scale", "shift")  # which begin at 0: no checkpoint has them

_logger = logging.getLogger(__name__)
_CREATE: dict[str, Callable[[Any], nn.Module]] = {
    "depth": create_depth_network,
    "pose": create_pose_network,
}


@dataclass(frozen=True)
class ImportedNetworks:
    """Networks with published weights, in eval mode."""

    depth: nn.Module  # Depth network
    pose: nn.Module | None  # Pose network, None where the checkpoints hold none
    size: tuple[int, int]  # (width, height) in pixels of the images that they were trained on
    has_stereo_unit: bool = False  # Whether a stereo pair set the unit (Monodepth2)


@dataclass(frozen=True)
class ImportOptions:
    """Facts that a checkpoint does not hold, as far as the user knows them."""

    size: tuple[int, int] | None = None  # (width, height) of the images in training
    reference_focal: float | None = None  # Focal length in pixels at that size
    head: str | None = None  # Kind of the head where the tensors do not determine it
    max_depth: float | None = None  # Metres at the largest output of a metric head


def import_networks(
    paths: Sequence[Path], format_name: str, given: ImportOptions = ImportOptions()
) -> ImportedNetworks:
    """Read published checkpoints.

    Args:
        paths: Files, or one folder of files.
        format_name: A key of ``FORMATS``.
        given: What the user adds; None = size of the checkpoint, else the project's standard;
            focal length of the project's training data.

    Raises:
        ModelError: A file is damaged, of another project or architecture, or partial.
        ConfigError: The kind of head is not given, or none is to choose.
    """
    layout, files = FORMATS[format_name], read_files(paths)
    _check_head(layout, format_name, given)
    size = given.size or written_size(files) or layout.size
    focal = given.reference_focal or _focal(layout, given) * size[0]
    changes: dict[str, dict[str, Any]] = {"depth": {"reference_focal": focal}}
    changes["pose"] = dict(changes["depth"])
    if layout.has_heads:
        changes["depth"]["head"] = given.head
        changes["depth"]["max_depth"] = given.max_depth or DepthNetworkConfig().max_depth
    networks = {
        kind: _import_network(kind, network, layout, files, size, changes[kind])
        for kind, network in layout.networks.items()
    }
    depth = networks["depth"]
    if depth is None:
        expected = layout.networks["depth"]
        raise ModelError(
            f"{', '.join(files)}: no depth network of {format_name} that is known here, expected "
            f"{expected.hint}{_places(expected, layout)}; found {some_of(tensor_names(files))}; "
            "give another checkpoint or another --format"
        )
    has_stereo_unit = any(content.get("use_stereo") is True for content in files.values())
    return ImportedNetworks(depth, networks.get("pose"), size, has_stereo_unit)


def _check_head(layout: PublishedFormat, format_name: str, given: ImportOptions) -> None:
    if not layout.has_heads:
        if given.head is not None or given.max_depth is not None:
            raise ConfigError(f"{format_name} has one kind of head; leave --head and --max-depth")
    elif given.head not in (METRIC, INVERSE_AFFINE):
        raise ConfigError(
            f"the tensors do not determine the kind of head, got {given.head}: give --head "
            f"{INVERSE_AFFINE} for a relative checkpoint, or --head {METRIC} with --max-depth 80 "
            "(outdoors, vkitti) or 20 (indoors, hypersim)"
        )
    elif (given.head == METRIC) != (given.max_depth is not None):
        raise ConfigError(
            f"--max-depth: {'expected with' if given.head == METRIC else 'not for'} --head "
            f"{given.head}; it is in the name of a metric checkpoint: 80 (vkitti), 20 (hypersim)"
        )


def _focal(layout: PublishedFormat, given: ImportOptions) -> float:
    """Focal length of the training data as a share of the image's width."""
    return layout.metric_focals.get(given.max_depth or 0.0, NORMALISED_FOCAL)


def _import_network(
    kind: str,
    network: PublishedNetwork,
    layout: PublishedFormat,
    files: Files,
    size: tuple[int, int],
    changes: Mapping[str, Any],
) -> nn.Module | None:
    """The network with its weights, None where no file has the first part of it."""
    parts = [(place, _part(place, layout, files), names) for place, names in network.parts]
    config = network.config(parts[0][1], size)
    if config is None:
        if kind == "pose" and any(state for _, state, _ in parts):
            raise ModelError(
                f"{', '.join(files)}: the pose network is none that is known here, "
                f"expected {network.hint}; found "
                f"{some_of(name for _, state, _ in parts for name in state)}"
            )
        return None
    config = replace(config, **changes)
    ours = _our_state(config, kind, parts)
    with torch.device("meta"):
        built = _CREATE[kind](config)
    units = {name: torch.zeros(()) for name in UNITS if name in built.state_dict()}
    built.load_state_dict({**ours, **units}, assign=True)
    _logger.info("%s network: %s", kind, config)
    return built.float().eval()


def _part(place: str, layout: PublishedFormat, files: Files) -> dict[str, Tensor]:
    """Tensors of one part by their names in it."""
    if layout.by_file:
        return tensors_of(files.get(place, {}))
    found: dict[str, Tensor] = {}
    for stem, content in files.items():
        more = below(layout.layout(tensors_of(content)), place)
        if more and found:
            raise ModelError(
                f"{stem}: a second file holds names under {place}; give each network once"
            )
        found |= more
    return found


def _our_state(
    config: Config,
    kind: str,
    parts: Sequence[tuple[str, dict[str, Tensor], Callable[[Any], Any]]],
) -> dict[str, Tensor]:
    """Weights by our names, checked to be complete, without others, and of the right shapes."""
    with torch.device("meta"):
        own = _CREATE[kind](config).state_dict()
    ours: dict[str, Tensor] = {}
    missing, unexpected, reshaped = [], [], []
    for place, state, names_of in parts:
        names, join = names_of(config), ": " if place and not place.endswith(".") else ""
        missing += [f"{place}{join}{name}" for name in names.missing(state)]
        unexpected += [f"{place}{join}{name}" for name in names.unexpected(state)]
        translated = names.translated(state)
        reshaped += [
            f"{place}{join}{name}"
            for name, our_name in names.ours.items()
            if our_name in translated and translated[our_name].shape != own[our_name].shape
        ]
        ours |= translated
    if missing or unexpected or reshaped:
        raise ModelError(
            f"the {kind} network was taken for {config.name}, but the weights do not fit: missing "
            f"{some_of(missing)}; unexpected {some_of(unexpected)}; of another shape "
            f"{some_of(reshaped)}; the checkpoint is partial or of another architecture"
        )
    counters = {
        name: torch.zeros((), dtype=torch.int64)
        for name in own
        if name.endswith("num_batches_tracked")
    }
    return {**counters, **ours}


def _places(network: PublishedNetwork, layout: PublishedFormat) -> str:
    ending = ".pth" if layout.by_file else "*"
    places = " and ".join(f"{place}{ending}" for place, _ in network.parts if place)
    return f" under {places}" if places else ""
