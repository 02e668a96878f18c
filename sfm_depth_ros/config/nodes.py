# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The parameters of the nodes."""

from __future__ import annotations

from dataclasses import dataclass, field

from sfm_depth_ros.config.loading import check_options, option, redefined
from sfm_depth_ros.config.objective import ObjectiveConfig
from sfm_depth_ros.config.online_training import OnlineTrainingConfig
from sfm_depth_ros.engine_table import ENGINES
from sfm_depth_ros.errors import ConfigError

NO_HEIGHT = 1000.0  # metres: points_min_height and points_max_height that leave nothing out


@dataclass(frozen=True, kw_only=True)
class NodeConfig:
    """Options that depth_node and trainer_node share: inputs, camera, models."""

    autostart: bool = option(True, "configure and activate the node by itself")
    model: str = option(
        "",
        "model folder, or shipped, or current (the newest accepted); empty = current if valid, "
        "else shipped",
    )
    models_dir: str = option(
        "~/.ros/sfm_depth_ros/models",
        "folder that accepted models are written to and must lie in; the default becomes "
        "~/.ros/sfm_depth_ros/NAMESPACE/models in a namespace",
    )
    image_transport: str = option("raw", "type of the image topic", choices=("raw", "compressed"))
    velocity_source: str = option(
        "odom", "which velocity topic is read", choices=("odom", "twist", "twist_with_covariance")
    )
    camera_info_file: str = option(
        "", "calibration YAML (camera_calibration format) for cameras without camera_info"
    )
    white_level: int = option(
        65535,
        "value of white in 16-bit images: 4095 of a camera with 12 bits",
        minimum=1,
        maximum=65535,
        dynamic=True,
    )
    max_pixels: int = option(
        8192 * 4320,
        "largest image in pixels that is decoded; a larger one is damaged or hostile",
        minimum=1,
        maximum=2**28,
        dynamic=True,
    )
    base_frame: str = option("base_link", "robot body frame, in which velocities are given")
    base_to_camera: tuple[float, ...] = option(
        (0.0, 0.0, 0.0, -0.5, 0.5, -0.5, 0.5),
        "pose of the camera's optical frame in base_frame [x, y, z, qx, qy, qz, qw], used where "
        "tf2 is not installed; with tf2, one that was changed is used until TF has the transform",
        minimum=-1000.0,
        maximum=1000.0,
    )
    input_width: int = option(
        0,
        "width of the network's image in pixels, a multiple of 32 (of 14 for depth_anything_v2); "
        "0 = the model's own",
        minimum=0,
        maximum=4096,
    )
    crop: tuple[float, ...] = option(
        (0.0, 0.0, 0.0, 0.0),
        "shares of the image cut off [top, bottom, left, right] (bonnet, sky)",
        minimum=0.0,
        maximum=0.9,
    )
    min_depth: float = option(
        0.1, "nearest depth published, metres", minimum=0.01, maximum=100.0, dynamic=True
    )
    max_depth: float = option(
        100.0,
        "farthest depth published, metres; beyond is +Inf",
        minimum=0.1,
        maximum=10000.0,
        dynamic=True,
    )
    min_displacement: float = option(
        0.05,
        "camera translation in metres below which an image pair teaches nothing",
        minimum=0.0,
        maximum=100.0,
        dynamic=True,
    )
    max_displacement: float = option(
        5.0,
        "camera translation in metres above which an image pair is refused",
        minimum=0.01,
        maximum=1000.0,
        dynamic=True,
    )
    max_velocity_gap: float = option(
        0.3,
        "longest gap in seconds between two velocities that is interpolated",
        minimum=0.001,
        maximum=10.0,
        dynamic=True,
    )
    max_image_gap: float = option(
        0.5,
        "longest time in seconds between two images of a pair",
        minimum=0.001,
        maximum=60.0,
        dynamic=True,
    )

    def __post_init__(self) -> None:
        check_options(self)
        self._check_shared()

    def _check_shared(self) -> None:
        for name in ("models_dir", "base_frame", "odom_frame"):
            if getattr(self, name, "given").strip() == "":
                raise ConfigError(f"{name}: expected a name, got an empty text")
        if len(self.base_to_camera) != 7:
            raise ConfigError(
                f"base_to_camera: expected 7 numbers, got {len(self.base_to_camera)}"
            )
        if abs(sum(q * q for q in self.base_to_camera[3:]) - 1.0) > 1e-2:
            raise ConfigError(
                "base_to_camera: expected a unit quaternion in its last 4 numbers, "
                f"got {list(self.base_to_camera[3:])}"
            )
        if len(self.crop) != 4 or self.crop[0] + self.crop[1] >= 1 or sum(self.crop[2:]) >= 1:
            raise ConfigError(
                "crop: expected 4 shares [top, bottom, left, right] that leave "
                f"something of the image, got {list(self.crop)}"
            )
        if self.input_width % 32 and self.input_width % 14:
            raise ConfigError(
                f"input_width: expected a multiple of 32, or of 14 for depth_anything_v2, got "
                f"{self.input_width}"
            )
        if self.min_depth >= self.max_depth:
            raise ConfigError(
                f"expected min_depth < max_depth, got {self.min_depth} >= {self.max_depth}"
            )
        if self.min_displacement >= self.max_displacement:
            raise ConfigError(
                "expected min_displacement < max_displacement, got "
                f"{self.min_displacement} >= {self.max_displacement}"
            )


