# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A foreign depth graph as its file holds it: its one image, its size, its depth output."""

from __future__ import annotations

from typing import Any

import numpy as np

from sfm_depth_ros.engines.graphs.agreement import open_session
from sfm_depth_ros.engines.graphs.constants import lower_ir_version
from sfm_depth_ros.errors import EngineError, ModelError
from sfm_depth_ros.optional import require

LARGEST_BYTES = 2**31 - 1  # of a graph in one file, by protobuf
OPSET = 13  # of the operations that are added: axes as inputs


def parse_graph(onnx: Any, source: bytes) -> Any:
    """Graph of an ``.onnx`` file, at ``OPSET`` or later, all weights inside."""
    from google.protobuf.message import DecodeError

    if len(source) > LARGEST_BYTES:
        raise ModelError("the graph is larger than 2 GB, which one .onnx file cannot hold")
    try:
        proto = onnx.load_model_from_string(source)
    except DecodeError as error:
        raise ModelError(f"no ONNX graph ({error}); give the .onnx file, whole") from error
    outside = [entry.name for entry in proto.graph.initializer if entry.external_data]
    if outside:
        raise ModelError(
            f"{len(outside)} weights ({outside[0]} ...) lie in another file; save the graph with "
            "all its weights inside: onnx.save(onnx.load(FILE), NEW)"
        )
    opset = next((entry.version for entry in proto.opset_import if not entry.domain), 0)
    if opset < OPSET:
        try:
            proto = onnx.version_converter.convert_version(proto, OPSET)
        except Exception as error:  # its errors have no common base but Exception
            raise ModelError(
                f"the graph is of opset {opset} and cannot be converted to {OPSET} "
                f"({_first_line(error)}); export it again at opset {OPSET} or later"
            ) from error
    lower_ir_version(proto)
    return proto


def only_image(proto: Any) -> Any:
    """The one input, float32 of four axes with three channels."""
    constants = {entry.name for entry in proto.graph.initializer}
    inputs = [value for value in proto.graph.input if value.name not in constants]
    found = ", ".join(f"{value.name} {_shown(value)}" for value in inputs)
    if len(inputs) != 1:
        raise ModelError(
            f"found {len(inputs)} inputs ({found}), expected one image (1, 3, H, W); export the "
            "graph with the others as constants"
        )
    image = inputs[0]
    dims = image.type.tensor_type.shape.dim
    if image.type.tensor_type.elem_type != 1 or len(dims) != 4:
        raise ModelError(
            f"found the input {found} of type {_type_name(image)}, expected float32 (1, 3, H, W); "
            "export it so"
        )
    if dims[1].dim_value not in (0, 3) or (dims[3].dim_value == 3 and dims[1].dim_value != 3):
        raise ModelError(
            f"found the input {found}, expected three channels on the second axis (1, 3, H, W); "
            "export it so"
        )
    if dims[0].dim_value > 1:
        raise ModelError(f"found the input {found}, expected a batch of 1; export it so")
    return image


def fix_size(image: Any, declared: tuple[int, int] | None) -> tuple[int, int]:
    """Give the image its shape; returns (width, height)."""
    dims = image.type.tensor_type.shape.dim
    inside = dims[3].dim_value, dims[2].dim_value
    if declared is None and 0 in inside:
        raise ModelError(
            f"the input {image.name} {_shown(image)} has a free size; choose one with --size WxH"
        )
    size = declared or inside
    if any(own not in (0, given) for own, given in zip(inside, size, strict=True)):
        raise ModelError(
            f"the input {image.name} is {_shown(image)}, but --size is {size[0]}x{size[1]}; "
            "leave --size out, or export the graph at that size"
        )
    for dimension, value in zip(dims, (1, 3, size[1], size[0]), strict=True):
        dimension.dim_value = value
    return size


def depth_output(proto: Any, name: str | None) -> str:
    """Name of the output that is the depth: the only one, or ``name``."""
    names = [value.name for value in proto.graph.output]
    if name is None and len(names) == 1:
        return str(names[0])
    if name not in names:
        raise ModelError(
            f"found the outputs {', '.join(names)}"
            + (f", not {name}" if name else "")
            + "; name the one that is the depth with --output NAME"
        )
    return str(name)


def output_shape(proto: Any, image: str, chosen: str, size_hw: tuple[int, int]) -> tuple[int, int]:
    """Height and width of the depth, as ONNX Runtime computes it."""
    values = np.full((1, 3, *size_hw), 0.5, np.float32)
    try:
        session = open_session(proto.SerializeToString())
        (found,) = session.run([chosen], {image: values})
    except EngineError as error:
        raise ModelError(
            f"ONNX Runtime refuses the graph ({_first_line(error.__cause__ or error)}); export it "
            "with operators of the standard set"
        ) from error
    except Exception as error:  # its errors have no common base but Exception
        raise ModelError(
            f"the graph does not run at {size_hw[1]}x{size_hw[0]} ({_first_line(error)}); give "
            "the size that it was made for with --size, or export it again"
        ) from error
    sides = [side for side in found.shape if side != 1]
    if len(sides) != 2 or found.dtype != np.float32:
        raise ModelError(
            f"the output {chosen} is {found.dtype} {found.shape}, expected float32 (1, 1, H, W) "
            "or the like; name another with --output, or export it so"
        )
    return sides[0], sides[1]


def _shown(value: Any) -> str:
    dims = value.type.tensor_type.shape.dim
    return "(" + ", ".join(d.dim_param or str(d.dim_value or "?") for d in dims) + ")"


def _type_name(value: Any) -> str:
    onnx = require("onnx")
    return str(onnx.TensorProto.DataType.Name(value.type.tensor_type.elem_type)).lower()


def _first_line(error: Any) -> str:
    return str(error).strip().partition("\n")[0]
