# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""``sfm-depth bench``: transport, frame path, engines, geometry, training; on this machine."""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sfm_depth_ros.cli.arguments import (
    MODEL_HELP,
    named_model,
    output_file,
    parse_network_size,
    parse_size,
)
from sfm_depth_ros.errors import ConfigError

if TYPE_CHECKING:
    from sfm_depth_ros.model_folder.folder import ModelFolder

PARTS = (
    "transport",
    "frame_path",
    "engines",
    "geometry",
    "agreement",
    "hot_swap",
    "training",
)
DEFAULT_SIZE = "640x192"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("model", nargs="?", default="shipped", metavar="MODEL", help=MODEL_HELP)
    parser.add_argument(
        "--only",
        nargs="+",
        choices=PARTS,
        default=PARTS,
        metavar="PART",
        help=f"measure these alone: {', '.join(PARTS)}",
    )
    parser.add_argument("--threads", type=int, default=1, help="CPU threads (default: 1)")
    parser.add_argument(
        "--size",
        metavar="WxH",
        help="the network's image (default: "
        f"{DEFAULT_SIZE}; frame path and geometry take its width, default: the model's)",
    )
    parser.add_argument(
        "--engine",
        default="auto",
        help="of the frame path, geometry and the hot swap (default: auto)",
    )
    parser.add_argument("--precision", default="auto", help="its precision (default: auto)")
    parser.add_argument(
        "--bag", type=Path, help="frames of the agreement; default: the model's check frames"
    )
    parser.add_argument("--pipelined", action="store_true", help="the node's parameter pipelined")
    parser.add_argument(
        "--image-transport",
        choices=("raw", "compressed"),
        default="raw",
        help="the frame path's images: rgb8 (default) or JPEG",
    )
    parser.add_argument(
        "--rate",
        type=float,
        default=20.0,
        metavar="HZ",
        help="the frame path's images a second (default: 20)",
    )
    parser.add_argument(
        "--json", type=output_file, metavar="FILE", help="write the figures here as well"
    )


def run(options: argparse.Namespace) -> int:
    """Measure part by part; each is printed when it is done."""
    if options.size:
        parse_network_size(options.size)
    if options.threads < 1:
        raise ConfigError(f"--threads: expected at least 1, got {options.threads}")
    if not 0 < options.rate <= 1000:
        raise ConfigError(f"--rate: expected 0 to 1000 images a second, got {options.rate}")
    folder = named_model(options.model)
    size = parse_size(options.size or _default_size(folder), folder.multiple)
    figures: dict[str, Any] = {}
    for part in PARTS:
        if part in options.only:
            print(f"measuring {part} ...", flush=True)
            figures[part] = _measure(part, folder, size, options)
            print(_lines(part, figures[part]), flush=True)
            if options.json:
                text = json.dumps(figures, indent=2, allow_nan=False)
                options.json.write_text(text + "\n", encoding="utf-8")
    return 0


def _default_size(folder: ModelFolder) -> str:
    """640x192, or for networks that take other multiples the size in training."""
    if folder.multiple == 32:
        return DEFAULT_SIZE
    return f"{folder.width}x{folder.metadata['preprocessing']['height']}"


def _measure(
    part: str, folder: ModelFolder, size: tuple[int, int], options: argparse.Namespace
) -> dict[str, Any]:
    width, height = size
    if part == "engines":
        from sfm_depth_ros.cli.benchmarks.engines import measure_engines

        return measure_engines(folder, (height, width), options.threads)
    if part == "geometry":
        from sfm_depth_ros.cli.benchmarks.geometry import GeometrySetting, measure_geometry

        input_width = width if options.size else 0
        return measure_geometry(
            GeometrySetting(folder.path, options.engine, options.precision, input_width)
        )
    if part == "training":
        from sfm_depth_ros.cli.benchmarks.step_worker import StepSetting
        from sfm_depth_ros.cli.benchmarks.training import measure_training

        return measure_training(
            StepSetting(folder.path, width=width, height=height, threads=options.threads)
        )
    if part == "agreement":
        from sfm_depth_ros.cli.benchmarks.engines import measure_agreement

        return measure_agreement(
            folder, options.bag, width if options.size else 0, options.threads
        )
    with tempfile.TemporaryDirectory(prefix="sfm_depth_bench_") as scratch:
        if part == "transport":
            from sfm_depth_ros.cli.benchmarks.transport import measure_transport

            return measure_transport(Path(scratch))
        if part == "hot_swap":
            from sfm_depth_ros.cli.benchmarks.hot_swap import measure_hot_swap

            return measure_hot_swap(
                folder,
                Path(scratch),
                {
                    "engine": options.engine,
                    "precision": options.precision,
                    "engine_threads": options.threads,
                },
            )
        return _measure_frame_path(folder, options, Path(scratch))


def _measure_frame_path(
    folder: ModelFolder, options: argparse.Namespace, scratch: Path
) -> dict[str, Any]:
    from sfm_depth_ros.cli.benchmarks.frame_path import PathSetting, measure_frame_path

    width = parse_size(options.size, folder.multiple)[0] if options.size else 0
    setting = PathSetting(
        folder,
        options.threads,
        options.precision,
        options.engine,
        width,
        options.pipelined,
        options.image_transport,
        options.rate,
    )
    return measure_frame_path(setting, scratch)


def _lines(part: str, figures: dict[str, Any]) -> str:
    """One part's figures as indented text."""
    from sfm_depth_ros.cli.benchmarks import report

    lines = {
        "transport": report.transport_lines,
        "frame_path": report.frame_path_lines,
        "engines": report.engine_lines,
        "geometry": report.geometry_lines,
        "agreement": report.agreement_lines,
    }.get(part, report.plain_lines)
    return "\n".join(lines(figures))
