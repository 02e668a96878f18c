# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Distribution of training drives: random cameras, robots, places; and the demo's camera."""

from __future__ import annotations

import numpy as np

from sfm_depth_ros.world.drive import CameraSpec, DriveSpec
from sfm_depth_ros.world.sensors import EffectsSpec
from sfm_depth_ros.world.trajectory import MotionSpec

# The demo shows adaptation to a camera that the shipped model has not seen: each of the three
# lies in a band that random_drive_spec never draws from.
DEMO_HEIGHT_M, DEMO_HEIGHT_BAND = 1.10, (0.95, 1.25)
DEMO_PITCH_DEG, DEMO_PITCH_BAND = 6.5, (5.0, 8.0)
DEMO_HFOV_DEG, DEMO_HFOV_BAND = 80.0, (76.0, 84.0)
DEMO_CAMERA = CameraSpec(640, 192, DEMO_HFOV_DEG, DEMO_HEIGHT_M, DEMO_PITCH_DEG, forward_m=0.2)
DEMO_STYLE = "street"
DEMO_SEED, DEMO_SECOND_SEED = 7_000_001, 7_000_003
DEMO_MOTION = MotionSpec(speed_mps=4.0, variation=0.35, stop_every_s=45.0)

STYLE_SHARES = {
    "street": 0.17, "country": 0.1, "yard": 0.13, "indoor": 0.08,
    "suburb": 0.2, "avenue": 0.12, "wood": 0.14, "rooms": 0.06,
}  # fmt: skip
LEADER_SHARE = 0.3  # of the drives by car
ROADS = ("street", "country", "suburb", "avenue", "wood")
LARGEST_SEED = 1_000_000


def random_drive_spec(
    rng: np.random.Generator,
    width: int,
    height: int,
    seconds: float,
    camera: CameraSpec | None = None,
) -> DriveSpec:
    """Draw a drive from the training distribution.

    Args:
        rng: Source of randomness.
        width: Image width in pixels, a multiple of 32.
        height: Image height in pixels, a multiple of 32.
        seconds: Length of the drive.
        camera: The camera, or None for a random one.
    """
    style = str(rng.choice(list(STYLE_SHARES), p=list(STYLE_SHARES.values())))
    is_car = style in ROADS and rng.random() < 0.7
    follows = is_car and rng.random() < LEADER_SHARE
    return DriveSpec(
        seed=int(rng.integers(LARGEST_SEED)),
        seconds=seconds,
        camera=camera or random_camera(rng, width, height, is_car),
        rate_hz=10.0,
        style=style,
        moving_objects=int(rng.choice([0, 0, 0, 1, 2, 4])),
        effects=random_effects(rng),
        motion=random_motion(rng, style, is_car),
        convoy=follows,
        leader_ahead_m=float(rng.uniform(6.0, 45.0)),
    )


def random_camera(rng: np.random.Generator, width: int, height: int, is_car: bool) -> CameraSpec:
    """A camera as on a car, or as on a robot of any size."""
    if is_car:
        mount, pitch = rng.uniform(1.35, 1.75), rng.normal(0.5, 1.5)
    else:
        low = rng.random() < 0.6
        below, above = DEMO_HEIGHT_BAND
        mount = rng.uniform(0.2, below) if low else rng.uniform(above, 2.0)
        pitch = outside(rng, -3.0, 15.0, DEMO_PITCH_BAND)
    centre = rng.normal(0, 0.012, 2) * width
    return CameraSpec(
        width=width,
        height=height,
        hfov_deg=outside(rng, 50.0, 110.0, DEMO_HFOV_BAND),
        height_m=float(mount),
        pitch_deg=float(np.clip(pitch, -3.0, DEMO_PITCH_BAND[0])) if is_car else float(pitch),
        roll_deg=float(rng.normal(0, 0.6)),
        forward_m=float(rng.uniform(-0.2, 1.5)) if is_car else float(rng.uniform(0.0, 0.4)),
        centre_px=(float(centre[0]), float(centre[1])),
    )


def outside(rng: np.random.Generator, low: float, high: float, band: tuple[float, float]) -> float:
    """Uniform in [low, high] without the band."""
    value = rng.uniform(low, high - (band[1] - band[0]))
    return float(value if value < band[0] else value + band[1] - band[0])


def random_motion(rng: np.random.Generator, style: str, is_car: bool) -> MotionSpec:
    """From a walking robot to a car."""
    if is_car:
        speed = rng.uniform(3.0, 12.0)
    elif style in ROADS:
        speed = rng.uniform(0.7, 5.0)
    else:
        speed = rng.uniform(0.4, 2.0)
    return MotionSpec(
        speed_mps=float(speed),
        variation=float(rng.uniform(0.0, 0.5)),
        stop_every_s=float(rng.choice([0.0, 0.0, 20.0])),
        sway_m=float(rng.uniform(0.0, 0.25) if style in ROADS else 0.08),
        shake_deg=float(rng.uniform(0.0, 0.4)),
        bounce_m=float(rng.uniform(0.0, 0.01)),
    )


def random_effects(rng: np.random.Generator) -> EffectsSpec:
    """Cameras good and bad; a third of them grey."""
    red, green, blue = rng.uniform(0.92, 1.08, 3)
    return EffectsSpec(
        exposure_drift=float(rng.uniform(0.0, 0.04)),
        gamma=float(rng.uniform(0.7, 1.3)),
        contrast=float(rng.uniform(0.8, 1.25)),
        white_balance=(float(red), float(green), float(blue)),
        vignette=float(rng.choice([0.0, rng.uniform(0.0, 0.35)])),
        blur_px=float(rng.choice([0.0, rng.uniform(0.3, 0.9)], p=[0.3, 0.7])),
        noise=float(rng.uniform(0.0, 0.02)),
        jpeg_quality=int(rng.integers(50, 96)) if rng.random() < 0.33 else 0,
        grey=bool(rng.random() < 0.35),
    )
