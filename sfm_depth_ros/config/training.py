# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Options of training, from recordings and on the robot."""

from __future__ import annotations

from dataclasses import dataclass, field

from sfm_depth_ros.config.loading import check_options, option
from sfm_depth_ros.config.networks import (
    DepthNetworkConfig,
    PoseNetworkConfig,
    size_multiple,
)
from sfm_depth_ros.config.objective import (
    ObjectiveConfig,
    check_features_fit,
    check_objective_fits,
)
from sfm_depth_ros.errors import ConfigError


def trained_part_option(default: str = "all") -> str:
    """Option of both trainers: the part of the depth network that learns."""
    chosen: str = option(
        default,
        "part of the depth network that learns: all; decoder = all but the encoder; auto = "
        "decoder behind an encoder with published weights, else all; adapters = low-rank "
        "additions to linear layers and convolutions, merged when the model is saved; "
        "normalisation = gains and offsets of norms; the metric scale and the pose network "
        "always learn",
        choices=("auto", "all", "decoder", "adapters", "normalisation"),
    )
    return chosen


def anchor_weight_option() -> float:
    """Option of both trainers: pull towards the first weights."""
    weight: float = option(
        0.0,
        "pull of the weights towards those that training began with, against forgetting: a step "
        "takes back this share, times the learning rate, of the distance; 0 = none",
        minimum=0.0,
        maximum=1e4,
    )
    return weight


