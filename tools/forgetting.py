# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Gain on a new camera and loss on the old world, for online settings of the field and for ours.

The old world is the random rendered one that the shipped model was trained in, the new one a drive
through one street with another camera. Settings are built from the trainer's own parts; those
after CL-SLAM (Vödisch et al., ISRR 2022) and CoVIO (Vödisch et al., CVPRW 2023) have their trained
part, replay, rate and updates a frame, and no guard, as published.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from statistics import fmean, pstdev
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch

from sfm_depth_ros.config.schema import ObjectiveConfig, OnlineTrainingConfig
from sfm_depth_ros.model_folder.folder import ModelFolder, read_model_folder
from sfm_depth_ros.share import SHIPPED_MODEL, share_path
from sfm_depth_ros.snippets.batch import collate_in_batches
from sfm_depth_ros.snippets.replay_buffer import ReplayBuffer
from sfm_depth_ros.snippets.values import Snippet
from sfm_depth_ros.training.network_pair import NetworkPair
from sfm_depth_ros.training.offline.rendered_snippets import SnippetRenderer
from sfm_depth_ros.training.online.loop import OnlineLoop
from sfm_depth_ros.training.online.parts import TrainerParts
from sfm_depth_ros.training.online.rehearsal import PER_DRIVE, World
from sfm_depth_ros.training.validation import validate
from sfm_depth_ros.world.camera_spec import CameraSpec
from sfm_depth_ros.world.distribution import random_drive_spec
from sfm_depth_ros.world.drive import SyntheticDrive

OLD_JUDGES = 500_000_000  # number of the first rendered snippet that judges the old world
JUDGES = 24
STRIDE = 2  # frames between targets of the stream


@dataclass(frozen=True)
class Setting:
    """One setting of online training."""

    name: str
    options: dict[str, Any]  # Of the online trainer
    steps_per_snippet: float = 5.0
    is_guarded: bool = False  # Whether what is deployed counts, not the weights in training
    objective: dict[str, Any] = field(default_factory=dict)


UNPROTECTED = {"average_decay": 0.0, "synthetic_share": 0.0, "calibrate_scale": False}
PUBLISHED = {
    **UNPROTECTED,
    "learning_rate": 1e-4,
    "warmup_steps": 0,
    "batch_size": 3,
    "present_share": 0.34,
    "trained_part": "decoder",
}
SETTINGS = (
    Setting("unprotected", {**UNPROTECTED, "present_share": 1.0, "synthetic_share": 0.0}),
    Setting("this trainer", {}, is_guarded=True),
    Setting(
        "after CL-SLAM",
        {**PUBLISHED, "synthetic_share": 0.33},
        objective={"velocity_weight": 0.05},
    ),
    Setting("after CoVIO", PUBLISHED, objective={"velocity_weight": 0.05}),
)


@dataclass(frozen=True)
class Worlds:
    """Snippets to learn from and to judge by, of one seed."""

    stream: list[Snippet]  # Of the new camera, as an odometer measured it
    new: list[Snippet]  # Of another street with the new camera, with truth
    old: list[Snippet]  # Of the random world, with truth
    camera: CameraSpec


def make_worlds(seed: int, size: tuple[int, int], snippets: int) -> Worlds:
    """Render both worlds.

    Args:
        seed: Of the streets.
        size: ``(width, height)`` of all images.
        snippets: Length of the stream.
    """
    camera = CameraSpec(*size, hfov_deg=95.0, height_m=0.45, pitch_deg=0.0)
    stream = list(_along(seed, camera, snippets))
    new = list(_along(seed + 1000, camera, JUDGES, with_truth=True))
    render = SnippetRenderer(*size)
    old = [render(OLD_JUDGES + 3 * number) for number in range(JUDGES)]
    return Worlds(stream, new, old, camera)


def _along(
    seed: int, camera: CameraSpec, count: int, with_truth: bool = False
) -> Iterator[Snippet]:
    """Successive snippets of a drive; without truth the true motion becomes a measured one."""
    seconds = 10.0 + 0.1 * STRIDE * count * (8 if with_truth else 1)
    rng = np.random.default_rng(seed)
    spec = random_drive_spec(rng, camera.width, camera.height, seconds, camera)
    drive = SyntheticDrive(spec)
    made = 0
    for index in range(5, len(drive) - 5, STRIDE * (8 if with_truth else 1)):
        snippet = drive.render_snippet(index, STRIDE)
        assert snippet.T_source_target is not None
        if np.linalg.norm(snippet.T_source_target[:, :3, 3], axis=1).min() < 0.1:
            continue
        if not with_truth:
            snippet = dataclasses.replace(
                snippet, depth=None, T_source_target=None, T_measured=snippet.T_source_target
            )
        yield snippet
        made += 1
        if made == count:
            return


