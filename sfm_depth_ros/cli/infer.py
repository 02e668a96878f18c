# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""``sfm-depth infer``: depth of single images, as files."""

from __future__ import annotations

import argparse
import io
from pathlib import Path
from typing import TYPE_CHECKING

from sfm_depth_ros.cli.arguments import (
    add_inference_arguments,
    named_model,
    node_config,
    output_folder,
)
from sfm_depth_ros.errors import DataError
from sfm_depth_ros.storage import write_whole

if TYPE_CHECKING:
    import numpy as np

    from sfm_depth_ros.camera.camera_model import CameraModel
    from sfm_depth_ros.estimation.depth_result import DepthResult


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    add_inference_arguments(parser)
    parser.add_argument(
        "images", metavar="IMAGE", nargs="+", type=Path, help="JPEG or PNG files of one camera"
    )
    parser.add_argument(
        "--out",
        type=output_folder,
        required=True,
        metavar="DIR",
        help="folder to write "
        "into: NAME_depth.png (16 bit, millimetres), NAME_depth.npy (float32, "
        "metres) and NAME_color.png",
    )
    camera = parser.add_mutually_exclusive_group(required=True)
    camera.add_argument(
        "--camera-info",
        type=Path,
        metavar="FILE",
        help="calibration YAML (camera_calibration format)",
    )
    camera.add_argument(
        "--hfov",
        type=float,
        metavar="DEG",
        help="horizontal field of view of an undistorted camera, degrees",
    )
    parser.add_argument(
        "--output-size",
        choices=("network", "input"),
        default="input",
        help="size of the depth images (default: the input's)",
    )


def run(options: argparse.Namespace) -> int:
    """Estimate each image by itself."""
    from sfm_depth_ros.estimation.depth_estimator import DepthEstimator

    _check_names(options.images)
    folder = named_model(options.model)
    is_upright = options.camera_info is None
    config = node_config(options, output_size=options.output_size)
    camera = _camera(options, _read(options.images[0], is_upright))
    estimator = DepthEstimator(folder, camera, config)
    try:
        for path in options.images:
            estimator.reset()
            _write(options.out, path.stem, estimator.estimate(_read(path, is_upright), 0))
            print(f"{options.out / path.stem}_depth.png")
    finally:
        estimator.close()
    return 0


def _camera(options: argparse.Namespace, image: np.ndarray) -> CameraModel:
    from sfm_depth_ros.camera.camera_model import CameraModel, read_camera_info_file
    from sfm_depth_ros.geometry.camera import Intrinsics

    if options.camera_info:
        return read_camera_info_file(options.camera_info)
    if not 1.0 <= options.hfov <= 170.0:
        raise DataError(f"--hfov: expected degrees in [1, 170], got {options.hfov:g}")
    height, width = image.shape[:2]
    return CameraModel.from_intrinsics(Intrinsics.from_hfov(options.hfov, width, height))


def _check_names(images: list[Path]) -> None:
    stems = [path.stem for path in images]
    twice = sorted({stem for stem in stems if stems.count(stem) > 1})
    if twice:
        raise DataError(
            f"several images are called {', '.join(twice)} and would overwrite each "
            "other; write them into different folders"
        )


def _read(path: Path, is_upright: bool) -> np.ndarray:
    """Pixels, rotated as EXIF demands where no calibration belongs to them as they are."""
    from sfm_depth_ros.camera.image_files import decode_compressed

    try:
        data = path.read_bytes()
        return decode_compressed(
            path.suffix.lstrip("."), data, is_upright=is_upright, any_format=True
        )
    except OSError as error:
        raise DataError(
            f"{path} cannot be read ({error.strerror}); give JPEG or PNG files"
        ) from error
    except DataError as error:
        raise DataError(f"{path}: {error}") from error


def _write(folder: Path, name: str, result: DepthResult) -> None:
    import numpy as np

    from sfm_depth_ros.camera.image_files import encode_depth, encode_png
    from sfm_depth_ros.estimation.depth_views import depth_to_color

    array = io.BytesIO()
    np.save(array, result.depth)
    write_whole(folder / f"{name}_depth.npy", array.getvalue())
    write_whole(folder / f"{name}_depth.png", encode_depth(result.depth))
    write_whole(folder / f"{name}_color.png", encode_png(depth_to_color(result.depth)))
