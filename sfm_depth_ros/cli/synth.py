# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""``sfm-depth synth``: render a drive as a rosbag2 with all topics of a robot and the truth."""

from __future__ import annotations

import argparse
import heapq
import math
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from sfm_depth_ros.errors import ConfigError

if TYPE_CHECKING:
    from sfm_depth_ros.data.bag_writer import BagWriter
    from sfm_depth_ros.data.camera_model import CameraModel
    from sfm_depth_ros.data.synthetic.drive import DriveSpec, RenderedFrame, SyntheticDrive

OPTICAL_FRAME, BASE_FRAME = "camera_optical", "base_link"
ODOMETRY_HZ = 20.0
# A recording starts at some date: stamps near zero mean "no time" to many ROS tools.
START_NS = 1_700_000_000_000_000_000
Message = tuple[int, int, Callable[[], None]]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("out", type=Path, metavar="OUT", help="rosbag2 folder to create")
    parser.add_argument("--seconds", type=float, default=60.0, help="length (default: 60)")
    parser.add_argument("--size", default="640x192", metavar="WxH", help="image size in pixels")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="same seed, same drive")
    parser.add_argument("--style", default="street", help="street, country, yard or indoor")
    parser.add_argument("--rate", type=float, default=10.0, metavar="HZ", help="images a second")
    parser.add_argument("--speed", type=float, metavar="MPS", help="cruising speed "
                        "(default: 5 on roads, 1 elsewhere)")
    parser.add_argument("--moving", type=int, default=0, metavar="N", help="moving things per "
                        "100 m")
    _add_camera_arguments(parser)
    parser.add_argument("--noise", type=float, default=0.0, help="sensor noise, 0.01 = 1 %% of "
                        "white")
    parser.add_argument("--blur", type=float, default=0.0, metavar="PX", help="optical blur")
    parser.add_argument("--exposure-drift", type=float, default=0.0, help="0.1 = 10 %%")
    parser.add_argument("--grey", action="store_true", help="a monochrome camera")
    images = parser.add_mutually_exclusive_group()
    images.add_argument("--jpeg", type=int, default=95, metavar="QUALITY", help="write "
                        "/camera/image_raw/compressed (the default, quality 95)")
    images.add_argument("--raw", action="store_true", help="write /camera/image_raw, rgb8")
    parser.add_argument("--storage", choices=("mcap", "sqlite3"), default="mcap")
    parser.add_argument("--device", default="cpu", help="where to render: cpu, cuda, ...")


def _add_camera_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--hfov", type=float, default=80.0, metavar="DEG", help="horizontal "
                        "field of view")
    parser.add_argument("--height", type=float, default=1.1, metavar="M", help="camera above the "
                        "ground")
    parser.add_argument("--pitch", type=float, default=6.5, metavar="DEG", help="positive looks "
                        "down")
    parser.add_argument("--forward", type=float, default=0.2, metavar="M", help="camera ahead of "
                        "base_link")
    parser.add_argument("--distortion", type=float, nargs="+", default=(), metavar="K",
                        help="plumb_bob k1 k2 p1 p2 k3")


def run(options: argparse.Namespace) -> int:
    """Render and write the drive."""
    from sfm_depth_ros.data.bag_writer import BagWriter
    from sfm_depth_ros.data.synthetic.drive import SyntheticDrive
    from sfm_depth_ros.optional import require

    require("torch")
    from sfm_depth_ros.training.device import require_device

    spec = drive_spec(options)
    require_device(options.device)
    with BagWriter(options.out, options.storage) as writer:
        drive = SyntheticDrive(spec, options.device)
        progress = require("tqdm").tqdm(total=len(drive), unit="frame", desc=str(options.out))
        with progress:
            for _ in write_drive(drive, writer, options.raw, options.jpeg):
                progress.update()
    print(f"{options.out}: {len(drive)} images, {spec.seconds:g} s, seed {spec.seed}")
    return 0


def drive_spec(options: argparse.Namespace) -> DriveSpec:
    """The drive that the arguments describe; a ConfigError names the argument that is wrong."""
    from sfm_depth_ros.data.synthetic.drive import CameraSpec, DriveSpec
    from sfm_depth_ros.data.synthetic.effects import EffectsSpec
    from sfm_depth_ros.data.synthetic.styles import STYLES
    from sfm_depth_ros.data.synthetic.trajectory import MotionSpec

    _check(options)
    if options.style not in STYLES:
        raise ConfigError(f"--style: expected one of {', '.join(STYLES)}, got {options.style!r}")
    width, height = _size(options.size)
    on_road = options.style in ("street", "country")
    motion = MotionSpec(options.speed or (5.0 if on_road else 1.0))
    if not on_road:
        motion = replace(motion, sway_m=0.05)
    return DriveSpec(
        seed=options.seed,
        seconds=options.seconds,
        camera=CameraSpec(
            width, height, options.hfov, options.height, options.pitch,
            forward_m=options.forward, distortion=tuple(options.distortion),
        ),
        rate_hz=options.rate,
        style=options.style,
        moving_objects=options.moving,
        effects=EffectsSpec(
            exposure_drift=options.exposure_drift, blur_px=options.blur, noise=options.noise,
            grey=options.grey,
        ),
        motion=motion,
    )  # fmt: skip


