# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Recorded domains of :mod:`tools.forgetting`: drives one after another, judged by their truth."""

from __future__ import annotations

import dataclasses
from itertools import accumulate
from pathlib import Path

from sfm_depth_ros.bags.frames import read_frames
from sfm_depth_ros.bags.snippets import read_snippets
from sfm_depth_ros.camera.image_layout import NetworkInput
from sfm_depth_ros.config.nodes import TrainerNodeConfig
from sfm_depth_ros.snippets.image_gate import ImageGate
from sfm_depth_ros.snippets.values import Snippet
from sfm_depth_ros.training.offline.rendered_snippets import SnippetRenderer
from tools.forgetting_worlds import JUDGES, OLD_JUDGES, Domains

MOST = 60  # judging snippets of one bag


def recorded_domains(streams: list[str], judges: list[str], width: int) -> Domains:
    """Domains of bags, or of parts of them (``PATH@START-END``); the old one is rendered.

    Args:
        streams: Drives that are learnt from, in this order; errors are measured after each.
        judges: Drives with true depth.
        width: Of the network's image.
    """
    driven = [_read(bag, width, with_truth=False) for bag in streams]
    judged = {_name(bag): _judges(bag, width) for bag in judges}
    height, width = driven[0][0].target.shape[:2]
    render = SnippetRenderer(width, height)
    old = [render(OLD_JUDGES + 12 * number) for number in range(JUDGES)]
    return Domains(
        camera=None,
        stream=[snippet for drive in driven for snippet in drive],
        judges={**judged, "old": old},
        marks=list(accumulate(map(len, driven))),
    )


def _name(bag: str) -> str:
    return Path(bag).name.replace("kitti_", "")


def _judges(bag: str, width: int) -> list[Snippet]:
    known = [s for s in _read(bag, width, with_truth=True) if s.depth is not None]
    return known[:: max(1, len(known) // MOST)]


def _read(bag: str, width: int, with_truth: bool) -> list[Snippet]:
    """Snippets as the live trainer takes them."""
    config = TrainerNodeConfig()
    frames = read_frames(bag, NetworkInput(width), needs_velocity=True).at_width(width)
    snippets = read_snippets(
        frames,
        config.min_displacement,
        config.max_displacement,
        config.max_image_gap,
        with_truth=with_truth,
        image_gate=ImageGate(),
    )
    if with_truth:
        return list(snippets)
    return [dataclasses.replace(s, depth=None, T_source_target=None) for s in snippets]