def run_setting(setting: Setting, worlds: Worlds, seed: int, folder: Path) -> dict[str, float]:
    """Learn from the stream as it comes; figures by name."""
    loop = _loop(setting, worlds, seed, folder)
    before = judged(loop.deployment.networks, worlds)
    begun, steps = time.process_time(), 0
    for number, snippet in enumerate(worlds.stream):
        loop.buffer.add(snippet)
        loop.take(snippet)
        while loop.learner.steps < setting.steps_per_snippet * number and loop.advance():
            steps += 1
    pair = loop.deployment.networks if setting.is_guarded else loop.learner.average.network
    after = judged(pair, worlds)
    return {
        **{f"{name}_before": value for name, value in before.items()},
        **after,
        "steps": loop.learner.steps,
        "deployed": loop.deployment.count,
        "cpu_s_per_step": (time.process_time() - begun) / max(loop.learner.steps, 1),
    }


def _loop(setting: Setting, worlds: Worlds, seed: int, folder: Path) -> OnlineLoop:
    training = OnlineTrainingConfig(seed=seed, mixed_precision="off", **setting.options)
    if not setting.is_guarded:
        training = dataclasses.replace(training, validate_every=100_000, min_snippets=8)
    model = read_model_folder(share_path(SHIPPED_MODEL))
    width, height = worlds.camera.width, worlds.camera.height
    parts = TrainerParts(
        training=training,
        objective=ObjectiveConfig(**setting.objective),
        folder=model,
        work_dir=folder,
        save=_keeping(model),
        deploy=lambda _: None,
        make_world=lambda _: World(
            "random", SnippetRenderer(width, height, PER_DRIVE, worlds.camera)
        ),
    )
    share = training.holdout_share
    return OnlineLoop(parts, ReplayBuffer(folder / "buffer", 600, 1 << 30, share, seed))


def _keeping(model: ModelFolder) -> Any:
    """Saves nothing: graphs take longer than the steps that they are made of."""
    return lambda depth, pose, *, metadata, parent=None: dataclasses.replace(
        model, metadata={**model.metadata, **metadata}
    )


def judged(networks: NetworkPair, worlds: Worlds) -> dict[str, float]:
    """Errors against the truth in both worlds."""
    new, old = (
        validate(networks.depth, networks.pose, collate_in_batches(snippets, 8))
        for snippets in (worlds.new, worlds.old)
    )
    return {
        "new_abs_rel": new.abs_rel,
        "new_abs_rel_scaled": new.abs_rel_scaled,
        "new_depth_scale_ratio": new.depth_scale_ratio,
        "old_abs_rel_scaled": old.abs_rel_scaled,
    }


def table(rows: dict[str, list[dict[str, float]]]) -> str:
    """Markdown of means and spreads over seeds."""
    names = list(next(iter(rows.values()))[0])
    lines = ["| | " + " | ".join(names) + " |", "|---" * (len(names) + 1) + "|"]
    for setting, runs in rows.items():
        cells = []
        for name in names:
            values = [run[name] for run in runs]
            spread = f" ± {pstdev(values):.3f}" if len(values) > 1 else ""
            cells.append(f"{fmean(values):.3f}{spread}")
        lines.append(f"| {setting} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def main(arguments: list[str] | None = None) -> None:
    """Measure all settings; the table goes to the output file after every run."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=Path, help="JSON file of the figures")
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--snippets", type=int, default=300, help="length of the stream")
    parser.add_argument("--size", type=int, nargs=2, default=(320, 96), help="width and height")
    names = [setting.name for setting in SETTINGS]
    parser.add_argument("--settings", nargs="+", choices=names, default=names)
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    rows: dict[str, list[dict[str, float]]] = {}
    for seed in range(options.seeds):
        worlds = make_worlds(seed, tuple(options.size), options.snippets)
        for setting in (setting for setting in SETTINGS if setting.name in options.settings):
            with TemporaryDirectory() as folder:
                found = run_setting(setting, worlds, seed, Path(folder))
            rows.setdefault(setting.name, []).append(found)
            text = json.dumps(rows, indent=1)
            options.out.write_text(text, encoding="utf-8")
            options.out.with_suffix(".md").write_text(table(rows) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
