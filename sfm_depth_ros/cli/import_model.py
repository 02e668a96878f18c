# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""``sfm-depth import``: a published checkpoint or a graph becomes a model folder."""

from __future__ import annotations

import argparse
import hashlib
import logging
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sfm_depth_ros.cli.arguments import output_folder, parse_size
from sfm_depth_ros.cli.import_graph import add_graph_arguments, import_graph
from sfm_depth_ros.config.networks import METRIC
from sfm_depth_ros.errors import ConfigError, ModelError

if TYPE_CHECKING:
    from torch import nn

    from sfm_depth_ros.model_folder.folder import ModelFolder
    from sfm_depth_ros.networks.published.import_checkpoint import ImportedNetworks

ONNX = "onnx"
FORMATS = ("packnet-sfm", "monodepth2", "lite-mono", "depth-anything-v2", ONNX)
HEADS = ("metric", "inverse-affine", "depth-affine")
STEREO_UNIT = 5.4  # metres: Monodepth2 gave the stereo pair a baseline of 0.1 instead of 0.54

_logger = logging.getLogger(__name__)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument(
        "checkpoints",
        nargs="+",
        type=Path,
        metavar="CHECKPOINT",
        help="file, or the folder of Monodepth2 or Lite-Mono; the pose network may have its own",
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
        "--without-pose",
        action="store_true",
        help="a model of depth alone where the checkpoint has no pose network (always so for "
        "depth-anything-v2, unless --fresh-pose is given)",
    )
    parser.add_argument(
        "--head",
        choices=HEADS,
        help="kind of output of a depth-anything-v2 checkpoint or an ONNX graph (not in the file)",
    )
    parser.add_argument(
        "--max-depth",
        type=float,
        metavar="METRES",
        help="of a metric depth-anything-v2 checkpoint: 80 (vkitti) or 20 (hypersim)",
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
    add_graph_arguments(parser)


def run(options: argparse.Namespace) -> int:
    """Read the checkpoints or the graph and write the model."""
    _check(options)
    size = parse_size(options.size) if options.size else None
    folder = import_graph(options, size) if options.format == ONNX else _import(options, size)
    print(f"model {folder.model_id} in {folder.path}")
    for kind in folder.networks:
        name = folder.metadata["architecture"][kind]["name"]
        print(f"{kind} {name}{_unit(folder, kind)}")
    if not folder.has_pose:
        print("no pose network: ego-motion comes from geometry, or not at all")
    print(f"licence: {folder.metadata['licence']}")
    return 0


def _import(options: argparse.Namespace, size: tuple[int, int] | None) -> ModelFolder:
    """Published checkpoints as a model."""
    from sfm_depth_ros.model_folder.saving import save_model
    from sfm_depth_ros.networks.published.import_checkpoint import ImportOptions, import_networks

    given = ImportOptions(size, options.reference_focal, options.head, options.max_depth)
    found = import_networks(options.checkpoints, options.format, given)
    _check_size(found)
    pose = found.pose or _other_pose(options, found)
    _set_unit(options, found, pose)
    _logger.info("exporting the graphs and checking them, which takes a minute or so")
    return save_model(
        options.out.resolve().parent,
        found.depth,
        pose,
        metadata=_metadata(options, found),
        name=options.out.name,
    )


def _unit(folder: ModelFolder, kind: str) -> str:
    """Unit of a network's output, for the user."""
    head = folder.metadata["head"]
    if kind == "depth" and head["kind"] != METRIC:
        return (
            f", {head['kind']} (A {head['A']:g}, B {head['B']:g}): metres once landmarks have "
            "fitted A and B"
        )
    config = folder.network_config(kind)
    if kind == "depth" and folder.depth_focal is None:
        return ", metres at any focal length"
    return f", metres at a focal length of {config.reference_focal:g} pixels"


def _check(options: argparse.Namespace) -> None:
    """Refuse what cannot succeed before anything is read."""
    if options.format == ONNX and options.fresh_pose:
        raise ConfigError("--fresh-pose: an ONNX graph cannot be trained; leave it out")
    if options.out.exists():
        raise ModelError(
            f"{options.out} exists already and is never overwritten; choose another "
            "name or remove it first"
        )
    for name in ("scale", "reference_focal", "max_depth"):
        value = getattr(options, name)
        if value is not None and not (math.isfinite(value) and value > 0):
            raise ConfigError(
                f"--{name.replace('_', '-')}: expected a number above 0, got {value}"
            )


def _check_size(found: ImportedNetworks) -> None:
    depth: Any = found.depth
    (width, height), multiple = found.size, depth.config.multiple
    if any(side < multiple or side % multiple for side in (width, height)):
        raise ConfigError(
            f"image size {width}x{height}: expected multiples of {multiple}; "
            "give the size in training with --size"
        )


def _other_pose(options: argparse.Namespace, found: ImportedNetworks) -> nn.Module | None:
    """Pose network in place of the one that the checkpoint does not hold."""
    from sfm_depth_ros.config.networks import PoseNetworkConfig
    from sfm_depth_ros.networks.published.checkpoint_files import FORMATS as KNOWN
    from sfm_depth_ros.training.network_pair import fresh_networks

    if not options.fresh_pose:
        if options.without_pose or "pose" not in KNOWN[options.format].networks:
            return None
        raise ModelError(
            "the checkpoint holds no pose network; give the file that does as a further "
            "CHECKPOINT; or --without-pose for a model of depth alone; or --fresh-pose to begin "
            "with an untrained one: then the depth is as published, but ego-motion and scale mean "
            "nothing until the pose network was trained"
        )
    _logger.warning("the pose network is untrained: ego-motion and scale mean nothing yet")
    depth: Any = found.depth
    config = PoseNetworkConfig(reference_focal=depth.config.reference_focal)
    return fresh_networks(type(depth.config)(), config, seed=0).pose


def _set_unit(
    options: argparse.Namespace, found: ImportedNetworks, pose: nn.Module | None
) -> None:
    """All networks have one unit of length, so all are multiplied."""
    if options.scale != 1.0:
        networks: list[Any] = [network for network in (found.depth, pose) if network is not None]
        for network in networks:
            network.log_scale.data += math.log(options.scale)
    elif found.has_stereo_unit:
        _logger.warning(
            "trained with stereo, whose unit is %s m; for metres give --scale %s",
            STEREO_UNIT,
            STEREO_UNIT,
        )


def _metadata(options: argparse.Namespace, found: ImportedNetworks) -> dict[str, Any]:
    from sfm_depth_ros.networks.published.checkpoint_files import FORMATS as KNOWN
    from sfm_depth_ros.networks.published.checkpoint_files import files_of

    files = [
        f"{options.format} checkpoint {path.name} (SHA-256 {digest(path)})"
        for path in files_of(options.checkpoints)
    ]
    width, height = found.size
    depth: Any = found.depth
    layout = KNOWN[options.format]
    return {
        "preprocessing": {
            "width": width,
            "height": height,
            "filter": layout.filter,
        },
        "trained_on": [*options.trained_on, *files],
        "licence": options.licence or layout.licences.get(depth.config.name, layout.licence),
        "steps": 0,
        "metrics": {},
    }


def digest(path: Path) -> str:
    """SHA-256 of a file in hexadecimal digits."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()
