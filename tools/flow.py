# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The flow network before and after unsupervised training, beside OpenCV's DIS, on exact flow."""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from multiprocessing import get_context
from pathlib import Path

import cv2
import numpy as np
import torch
from torch import Tensor

from sfm_depth_ros.config.schema import ObjectiveConfig
from sfm_depth_ros.geometry.flow import visible_by_coverage, visible_by_round_trip
from sfm_depth_ros.losses.flow import CHECKS
from sfm_depth_ros.losses.inputs import FlowPrediction, Prediction
from sfm_depth_ros.losses.objective import self_supervised_objective
from sfm_depth_ros.networks.flow import FlowNetwork
from sfm_depth_ros.snippets.batch import SnippetBatch, images_to_tensor
from sfm_depth_ros.training.moving_pixels import dense_flow
from sfm_depth_ros.world.camera_spec import CameraSpec
from sfm_depth_ros.world.drive import DriveSpec, SyntheticDrive
from tools.exact_flow import ExactFlow, exact_flow

SECONDS, MOVERS = 12.0, 12  # of each drive; things per 100 m
JUDGE_SEED, LEARN_SEED = 12, 13  # of the first drive to learn from
OBJECTIVE = ObjectiveConfig(
    auto_mask=False, reduction="mean", flow_weight=1.0, flow_smoothness_weight=0.05
)
TERMS = ("flow", "flow_smoothness")

Estimate = Callable[[np.ndarray, np.ndarray], np.ndarray]


@dataclass
class Detection:
    """How well a check of two flows finds what the other image hides."""

    found: int = 0  # Hidden pixels that fail it
    hidden: int = 0
    failed: int = 0  # Pixels inside the other image that fail it

    def add(self, passed: np.ndarray, truth: ExactFlow) -> None:
        """Count one image's pixels ``(H, W)``."""
        failed = ~passed & truth.inside
        self.found += int(np.count_nonzero(failed & truth.hidden))
        self.hidden += int(np.count_nonzero(truth.hidden))
        self.failed += int(np.count_nonzero(failed))

    def cells(self) -> list[str]:
        """Precision and recall."""
        return [f"{self.found / max(n, 1):.2f}" for n in (self.failed, self.hidden)]


@dataclass
class FlowErrors:
    """End-point errors in pixels by kind of pixel, and how well the checks find the hidden."""

    ends: dict[str, list[np.ndarray]] = field(default_factory=dict)
    checks: tuple[Detection, Detection] = field(
        default_factory=lambda: (Detection(), Detection())
    )  # By round trip, by coverage

    def add(self, flow: np.ndarray, backward: np.ndarray, truth: ExactFlow) -> None:
        """Compare one flow ``(2, H, W)`` and the one back."""
        error = np.linalg.norm(flow - truth.flow, axis=0)
        kinds = {
            "static": truth.visible & ~truth.moving,
            "moving": truth.visible & truth.moving,
            "hidden": truth.hidden,
        }
        for kind, where in kinds.items():
            self.ends.setdefault(kind, []).append(error[where])
        fields = [torch.from_numpy(f)[None].float() for f in (flow, backward)]
        for check, detection in zip(
            (visible_by_round_trip, visible_by_coverage), self.checks, strict=True
        ):
            detection.add(check(fields[0], fields[1])[0, 0].numpy(), truth)

    def row(self, name: str) -> str:
        """One line of the table."""
        ends = [float(np.concatenate(self.ends[kind]).mean()) for kind in self.ends]
        cells = [f"{end:.2f}" for end in ends]
        cells += [cell for detection in self.checks for cell in detection.cells()]
        return f"| {name} | {' | '.join(cells)} |"


def make_drive(seed: int, size: tuple[int, int]) -> SyntheticDrive:
    """A street with traffic, in images of that width and height."""
    camera = CameraSpec(*size, 80.0, 1.1, 6.5)
    return SyntheticDrive(DriveSpec(seed, SECONDS, camera, moving_objects=MOVERS))


def render(job: tuple[int, tuple[int, int]]) -> np.ndarray:
    """All images ``(N, H, W, 3)`` of the drive of that seed and size."""
    torch.set_num_threads(1)
    return np.stack([frame.image for frame in make_drive(*job).frames()])


def triples_of(drives: Sequence[np.ndarray]) -> Tensor:
    """Every image between its neighbours ``(N, 3, 3, H, W)`` uint8: earlier, target, later."""
    images = [torch.from_numpy(drive).permute(0, 3, 1, 2) for drive in drives]
    return torch.cat([torch.stack((x[:-2], x[1:-1], x[2:]), dim=1) for x in images])


@dataclass(frozen=True)
class Training:
    """Length and rate of the unsupervised training; whichever limit comes first ends it."""

    steps: int = 2000
    seconds: float = float("inf")
    batch: int = 2
    rate: float = 1e-3
    smoothness: float = OBJECTIVE.flow_smoothness_weight
    check: str = OBJECTIVE.flow_check

    def share_done(self, step: int, seconds: float) -> float:
        """How much of it is done."""
        return max(step / self.steps, seconds / self.seconds)


