# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Every option of the package: the one table that parameters, files and documents come from."""

from __future__ import annotations

from dataclasses import dataclass, field

from sfm_depth_ros.config.option import check_options, option
from sfm_depth_ros.errors import ConfigError


@dataclass(frozen=True)
class DepthNetworkConfig:
    """Shape of a depth network; written into every model folder."""

    name: str = option("small", "depth network", choices=("small",))
    width: int = option(16, "channels of the first stage; later stages are multiples of it",
                        minimum=8, maximum=64)
    min_depth: float = option(0.1, "nearest depth the network can say, metres at the reference "
                              "focal length", minimum=0.01, maximum=10.0)
    max_depth: float = option(120.0, "farthest depth the network can say, metres at the "
                              "reference focal length", minimum=1.0, maximum=1000.0)
    reference_focal: float = option(200.0, "focal length in pixels of the network's image at "
                                    "which its output is metres", minimum=10.0, maximum=5000.0)

    def __post_init__(self) -> None:
        check_options(self)
        if self.min_depth >= self.max_depth:
            raise ConfigError(
                f"expected min_depth < max_depth, got {self.min_depth} >= {self.max_depth}"
            )


@dataclass(frozen=True)
class PoseNetworkConfig:
    """Shape of a pose network; written into every model folder."""

    name: str = option("small", "pose network", choices=("small",))
    width: int = option(16, "channels of the first stage", minimum=8, maximum=64)
    reference_focal: float = option(200.0, "focal length in pixels at which the output is "
                                    "metres and radians", minimum=10.0, maximum=5000.0)

    def __post_init__(self) -> None:
        check_options(self)


@dataclass(frozen=True)
class ObjectiveConfig:
    """Weights and switches of the self-supervised objective (PackNet-SfM, Monodepth2)."""

    ssim_weight: float = option(0.85, "share of SSIM in the photometric error, the rest is L1",
                                minimum=0.0, maximum=1.0)
    photometric_weight: float = option(1.0, "weight of the photometric error",
                                       minimum=0.0, maximum=100.0, dynamic=True)
    smoothness_weight: float = option(1e-3, "weight of the edge-aware smoothness, halved at "
                                      "each coarser scale", minimum=0.0, maximum=10.0,
                                      dynamic=True)
    velocity_weight: float = option(0.3, "weight of the velocity loss",
                                    minimum=0.0, maximum=100.0, dynamic=True)
    auto_mask: bool = option(True, "leave out pixels that the unwarped source explains better")
    reduction: str = option("minimum", "how sources are joined per pixel",
                            choices=("minimum", "mean"))
    supervised_weight: float = option(1.0, "weight of exact depth and motion where a batch has "
                                      "them (rendered worlds)", minimum=0.0, maximum=100.0,
                                      dynamic=True)

    def __post_init__(self) -> None:
        check_options(self)


@dataclass(frozen=True)
class OfflineTrainingConfig:
    """`sfm-depth train`: the loop, its pace, and the rendered drives it learns from."""

    steps: int = option(20000, "optimiser steps", minimum=1, maximum=100000000)
    max_minutes: float = option(0.0, "time after which training ends; the learning rate then "
                                "follows the clock; 0 = no limit", minimum=0.0, maximum=1e6)
    batch_size: int = option(12, "snippets in a batch", minimum=1, maximum=1024)
    learning_rate: float = option(1e-3, "AdamW's highest learning rate", minimum=1e-7,
                                  maximum=0.1)
    final_rate_share: float = option(0.01, "share of the learning rate that is left at the end "
                                     "of the cosine", minimum=0.0, maximum=1.0)
    warmup_steps: int = option(300, "steps over which the learning rate rises", minimum=0,
                               maximum=1000000)
    weight_decay: float = option(1e-4, "decoupled weight decay", minimum=0.0, maximum=1.0)
    scale_rate_factor: float = option(5.0, "the metric scales learn this many times faster",
                                      minimum=0.1, maximum=1000.0)
    gradient_clip: float = option(5.0, "largest norm of the gradient", minimum=1e-3,
                                  maximum=1e6)
    average_decay: float = option(0.999, "decay of the moving average of weights that is "
                                  "validated and saved", minimum=0.0, maximum=0.999999)
    self_supervised_every: int = option(4, "every n-th step has the photometric objective beside "
                                        "the supervision; 1 = all, 0 = none", minimum=0,
                                        maximum=1000000)
    mixed_precision: bool = option(False, "compute the networks in bfloat16 (fast where the CPU "
                                   "has AVX512-BF16 or AMX, or on a GPU)")
    jitter: bool = option(True, "change light and colour at random, and mirror")
    validate_every: int = option(1000, "steps between two validations", minimum=1,
                                 maximum=100000000)
    save_every: int = option(500, "steps between two saves of the state", minimum=1,
                             maximum=100000000)
    log_every: int = option(50, "steps between two lines of progress", minimum=1,
                            maximum=1000000)
    threads: int = option(0, "CPU threads; 0 = as many as torch chooses", minimum=0, maximum=256)
    device: str = option("cpu", "torch device, for example cpu or cuda:0")
    width: int = option(320, "width of the network's image in pixels, a multiple of 32",
                        minimum=32, maximum=4096)
    synthetic_heights: tuple[float, ...] = option(
        (96.0, 160.0), "heights in pixels of the rendered images, each a multiple of 32; every "
        "batch has one of them", minimum=32, maximum=4096)
    synthetic_validation: int = option(96, "rendered snippets per height kept for validation",
                                       minimum=2, maximum=100000)
    synthetic_share: float = option(0.5, "share of batches from the rendered world where bags "
                                    "are given too", minimum=0.0, maximum=1.0)
    render_processes: int = option(2, "processes that render", minimum=1, maximum=256)
    cache_dir: str = option("", "folder of the training snippets; empty = beside the model")
    seed: int = option(0, "seed of worlds, weights, sampling and augmentation", minimum=0,
                       maximum=2**31 - 1)

    def __post_init__(self) -> None:
        check_options(self)
        if self.width % 32 or any(height % 32 for height in self.synthetic_heights):
            raise ConfigError("expected width and synthetic_heights to be multiples of 32, got "
                              f"{self.width} and {list(self.synthetic_heights)}")


