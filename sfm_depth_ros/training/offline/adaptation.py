# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Adaptation of a model to a robot's own drives: plan, judge and verdict (``sfm-depth adapt``)."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from sfm_depth_ros.bags.frames import BagFrames, read_frames
from sfm_depth_ros.bags.selection import BagSelection, WeightedBag
from sfm_depth_ros.camera.image_layout import NetworkInput
from sfm_depth_ros.config.networks import size_multiple
from sfm_depth_ros.errors import ConfigError, ModelError, TrainingError
from sfm_depth_ros.model_folder.folder import ModelFolder, read_model_folder
from sfm_depth_ros.snippets.batch import SnippetBatch
from sfm_depth_ros.snippets.zoom import whole_view
from sfm_depth_ros.storage import write_folder, write_whole
from sfm_depth_ros.training.network_pair import NetworkPair
from sfm_depth_ros.training.offline.adaptation_verdict import LANDMARK, Mixture, Verdict
from sfm_depth_ros.training.offline.data import Source, TrainingData, batches_of
from sfm_depth_ros.training.offline.run import DataJudge
from sfm_depth_ros.training.offline.run_state import SCORE
from sfm_depth_ros.training.validation import landmark_errors

PLAN_FILE = "plan.json"
IMAGES_PER_MINUTE = 100  # of the time given: decoding and following corners takes a third of it
PART_S = 30.0  # length of the parts that a long bag is sampled by, seconds
MOST_PARTS = 6  # of one bag, which is read once for each; longer parts where that is too few
MOST_JUDGED = 160  # held-out snippets
LEAST_TRAINING = 0.5  # share of the minutes that trains, however long the preparation took
CLOSING_MINUTES = 1.0  # for the last validations, the model and the page


@dataclass(frozen=True)
class AdaptationPlan:
    """Decisions of the first start, which every later one keeps."""

    bags: list[str]  # Names of the bags and parts, with their weights
    parent: str  # Id of the model that the adaptation begins with
    train_minutes: float  # Time that training has; 0 = steps end it
    before: dict[str, float]  # Figures of that model, as the judge has them

    def write(self, folder: Path) -> None:
        """Keep it next to the run's state."""
        folder.mkdir(parents=True, exist_ok=True)
        content = dataclasses.asdict(self)
        content["before"] = {k: v for k, v in self.before.items() if math.isfinite(v)}
        write_whole(folder / PLAN_FILE, json.dumps(content, indent=2) + "\n", sync=True)

    @classmethod
    def read(cls, folder: Path) -> AdaptationPlan:
        """The plan of an interrupted adaptation.

        Raises:
            TrainingError: It is missing or damaged.
        """
        try:
            return cls(**json.loads((folder / PLAN_FILE).read_text()))
        except (OSError, ValueError, TypeError) as error:
            raise TrainingError(
                f"the plan of the interrupted adaptation in {folder} cannot be read ({error}); "
                "remove that folder to start afresh"
            ) from error

    def require_same(self, bags: Sequence[str], parent: str, folder: Path) -> None:
        """Refuse to go on with other drives or another model.

        Raises:
            ConfigError: They differ.
        """
        for what, now, then in (("bags", list(bags), self.bags), ("model", parent, self.parent)):
            if now != then:
                raise ConfigError(
                    f"{folder} is the state of an adaptation with other {what} ({then}, not "
                    f"{now}); give the same ones to go on, choose another --out, or remove it"
                )


def train_minutes(minutes: float, prepared_s: float) -> float:
    """Minutes that are left to train, after those that preparing the snippets took."""
    left = minutes - prepared_s / 60 - CLOSING_MINUTES
    return max(left, LEAST_TRAINING * minutes)


def sampled(
    bags: Sequence[WeightedBag], opened: Sequence[BagFrames], most_images: int
) -> list[WeightedBag]:
    """The bags, long ones as parts spread evenly over them.

    Args:
        bags: Bags and parts of bags.
        opened: Their frames.
        most_images: Images of all together, about.
    """
    share = most_images / max(1, sum(map(len, opened)))
    if share >= 1:
        return list(bags)
    return [
        dataclasses.replace(bag, selection=part)
        for bag, frames in zip(bags, opened, strict=True)
        for part in spread_parts(frames, share)
    ]


