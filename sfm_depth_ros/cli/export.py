# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""``sfm-depth export``: a model's graphs in the files that an engine reads."""

from __future__ import annotations

import argparse
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from sfm_depth_ros.cli.output_paths import output_folder

if TYPE_CHECKING:
    from sfm_depth_ros.networks.model_folder import ModelFolder

NETWORKS = ("depth", "pose")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("model", metavar="MODEL", help="model folder")
    parser.add_argument("--engine", choices=tuple(EXPORTERS), default="onnx")
    parser.add_argument("--out", type=output_folder, default=Path("export"), metavar="DIR",
                        help="folder to write into (default: export)")


def run(options: argparse.Namespace) -> int:
    """Read the model, which checks every hash, and write both graphs."""
    from sfm_depth_ros.networks.model_folder import read_model_folder

    folder = read_model_folder(options.model)
    options.out.mkdir(parents=True, exist_ok=True)
    for network in NETWORKS:
        for path in EXPORTERS[options.engine](folder, network, options.out):
            print(f"{path} {path.stat().st_size} bytes")
    return 0


def _export_onnx(folder: ModelFolder, network: str, out: Path) -> list[Path]:
    return [Path(shutil.copyfile(folder.onnx(network), out / f"{network}.onnx"))]


def _export_openvino(folder: ModelFolder, network: str, out: Path) -> list[Path]:
    """Write OpenVINO's two files in fp32, after a check against the model's own frames."""
    from sfm_depth_ros.engines.factory import create_engine
    from sfm_depth_ros.engines.verification import check_shape
    from sfm_depth_ros.optional import require

    height, width = check_shape(folder, network)[2:]
    create_engine(folder, network, (height, width), name="openvino").close()
    openvino = require("openvino")
    graph = openvino.Core().read_model(folder.onnx(network))
    openvino.save_model(graph, out / f"{network}.xml", compress_to_fp16=False)
    return [out / f"{network}.xml", out / f"{network}.bin"]


EXPORTERS: dict[str, Callable[[ModelFolder, str, Path], list[Path]]] = {
    "onnx": _export_onnx,
    "openvino": _export_openvino,
}