@dataclass(frozen=True)
class RecipeConfig:
    """Everything that `sfm-depth train --config` may set."""

    depth: DepthNetworkConfig = field(default_factory=DepthNetworkConfig)
    pose: PoseNetworkConfig = field(default_factory=PoseNetworkConfig)
    objective: ObjectiveConfig = field(default_factory=ObjectiveConfig)
    training: OfflineTrainingConfig = field(default_factory=OfflineTrainingConfig)


@dataclass(frozen=True)
class OnlineTrainingConfig:
    """The online trainer: pace, memory, mixture, and what may be deployed."""

    learning_rate: float = option(2e-4, "Adam's learning rate", minimum=1e-7, maximum=0.1,
                                  dynamic=True)
    scale_rate_factor: float = option(20.0, "the metric scales learn this many times faster",
                                      minimum=0.1, maximum=1000.0)
    warmup_steps: int = option(50, "steps over which the learning rate rises", minimum=0,
                               maximum=100000)
    gradient_clip: float = option(1.0, "largest norm of the gradient", minimum=1e-3,
                                  maximum=1e6)
    average_decay: float = option(0.98, "decay of the moving average of weights that is "
                                  "validated and deployed", minimum=0.0, maximum=0.9999)
    calibrate_scale: bool = option(True, "measure the metric scales on the first snippets before "
                                   "the first step, and correct a bias again when one shows")
    batch_size: int = option(4, "snippets in a batch", minimum=1, maximum=64)
    present_share: float = option(0.5, "share of a batch from the newest snippets",
                                  minimum=0.0, maximum=1.0)
    synthetic_share: float = option(0.25, "share of a batch from the rendered world, against "
                                    "forgetting", minimum=0.0, maximum=1.0)
    mixed_precision: str = option("auto", "compute the networks in bfloat16; auto = where the "
                                  "CPU has AVX512-BF16 or AMX, or on a GPU",
                                  choices=("auto", "on", "off"))
    threads: int = option(1, "CPU threads for training", minimum=1, maximum=256)
    niceness: int = option(10, "process priority, 19 = lowest", minimum=0, maximum=19)
    device: str = option("cpu", "torch device, for example cpu or cuda:0")
    buffer_size: int = option(600, "snippets kept on disk", minimum=8, maximum=1000000)
    buffer_dir: str = option("", "folder of the snippet buffer; empty = beside models_dir")
    holdout_share: float = option(0.1, "share of admitted snippets held out to decide what may "
                                  "be deployed", minimum=0.02, maximum=0.5)
    max_steps_per_snippet: float = option(10.0, "steps for every snippet received, after which "
                                          "training waits for new ones", minimum=0.01,
                                          maximum=1e6, dynamic=True)
    validate_every: int = option(50, "steps between two validations", minimum=1, maximum=100000)
    min_snippets: int = option(24, "snippets in the buffer before training starts",
                               minimum=2, maximum=100000)
    max_forgetting: float = option(0.2, "relative loss of accuracy on rendered drives above "
                                   "which a model is not deployed", minimum=0.0, maximum=10.0)
    min_improvement: float = option(0.01, "relative gain of the held-out error that a model "
                                    "must show to be deployed", minimum=0.0, maximum=1.0,
                                    dynamic=True)
    seed: int = option(0, "seed of sampling and augmentation", minimum=0, maximum=2**31 - 1)

    def __post_init__(self) -> None:
        check_options(self)
        if self.present_share + self.synthetic_share > 1.0:
            raise ConfigError(
                "expected present_share + synthetic_share <= 1, got "
                f"{self.present_share + self.synthetic_share}"
            )


