# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Arguments that every command which runs a model has; their defaults are depth_node's.

All but the precision: offline there is time, and figures shall not depend on the machine.
"""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from sfm_depth_ros.config.schema import DepthNodeConfig, NodeConfig
from sfm_depth_ros.share import SHIPPED_MODEL, share_path

if TYPE_CHECKING:
    from sfm_depth_ros.model_folder.folder import ModelFolder

OFFLINE = {"precision": "fp32"}
MODEL_HELP = "model folder, or shipped, or current (the newest that a trainer_node handed over)"
NAMES = ("engine", "precision", "engine_threads", "input_width", "crop")


def add_inference_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare MODEL and how it is run."""
    parser.add_argument("model", metavar="MODEL", help=MODEL_HELP)
    fields = DepthNodeConfig.__dataclass_fields__
    for name in NAMES:
        _add_option(parser, name, fields[name])


def named_model(text: str) -> ModelFolder:
    """Read a model by its folder, or by ``shipped`` or ``current``; empty = as a node chooses.

    Raises:
        ModelError: It is missing or damaged.
    """
    from sfm_depth_ros.model_folder.history import resolve_model

    return resolve_model(text, NodeConfig().models_dir, share_path(SHIPPED_MODEL))


def node_config(options: argparse.Namespace, **others: Any) -> DepthNodeConfig:
    """The configuration that the arguments ask for.

    Args:
        options: Parsed arguments.
        others: Further fields of DepthNodeConfig.
    """
    values = {name: getattr(options, name) for name in NAMES}
    return DepthNodeConfig(**{**values, "crop": tuple(values["crop"])}, **others)


def _add_option(parser: argparse.ArgumentParser, name: str, field: Any) -> None:
    default = OFFLINE.get(name, field.default)
    several = isinstance(default, tuple)
    kind = type(default[0]) if several else type(default)
    parser.add_argument(
        f"--{name.replace('_', '-')}",
        type=kind,
        default=default,
        help=field.metadata["doc"].replace("%", "%%"),
        choices=field.metadata["choices"],
        nargs=len(default) if several else None,
    )
