# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The flow network before and after unsupervised training, beside OpenCV's DIS, on exact flow."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import cv2
import numpy as np
import torch
from torch import Tensor

from sfm_depth_ros.config.schema import ObjectiveConfig
from sfm_depth_ros.geometry.flow import visible_by_round_trip
from sfm_depth_ros.losses.inputs import FlowPrediction, Prediction
from sfm_depth_ros.losses.objective import self_supervised_objective
from sfm_depth_ros.networks.flow import FlowNetwork
from sfm_depth_ros.snippets.batch import SnippetBatch, collate, images_to_tensor
from sfm_depth_ros.world.camera_spec import CameraSpec
from sfm_depth_ros.world.drive import DriveSpec, RenderedFrame, SyntheticDrive
from tools.exact_flow import ExactFlow, exact_flow

WIDTH, HEIGHT = 192, 64  # pixels
SECONDS, MOVERS = 12.0, 12  # of each drive; things per 100 m
LEARN_SEEDS, JUDGE_SEED = (11, 13, 14, 15), 12
BATCH = 2
RATE = 1e-3
OBJECTIVE = ObjectiveConfig(
    auto_mask=False, reduction="mean", flow_weight=1.0, flow_smoothness_weight=0.2
)
TERMS = ("flow", "flow_smoothness")

Estimate = Callable[[np.ndarray, np.ndarray], np.ndarray]


@dataclass
class FlowErrors:
    """End-point errors in pixels by kind of pixel, and how well round trips find the hidden."""

    ends: dict[str, list[np.ndarray]] = field(default_factory=dict)
    found: int = 0  # hidden pixels whose round trip fails
    hidden: int = 0
    failed: int = 0  # pixels inside the other image whose round trip fails

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
        failed = ~visible_by_round_trip(fields[0], fields[1])[0, 0].numpy() & truth.inside
        self.found += int(np.count_nonzero(failed & truth.hidden))
        self.hidden += int(np.count_nonzero(truth.hidden))
        self.failed += int(np.count_nonzero(failed))

    def row(self, name: str) -> str:
        """One line of the table."""
        ends = [float(np.concatenate(self.ends[kind]).mean()) for kind in self.ends]
        cells = [f"{end:.2f}" for end in ends]
        cells.append(f"{self.found / max(self.failed, 1):.2f}")
        cells.append(f"{self.found / max(self.hidden, 1):.2f}")
        return f"| {name} | {' | '.join(cells)} |"


def make_drive(seed: int) -> SyntheticDrive:
    """A street with traffic."""
    camera = CameraSpec(WIDTH, HEIGHT, 80.0, 1.1, 6.5)
    return SyntheticDrive(DriveSpec(seed, SECONDS, camera, moving_objects=MOVERS))


def train(network: FlowNetwork, snippets: Sequence[SnippetBatch], steps: int) -> None:
    """Unsupervised training; ``snippets`` are batches of one."""
    optimiser = torch.optim.Adam(network.parameters(), RATE)
    rng = np.random.default_rng(0)
    for step in range(steps):
        rows = rng.choice(len(snippets), BATCH, replace=False)
        batch = joined([snippets[row] for row in rows])
        loss = objective(network, batch)
        for group in optimiser.param_groups:
            group["lr"] = RATE * 0.5 * (1 + np.cos(np.pi * step / steps))
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()


def objective(network: FlowNetwork, batch: SnippetBatch) -> Tensor:
    """The flow terms alone of a batch."""
    shape = batch.sources.shape[:2]
    sources = batch.sources.flatten(0, 1)
    targets = batch.target.repeat_interleave(shape[1], dim=0)
    forward = [f.unflatten(0, shape) for f in network(targets, sources)]
    with torch.no_grad():
        backward = network(sources, targets)[0].unflatten(0, shape)
    still = torch.eye(4).expand(*shape, 4, 4)
    predicted = Prediction(
        [torch.ones_like(batch.target[:, :1])], still, flow=FlowPrediction(forward, backward)
    )
    return self_supervised_objective(batch, predicted, OBJECTIVE, TERMS).total


def joined(batches: Sequence[SnippetBatch]) -> SnippetBatch:
    """Batches as one, of what flow needs."""
    return SnippetBatch(
        torch.cat([b.target for b in batches]), torch.cat([b.sources for b in batches]),
        torch.cat([b.K for b in batches]), torch.cat([b.displacements for b in batches]),
    )  # fmt: skip


def judge(
    drive: SyntheticDrive, frames: Sequence[RenderedFrame], estimate: Estimate
) -> FlowErrors:
    """Errors of a method on pairs of neighbours, both directions of time."""
    errors = FlowErrors()
    for first, second in zip(frames[:-1:2], frames[1::2], strict=True):
        there, back = (estimate(a.image, b.image) for a, b in ((first, second), (second, first)))
        errors.add(there, back, exact_flow(drive, first, second))
        errors.add(back, there, exact_flow(drive, second, first))
    return errors


def by_network(network: FlowNetwork) -> Estimate:
    """Flow ``(2, H, W)`` between two images by the network."""

    @torch.no_grad()
    def estimate(first: np.ndarray, second: np.ndarray) -> np.ndarray:
        images = (images_to_tensor(image)[None].contiguous() for image in (first, second))
        return network(*images)[0][0].numpy()

    return estimate


def by_dis(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Dense inverse search (Kroeger et al., ECCV 2016) as OpenCV has it, medium preset."""
    grey = [cv2.cvtColor(image, cv2.COLOR_RGB2GRAY) for image in (first, second)]
    none = np.zeros((*grey[0].shape, 2), np.float32)
    found = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM).calc(
        grey[0], grey[1], none
    )
    return found.transpose(2, 0, 1)


def main(arguments: list[str] | None = None) -> int:
    """Train, judge, print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=2000)
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    torch.manual_seed(0)
    drive = make_drive(JUDGE_SEED)
    frames = [drive.frame(index) for index in range(0, len(drive) - 1, 4)]
    pairs = [f for i, a in enumerate(frames) for f in (a, drive.frame(4 * i + 1))]
    network = FlowNetwork()
    rows = [judge(drive, pairs, by_dis).row("OpenCV DIS, medium")]
    rows.append(judge(drive, pairs, by_network(network)).row("network, fresh"))
    learnt = []
    for seed in LEARN_SEEDS:
        other = make_drive(seed)
        learnt += [collate([other.render_snippet(i, 1)]) for i in range(1, len(other) - 1)]
    train(network, learnt, options.steps)
    rows.append(judge(drive, pairs, by_network(network)).row(f"network, {options.steps} steps"))
    print("| flow by | static, px | moving, px | hidden, px | precision | recall |")
    print("|---|---|---|---|---|---|")
    print("\n".join(rows))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
