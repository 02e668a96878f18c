# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Gain on a new camera and loss on the old world, for online settings of the field and for ours.

Settings are built from the trainer's own parts; those after CL-SLAM (Vödisch et al., ISRR 2022)
and CoVIO (Vödisch et al., CVPRW 2023) have their trained part, replay and rate, and no guard, as
published. All take the same number of steps a snippet, so that they cost the same.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import time
from dataclasses import dataclass, field
from functools import partial
from multiprocessing import get_context
from multiprocessing.pool import Pool
from pathlib import Path
from statistics import fmean, pstdev
from tempfile import TemporaryDirectory
from typing import Any

import torch

from sfm_depth_ros.config.nodes import OnlineObjectiveConfig
from sfm_depth_ros.config.schema import ObjectiveConfig, OnlineTrainingConfig
from sfm_depth_ros.model_folder.folder import read_model_folder
from sfm_depth_ros.model_folder.saving import save_model
from sfm_depth_ros.share import SHIPPED_MODEL, share_path
from sfm_depth_ros.snippets.batch import collate_in_batches
from sfm_depth_ros.snippets.replay_buffer import ReplayBuffer
from sfm_depth_ros.training.network_pair import NetworkPair
from sfm_depth_ros.training.offline.rendered_snippets import SnippetRenderer
from sfm_depth_ros.training.online.loop import OnlineLoop
from sfm_depth_ros.training.online.parts import TrainerParts
from sfm_depth_ros.training.online.rehearsal import PER_DRIVE, World
from sfm_depth_ros.training.validation import validate
from sfm_depth_ros.visual_odometry.snippet_tracks import with_tracks
from tools.forgetting_bags import recorded_domains
from tools.forgetting_odometer import Odometer
from tools.forgetting_worlds import Domains, KeptRenderer, make_domains

WORSE = 1.01  # times the first error, above which a run counts as worse


@dataclass(frozen=True)
class Setting:
    """One setting of online training."""

    options: dict[str, Any]  # Of the online trainer
    objective: ObjectiveConfig = field(default_factory=OnlineObjectiveConfig)
    is_guarded: bool = False  # Whether what is deployed counts, not the weights in training
    has_tracks: bool = False  # Whether rotations and landmarks are those of tracked corners


UNPROTECTED = {
    "batch_size": 4,
    "average_decay": 0.0,
    "synthetic_share": 0.0,
    "calibrate_scale": False,
    "landmark_weight": 0.0,
    "trained_part": "all",
    "rehearsal_depth": "truth",
    "learning_rate": 2e-4,
    "scale_rate_factor": 20.0,
}
PUBLISHED = {
    **UNPROTECTED,
    "learning_rate": 1e-4,
    "warmup_steps": 0,
    "batch_size": 3,
    "present_share": 0.34,
    "trained_part": "decoder",
}
NETWORKS_MOTION = ObjectiveConfig()  # sources are warped by the pose network, not by the odometer
WEAK_VELOCITY = ObjectiveConfig(velocity_weight=0.05)
SETTINGS = {
    "unprotected": Setting({**UNPROTECTED, "present_share": 1.0}, NETWORKS_MOTION),
    "this trainer": Setting({}, is_guarded=True, has_tracks=True),
    "no guard": Setting({}, has_tracks=True),
    "no guard, odometer's rotation": Setting({}),
    "no guard, without landmarks": Setting({"landmark_weight": 0.0}, has_tracks=True),
    "no guard, network's motion": Setting({}, NETWORKS_MOTION, has_tracks=True),
    "no guard, rate 2e-4": Setting({"learning_rate": 2e-4}, has_tracks=True),
    "no guard, rate 5e-5": Setting({"learning_rate": 5e-5}, has_tracks=True),
    "no guard, little rehearsal": Setting(
        {"batch_size": 4, "synthetic_share": 0.25, "present_share": 0.5}, has_tracks=True
    ),
    "no guard, all learns": Setting({"trained_part": "all"}, has_tracks=True),
    "no guard, truth": Setting({"rehearsal_depth": "truth"}, has_tracks=True),
    "no guard, anchor": Setting({"anchor_weight": 100.0}, has_tracks=True),
    "after CL-SLAM": Setting({**PUBLISHED, "synthetic_share": 0.33}, WEAK_VELOCITY),
    "after CoVIO": Setting(PUBLISHED, WEAK_VELOCITY),
}


