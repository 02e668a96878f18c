# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Seconds per training step beside the straightforward composition, memory, waiting for data."""

from __future__ import annotations

import multiprocessing
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any


@dataclass(frozen=True)
class StepSetting:
    """What is measured.

    Attributes:
        model: Model folder whose networks are trained.
        batch_size: Snippets in a batch.
        width: Image width in pixels.
        height: Image height in pixels.
        steps: Steps measured of each kind.
        threads: CPU threads.
        device: torch device.
    """

    model: Path
    batch_size: int = 4
    width: int = 640
    height: int = 192
    steps: int = 8
    threads: int = 1
    device: str = "cpu"


def measure_training(setting: StepSetting) -> dict[str, Any]:
    """Measure both ways, each in a process of its own, so that each peak is its own."""
    context = multiprocessing.get_context("spawn")
    with context.Pool(1, maxtasksperchild=1) as pool:
        ours = pool.apply(_measure, (setting, "ours"))
        reference = pool.apply(_measure, (setting, "reference"))
    return {
        "step_s": ours["step_s"],
        "reference_step_s": reference["step_s"],
        "ratio": reference["step_s"] / ours["step_s"],
        "peak_mib": ours["peak_mib"],
        "reference_peak_mib": reference["peak_mib"],
        "objective_s": ours["objective_s"],
        "reference_objective_s": reference["objective_s"],
        "objective_ratio": reference["objective_s"] / ours["objective_s"],
        "data_wait_share": ours["data_wait_share"],
        "batch_size": setting.batch_size,
        "width": setting.width,
        "height": setting.height,
        "threads": setting.threads,
    }


def _measure(setting: StepSetting, kind: str) -> dict[str, float]:
    import torch

    from sfm_depth_ros.config.schema import ObjectiveConfig
    from sfm_depth_ros.networks.model_folder import read_model_folder
    from sfm_depth_ros.training.batch_loader import BatchLoader
    from sfm_depth_ros.training.network_pair import networks_of
    from sfm_depth_ros.training.optimiser import Rates, create_optimiser, take_step
    from sfm_depth_ros.training.progress import peak_memory_mib

    torch.set_num_threads(setting.threads)
    networks = networks_of(read_model_folder(setting.model)).to(setting.device).train()
    optimiser = create_optimiser(networks, Rates(1e-6))
    step_loss, objective_loss = _LOSSES[kind]()
    config, times = ObjectiveConfig(), []
    with TemporaryDirectory() as folder, BatchLoader(_batches(setting, folder)) as loader:
        for _ in range(setting.steps + 2):
            batch = loader.next().to(setting.device)
            started = time.perf_counter()
            take_step(optimiser, step_loss(networks, batch, config), 1.0)
            times.append(time.perf_counter() - started)
            if len(times) == 2:  # warm: caches are filled, the loader runs ahead
                loader.waited, since = 0.0, time.perf_counter()
        wait_share = loader.waited / (time.perf_counter() - since)
    return {
        "step_s": median(times[2:]),
        "peak_mib": peak_memory_mib(setting.device),
        "objective_s": _time_objective(objective_loss, batch, setting, config),
        "data_wait_share": wait_share,
    }


def _time_objective(
    loss: Callable[..., Any], batch: Any, setting: StepSetting, config: Any
) -> float:
    """Forward and backward of the objective alone, on depths at four scales."""
    import torch

    times = []
    for _ in range(setting.steps + 1):
        depths = [
            torch.full((setting.batch_size, 1, setting.height >> s, setting.width >> s), 10.0)
            .to(setting.device).requires_grad_()
            for s in range(4)
        ]
        motions = torch.eye(4).repeat(setting.batch_size, 2, 1, 1).to(setting.device)
        motions[:, :, 2, 3] = torch.tensor([-0.5, 0.5])
        motions.requires_grad_()
        started = time.perf_counter()
        loss(batch, depths, motions, config).backward()
        times.append(time.perf_counter() - started)
    return median(times[1:])


def random_snippets(setting: StepSetting) -> list[Any]:
    """Snippets of smooth random images; a step takes as long whatever they show."""
    import cv2
    import numpy as np

    from sfm_depth_ros.data.sample import Snippet
    from sfm_depth_ros.geometry.camera import Intrinsics

    rng = np.random.default_rng(0)
    size = (setting.width, setting.height)
    camera = Intrinsics.from_hfov(80.0, *size)
    snippets = []
    for _ in range(2 * setting.batch_size):
        coarse = rng.integers(0, 256, (3, 12, 40, 3), np.uint8)
        images = np.stack([cv2.resize(image, size, interpolation=cv2.INTER_CUBIC)
                           for image in coarse])
        snippets.append(Snippet(
            target=images[0], sources=images[1:], intrinsics=camera,
            displacements=np.full(2, 0.5, np.float32), stamps_ns=np.arange(3),
        ))
    return snippets


def _batches(setting: StepSetting, folder: str) -> Callable[[int], Any]:
    """Batches from the trainer's own buffer on disk."""
    import numpy as np

    from sfm_depth_ros.data.batch import collate
    from sfm_depth_ros.data.replay_buffer import ReplayBuffer

    buffer = ReplayBuffer(folder, 100, 0.0, seed=0)
    for snippet in random_snippets(setting):
        buffer.add(snippet)
    rng = np.random.default_rng(0)
    return lambda step: collate(buffer.sample(setting.batch_size, rng))


def _our_losses() -> tuple[Callable[..., Any], Callable[..., Any]]:
    from sfm_depth_ros.losses.inputs import Observation, Prediction
    from sfm_depth_ros.losses.objective import self_supervised_objective
    from sfm_depth_ros.training.step import training_step

    def step(networks: Any, batch: Any, config: Any) -> Any:
        return training_step(networks.depth, networks.pose, batch, config).terms.total

    def objective(batch: Any, depths: Any, motions: Any, config: Any) -> Any:
        observed = Observation(batch.target.contiguous(), batch.sources.contiguous(), batch.K,
                               batch.displacements, batch.valid)
        return self_supervised_objective(observed, Prediction(depths, motions), config).total

    return step, objective


def _reference_losses() -> tuple[Callable[..., Any], Callable[..., Any]]:
    from sfm_depth_ros.cli.benchmarks.reference_step import reference_objective, reference_step

    def step(networks: Any, batch: Any, config: Any) -> Any:
        return reference_step(networks.depth, networks.pose, batch, config)

    return step, reference_objective


_LOSSES = {"ours": _our_losses, "reference": _reference_losses}
