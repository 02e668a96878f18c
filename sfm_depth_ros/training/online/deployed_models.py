# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Deployed model and those before it: replacement, rollback, history."""

from __future__ import annotations

import copy
import dataclasses
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from sfm_depth_ros.errors import ModelError
from sfm_depth_ros.model_folder.folder import ModelFolder, read_model_folder
from sfm_depth_ros.training.network_pair import NetworkPair, networks_of

REMEMBERED = 4  # earlier models that a rollback can reach
HISTORY_LENGTH = 10  # deployments
OWN_DATA = "the robot's own camera, online"

_logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class ModelFacts:
    """Facts of a model's origin, for its folder and for the history."""

    steps: int  # Online steps since the first model
    width: int  # Width of the network's image in pixels
    metrics: dict[str, float]  # Held-out error in parts
    reason: str = ""  # Why it is deployed, with the number that decided


@dataclass(frozen=True)
class Deployment:
    """One entry of the history."""

    model_id: str  # Of the model that depth ran with from then on
    utc: str  # When, ISO 8601
    steps: int  # Online steps since the first model
    reason: str  # Why, with the number that decided


class DeployedModels:
    """Keeps the deployed weights, and the folders of those before them.

    Args:
        folder: Model that depth runs with at first.
        networks: Its weights, in eval mode.
        save: Called as ``save(depth_network, pose_network, metadata=..., parent=...)``.
        hand_over: Called with every folder that depth should run with from now on.

    Attributes:
        folder: The deployed model.
        networks: Its weights.
        origin: Weights of the first model.
        history: The newest deployments, oldest first.
        count: Models deployed since the start.
    """

    def __init__(
        self,
        folder: ModelFolder,
        networks: NetworkPair,
        save: Callable[..., ModelFolder],
        hand_over: Callable[[ModelFolder], None],
    ) -> None:
        self.folder, self.networks = folder, networks
        self.origin = copy.deepcopy(networks)
        self.history: list[Deployment] = []
        self.count = 0
        self._first_steps = int(folder.metadata["steps"])
        self._save, self._hand_over = save, hand_over
        self._origin_path = folder.path
        self._earlier: list[Path] = []

    def deploy(self, networks: NetworkPair, facts: ModelFacts) -> ModelFolder:
        """Save weights and hand them over; if saving fails, everything stays as it is."""
        folder = self._saved(networks, facts)
        self._earlier = [*self._earlier[1 - REMEMBERED :], self.folder.path]
        self._take_over(networks, folder, facts)
        self.count += 1
        return folder

    def predecessor(self) -> NetworkPair | None:
        """Weights of the model before the deployed one; None where none can be read any more."""
        while self._earlier:
            try:
                networks = networks_of(read_model_folder(self._earlier[-1]))
                return networks.to(next(self.networks.parameters()).device).eval()
            except ModelError as error:
                _logger.warning("cannot roll back to %s: %s", self._earlier.pop(), error)
        return None

    def go_back(self, facts: ModelFacts) -> bool:
        """Return to the weights before the deployed ones, as a new folder.

        Returns:
            Whether there were any; otherwise the deployed ones stay.
        """
        networks = self.predecessor()
        if networks is None:
            return False
        folder = self._saved(networks, facts)
        self._earlier.pop()
        self._take_over(networks, folder, facts)
        return True

    def go_to_origin(self, facts: ModelFacts) -> None:
        """Return to the first weights, as a new folder where others were deployed since."""
        if self._earlier:
            self._take_over(self.origin, self._saved(self.origin, facts), facts)
            self._earlier = []

    def values(self) -> dict[str, Any]:
        """State for a restarted process, as plain values."""
        return {
            "model_id": self.folder.model_id,
            "path": str(self.folder.path),
            "origin": str(self._origin_path),
            "first_steps": self._first_steps,
            "earlier": [str(path) for path in self._earlier],
            "history": [dataclasses.asdict(entry) for entry in self.history],
        }

    def follows(self, values: Mapping[str, Any]) -> bool:
        """Whether the deployed model is that of saved values, or was made of it after."""
        return values["model_id"] in (self.folder.model_id, self.folder.metadata.get("parent"))

    def load(self, values: Mapping[str, Any]) -> None:
        """Take up the values of a process before, which may have ended right after a deployment.

        Raises:
            KeyError: The values are of an earlier version.
        """
        earlier = [Path(path) for path in values["earlier"]]
        history = [Deployment(**entry) for entry in values["history"]]
        if values["model_id"] != self.folder.model_id:
            earlier = [*earlier[1 - REMEMBERED :], Path(values["path"])]
        self._earlier, self.history = earlier, history
        self._first_steps = int(values["first_steps"])
        self._load_origin(Path(values["origin"]))

    def _load_origin(self, path: Path) -> None:
        try:
            origin = networks_of(read_model_folder(path))
            self.origin.load_state_dict(origin.state_dict())
            self._origin_path = path
        except (ModelError, RuntimeError) as error:
            _logger.warning(
                "the first model %s is gone, the deployed one stands in: %s", path, error
            )

    def _saved(self, networks: NetworkPair, facts: ModelFacts) -> ModelFolder:
        known = self.folder.metadata
        is_new = OWN_DATA not in known["trained_on"]
        metadata = {
            "preprocessing": {**known["preprocessing"], "width": facts.width},
            "trained_on": [*known["trained_on"], *([OWN_DATA] if is_new else [])],
            "steps": self._first_steps + facts.steps,
            "metrics": facts.metrics,
        }
        return self._save(networks.depth, networks.pose, metadata=metadata, parent=self.folder)

    def _take_over(self, networks: NetworkPair, folder: ModelFolder, facts: ModelFacts) -> None:
        self.folder = folder
        self.networks.load_state_dict(networks.state_dict())
        utc = datetime.now(timezone.utc).isoformat(timespec="seconds")
        entry = Deployment(folder.model_id, utc, facts.steps, facts.reason)
        self.history = [*self.history[1 - HISTORY_LENGTH :], entry]
        self._hand_over(folder)
