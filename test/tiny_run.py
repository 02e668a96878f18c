# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A training run so small that tests can start it as a process, kill it, and start it again.

``python tiny_run.py FOLDER STEPS [--resume] [--gradient FILE]``, also under torchrun.
"""

from __future__ import annotations

import argparse
import dataclasses
import sys
from collections.abc import Iterable
from functools import partial
from pathlib import Path

import cv2
import numpy as np
import torch
from safetensors.torch import save_file

from sfm_depth_ros.cli.stop_signals import StopSignals
from sfm_depth_ros.config.schema import (
    DepthNetworkConfig,
    ObjectiveConfig,
    OfflineTrainingConfig,
    PoseNetworkConfig,
)
from sfm_depth_ros.errors import SfmDepthError
from sfm_depth_ros.geometry.camera import Intrinsics
from sfm_depth_ros.snippets.store import StoreShape, open_store
from sfm_depth_ros.snippets.values import Snippet
from sfm_depth_ros.training.network_pair import NetworkPair, fresh_networks
from sfm_depth_ros.training.offline.data import Source, TrainingData
from sfm_depth_ros.training.offline.loop import OfflineTrainer
from sfm_depth_ros.training.offline.processes import Processes
from sfm_depth_ros.training.offline.run_parts import RunParts

HEIGHT, WIDTH, SNIPPETS = 32, 64, 12
CONFIG = OfflineTrainingConfig(
    batch_size=2,
    warmup_steps=2,
    validate_every=5,
    save_every=3,
    learning_rate=2e-3,
    self_supervised_every=2,
    average_decay=0.9,
    width=WIDTH,
    seed=3,
    patience=0,
)


def snippet(number: int) -> Snippet:
    """Three cuts of one smooth random picture; parts are invalid, some with truth."""
    rng = np.random.default_rng(number)
    coarse = rng.integers(0, 256, (6, 12, 3), dtype=np.uint8)
    picture = cv2.resize(coarse, (WIDTH + 8, HEIGHT), interpolation=cv2.INTER_CUBIC)
    valid = np.ones((HEIGHT, WIDTH), bool)
    valid[: number % 5] = False
    T = np.tile(np.eye(4, dtype=np.float32), (2, 1, 1))
    T[:, 2, 3] = 0.4, -0.4
    return Snippet(
        target=picture[:, 4:-4].copy(),
        sources=np.stack([picture[:, :-8], picture[:, 8:]]),
        intrinsics=Intrinsics.from_hfov(80.0, WIDTH, HEIGHT),
        displacements=np.array([0.4, np.nan if number % 3 else 0.4], np.float32),
        stamps_ns=np.array([number, number + 1, number + 2], np.int64),
        valid=valid,
        depth=np.where(valid, rng.uniform(3, 20, (HEIGHT, WIDTH)), 0).astype(np.float32),
        T_source_target=T,
    )


def source_of(folder: Path, snippets: Iterable[Snippet]) -> Source:
    """Snippets of one image size, stored in a folder."""
    numbered = list(enumerate(snippets))
    shape = StoreShape(*numbered[0][1].target.shape[:2], folder.name)
    cache = open_store(folder, shape)
    for row, stored in numbered:
        cache.write(row, stored)
    return Source.whole(cache)


def make_data(folder: Path, config: OfflineTrainingConfig) -> TrainingData:
    """Snippets with truth, and the same again as if they were recorded."""
    cache = open_store(folder, StoreShape(HEIGHT, WIDTH, "tiny"))
    for row in cache.missing_rows(SNIPPETS):
        cache.write(int(row), snippet(int(row)))
    return TrainingData([Source.whole(cache)], [Source.whole(cache)], config)


def judge(networks: NetworkPair) -> dict[str, float]:
    """Distance of the weights from the first ones; it rises, so the best are not the last."""
    pairs = zip(networks.parameters(), first_networks().parameters(), strict=True)
    return {"score": sum((now - first).double().abs().sum().item() for now, first in pairs)}


class Gradient:
    """Writes the gradient of the first step, and says every step."""

    def __init__(self, networks: NetworkPair, file: str) -> None:
        self._networks, self._file = networks, file

    def on_step(self, report) -> None:
        sys.stdout.write(f"step {report.step}\n")
        sys.stdout.flush()
        if self._file and report.step == 1:
            named = self._networks.named_parameters()
            tensors = {name: p.grad.contiguous() for name, p in named if p.grad is not None}
            buffers = dict(self._networks.named_buffers())
            save_file({**tensors, **{k: v.contiguous() for k, v in buffers.items()}}, self._file)

    def on_validation(self, step, found, networks) -> None:
        """Nothing to say."""

    def close(self) -> None:
        """Nothing is open."""


def first_networks() -> NetworkPair:
    """Networks that every run begins with."""
    return fresh_networks(DepthNetworkConfig(width=8), PoseNetworkConfig(width=8), seed=1)


def make_trainer(
    folder: Path,
    config: OfflineTrainingConfig,
    processes: Processes | None = None,
    is_stopping=bool,
    gradient: str = "",
) -> tuple[OfflineTrainer, TrainingData]:
    """A run whose snippets and state lie in ``folder``."""
    torch.set_num_threads(1)
    networks = first_networks()
    data = make_data(folder / "cache", config)
    parts = RunParts(
        folder / "state",
        config,
        ObjectiveConfig(),
        {"depth.width": 8},
        processes or Processes(),
        is_stopping,
    )
    trainer = OfflineTrainer(networks, parts)
    if parts.processes.is_first:
        trainer.observers.append(Gradient(networks, gradient))
    return trainer, data


def main() -> int:
    """Run it."""
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("steps", type=int)
    parser.add_argument("--resume", action="store_true")
    parser.add_argument("--gradient", default="")
    options = parser.parse_args()
    processes = Processes.of_environment()
    config = dataclasses.replace(CONFIG, steps=options.steps)
    with StopSignals() as signals, processes.joined("cpu"):
        signals.be_patient()
        trainer, data = make_trainer(
            options.folder, config, processes, signals.is_asked, options.gradient
        )
        if options.resume:
            trainer.resume()
        trainer.run(partial(data.batch, rank=processes.rank, processes=processes.count), judge)
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except SfmDepthError as error:
        sys.exit(f"error: {error}")
    except KeyboardInterrupt:
        sys.exit(130)
