# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A process that takes training steps of one kind on request and reports their duration.

Two of them can alternate, so that whatever else the machine does meets both alike, and each has
a peak of memory of its own.
"""

from __future__ import annotations

import multiprocessing
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from types import TracebackType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from multiprocessing.connection import Connection


@dataclass(frozen=True)
class StepSetting:
    """Setting of a measured training step."""

    model: Path  # Model folder whose networks are trained
    backbone: str = ""  # `""` = the model's networks, or a ResNet for both, fresh: `"resnet18"`
    batch_size: int = 4  # Snippets in a batch
    width: int = 640  # Image width in pixels
    height: int = 192  # Image height in pixels
    steps: int = 8  # Steps measured of each kind
    threads: int = 1  # CPU threads
    device: str = "cpu"  # torch device


class StepWorker:
    """The other process, as seen from here; a context manager.

    Args:
        setting: What it trains.
        kind: ``"ours"`` or ``"reference"``.
    """

    def __init__(self, setting: StepSetting, kind: str) -> None:
        context = multiprocessing.get_context("spawn")
        self._here, there = context.Pipe()
        self._process = context.Process(target=_serve, args=(setting, kind, there), daemon=True)
        self._process.start()
        there.close()

    def __enter__(self) -> StepWorker:
        """Return itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """End the process."""
        self._here.close()
        self._process.join(10.0)
        self._process.kill()

    def request(self, question: str) -> float:
        """Do one thing there: ``step``, ``objective`` (seconds), ``wait_share``, ``peak_mib``.

        Raises:
            EOFError: The process has ended.
        """
        self._here.send(question)
        figure: float = self._here.recv()
        return figure


def _serve(setting: StepSetting, kind: str, questions: Connection) -> None:
    import torch

    from sfm_depth_ros.training.offline.data import BatchLoader
    from sfm_depth_ros.training.offline.observers import peak_memory_mib

    torch.set_num_threads(setting.threads)
    with TemporaryDirectory() as folder, BatchLoader(_batches(setting, folder)) as loader:
        steps = _Steps(setting, kind, loader)
        figures: dict[str, Callable[[], float]] = {
            "step": steps.step,
            "objective": steps.objective,
            "wait_share": steps.wait_share,
            "peak_mib": lambda: peak_memory_mib(setting.device),
        }
        while True:
            try:
                question = questions.recv()
            except EOFError:
                return
            questions.send(figures[question]())


class _Steps:
    """Networks, optimiser and batches of one kind of step."""

    def __init__(self, setting: StepSetting, kind: str, loader: Any) -> None:
        from sfm_depth_ros.config.schema import ObjectiveConfig
        from sfm_depth_ros.training.optimiser import Rates, create_optimiser

        self._setting, self._loader, self._config = setting, loader, ObjectiveConfig()
        self._networks = _networks(setting).to(setting.device).train()
        self._optimiser = create_optimiser(self._networks, Rates(1e-6))
        self._step_loss, self._objective_loss = _LOSSES[kind]()
        self._batch = loader.next().to(setting.device)

    def step(self) -> float:
        """Seconds of a whole step; the batch is at hand."""
        from sfm_depth_ros.training.optimiser import take_step

        batch = self._loader.next().to(self._setting.device)
        started = time.perf_counter()
        take_step(self._optimiser, self._step_loss(self._networks, batch, self._config), 1.0)
        return time.perf_counter() - started

    def objective(self) -> float:
        """Seconds of the objective alone, forward and backward, on depths at four scales."""
        import torch

        setting = self._setting
        depths = [
            torch.full((setting.batch_size, 1, setting.height >> s, setting.width >> s), 10.0)
            .to(setting.device)
            .requires_grad_()
            for s in range(4)
        ]
        motions = torch.eye(4).repeat(setting.batch_size, 2, 1, 1).to(setting.device)
        motions[:, :, 2, 3] = torch.tensor([-0.5, 0.5])
        motions.requires_grad_()
        started = time.perf_counter()
        self._objective_loss(self._batch, depths, motions, self._config).backward()
        return time.perf_counter() - started

    def wait_share(self) -> float:
        """Share of the time of steps one after another that goes by waiting for batches."""
        self._loader.waited, since = 0.0, time.perf_counter()
        for _ in range(self._setting.steps):
            self.step()
        return float(self._loader.waited / (time.perf_counter() - since))


def _networks(setting: StepSetting) -> Any:
    from sfm_depth_ros.config.schema import DepthNetworkConfig, PoseNetworkConfig
    from sfm_depth_ros.model_folder.folder import read_model_folder
    from sfm_depth_ros.training.network_pair import fresh_networks, networks_of

    if not setting.backbone:
        return networks_of(read_model_folder(setting.model))
    depth = DepthNetworkConfig(name=setting.backbone)
    return fresh_networks(depth, PoseNetworkConfig(name=f"pose_{setting.backbone}"), seed=0)


def random_snippets(setting: StepSetting) -> list[Any]:
    """Snippets of smooth random images; a step takes as long whatever they show."""
    import cv2
    import numpy as np

    from sfm_depth_ros.geometry.camera import Intrinsics
    from sfm_depth_ros.snippets.values import Snippet

    rng = np.random.default_rng(0)
    size = (setting.width, setting.height)
    camera = Intrinsics.from_hfov(80.0, *size)
    snippets = []
    for _ in range(2 * setting.batch_size):
        coarse = rng.integers(0, 256, (3, 12, 40, 3), np.uint8)
        images = np.stack(
            [cv2.resize(image, size, interpolation=cv2.INTER_CUBIC) for image in coarse]
        )
        snippets.append(
            Snippet(
                target=images[0],
                sources=images[1:],
                intrinsics=camera,
                displacements=np.full(2, 0.5, np.float32),
                stamps_ns=np.arange(3),
            )
        )
    return snippets


def _batches(setting: StepSetting, folder: str) -> Callable[[int], Any]:
    """Batches from the trainer's own buffer on disk."""
    import numpy as np

    from sfm_depth_ros.snippets.batch import collate
    from sfm_depth_ros.snippets.replay_buffer import ReplayBuffer

    buffer = ReplayBuffer(folder, 100, 1 << 30, 0.0, seed=0)
    for snippet in random_snippets(setting):
        buffer.add(snippet)
    rng = np.random.default_rng(0)
    return lambda step: collate(buffer.sample(setting.batch_size, rng))


def _our_losses() -> tuple[Callable[..., Any], Callable[..., Any]]:
    from sfm_depth_ros.losses.inputs import Prediction
    from sfm_depth_ros.losses.objective import self_supervised_objective
    from sfm_depth_ros.training.step import training_step

    def step(networks: Any, batch: Any, config: Any) -> Any:
        return training_step(networks.depth, networks.pose, batch, config).terms.total

    def objective(batch: Any, depths: Any, motions: Any, config: Any) -> Any:
        observed = batch.contiguous()
        return self_supervised_objective(observed, Prediction(depths, motions), config).total

    return step, objective


def _reference_losses() -> tuple[Callable[..., Any], Callable[..., Any]]:
    from sfm_depth_ros.cli.benchmarks.reference_step import reference_objective, reference_step

    def step(networks: Any, batch: Any, config: Any) -> Any:
        return reference_step(networks.depth, networks.pose, batch, config)

    return step, reference_objective


_LOSSES = {"ours": _our_losses, "reference": _reference_losses}
