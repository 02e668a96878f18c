# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""``sfm-depth import --format onnx``: a depth graph of any origin becomes a model folder."""

from __future__ import annotations

import argparse
import logging
import math
from typing import TYPE_CHECKING

from sfm_depth_ros.errors import ConfigError, ModelError

if TYPE_CHECKING:
    from sfm_depth_ros.engines.graphs.foreign import GraphDeclaration
    from sfm_depth_ros.model_folder.folder import ModelFolder

UNKNOWN_LICENCE = "not stated: that of the graph's origin"

_logger = logging.getLogger(__name__)


def add_graph_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what a graph does not hold."""
    group = parser.add_argument_group("for --format onnx")
    for name, default, what in (
        ("mean", (0.0, 0.0, 0.0), "subtracted from RGB in [0, 1]"),
        ("deviation", (1.0, 1.0, 1.0), "what it is divided by then"),
    ):
        group.add_argument(
            f"--{name}",
            type=float,
            nargs=3,
            default=default,
            metavar=("R", "G", "B"),
            help=f"{what} (default: {default[0]:g} each; bytes as floats: deviation 0.00392157)",
        )
    group.add_argument(
        "--affine",
        type=float,
        nargs=2,
        default=(1.0, 0.0),
        metavar=("A", "B"),
        help="of 1 / (A out + B), or of A out + B, to begin with (default: 1 0)",
    )
    group.add_argument(
        "--focal-rule",
        choices=("scale", "none"),
        help="whether depth grows with the camera's focal length: then --reference-focal is the "
        "one at which the output is right (needed for --head metric)",
    )
    group.add_argument("--output", metavar="NAME", help="the output that is the depth")


def import_graph(options: argparse.Namespace, size: tuple[int, int] | None) -> ModelFolder:
    """Wrap the graph and write the model.

    Args:
        options: Parsed arguments.
        size: (width, height) of ``--size``.

    Raises:
        ConfigError: Something is not declared, or makes no sense.
        ModelError: The graph is none that can serve.
    """
    from sfm_depth_ros.config.networks import DepthNetworkConfig
    from sfm_depth_ros.model_folder.graph_saving import save_graph

    declaration = _declaration(options, size)
    config = DepthNetworkConfig(
        name="onnx",
        head=options.head,
        focal_rule=_focal_rule(options),
        reference_focal=options.reference_focal or DepthNetworkConfig().reference_focal,
        max_depth=options.max_depth or DepthNetworkConfig().max_depth,
    )
    if len(options.checkpoints) != 1:
        raise ConfigError(f"expected one .onnx file, got {len(options.checkpoints)}")
    path = options.checkpoints[0]
    try:
        source = path.read_bytes()
    except OSError as error:
        raise ModelError(f"{path} cannot be read ({error}); give the .onnx file") from error
    if not options.licence:
        _logger.warning("--licence is not given: model.json has %r", UNKNOWN_LICENCE)
    from sfm_depth_ros.cli.import_model import digest

    metadata = {
        "trained_on": [*options.trained_on, f"ONNX graph {path.name} (SHA-256 {digest(path)})"],
        "licence": options.licence or UNKNOWN_LICENCE,
    }
    return save_graph(options.out.resolve(), source, declaration, config, metadata)


def _declaration(options: argparse.Namespace, size: tuple[int, int] | None) -> GraphDeclaration:
    from sfm_depth_ros.engines.graphs.foreign import GraphDeclaration

    if options.head is None:
        raise ConfigError(
            "--head: a graph does not record what its output is; give --head metric, "
            "inverse-affine or depth-affine"
        )
    numbers = (*options.mean, *options.deviation, *options.affine)
    if not all(math.isfinite(number) for number in numbers) or min(options.deviation) <= 0:
        raise ConfigError("--mean, --deviation, --affine: expected numbers, deviations above 0")
    A, B = options.affine
    if A <= 0 or (options.head == "metric" and (A, B) != (1.0, 0.0)):
        raise ConfigError(
            f"--affine: expected A above 0, and an affine --head, got A {A} with --head "
            f"{options.head}; a metric head has --scale"
        )
    return GraphDeclaration(
        head=options.head,
        size=size,
        mean=tuple(options.mean),
        deviation=tuple(options.deviation),
        units=options.scale,
        A=A,
        B=B,
        output=options.output,
    )


def _focal_rule(options: argparse.Namespace) -> str:
    """``scale`` or ``none``, declared for metres, which depend on it."""
    rule: str | None = options.focal_rule or ("scale" if options.reference_focal else None)
    if rule is None and options.head == "metric":
        raise ConfigError(
            "--head metric: give --reference-focal PIXELS where depth grows with the focal length "
            "(300 for DA3METRIC), or --focal-rule none where the output is metres for any lens"
        )
    if rule == "scale" and not options.reference_focal:
        raise ConfigError("--focal-rule scale: give --reference-focal PIXELS too")
    if rule == "none" and options.reference_focal:
        raise ConfigError("--focal-rule none: leave --reference-focal out")
    return rule or "none"