def spread_parts(frames: BagFrames, share: float) -> list[BagSelection]:
    """Parts of a bag that make up a share of its time, evenly spread, at least one.

    Args:
        frames: The bag, or a part of it.
        share: Above 0; 1 = all of it.
    """
    selection, stamps = frames.selection, frames.rig.image_stamps
    begin = selection.start_s
    end = min(selection.end_s, float(stamps[-1] - stamps[0]) * 1e-9)
    count = min(MOST_PARTS, max(1, round(share * (end - begin) / PART_S)))
    length = share * (end - begin) / count
    starts = begin + (np.arange(count) + 0.5) * (end - begin) / count - length / 2
    return [
        dataclasses.replace(selection, start_s=round(start, 2), end_s=round(start + length, 2))
        for start in starts.tolist()
    ]


def thinned(data: TrainingData) -> TrainingData:
    """The data with no more held-out snippets than can be judged again and again."""
    sources = data.recorded_validation
    every = max(1, math.ceil(sum(len(source.rows) for source in sources) / MOST_JUDGED))
    few = [Source(source.cache, source.rows[::every]) for source in sources]
    return dataclasses.replace(data, recorded_validation=few)


@dataclass(frozen=True)
class LandmarkJudge:
    """Judge in metres: depth at landmarks of held-out snippets, and rendered drives.

    Landmarks are the labels that training does not see: no true depth decides. Where the drives
    gave none, images and lengths of translations decide as in ``DataJudge``.
    """

    judge: DataJudge

    def __call__(self, networks: NetworkPair) -> dict[str, float]:
        """Figures by name, and under ``score`` the one to minimise.

        Args:
            networks: In eval mode.
        """
        data = self.judge.data
        landmarks = self._landmarks(networks)
        if not math.isfinite(landmarks.get(LANDMARK, math.nan)):
            return self.judge(networks)
        rendered = dataclasses.replace(data, recorded_validation=())
        found = dataclasses.replace(self.judge, data=rendered)(networks)
        return found | landmarks | {SCORE: landmarks[LANDMARK]}

    def _landmarks(self, networks: NetworkPair) -> dict[str, float]:
        if not self._held_out:
            return {}
        points = [batch.sparse_depth for batch in self._held_out if batch.sparse_depth is not None]
        return landmark_errors(networks.depth, self._held_out, points).as_floats()

    @cached_property
    def _held_out(self) -> list[SnippetBatch]:
        """Snippets with landmarks as networks see them; in memory, for many judgements."""
        config, device = self.judge.data.config, self.judge.device
        batches = batches_of(self.judge.data.recorded_validation)
        whole = (whole_view(b, config.width) for b in batches if b.sparse_depth is not None)
        return [
            dataclasses.replace(batch, sources=batch.sources[:, :0].clone()).to(device)
            for batch in whole
        ]


def write_back(parent: ModelFolder, out: Path) -> ModelFolder:
    """A copy of the model that training began with.

    Raises:
        ModelError: It cannot be written.
    """
    try:
        files = {p.name: p.read_bytes() for p in sorted(parent.path.iterdir()) if p.is_file()}
        write_folder(out, files)
    except OSError as error:
        raise ModelError(
            f"cannot write the model folder {out} ({error}); free some disk space or choose "
            "another --out"
        ) from error
    return read_model_folder(out)


def open_bags(bags: Sequence[WeightedBag], width: int) -> list[BagFrames]:
    """Frames of the bags at the network's width, or at that of the narrowest camera.

    Raises:
        DataError: One cannot be used; the message names the remedy.
    """
    multiple = size_multiple(width)
    opened = [
        read_frames(
            bag.selection,
            NetworkInput(width, multiple=multiple, narrows=True),
            needs_velocity=True,
        )
        for bag in bags
    ]
    common = min(frames.preprocessor.size[0] for frames in opened)
    return [frames.at_width(common) for frames in opened]


def report_of(
    plan: AdaptationPlan,
    run: Mapping[str, Any],
    found: Sequence[Mixture],
    mixture: Mixture,
    verdict: Verdict,
    folder: ModelFolder,
) -> dict[str, Any]:
    """The report of ``sfm-depth adapt --json``.

    Args:
        plan: What the adaptation began with.
        run: Report of the training.
        found: Mixtures that were judged.
        mixture: The one that was chosen.
        verdict: On it.
        folder: Model that was written.
    """
    return {
        "model": str(folder.path),
        "model_id": folder.model_id,
        "began_with": plan.parent,
        "is_better": verdict.is_better,
        "verdict": list(verdict.sentences),
        "before": plan.before,
        "after": mixture.figures,
        "learnt_share": mixture.share,
        "mixtures": [{"share": each.share, **each.figures} for each in found],
        **run,
    }
