# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Every network of the package, made anew, and tables of a document with a row for each."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import nn

from sfm_depth_ros.config.networks import DEPTH_NETWORKS, POSE_NETWORKS
from sfm_depth_ros.config.schema import DepthNetworkConfig, PoseNetworkConfig
from sfm_depth_ros.networks.model import create_depth_network, create_pose_network

NETWORKS = tuple(("depth", name) for name in DEPTH_NETWORKS) + tuple(
    ("pose", name) for name in POSE_NETWORKS
)
IMAGE_HW = (192, 640)


def fresh_network(kind: str, name: str) -> nn.Module:
    """A network with random weights, always the same."""
    torch.manual_seed(0)
    network = (
        create_depth_network(DepthNetworkConfig(name=name))
        if kind == "depth"
        else create_pose_network(PoseNetworkConfig(name=name))
    )
    return network.eval()


@dataclass(frozen=True)
class NetworkTable:
    """A table between ``<!-- marker -->`` and ``<!-- end -->``, rows in the networks' order."""

    marker: str  # Its name
    head: str  # Its first two lines

    def with_rows(self, text: str, rows: Mapping[str, str]) -> str:
        """Put new rows into the table; others stay.

        Args:
            text: The document.
            rows: All rows of each network by its name, as in ``depth small``.
        """

        def table(match: re.Match[str]) -> str:
            known: dict[str, str] = {}
            for line in match.group(0).splitlines(keepends=True):
                if line.startswith(("| depth", "| pose")):
                    network = line.split("|")[1].strip()
                    known[network] = known.get(network, "") + line
            known |= rows
            ordered = [known[" ".join(key)] for key in NETWORKS if " ".join(key) in known]
            return match.group(1) + self.head + "".join(ordered) + match.group(2)

        pattern = rf"(<!-- {self.marker} -->\n).*?(<!-- end -->)"
        return re.sub(pattern, table, text, flags=re.DOTALL)
