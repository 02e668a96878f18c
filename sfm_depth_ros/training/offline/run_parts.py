# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Parts of an offline run, apart from its networks and its data."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sfm_depth_ros.config.schema import ObjectiveConfig, OfflineTrainingConfig
from sfm_depth_ros.networks.model import DepthNet
from sfm_depth_ros.training.offline.processes import Processes


@dataclass(frozen=True)
class RunParts:
    """Parts of a run, apart from its networks."""

    folder: Path  # Where its state is kept
    config: OfflineTrainingConfig  # The loop and its pace; `device` is this process's own
    objective: ObjectiveConfig  # Weights of the loss terms
    # Everything that decides the result, by dotted name; kept to be compared on resumption
    identity: Mapping[str, Any] = field(default_factory=dict)
    processes: Processes = field(default_factory=Processes)  # Who else takes part
    is_stopping: Callable[[], bool] = bool  # Whether the run is to end after the present step
    keeps_statistics: bool = False  # Whether batch norms keep the statistics that they come with
    # Network in eval mode whose depth rendered snippets teach in place of the true one
    remembered: DepthNet | None = None