@dataclass(frozen=True)
class Run:
    """One run, for a process of its own."""

    name: str  # Of the setting
    seed: int
    domains: Path  # Tensors of its seed
    steps_per_snippet: float
    model: str
    device: str
    odometer: Odometer  # That measures the stream


def run_setting(run: Run) -> dict[str, Any]:
    """Learn from the stream as it comes; errors at marks along it."""
    torch.set_num_threads(1)
    setting, domains = SETTINGS[run.name], torch.load(run.domains, weights_only=False)
    with TemporaryDirectory() as folder:
        loop = _loop(setting, domains, run, Path(folder))
        first, curve = judged(loop.deployment.networks, domains, run.device), []
        marks, handed_over, start = domains.marks, [], domains.stream[0].stamps_ns[1]
        wall = cpu = 0.0
        for number, snippet in enumerate(run.odometer.measured(domains), 1):
            begun = time.perf_counter(), time.process_time()
            loop.buffer.add(with_tracks(snippet) if setting.has_tracks else snippet)
            loop.take(snippet)
            count = loop.deployment.count
            while loop.learner.steps < run.steps_per_snippet * number and loop.advance():
                pass
            if loop.deployment.count > count:
                handed_over.append(round(float(snippet.stamps_ns[1] - start) * 1e-9, 1))
            wall, cpu = wall + time.perf_counter() - begun[0], cpu + time.process_time() - begun[1]
            if number in marks:
                guarded = setting.is_guarded
                pair = loop.deployment.networks if guarded else loop.learner.average.network
                curve.append(judged(pair, domains, run.device))
        steps = max(loop.learner.steps, 1)
        return {
            "setting": run.name,
            "seed": run.seed,
            "first": first,
            "curve": curve,
            "frames": marks,
            "steps": loop.learner.steps,
            "deployed": loop.deployment.count,
            "deployed_at_s": handed_over,
            "history": [entry.reason for entry in loop.deployment.history],
            "rolled_back": loop.rollbacks,
            "verdict": loop.comparison.reason,
            "cpu_s_per_step": cpu / steps,
            "wall_s_per_step": wall / steps,
            "step_ms": loop.pace.step_ms,
            "step_cpu_ms": loop.pace.step_ms * loop.pace.core_got,
            "held_out": loop.buffer.holdout_count,
            "refused": loop.buffer.refused,
        }


def _loop(setting: Setting, domains: Domains, run: Run, folder: Path) -> OnlineLoop:
    training = OnlineTrainingConfig(seed=run.seed, device=run.device, **setting.options)
    if not setting.is_guarded:
        training = dataclasses.replace(training, validate_every=100_000, min_snippets=8)
    camera = domains.camera
    height, width = domains.stream[0].target.shape[:2]
    renderer = SnippetRenderer(width, height, PER_DRIVE, camera, is_alternating=True)
    render = KeptRenderer(renderer, run.domains.parent / f"rehearsal_{run.domains.stem}")
    parts = TrainerParts(
        training=training,
        objective=setting.objective,
        folder=read_model_folder(share_path(run.model)),
        work_dir=folder,
        save=partial(save_model, folder),
        deploy=lambda _: None,
        make_world=lambda _: World("both", render, camera is not None),
        mounting=lambda: None if camera is None else camera.T_base_camera,
    )
    share = training.holdout_share
    return OnlineLoop(parts, ReplayBuffer(folder / "buffer", 600, 1 << 30, share, run.seed))


def judged(networks: NetworkPair, domains: Domains, device: str) -> dict[str, float]:
    """Errors against the truth in every domain that judges."""
    figures: dict[str, float] = {}
    for name, snippets in domains.judges.items():
        batches = [batch.to(device) for batch in collate_in_batches(snippets, 8)]
        found = validate(networks.depth, networks.pose, batches)
        figures[f"{name}_abs_rel"] = found.abs_rel
        figures[f"{name}_abs_rel_scaled"] = found.abs_rel_scaled
        figures[f"{name}_depth_scale_ratio"] = found.depth_scale_ratio
    return figures