@dataclass(frozen=True, kw_only=True)
class NodeConfig:
    """What depth_node and trainer_node share: inputs, camera, models."""

    autostart: bool = option(True, "configure and activate the node by itself")
    model: str = option("", "model folder; empty = models_dir/current if valid, else the shipped "
                        "model")
    models_dir: str = option("~/.ros/sfm_depth_ros/models", "folder that accepted models are "
                             "written to and must lie in")
    image_transport: str = option("raw", "type of the image topic",
                                  choices=("raw", "compressed"))
    velocity_source: str = option("odom", "which velocity topic is read",
                                  choices=("odom", "twist", "twist_with_covariance"))
    camera_info_file: str = option("", "calibration YAML (camera_calibration format) for "
                                   "cameras without camera_info")
    base_frame: str = option("base_link", "robot body frame, in which velocities are given")
    base_to_camera: tuple[float, ...] = option(
        (0.0, 0.0, 0.0, -0.5, 0.5, -0.5, 0.5),
        "pose of the camera's optical frame in base_frame [x, y, z, qx, qy, qz, qw], used where "
        "tf2 is not installed", minimum=-1000.0, maximum=1000.0)
    input_width: int = option(0, "width of the network's image in pixels, a multiple of 32; "
                              "0 = the model's own", minimum=0, maximum=4096)
    crop: tuple[float, ...] = option((0.0, 0.0, 0.0, 0.0), "shares of the image cut off "
                                     "[top, bottom, left, right] (bonnet, sky)",
                                     minimum=0.0, maximum=0.9)
    min_depth: float = option(0.1, "nearest depth published, metres", minimum=0.01,
                              maximum=100.0, dynamic=True)
    max_depth: float = option(100.0, "farthest depth published, metres; beyond is +Inf",
                              minimum=0.1, maximum=10000.0, dynamic=True)
    min_displacement: float = option(0.05, "camera translation in metres below which an image "
                                     "pair teaches nothing", minimum=0.0, maximum=100.0,
                                     dynamic=True)
    max_displacement: float = option(5.0, "camera translation in metres above which an image "
                                     "pair is refused", minimum=0.01, maximum=1000.0,
                                     dynamic=True)
    max_velocity_gap: float = option(0.3, "longest gap in seconds between two velocities that is "
                                     "interpolated", minimum=0.001, maximum=10.0, dynamic=True)
    max_image_gap: float = option(0.5, "longest time in seconds between two images of a pair",
                                  minimum=0.001, maximum=60.0, dynamic=True)

    def __post_init__(self) -> None:
        check_options(self)
        self._check_shared()

    def _check_shared(self) -> None:
        if len(self.base_to_camera) != 7:
            raise ConfigError("base_to_camera: expected 7 numbers, got "
                              f"{len(self.base_to_camera)}")
        if abs(sum(q * q for q in self.base_to_camera[3:]) - 1.0) > 1e-2:
            raise ConfigError("base_to_camera: expected a unit quaternion in its last 4 numbers, "
                              f"got {list(self.base_to_camera[3:])}")
        if len(self.crop) != 4 or self.crop[0] + self.crop[1] >= 1 or sum(self.crop[2:]) >= 1:
            raise ConfigError("crop: expected 4 shares [top, bottom, left, right] that leave "
                              f"something of the image, got {list(self.crop)}")
        if self.input_width % 32:
            raise ConfigError(f"input_width: expected a multiple of 32, got {self.input_width}")
        if self.min_depth >= self.max_depth:
            raise ConfigError(
                f"expected min_depth < max_depth, got {self.min_depth} >= {self.max_depth}"
            )
        if self.min_displacement >= self.max_displacement:
            raise ConfigError("expected min_displacement < max_displacement, got "
                              f"{self.min_displacement} >= {self.max_displacement}")


@dataclass(frozen=True, kw_only=True)
class DepthNodeConfig(NodeConfig):
    """Parameters of depth_node."""

    engine: str = option("auto", "inference engine",
                         choices=("auto", "openvino", "onnxruntime", "torch"))
    precision: str = option("fp32", "arithmetic of the engine", choices=("fp32", "bf16"))
    engine_threads: int = option(1, "CPU threads of the engine", minimum=1, maximum=256)
    depth_encoding: str = option("32FC1", "encoding of depth/image_rect: metres or millimetres",
                                 choices=("32FC1", "16UC1"))
    output_size: str = option("network", "size of depth/image_rect: the network's or the input's",
                              choices=("network", "input"))
    odom_frame: str = option("odom_visual", "frame_id of ego_motion/odom")
    publish_tf: bool = option(False, "broadcast odom_frame -> base_frame on /tf (needs tf2)")
    apply_scale: str = option("monitor", "scale monitor: off, or measured and reported in the "
                              "diagnostics", choices=("off", "monitor"), dynamic=True)
    points_stride: int = option(2, "every n-th pixel of depth/points", minimum=1, maximum=64,
                                dynamic=True)


@dataclass(frozen=True, kw_only=True)
class TrainerNodeConfig(NodeConfig):
    """Parameters of trainer_node."""

    training: OnlineTrainingConfig = field(default_factory=OnlineTrainingConfig)
    objective: ObjectiveConfig = field(default_factory=ObjectiveConfig)
