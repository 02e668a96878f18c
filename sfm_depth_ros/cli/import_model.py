# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""``sfm-depth import``: a published checkpoint becomes a model folder."""

from __future__ import annotations

import argparse
import hashlib
import logging
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sfm_depth_ros.cli.arguments import output_folder, parse_size
from sfm_depth_ros.errors import ConfigError, ModelError

if TYPE_CHECKING:
    from torch import nn

    from sfm_depth_ros.networks.published.import_checkpoint import ImportedNetworks

FORMATS = ("packnet-sfm", "monodepth2")
STEREO_UNIT = 5.4  # metres: Monodepth2 gave the stereo pair a baseline of 0.1 instead of 0.54
MULTIPLE = 32

_logger = logging.getLogger(__name__)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument(
        "checkpoints",
        nargs="+",
        type=Path,
        metavar="CHECKPOINT",
        help="file, or Monodepth2's folder; the pose network may have its own",
    )
    parser.add_argument("--format", choices=FORMATS, required=True, help="its origin")
    parser.add_argument(
        "--out",
        type=output_folder,
        required=True,
        metavar="MODEL",
        help="model folder to write; must not exist",
    )
    parser.add_argument(
        "--size",
        metavar="WxH",
        help="image size in training (default: the checkpoint's, else 640x192)",
    )
    parser.add_argument(
        "--reference-focal",
        type=float,
        metavar="PIXELS",
        help="focal length in training at that size (default: KITTI's, 0.58 of the width)",
    )
    parser.add_argument(
        "--scale",
        type=float,
        default=1.0,
        metavar="METRES",
        help="its unit of length, for example 5.4 for Monodepth2 trained with stereo (default: 1)",
    )
    _add_model_arguments(parser)


def _add_model_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--fresh-pose",
        action="store_true",
        help="begin with an untrained pose network where the checkpoint has none",
    )
    parser.add_argument(
        "--trained-on",
        action="append",
        default=[],
        metavar="TEXT",
        help="name of the training data, for model.json",
    )
    parser.add_argument(
        "--licence",
        metavar="TEXT",
        help="licence of the weights, for model.json (default: the project's)",
    )


def run(options: argparse.Namespace) -> int:
    """Read the checkpoints and write the model."""
    from sfm_depth_ros.model_folder.saving import save_model
    from sfm_depth_ros.networks.published.import_checkpoint import import_networks

    _check(options)
    size = parse_size(options.size) if options.size else None
    found = import_networks(options.checkpoints, options.format, size, options.reference_focal)
    _check_size(found.size)
    pose = found.pose or _fresh_pose(options, found)
    _set_unit(options, found, pose)
    _logger.info("exporting both graphs and checking them, which takes a minute or so")
    folder = save_model(
        options.out.resolve().parent,
        found.depth,
        pose,
        metadata=_metadata(options, found),
        name=options.out.name,
    )
    print(f"model {folder.model_id} in {folder.path}")
    for kind in ("depth", "pose"):
        config = folder.metadata["architecture"][kind]
        print(
            f"{kind} {config['name']}, metres at a focal length of "
            f"{config['reference_focal']:g} pixels"
        )
    print(f"licence: {folder.metadata['licence']}")
    return 0


def _check(options: argparse.Namespace) -> None:
    """Refuse what cannot succeed before anything is read."""
    if options.out.exists():
        raise ModelError(
            f"{options.out} exists already and is never overwritten; choose another "
            "name or remove it first"
        )
    for name in ("scale", "reference_focal"):
        value = getattr(options, name)
        if value is not None and not (math.isfinite(value) and value > 0):
            raise ConfigError(
                f"--{name.replace('_', '-')}: expected a number above 0, got {value}"
            )


def _check_size(size: tuple[int, int]) -> None:
    if any(side < MULTIPLE or side % MULTIPLE for side in size):
        raise ConfigError(
            f"image size {size[0]}x{size[1]}: expected multiples of {MULTIPLE}; "
            "give the size in training with --size"
        )


def _fresh_pose(options: argparse.Namespace, found: ImportedNetworks) -> nn.Module:
    from sfm_depth_ros.config.networks import PoseNetworkConfig
    from sfm_depth_ros.training.network_pair import fresh_networks

    if not options.fresh_pose:
        raise ModelError(
            "the checkpoint holds no pose network; give the file that does as a further "
            "CHECKPOINT, or --fresh-pose to begin with an untrained one: then the depth is as "
            "published, but ego-motion and scale mean nothing until the pose network was trained"
        )
    _logger.warning("the pose network is untrained: ego-motion and scale mean nothing yet")
    depth: Any = found.depth
    config = PoseNetworkConfig(reference_focal=depth.config.reference_focal)
    return fresh_networks(type(depth.config)(), config, seed=0).pose


def _set_unit(options: argparse.Namespace, found: ImportedNetworks, pose: nn.Module) -> None:
    """Both networks speak of one unit of length, so both are multiplied."""
    from sfm_depth_ros.training.network_pair import NetworkPair

    if options.scale != 1.0:
        NetworkPair(found.depth, pose).scale(options.scale, options.scale)
    elif found.has_stereo_unit:
        _logger.warning(
            "trained with stereo, whose unit is %s m; for metres give --scale %s",
            STEREO_UNIT,
            STEREO_UNIT,
        )


def _metadata(options: argparse.Namespace, found: ImportedNetworks) -> dict[str, Any]:
    from sfm_depth_ros.networks.published.import_checkpoint import FORMATS as KNOWN
    from sfm_depth_ros.networks.published.import_checkpoint import files_of

    files = [
        f"{options.format} checkpoint {path.name} (SHA-256 {_digest(path)})"
        for path in files_of(options.checkpoints)
    ]
    width, height = found.size
    return {
        "preprocessing": {
            "width": width,
            "height": height,
            "filter": KNOWN[options.format].filter,
        },
        "trained_on": [*options.trained_on, *files],
        "licence": options.licence or KNOWN[options.format].licence,
        "steps": 0,
        "metrics": {},
    }


def _digest(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()