def table(rows: list[dict[str, Any]]) -> str:
    """Markdown of means and spreads over seeds, at the end of the stream, and how many got worse.

    ``worse`` counts runs whose unscaled error in a domain rose by more than 1 %.
    """
    ending = "_abs_rel_scaled"
    domains = [name.removesuffix(ending) for name in rows[0]["first"] if name.endswith(ending)]
    columns = [f"{domain}_abs_rel" for domain in domains]
    columns += ["old_abs_rel_scaled", f"{domains[0]}_depth_scale_ratio"]
    lines = [f"| setting | runs | {' | '.join(columns)} | worse: {', '.join(domains)} |"]
    lines += ["|---" * (len(columns) + 3) + "|"]
    for name in dict.fromkeys(row["setting"] for row in rows):
        runs = [row for row in rows if row["setting"] == name]
        cells = []
        for column in columns:
            before, after = ([run[when][column] for run in runs] for when in ("first", "last"))
            cells.append(f"{fmean(before):.3f} → {fmean(after):.3f} ± {pstdev(after):.3f}")
        worse = [
            sum(run["last"][column] > WORSE * run["first"][column] for run in runs)
            for column in columns[: len(domains)]
        ]
        counts = ", ".join(map(str, worse))
        lines.append(f"| {name} | {len(runs)} | " + " | ".join(cells) + f" | {counts} |")
    return "\n".join(lines)


def _domains(options: argparse.Namespace, seed: int, pool: Pool) -> Domains:
    if options.streams:
        return recorded_domains(options.streams, options.judges, options.size[0])
    return make_domains(seed, tuple(options.size), options.seconds, pool)


def _write(out: Path, rows: list[dict[str, Any]]) -> None:
    out.write_text(json.dumps(rows, indent=1), encoding="utf-8")
    last = [{**row, "last": row["curve"][-1]} for row in rows]
    out.with_suffix(".md").write_text(table(last) + "\n", encoding="utf-8")


def main(arguments: list[str] | None = None) -> None:
    """Measure all settings; the figures go to the output file after every run."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=Path, help="JSON file of the figures")
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--seconds", type=float, default=120.0, help="length of the stream")
    parser.add_argument("--steps", type=float, default=0.5, help="training steps a snippet")
    parser.add_argument("--size", type=int, nargs=2, default=(416, 128), help="width and height")
    parser.add_argument("--settings", nargs="*", choices=list(SETTINGS), default=list(SETTINGS))
    parser.add_argument("--domains", type=Path, help="folder that keeps the rendered domains")
    parser.add_argument("--model", default=SHIPPED_MODEL)
    parser.add_argument("--streams", nargs="+", help="bags to learn from, in this order")
    parser.add_argument("--judges", nargs="+", default=[], help="bags with true depth")
    parser.add_argument("--yaw-bias", type=float, default=0.0, help="odometer's fault, deg/s")
    parser.add_argument("--late", type=float, default=0.0, help="odometer's fault, seconds")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--processes", type=int, default=1)
    parser.add_argument("--limit", type=float, default=1e9, help="seconds for all of it")
    options = parser.parse_args(arguments)
    end, rows = time.monotonic() + options.limit, []
    with TemporaryDirectory() as folder, get_context("spawn").Pool(options.processes) as pool:
        runs = []
        for seed in range(options.first_seed, options.first_seed + options.seeds):
            path = (options.domains or Path(folder)) / f"{seed}.pt"
            if not path.exists():
                torch.save(_domains(options, seed, pool), path)
            for name in options.settings:
                work = options.steps, options.model, options.device
                run = Run(name, seed, path, *work, Odometer(options.yaw_bias, options.late))
                runs.append(pool.apply_async(run_setting, (run,)))
        while runs and time.monotonic() < end:
            done = [run for run in runs if run.ready()]
            runs = [run for run in runs if run not in done]
            if done:
                rows += [run.get() for run in done]
                _write(options.out, rows)
            time.sleep(0.2)


if __name__ == "__main__":
    main()
