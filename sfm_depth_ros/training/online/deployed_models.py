# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Deployed model and those before it: replacement, rollback."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass

from sfm_depth_ros.model_folder.folder import ModelFolder
from sfm_depth_ros.training.network_pair import NetworkPair

REMEMBERED = 4  # earlier models that a rollback can reach
OWN_DATA = "the robot's own camera, online"


@dataclass(frozen=True)
class ModelFacts:
    """Facts of a model's origin, for its folder."""

    steps: int  # Online steps since the first model
    width: int  # Width of the network's image in pixels
    metrics: dict[str, float]  # Held-out error in parts


class DeployedModels:
    """Keeps the deployed weights and those before them.

    Args:
        folder: Model that depth runs with at first.
        networks: Its weights, in eval mode.
        save: Called as ``save(depth_network, pose_network, metadata=..., parent=...)``.
        hand_over: Called with every folder that depth should run with from now on.

    Attributes:
        folder: The deployed model.
        networks: Its weights.
        origin: Weights of the first model.
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
        self.count = 0
        self._first_steps = int(folder.metadata["steps"])
        self._save, self._hand_over = save, hand_over
        self._earlier: list[NetworkPair] = []

    def deploy(self, networks: NetworkPair, facts: ModelFacts) -> ModelFolder:
        """Save weights and hand them over; if saving fails, everything stays as it is."""
        folder = self._saved(networks, facts)
        self._earlier = [*self._earlier[1 - REMEMBERED :], copy.deepcopy(self.networks)]
        self._take_over(networks, folder)
        self.count += 1
        return folder

    def go_back(self, facts: ModelFacts) -> bool:
        """Return to the weights before the deployed ones, as a new folder.

        Returns:
            Whether there were any; otherwise the deployed ones stay.
        """
        if not self._earlier:
            return False
        folder = self._saved(self._earlier[-1], facts)
        self._take_over(self._earlier.pop(), folder)
        return True

    def go_to_origin(self, facts: ModelFacts) -> None:
        """Return to the first weights, as a new folder where others were deployed since."""
        if self._earlier:
            self._take_over(self.origin, self._saved(self.origin, facts))
            self._earlier = []

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

    def _take_over(self, networks: NetworkPair, folder: ModelFolder) -> None:
        self.folder = folder
        self.networks.load_state_dict(networks.state_dict())
        self._hand_over(folder)