@dataclass(frozen=True)
class OfflineTrainingConfig:
    """`sfm-depth train`: the loop, its pace, and the rendered drives it learns from."""

    steps: int = option(20000, "optimiser steps", minimum=1, maximum=100000000)
    max_minutes: float = option(
        0.0,
        "time after which training ends; the learning rate then follows the clock; 0 = no limit",
        minimum=0.0,
        maximum=1e6,
    )
    batch_size: int = option(12, "snippets in a batch", minimum=1, maximum=1024)
    learning_rate: float = option(1e-3, "AdamW's highest learning rate", minimum=1e-7, maximum=0.1)
    final_rate_share: float = option(
        0.01,
        "share of the learning rate that is left at the end of the cosine",
        minimum=0.0,
        maximum=1.0,
    )
    warmup_steps: int = option(
        300, "steps over which the learning rate rises", minimum=0, maximum=1000000
    )
    weight_decay: float = option(1e-4, "decoupled weight decay", minimum=0.0, maximum=1.0)
    scale_rate_factor: float = option(
        5.0, "the metric scales learn this many times faster", minimum=0.1, maximum=1000.0
    )
    gradient_clip: float = option(5.0, "largest norm of the gradient", minimum=1e-3, maximum=1e6)
    trained_part: str = trained_part_option()
    anchor_weight: float = anchor_weight_option()
    average_decay: float = option(
        0.999,
        "decay of the moving average of weights that is validated and saved",
        minimum=0.0,
        maximum=0.999999,
    )
    self_supervised_every: int = option(
        4,
        "every n-th step adds the photometric objective to the supervision; 1 = all, 0 = none",
        minimum=0,
        maximum=1000000,
    )
    phase_steps: int = option(
        0,
        "steps of a phase where depth and motion, flow and the moderator learn one after another "
        "(Competitive Collaboration); 0 = all at once",
        minimum=0,
        maximum=1000000,
    )
    mixed_precision: bool = option(
        False,
        "compute the networks in bfloat16 (fast where the CPU "
        "has AVX512-BF16 or AMX, or on a GPU); in float16 with a "
        "scaled gradient on a GPU without bfloat16",
    )
    jitter: bool = option(True, "change light and colour at random, and mirror")
    teacher: str = option(
        "none",
        "source of measured depth for recordings, where the objective uses it: tracks = corners "
        "tracked over the odometer's motion, stereo = the second camera, multi_view_stereo = "
        "planes swept over neighbouring images",
        choices=("none", "tracks", "stereo", "multi_view_stereo"),
    )
    teacher_model: str = option(
        "",
        "model folder of a larger network, for example an imported Depth Anything V2, whose "
        "disparity teaches shape with objective.teacher_weight; empty = none",
    )
    min_displacement: float = option(
        0.05,
        "camera translation in metres between images of a snippet, at least: images of a slow "
        "robot are paired over longer times",
        minimum=0.0,
        maximum=100.0,
    )
    max_displacement: float = option(5.0, "the same, at most", minimum=0.01, maximum=1000.0)
    max_velocity_gap: float = option(
        0.3,
        "longest gap in seconds between two velocities that is interpolated",
        minimum=0.001,
        maximum=10.0,
    )
    max_image_gap: float = option(
        0.5,
        "longest time in seconds between two images of a snippet",
        minimum=0.001,
        maximum=60.0,
    )
    validate_every: int = option(
        1000, "steps between two validations", minimum=1, maximum=100000000
    )
    validation_share: float = option(
        0.05,
        "share of each bag's time that is held out for "
        "validation, in blocks; 0 where --validate names bags",
        minimum=0.0,
        maximum=0.5,
    )
    patience: int = option(
        0,
        "validations in a row without a better one after which training ends; 0 = never",
        minimum=0,
        maximum=1000000,
    )
    keep: str = option(
        "best",
        "which weights become the model: those of the best validation, or the last",
        choices=("best", "last"),
    )
    save_every: int = option(
        500, "steps between two saves of the state", minimum=1, maximum=100000000
    )
    log_every: int = option(50, "steps between two lines of progress", minimum=1, maximum=1000000)
    threads: int = option(0, "CPU threads; 0 = as many as torch chooses", minimum=0, maximum=256)
    device: str = option("cpu", "torch device, for example cpu or cuda:0")
    width: int = option(
        320,
        "width of the network's image in pixels, a multiple of 32; of 14 and not of 32 for "
        "depth_anything_v2_*",
        minimum=28,
        maximum=4096,
    )
    zoom: float = option(
        1.0,
        "snippets are prepared this many times larger (as far as the camera "
        "is), and each batch sees windows of them, the whole image or parts; "
        "intrinsics follow",
        minimum=1.0,
        maximum=4.0,
    )
    zoom_until: float = option(
        0.7,
        "share of the training after which batches see whole images "
        "alone: the networks end with what the robot's own lens shows",
        minimum=0.0,
        maximum=1.0,
    )
    largest_turn: float = option(
        0.0,
        "largest yaw in degrees between two images of a window, beyond the drive's own; "
        "needs zoom > 1",
        minimum=0.0,
        maximum=20.0,
    )
    synthetic_heights: tuple[float, ...] = option(
        (96.0, 160.0),
        "heights in pixels of the rendered images, multiples like width; every "
        "batch has one of them",
        minimum=28,
        maximum=4096,
    )
    synthetic_validation: int = option(
        96, "rendered snippets per height kept for validation", minimum=2, maximum=100000
    )
    synthetic_share: float = option(
        0.5,
        "share of batches from the rendered world where bags are given too",
        minimum=0.0,
        maximum=1.0,
    )
    render_processes: int = option(2, "processes that render", minimum=1, maximum=256)
    cache_dir: str = option(
        "", "folder of prepared snippets, shared by runs; empty = ~/.cache/sfm_depth_ros/snippets"
    )
    cache_gib: float = option(
        50.0,
        "most that prepared snippets take on disk, in GiB; the least recently used leave first",
        minimum=1e-6,
        maximum=1e6,
    )
    synchronise_batch_norm: bool = option(
        True, "under torchrun, batch norm sees the batches of all processes as one"
    )
    tensorboard: bool = option(
        True,
        "write scalars and pictures for TensorBoard next to the "
        "state, where tensorboard is installed",
    )
    seed: int = option(
        0, "seed of worlds, weights, sampling and augmentation", minimum=0, maximum=2**31 - 1
    )

    @property
    def multiple(self) -> int:
        """Divisor of all image sizes: 32, or 14 where the width is no multiple of 32."""
        return size_multiple(self.width)

    @property
    def prepared_width(self) -> int:
        """Width in pixels of the images that windows are taken of, a multiple like ``width``."""
        return self.prepared(self.width)

    def prepared(self, size: float) -> int:
        """Width or height in pixels before a window is taken, a multiple like ``width``."""
        return int(size * self.zoom) // self.multiple * self.multiple

    def __post_init__(self) -> None:
        check_options(self)
        if self.largest_turn > 0 and self.zoom == 1:
            raise ConfigError(
                "training.largest_turn needs training.zoom > 1: only windows of "
                "larger images have a margin to rotate in"
            )
        sizes = (self.width, *self.synthetic_heights)
        if self.width % self.multiple or any(size % self.multiple for size in sizes):
            raise ConfigError(
                "expected width and synthetic_heights to be multiples of 32 (of 14 for "
                f"depth_anything_v2_*), got {self.width} and {list(self.synthetic_heights)}"
            )


@dataclass(frozen=True)
class RecipeConfig:
    """Everything that `sfm-depth train --config` may set."""

    depth: DepthNetworkConfig = field(default_factory=DepthNetworkConfig)
    pose: PoseNetworkConfig = field(default_factory=PoseNetworkConfig)
    objective: ObjectiveConfig = field(default_factory=ObjectiveConfig)
    training: OfflineTrainingConfig = field(default_factory=OfflineTrainingConfig)

    def __post_init__(self) -> None:
        check_objective_fits(self.objective, self.pose)
        check_features_fit(self.objective, self.depth)
        self._check_phases()

    def _check_phases(self) -> None:
        if self.training.phase_steps == 0:
            return
        if not self.objective.uses_moderator or self.training.self_supervised_every != 1:
            raise ConfigError(
                "training.phase_steps needs objective.moderation_weight > 0 (a mask that shares "
                "the pixels out) and training.self_supervised_every: 1"
            )