@dataclass(frozen=True, kw_only=True)
class DepthNodeConfig(NodeConfig):
    """Parameters of depth_node."""

    engine: str = option(
        "auto",
        "inference engine",
        choices=("auto", *ENGINES),
    )
    precision: str = option(
        "auto",
        "arithmetic of the engine; auto = the fastest that changes "
        "the output by 2 % at most (99th percentile, check frames)",
        choices=("auto", "fp32", "bf16", "fp16", "int8"),
    )
    engine_threads: int = option(1, "CPU threads of the engine", minimum=1, maximum=256)
    pipelined: bool = option(
        False,
        "prepare the next image while this one is computed: more "
        "images a second where decoding or rectifying is slow",
    )
    depth_encoding: str = option(
        "32FC1", "encoding of depth/image_rect: metres or millimetres", choices=("32FC1", "16UC1")
    )
    output_size: str = option(
        "network",
        "size of depth/image_rect: the network's or the input's",
        choices=("network", "input"),
    )
    odom_frame: str = option("odom_visual", "frame_id of ego_motion/odom")
    publish_tf: bool = option(False, "broadcast odom_frame -> base_frame on /tf (needs tf2)")
    invert_tf: bool = option(
        False,
        "broadcast base_frame -> odom_frame instead, as a leaf: base_frame keeps the parent that "
        "the wheel odometry gives it; launch sets both for RViz",
    )
    ego_motion: str = option(
        "fused",
        "source of ego_motion/odom: corners in the images with only the length from the odometer, "
        "the same with the odometer's rotation as one measurement among others, or the pose "
        "network",
        choices=("visual", "fused", "network"),
    )
    anchoring: str = option(
        "local",
        "depth held to landmarks: not at all, by one factor (factor and shift where the network "
        "is affine-invariant), or by a smooth local field as well",
        choices=("off", "scale", "local"),
        dynamic=True,
    )
    tracking_width: int = option(
        640,
        "width in pixels of the image that corners are followed in; 0 = no visual odometry, no "
        "landmarks and no anchoring",
        minimum=0,
        maximum=4096,
    )
    apply_scale: str = option(
        "monitor",
        "scale of depth against landmarks: off, measured and reported in the diagnostics, or "
        "corrected by a factor even where anchoring is off",
        choices=("off", "monitor", "correct"),
        dynamic=True,
    )
    points_stride: int = option(
        2, "every n-th pixel of depth/points", minimum=1, maximum=64, dynamic=True
    )
    points_min_height: float = option(
        -NO_HEIGHT,
        "height above base_frame's origin in metres below which points are left out: the floor; "
        "needs the mounting of the camera",
        minimum=-NO_HEIGHT,
        maximum=NO_HEIGHT,
        dynamic=True,
    )
    points_max_height: float = option(
        NO_HEIGHT,
        "the same above which points are left out: what the robot passes under",
        minimum=-NO_HEIGHT,
        maximum=NO_HEIGHT,
        dynamic=True,
    )
    points_max_depth: float = option(
        10000.0,
        "depth in metres beyond which points are left out of depth/points",
        minimum=0.1,
        maximum=10000.0,
        dynamic=True,
    )
    points_min_confidence: float = option(
        0.0,
        "confidence below which pixels are left out of depth/points, where landmarks give one; "
        "fewer false obstacles, fewer true ones",
        minimum=0.0,
        maximum=1.0,
        dynamic=True,
    )
    points_voxel_size: float = option(
        0.0,
        "side in metres of the cubes that depth/points keeps one point of; 0 = all points",
        minimum=0.0,
        maximum=10.0,
        dynamic=True,
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.points_min_height >= self.points_max_height:
            raise ConfigError(
                "expected points_min_height < points_max_height, got "
                f"{self.points_min_height} >= {self.points_max_height}"
            )


@dataclass(frozen=True)
class OnlineObjectiveConfig(ObjectiveConfig):
    """The objective as the online trainer uses it, with the odometer's motion by default.

    The pose network learns from the odometer alone, as in ``sfm-depth adapt``.

    A pose network whose translations are too long by a factor pulls depth by as much towards
    itself, before the velocity loss has corrected it.
    """

    warp_motion: str = redefined(ObjectiveConfig, "warp_motion", "measured")
    velocity_weight: float = redefined(ObjectiveConfig, "velocity_weight", 1.0)
    velocity_kind: str = redefined(ObjectiveConfig, "velocity_kind", "vector")
    rotation_weight: float = redefined(ObjectiveConfig, "rotation_weight", 20.0)


@dataclass(frozen=True, kw_only=True)
class TrainerNodeConfig(NodeConfig):
    """Parameters of trainer_node."""

    training: OnlineTrainingConfig = field(default_factory=OnlineTrainingConfig)
    objective: ObjectiveConfig = field(default_factory=OnlineObjectiveConfig)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.objective.needs_companions:
            raise ConfigError(
                "objective: optical flow (flow_*, cross_task_weight, moderation_weight, "
                "consensus_weight) and features: imagenet need networks that sfm-depth train "
                "alone has; set them to 0 in trainer_node, or train from a bag"
            )
