# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Options of the trainer on the robot."""

from __future__ import annotations

from dataclasses import dataclass

from sfm_depth_ros.config.loading import check_options, option
from sfm_depth_ros.config.training import anchor_weight_option, trained_part_option
from sfm_depth_ros.errors import ConfigError


@dataclass(frozen=True)
class OnlineTrainingConfig:
    """The online trainer: pace, memory, mixture, and what may be deployed."""

    learning_rate: float = option(
        3e-4, "Adam's learning rate", minimum=1e-7, maximum=0.1, dynamic=True
    )
    scale_rate_factor: float = option(
        1.0, "the metric scales learn this many times faster", minimum=0.1, maximum=1000.0
    )
    warmup_steps: int = option(
        10, "steps over which the learning rate rises", minimum=0, maximum=100000
    )
    gradient_clip: float = option(1.0, "largest norm of the gradient", minimum=1e-3, maximum=1e6)
    trained_part: str = trained_part_option("auto")
    anchor_weight: float = anchor_weight_option()
    average_decay: float = option(
        0.98,
        "decay of the moving average of weights that is validated and deployed",
        minimum=0.0,
        maximum=0.9999,
    )
    calibrate_scale: bool = option(
        True,
        "measure the metric scales on the first snippets before "
        "the first step, and correct a bias again when one shows",
    )
    batch_size: int = option(6, "snippets in a batch", minimum=1, maximum=64)
    present_share: float = option(
        0.25, "share of a batch from the newest snippets", minimum=0.0, maximum=1.0
    )
    landmark_weight: float = option(
        1.0,
        "weight of the error of log depth at landmarks (corners triangulated over the measured "
        "motion) of the camera's snippets; not used beside objective.sparse_depth_weight",
        minimum=0.0,
        maximum=100.0,
        dynamic=True,
    )
    synthetic_share: float = option(
        0.5,
        "share of a batch from the rendered world, against forgetting",
        minimum=0.0,
        maximum=1.0,
    )
    rehearsal_depth: str = option(
        "first_model",
        "depth that rendered snippets teach: that which the model saw in them before it began to "
        "learn, so that it stays as it was, or their truth",
        choices=("first_model", "truth"),
    )
    mixed_precision: str = option(
        "auto",
        "compute the networks in bfloat16; auto = where the "
        "CPU has AVX512-BF16 or AMX, or on a GPU",
        choices=("auto", "on", "off"),
    )
    threads: int = option(1, "CPU threads for training", minimum=1, maximum=256)
    core_share: float = option(
        1.0,
        "share of a core that training takes; it rests between steps, so that fewer are taken",
        minimum=0.02,
        maximum=64.0,
        dynamic=True,
    )
    niceness: int = option(10, "process priority, 19 = lowest", minimum=0, maximum=19)
    device: str = option("cpu", "torch device, for example cpu or cuda:0")
    buffer_size: int = option(600, "snippets kept on disk", minimum=8, maximum=1000000)
    buffer_gib: float = option(
        2.0, "most that they take on disk, in GiB", minimum=0.02, maximum=1000000.0
    )
    buffer_dir: str = option("", "folder of the snippet buffer; empty = next to models_dir")
    holdout_share: float = option(
        0.1,
        "share of admitted snippets held out to decide what may be deployed",
        minimum=0.02,
        maximum=0.5,
    )
    max_steps_per_snippet: float = option(
        10.0,
        "steps for every snippet received, after which training waits for new ones",
        minimum=0.01,
        maximum=1e6,
        dynamic=True,
    )
    validate_every: int = option(25, "steps between two validations", minimum=1, maximum=100000)
    min_snippets: int = option(
        24, "snippets in the buffer before training starts", minimum=2, maximum=100000
    )
    max_forgetting: float = option(
        0.05,
        "relative loss of accuracy on rendered drives above which a model is not "
        "deployed; as much of the learnt weights as stays below it is mixed with the deployed "
        "ones",
        minimum=0.0,
        maximum=10.0,
    )
    min_improvement: float = option(
        0.01,
        "relative gain of the held-out error that a model must show to be deployed",
        minimum=0.0,
        maximum=1.0,
        dynamic=True,
    )
    seed: int = option(0, "seed of sampling and augmentation", minimum=0, maximum=2**31 - 1)

    def __post_init__(self) -> None:
        check_options(self)
        if self.present_share + self.synthetic_share > 1.0:
            raise ConfigError(
                "expected present_share + synthetic_share <= 1, got "
                f"{self.present_share + self.synthetic_share}"
            )