def train(
    network: FlowNetwork,
    triples: Tensor,
    options: Training,
    report: Callable[[int, float], None] = lambda step, loss: None,
) -> int:
    """Unsupervised training on the device that ``triples`` are on; the number of steps."""
    optimiser = torch.optim.Adam(network.parameters(), options.rate)
    config = replace(
        OBJECTIVE, flow_smoothness_weight=options.smoothness, flow_check=options.check
    )
    rng, begin, step = np.random.default_rng(0), time.monotonic(), 0
    while (share := options.share_done(step, time.monotonic() - begin)) < 1:
        rows = rng.choice(len(triples), options.batch, replace=False)
        batch = triples[torch.from_numpy(rows).to(triples.device)].float() / 255
        if rng.random() < 0.5:
            batch = batch.flip(-1)
        loss = objective(network, batch, config)
        for group in optimiser.param_groups:
            group["lr"] = options.rate * 0.5 * (1 + np.cos(np.pi * share))
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        step += 1
        report(step, share)
    return step


def objective(network: FlowNetwork, images: Tensor, config: ObjectiveConfig) -> Tensor:
    """The flow terms alone of ``(B, 3, 3, H, W)`` images: earlier, target, later."""
    target, around = images[:, 1], images[:, ::2]
    shape = around.shape[:2]
    sources = around.flatten(0, 1)
    targets = target.repeat_interleave(shape[1], dim=0)
    forward = [f.unflatten(0, shape) for f in network(targets, sources)]
    with torch.no_grad():
        backward = network(sources, targets)[0].unflatten(0, shape)
    still = torch.eye(4, device=images.device).expand(*shape, 4, 4)
    predicted = Prediction(
        [torch.ones_like(target[:, :1])], still, flow=FlowPrediction(forward, backward)
    )
    observed = SnippetBatch(target, around, still[:, 0, :3, :3], still[:, :, 0, 3])
    return self_supervised_objective(observed, predicted, config, TERMS).total


@dataclass(frozen=True)
class Judge:
    """Pairs of neighbours of one drive with exact flow in both directions of time."""

    pairs: list[tuple[np.ndarray, np.ndarray, ExactFlow]]

    @classmethod
    def of_drive(cls, drive: SyntheticDrive) -> Judge:
        """Every fourth image of a drive and the one after it."""
        pairs = []
        for index in range(0, len(drive) - 1, 4):
            first, second = drive.frame(index), drive.frame(index + 1)
            for a, b in ((first, second), (second, first)):
                pairs.append((a.image, b.image, exact_flow(drive, a, b)))
        return cls(pairs)

    def row(self, name: str, estimate: Estimate) -> str:
        """One line of the table of a method."""
        errors = FlowErrors()
        for first, second, truth in self.pairs:
            errors.add(estimate(first, second), estimate(second, first), truth)
        return errors.row(name)


def by_network(network: FlowNetwork) -> Estimate:
    """Flow ``(2, H, W)`` between two images by the network."""
    device = network.sharpness.device

    @torch.no_grad()
    def estimate(first: np.ndarray, second: np.ndarray) -> np.ndarray:
        images = (images_to_tensor(image)[None].to(device) for image in (first, second))
        return network(*images)[0][0].cpu().numpy()

    return estimate


def by_dis(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Dense inverse search (Kroeger et al., ECCV 2016) as OpenCV has it, medium preset."""
    grey = [cv2.cvtColor(image, cv2.COLOR_RGB2GRAY) for image in (first, second)]
    return dense_flow(*grey).transpose(2, 0, 1)


def main(arguments: list[str] | None = None) -> int:
    """Train, judge, print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", type=int, nargs=2, default=(192, 64), metavar=("W", "H"))
    parser.add_argument("--drives", type=int, default=4, help="how many to learn from")
    parser.add_argument("--steps", type=int, default=Training.steps)
    parser.add_argument("--seconds", type=float, default=Training.seconds, help="at most")
    parser.add_argument("--batch", type=int, default=Training.batch)
    parser.add_argument("--rate", type=float, default=Training.rate)
    parser.add_argument("--smoothness", type=float, default=Training.smoothness)
    parser.add_argument("--check", choices=CHECKS, default=Training.check, help="where it counts")
    parser.add_argument("--every", type=int, default=10**9, help="steps between rows")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--save", type=Path, metavar="FILE", help="the trained weights")
    parser.add_argument("--processes", type=int, default=1, help="that render drives")
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    torch.manual_seed(0)
    size = (options.size[0], options.size[1])
    judge = Judge.of_drive(make_drive(JUDGE_SEED, size))
    jobs = [(LEARN_SEED + i, size) for i in range(options.drives)]
    with get_context("spawn").Pool(options.processes) as pool:
        triples = triples_of(pool.map(render, jobs)).to(options.device)
    network = FlowNetwork().to(options.device)
    print(
        "| flow by | static, px | moving, px | hidden, px | round trip: precision | recall | "
        "coverage: precision | recall |\n|---|---|---|---|---|---|---|---|"
    )
    truths = {id(first): truth.flow for first, _, truth in judge.pairs}
    print(judge.row("exact flow", lambda first, _: truths[id(first)]))
    print(judge.row("nothing", lambda first, _: np.zeros((2, *first.shape[:2]))))
    print(judge.row("OpenCV DIS, medium", by_dis))
    print(judge.row("network, fresh", by_network(network)), flush=True)

    def report(step: int, share: float) -> None:
        if step % options.every == 0:
            print(judge.row(f"network, {step} steps", by_network(network)), flush=True)

    learning = Training(options.steps, options.seconds, options.batch, options.rate,
                        options.smoothness, options.check)  # fmt: skip
    steps = train(network, triples, learning, report)
    print(judge.row(f"network, {steps} steps", by_network(network)), flush=True)
    if options.save:
        torch.save(network.cpu().state_dict(), options.save)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
