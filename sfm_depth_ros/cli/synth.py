# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""``sfm-depth synth``: render a drive as a rosbag2 with all topics of a robot and the truth."""

from __future__ import annotations

import argparse
import math
from pathlib import Path
from typing import TYPE_CHECKING

from sfm_depth_ros.cli.arguments import parse_size
from sfm_depth_ros.errors import ConfigError

if TYPE_CHECKING:
    from sfm_depth_ros.world.drive import DriveSpec

_MANY_MOVERS = 6  # per 100 m
_BASELINE_M = 0.3
_SMALLEST, _LARGEST = 32, 8192  # pixels of an image's side


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("out", type=Path, metavar="OUT", help="rosbag2 folder to create")
    parser.add_argument("--seconds", type=float, default=60.0, help="length (default: 60)")
    parser.add_argument("--size", default="640x192", metavar="WxH", help="image size in pixels")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="same seed, same drive")
    parser.add_argument(
        "--style",
        default="street",
        help="street, country, suburb, avenue, wood, yard, indoor, rooms, or posts (much is "
        "hidden and uncovered)",
    )
    parser.add_argument("--rate", type=float, default=10.0, metavar="HZ", help="images a second")
    parser.add_argument(
        "--speed",
        type=float,
        metavar="MPS",
        help="cruising speed (default: 5 on roads, 1 elsewhere)",
    )
    parser.add_argument(
        "--weave",
        type=float,
        metavar="M",
        help="swing this far from side to "
        "side: a winding drive (default: 0.1 on roads, 0.05 elsewhere)",
    )
    parser.add_argument(
        "--moving", type=int, default=0, metavar="N", help="moving things per 100 m"
    )
    _add_camera_arguments(parser)
    _add_sensor_arguments(parser)
    parser.add_argument(
        "--noise", type=float, default=0.0, help="sensor noise, 0.01 = 1 %% of white"
    )
    parser.add_argument("--blur", type=float, default=0.0, metavar="PX", help="optical blur")
    parser.add_argument("--exposure-drift", type=float, default=0.0, help="0.1 = 10 %%")
    parser.add_argument("--grey", action="store_true", help="a monochrome camera")
    images = parser.add_mutually_exclusive_group()
    images.add_argument(
        "--jpeg",
        type=int,
        default=95,
        metavar="QUALITY",
        help="write /camera/image_raw/compressed (the default, quality 95)",
    )
    images.add_argument("--raw", action="store_true", help="write /camera/image_raw, rgb8")
    parser.add_argument("--storage", choices=("mcap", "sqlite3"), default="mcap")
    parser.add_argument("--device", default="cpu", help="where to render: cpu, cuda, ...")


def _add_camera_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--hfov", type=float, default=80.0, metavar="DEG", help="horizontal field of view"
    )
    parser.add_argument(
        "--height", type=float, default=1.1, metavar="M", help="camera above the ground"
    )
    parser.add_argument(
        "--pitch", type=float, default=6.5, metavar="DEG", help="positive looks down"
    )
    parser.add_argument(
        "--forward", type=float, default=0.2, metavar="M", help="camera ahead of base_link"
    )
    parser.add_argument(
        "--distortion",
        type=float,
        nargs="+",
        default=(),
        metavar="K",
        help="plumb_bob k1 k2 p1 p2 k3",
    )
    parser.add_argument(
        "--reported-focal-factor",
        type=float,
        default=1.0,
        metavar="F",
        help="camera_info reports F times the true focal length",
    )


def _add_sensor_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--stereo",
        type=float,
        nargs="?",
        const=_BASELINE_M,
        default=0.0,
        metavar="M",
        help="a second camera this far to the right "
        f"({_BASELINE_M:g} where no number follows), under /camera_right",
    )
    parser.add_argument(
        "--movers",
        type=int,
        nargs="?",
        const=_MANY_MOVERS,
        metavar="N",
        help=f"as --moving ({_MANY_MOVERS} where no number follows), marked in "
        "/instance_mask (mono8, 0 = stands still)",
    )
    parser.add_argument(
        "--convoy",
        action="store_true",
        help="follow a car that keeps its distance; marked in /instance_mask",
    )
    parser.add_argument(
        "--sparse-depth",
        type=float,
        default=0.0,
        metavar="SHARE",
        help="a lidar that aims at this share of the pixels, in /sparse_depth (32FC1)",
    )