def _check(options: argparse.Namespace) -> None:
    limits = {
        "seconds": (0.1, 36000.0), "rate": (0.5, 200.0), "hfov": (10.0, 150.0),
        "height": (0.05, 50.0), "pitch": (-80.0, 80.0), "moving": (0, 100), "seed": (0, 2**40),
        "noise": (0.0, 1.0), "blur": (0.0, 20.0), "jpeg": (1, 100), "exposure_drift": (0.0, 1.0),
        "forward": (-50.0, 50.0),
    }  # fmt: skip
    for name, (low, high) in limits.items():
        value = getattr(options, name)
        if not (math.isfinite(value) and low <= value <= high):
            flag = "--" + name.replace("_", "-")
            raise ConfigError(f"{flag}: expected {low:g} to {high:g}, got {value:g}")
    if options.speed is not None and not 0.05 <= options.speed <= 40.0:
        raise ConfigError(f"--speed: expected 0.05 to 40 m/s, got {options.speed:g}")
    if len(options.distortion) > 5 or not all(map(math.isfinite, options.distortion)):
        raise ConfigError(f"--distortion: expected at most 5 finite numbers (k1 k2 p1 p2 k3), "
                          f"got {' '.join(f'{number:g}' for number in options.distortion)}")


def _size(text: str) -> tuple[int, int]:
    width, _, height = text.lower().partition("x")
    if not (width.isdigit() and height.isdigit() and int(width) >= 32 and int(height) >= 32):
        raise ConfigError(f"--size: expected WxH of at least 32x32, as in 640x192, got {text!r}")
    return int(width), int(height)


def write_drive(
    drive: SyntheticDrive, writer: BagWriter, raw: bool, jpeg_quality: int
) -> Iterator[None]:
    """Write a drive in the order of time; yields after every image.

    Args:
        drive: What to render.
        writer: An open bag.
        raw: Images as ``sensor_msgs/Image`` instead of JPEG.
        jpeg_quality: 1-100.
    """
    camera = camera_model(drive)
    T_base_camera = drive.T_base_camera
    writer.write_static_transform(START_NS, BASE_FRAME, OPTICAL_FRAME, T_base_camera)
    images = (
        (drive.stamp_ns(i), 1, lambda i=i: _write_frame(drive.frame(i), camera, writer, raw,
                                                        jpeg_quality))
        for i in range(len(drive))
    )  # fmt: skip
    count = int(drive.spec.seconds * ODOMETRY_HZ) + 1
    odometry = (
        (t, 0, lambda t=t: _write_odometry(drive, t, writer))
        for t in (int(k * 1e9 / ODOMETRY_HZ) for k in range(count))
    )
    for _, is_image, write in heapq.merge(images, odometry, key=lambda message: message[:2]):
        write()
        if is_image:
            yield


def camera_model(drive: SyntheticDrive) -> CameraModel:
    """The drive's camera as a CameraInfo says it."""
    from sfm_depth_ros.data.camera_model import CameraModel

    K, spec = drive.intrinsics.matrix, drive.spec.camera
    D = (*spec.distortion, 0.0, 0.0, 0.0, 0.0, 0.0)[:5]
    return CameraModel.from_matrices(K, spec.width, spec.height, D=D, frame_id=OPTICAL_FRAME)


def _write_odometry(drive: SyntheticDrive, t_ns: int, writer: BagWriter) -> None:
    velocity = replace(drive.velocity(t_ns), stamp_ns=START_NS + t_ns)
    writer.write_odometry(velocity, drive.T_world_base(t_ns))


def _write_frame(
    frame: RenderedFrame, camera: CameraModel, writer: BagWriter, raw: bool, jpeg_quality: int
) -> None:
    from sfm_depth_ros.data.image_codec import encode_jpeg

    stamp = START_NS + frame.stamp_ns
    writer.write_camera_info(stamp, camera)
    if raw:
        writer.write_image(stamp, frame.image, OPTICAL_FRAME)
    else:
        writer.write_compressed(stamp, encode_jpeg(frame.image, jpeg_quality), OPTICAL_FRAME)
    writer.write_depth_truth(stamp, frame.depth, OPTICAL_FRAME)
    writer.write_pose_truth(stamp, frame.T_world_base)
