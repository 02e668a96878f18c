# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""``sfm-depth export``: a model's graphs in the files that an engine reads, checked before."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from sfm_depth_ros.cli.arguments import (
    MODEL_HELP,
    named_model,
    output_folder,
    parse_network_size,
    parse_size,
)
from sfm_depth_ros.cli.export_int8 import add_int8_arguments, write_int8
from sfm_depth_ros.errors import ConfigError, EngineError, MissingDependencyError
from sfm_depth_ros.storage import write_whole

if TYPE_CHECKING:
    from sfm_depth_ros.engines.exported_graph import GraphForm
    from sfm_depth_ros.model_folder.folder import ModelFolder

DYNAMIC = "dynamic"
PRECISIONS = ("fp32", "fp16")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("model", metavar="MODEL", help=MODEL_HELP)
    parser.add_argument(
        "--engine", choices=tuple(WRITERS), default="onnx", help="whose files (default: onnx)"
    )
    parser.add_argument(
        "--precision",
        choices=(*PRECISIONS, "int8"),
        default="fp32",
        help="typed in the graph (default: fp32)",
    )
    add_int8_arguments(parser)
    parser.add_argument(
        "--batch",
        type=_batch,
        default=1,
        metavar="N",
        help=f"images at a time, or {DYNAMIC} (default: 1)",
    )
    parser.add_argument(
        "--size",
        metavar="WxH",
        help="the network's image; default: any, and for tensorrt the check frames'",
    )
    parser.add_argument(
        "--capability",
        type=_capability,
        action="append",
        metavar="X.Y",
        help="compute capability that a TensorRT-RTX plan is for, may be given "
        "again; default: the GPU here, else all",
    )
    parser.add_argument(
        "--out",
        type=output_folder,
        default=Path("export"),
        metavar="DIR",
        help="folder to write into (default: export)",
    )


def run(options: argparse.Namespace) -> int:
    """Read the model, which checks every hash; check both graphs, then write them."""
    from sfm_depth_ros.engines.exported_graph import GraphForm

    if options.size is not None:
        parse_network_size(options.size)
    if options.calibrate is not None and options.precision != "int8":
        raise ConfigError("--calibrate is of use for --precision int8 alone: give both or neither")
    folder = named_model(options.model)
    if options.size:  # the graphs have height before width
        options.size = parse_size(options.size, folder.multiple)[::-1]
    if not options.batch and options.engine == "tensorrt":
        raise EngineError("--batch dynamic: a TensorRT plan is built for one batch; give a number")
    if options.precision == "int8":
        return _listed(write_int8(folder, options))
    form = GraphForm(options.precision, options.batch, options.size)
    for network in folder.networks:
        print(f"{network} {_agreement(folder, network, form, options.engine)}")
    return _listed(WRITERS[options.engine](folder, form, options))


def _listed(paths: list[Path]) -> int:
    for path in paths:
        print(f"{path} {path.stat().st_size} bytes")
    return 0


def _agreement(folder: ModelFolder, network: str, form: GraphForm, engine: str) -> str:
    """Difference of the graph's outputs from the check frames'."""
    from sfm_depth_ros.engines.exported_graph import check_graph, check_openvino_graph

    check = check_openvino_graph if engine == "openvino" else check_graph
    try:
        error = check(folder, network, form)
    except MissingDependencyError as missing:
        if engine == "openvino":
            raise
        return f"is not compared with torch: {missing}"
    return (
        f"{form.precision}: relative error against torch p50 {error.p50:.1e}, "
        f"p99 {error.p99:.1e}, max {error.max:.1e}"
    )


def _write_onnx(folder: ModelFolder, form: GraphForm, options: argparse.Namespace) -> list[Path]:
    from sfm_depth_ros.engines.exported_graph import model_graph

    paths = [options.out / f"{network}.onnx" for network in folder.networks]
    for network, path in zip(folder.networks, paths, strict=True):
        write_whole(path, model_graph(folder, network, form))
    return paths


def _write_openvino(
    folder: ModelFolder, form: GraphForm, options: argparse.Namespace
) -> list[Path]:
    from sfm_depth_ros.engines.exported_graph import save_openvino_graph

    options.out.mkdir(parents=True, exist_ok=True)
    return [
        path
        for network in folder.networks
        for path in save_openvino_graph(folder, network, form, options.out)
    ]


def _write_tensorrt(
    folder: ModelFolder, form: GraphForm, options: argparse.Namespace
) -> list[Path]:
    """Build plans for one shape; without a GPU by TensorRT-RTX, for the named capabilities."""
    from dataclasses import replace

    from sfm_depth_ros.engines.exported_graph import model_graph
    from sfm_depth_ros.engines.tensorrt.builder import PlanRequest, build_plan
    from sfm_depth_ros.engines.tensorrt.runtime import load_tensorrt
    from sfm_depth_ros.engines.verification import check_shape

    runtime = load_tensorrt()
    capabilities = tuple(options.capability or ())
    if not capabilities and runtime.builds_ahead:
        capabilities = _capability_here() or tuple(runtime.all_capabilities())
    paths = []
    for network in folder.networks:
        channels, *size = check_shape(folder, network)[1:]
        fixed = replace(form, size_hw=form.size_hw or (size[0], size[1]))
        shape = (form.batch, channels, *(fixed.size_hw or ()))
        request = PlanRequest(model_graph(folder, network, fixed), (shape,), capabilities)
        built = build_plan(runtime, request)
        path: Path = options.out / f"{network}.plan"
        write_whole(path, built.plan)
        print(
            f"{network}: {runtime} built it in {built.seconds:.1f} s for {shape}; it was not "
            "run here"
        )
        paths.append(path)
    return paths


def _capability_here() -> tuple[tuple[int, int], ...]:
    from sfm_depth_ros.engines.tensorrt.cuda_driver import load_cuda

    try:
        return (load_cuda().capability,)
    except EngineError:
        return ()


def _batch(text: str) -> int:
    if text == DYNAMIC:
        return 0
    if not text.isdigit() or not 1 <= int(text) <= 1024:
        raise argparse.ArgumentTypeError(f"expected 1 to 1024 or {DYNAMIC}, got {text!r}")
    return int(text)


def _capability(text: str) -> tuple[int, int]:
    major, _, minor = text.partition(".")
    if not (major.isdigit() and minor.isdigit()):
        raise argparse.ArgumentTypeError(f"expected a number as in 8.6, got {text!r}")
    return int(major), int(minor)


Writer = Callable[["ModelFolder", "GraphForm", argparse.Namespace], list[Path]]
WRITERS: dict[str, Writer] = {
    "onnx": _write_onnx,
    "openvino": _write_openvino,
    "tensorrt": _write_tensorrt,
}