def run(options: argparse.Namespace) -> int:
    """Render and write the drive."""
    from sfm_depth_ros.bags.writer import BagWriter
    from sfm_depth_ros.optional import require

    require("torch")
    from sfm_depth_ros.training.device import require_device
    from sfm_depth_ros.world.drive import SyntheticDrive
    from sfm_depth_ros.world.recording import RecordingSpec, write_drive

    spec = drive_spec(options)
    recording = RecordingSpec(options.raw, options.jpeg, options.reported_focal_factor)
    require_device(options.device)
    with BagWriter(options.out, options.storage) as writer:
        drive = SyntheticDrive(spec, options.device)
        progress = require("tqdm").tqdm(total=len(drive), unit="frame", desc=str(options.out))
        with progress:
            for _ in write_drive(drive, writer, recording):
                progress.update()
    print(f"{options.out}: {len(drive)} images, {spec.seconds:g} s, seed {spec.seed}")
    return 0


def drive_spec(options: argparse.Namespace) -> DriveSpec:
    """The drive that the arguments describe; a ConfigError names the argument that is wrong."""
    from sfm_depth_ros.world.distribution import ROADS
    from sfm_depth_ros.world.drive import CameraSpec, DriveSpec
    from sfm_depth_ros.world.scene import STYLES
    from sfm_depth_ros.world.sensors import EffectsSpec, SensorsSpec
    from sfm_depth_ros.world.trajectory import MotionSpec

    _check(options)
    if options.style not in STYLES:
        raise ConfigError(f"--style: expected one of {', '.join(STYLES)}, got {options.style!r}")
    width, height = parse_size(options.size, 1, _SMALLEST, _LARGEST)
    on_road = options.style in ROADS
    sway = (0.1 if on_road else 0.05) if options.weave is None else options.weave
    motion = MotionSpec(options.speed or (5.0 if on_road else 1.0), sway_m=sway)
    return DriveSpec(
        seed=options.seed,
        seconds=options.seconds,
        camera=CameraSpec(
            width, height, options.hfov, options.height, options.pitch,
            forward_m=options.forward, distortion=tuple(options.distortion),
        ),
        rate_hz=options.rate,
        style=options.style,
        moving_objects=options.moving if options.movers is None else options.movers,
        effects=EffectsSpec(
            exposure_drift=options.exposure_drift, blur_px=options.blur, noise=options.noise,
            grey=options.grey,
        ),
        motion=motion,
        sensors=SensorsSpec(
            options.stereo, options.sparse_depth, options.movers is not None or options.convoy
        ),
        convoy=options.convoy,
    )  # fmt: skip


def _check(options: argparse.Namespace) -> None:
    limits = {
        "seconds": (0.1, 36000.0), "rate": (0.5, 200.0), "hfov": (10.0, 150.0),
        "height": (0.05, 50.0), "pitch": (-80.0, 80.0), "moving": (0, 100), "seed": (0, 2**40),
        "noise": (0.0, 1.0), "blur": (0.0, 20.0), "jpeg": (1, 100), "exposure_drift": (0.0, 1.0),
        "forward": (-50.0, 50.0), "reported_focal_factor": (0.1, 10.0), "stereo": (0.0, 10.0),
        "movers": (1, 100), "sparse_depth": (0.0, 1.0), "weave": (0.0, 2.0),
    }  # fmt: skip
    for name, (low, high) in limits.items():
        value = getattr(options, name)
        if value is not None and not (math.isfinite(value) and low <= value <= high):
            flag = "--" + name.replace("_", "-")
            raise ConfigError(f"{flag}: expected {low:g} to {high:g}, got {value:g}")
    if options.speed is not None and not 0.05 <= options.speed <= 40.0:
        raise ConfigError(f"--speed: expected 0.05 to 40 m/s, got {options.speed:g}")
    if len(options.distortion) > 5 or not all(abs(k) <= 100 for k in options.distortion):
        raise ConfigError(
            "--distortion: expected at most 5 numbers (k1 k2 p1 p2 k3) from -100 to 100, "
            f"got {' '.join(f'{number:g}' for number in options.distortion)}"
        )
