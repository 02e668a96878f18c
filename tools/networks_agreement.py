# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Every network of the package in every CPU engine, compared with torch on frames of a bag.

``python -m tools.networks_agreement BAG docs/benchmarks.md`` measures at
explicit fp32, with random weights, and rewrites the table between ``<!-- agreement -->`` and
``<!-- end -->``; names of networks after the file (``depth resnet18``) measure these alone and
keep the other rows.
"""

from __future__ import annotations

import gc
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch

from sfm_depth_ros.cli.benchmarks.engines import outputs, spread
from sfm_depth_ros.cli.export_int8 import read_stacks
from sfm_depth_ros.engines.base import EngineRequest
from sfm_depth_ros.engines.building import build_engine
from sfm_depth_ros.engines.verification import TOLERANCES, RelativeError, relative_error
from sfm_depth_ros.errors import DataError, SfmDepthError
from sfm_depth_ros.model_folder.folder import ModelFolder
from sfm_depth_ros.model_folder.saving import save_model
from tools.network_table import (
    IMAGE_HW,
    NETWORKS,
    NetworkTable,
    fresh_network,
)

FRAMES = 8
NAMES = {"openvino": "OpenVINO", "onnxruntime": "ONNX Runtime", "torch": "torch, folded"}
TABLE = NetworkTable(
    "agreement",
    "| network | "
    + " | ".join(f"{name}: p50, p99, max" for name in NAMES.values())
    + " |\n"
    + "|---|"
    + "---|" * len(NAMES)
    + "\n",
)


def compare_network(
    kind: str, name: str, stacks: np.ndarray, scratch: Path
) -> dict[str, RelativeError]:
    """Run one network as it is written, and in every CPU engine.

    Args:
        kind: ``"depth"`` or ``"pose"``.
        name: Of the network.
        stacks: ``(N, 9, h, w)`` float32 in [0, 1], three images each, earlier before later.
        scratch: Folder for the model.

    Returns:
        Relative error against eager torch, by engine.

    Raises:
        EngineError: An engine cannot run it.
    """
    folder, expected, images = _saved(kind, name, stacks, scratch)
    shape = (1, *images.shape[1:])
    request = EngineRequest(folder, kind, shape)
    return {
        engine: relative_error(outputs(build_engine(engine, request), images), expected, kind)
        for engine in NAMES
    }


def read_frames_of(bag: Path, image_hw: tuple[int, int] = IMAGE_HW) -> np.ndarray:
    """Three images in a row each, ``(N, 9, h, w)`` float32 in [0, 1], spread over a bag.

    Raises:
        DataError: The bag's images have another shape, so that the network's would have too.
    """
    stacks = read_stacks(bag, image_hw[1], 3)
    if stacks.shape[2:] != image_hw:
        raise DataError(
            f"{bag}: the network's image would be {stacks.shape[3]}x{stacks.shape[2]},"
            f" expected {image_hw[1]}x{image_hw[0]}; use a bag of that shape"
        )
    return spread(stacks, FRAMES)


def row(network: str, errors: Mapping[str, RelativeError]) -> str:
    """One network's row of the table."""
    cells = (", ".join(map(_short, (one.p50, one.p99, one.max))) for one in errors.values())
    return f"| {network} | {' | '.join(cells)} |\n"


def _short(error: float) -> str:
    return f"{error:.0e}".replace("e-0", "e-") if error else "0"


def _saved(
    kind: str, name: str, stacks: np.ndarray, scratch: Path
) -> tuple[ModelFolder, np.ndarray, np.ndarray]:
    """The network with a small one of the other kind, its outputs, and its inputs."""
    other = "pose" if kind == "depth" else "depth"
    networks = {kind: fresh_network(kind, name), other: fresh_network(other, "small")}
    network: torch.nn.Module = networks[kind]
    count = 1 if kind == "depth" else int(networks["pose"].images)  # type: ignore[arg-type]
    images = np.ascontiguousarray(stacks[:, -3 * count :])
    with torch.inference_mode():
        run = network.depth if kind == "depth" else network
        expected = [run(torch.from_numpy(one[None])).numpy() for one in images]  # type: ignore[operator]
    metadata = {
        "preprocessing": {"width": images.shape[3], "height": images.shape[2]},
        "trained_on": [],
        "licence": "none",
        "steps": 0,
        "metrics": {},
    }
    folder = save_model(scratch, networks["depth"], networks["pose"], metadata=metadata)
    return folder, np.concatenate(expected), images


def main(bag: Path, document: Path, names: Sequence[str]) -> int:
    """Measure, and rewrite the document after every network; 1 where one disagrees."""
    stacks = read_frames_of(bag)
    wanted = [key for key in NETWORKS if not names or " ".join(key) in names]
    failures = 0
    for kind, name in wanted:
        try:
            with tempfile.TemporaryDirectory(prefix="sfm_depth_agreement_") as scratch:
                errors = compare_network(kind, name, stacks, Path(scratch))
        except SfmDepthError as error:
            sys.stderr.write(f"{kind} {name}: {error}\n")
            failures += 1
            continue
        failures += any(not error.p99 <= TOLERANCES["fp32"] for error in errors.values())
        line = row(f"{kind} {name}", errors)
        text = TABLE.with_rows(document.read_text(encoding="utf-8"), {f"{kind} {name}": line})
        document.write_text(text, encoding="utf-8")
        sys.stdout.write(line)
        sys.stdout.flush()
        gc.collect()  # networks of half a gigabyte
    return 1 if failures or not wanted else 0


if __name__ == "__main__":
    if len(sys.argv) < 3:
        sys.exit("usage: networks_agreement BAG DOCUMENT [NETWORK ...]; make agreement BAG=path")
    try:
        sys.exit(main(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3:]))
    except SfmDepthError as error:
        sys.exit(f"error: {error}")
