# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Every recipe loads, names its source, builds its networks and takes a step."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

import pytest
import torch

from sfm_depth_ros.config.loading import load_config
from sfm_depth_ros.config.schema import RecipeConfig
from sfm_depth_ros.geometry.se3 import motion_to_transform
from sfm_depth_ros.losses.objective import weight_of
from sfm_depth_ros.networks.model import create_depth_network, create_pose_network
from sfm_depth_ros.share import find_share
from sfm_depth_ros.snippets.batch import SnippetBatch, collate
from sfm_depth_ros.training.network_pair import fresh_networks, with_companions
from sfm_depth_ros.training.step import StepOptions, training_step

FILES = sorted(find_share("config/train").glob("*.yaml"))
NAMES = [file.stem for file in FILES]
OURS = ("default", "bare_sfm", "adapt")
LARGE = ("packnet_sfm", "packnet_sfm_slim")  # 77 and 128 million parameters
MARKED = [pytest.param(name, marks=pytest.mark.slow) if name in LARGE else name for name in NAMES]


def _recipe(name: str) -> RecipeConfig:
    recipe: RecipeConfig = load_config(RecipeConfig, find_share(f"config/train/{name}.yaml"), [])
    return recipe


@pytest.fixture
def batch(plane_snippets) -> SnippetBatch:
    """A snippet with all that a bag may have."""
    plain = collate(plane_snippets(1))
    T = torch.eye(4)[None].clone()
    T[0, 0, 3] = -0.3
    instances = torch.zeros(1, 3, *plain.target.shape[-2:], dtype=torch.uint8)
    instances[..., 20:30, 40:60] = 3
    points = torch.zeros(1, 1, *plain.target.shape[-2:])
    points[..., ::8, ::8] = 6.0
    return dataclasses.replace(
        plain, right=plain.target.roll(-3, -1), T_right_target=T, instances=instances,
        sparse_depth=points, T_measured=_turning(),
    )  # fmt: skip


def _turning() -> torch.Tensor:
    """Measured motions ``(1, 2, 4, 4)`` of a car that drives round a bend."""
    motion = torch.tensor([0.0, 0.0, 0.3, 0.0, 0.02, 0.0])
    return motion_to_transform(torch.stack((motion, -motion))[None])


def test_the_whole_list_is_there() -> None:
    assert set(NAMES) == {
        "sfm_learner", "monodepth", "monodepth2", "vid2depth", "struct2depth",
        "depth_in_the_wild", "sc_sfm_learner", "real_monodepth", "packnet_sfm",
        "packnet_sfm_slim", "superdepth", "feature_reconstruction", "ddvo", "geonet",
        "df_net", "competitive_collaboration", "mannequin",
        "bare_sfm", "default", "adapt",
    }  # fmt: skip


@pytest.mark.parametrize("file", [f for f in FILES if f.stem not in OURS], ids=lambda f: f.stem)
def test_a_recipe_names_its_paper_and_what_deviates(file: Path) -> None:
    comment = " ".join(
        line[1:].strip() for line in file.read_text().splitlines() if line.startswith("#")
    )
    assert re.search(r"(CVPR|ICCV|ECCV|ICRA|AAAI|NeurIPS|Scenes,) 20(17|18|19|20)\b", comment)
    assert "As published:" in comment
    assert "Deviates:" in comment


@pytest.mark.parametrize("name", [name for name in NAMES if name != "bare_sfm"])
def test_a_recipe_learns_metres_and_not_from_truth(name: str) -> None:
    recipe = _recipe(name)
    assert recipe.objective.velocity_weight > 0
    if name not in OURS:
        assert recipe.objective.supervised_weight == 0
        assert recipe.training.self_supervised_every == 1


@pytest.mark.parametrize("name", NAMES)
def test_a_recipe_builds_its_networks(name: str) -> None:
    recipe = _recipe(name)
    with torch.device("meta"):
        depth, pose = create_depth_network(recipe.depth), create_pose_network(recipe.pose)
    assert sum(p.numel() for p in depth.parameters()) > 2e5
    assert sum(p.numel() for p in pose.parameters()) > 2e5


@pytest.mark.parametrize("name", MARKED)
def test_a_recipe_takes_a_step(name: str, batch: SnippetBatch) -> None:
    recipe = _recipe(name)
    objective = dataclasses.replace(recipe.objective, features="encoder")  # weights may be absent
    networks = fresh_networks(recipe.depth, recipe.pose, seed=0)
    networks = with_companions(networks, objective, seed=0).train()
    options = StepOptions(companions=networks.companions)
    terms = training_step(networks.depth, networks.pose, batch, objective, options).terms
    terms.total.backward()
    gradients = {n: p.grad for n, p in networks.named_parameters() if p.grad is not None}
    assert all(gradient.isfinite().all() for gradient in gradients.values())
    for side in ("depth", "pose"):
        assert any(n.startswith(side) and g.norm() > 0 for n, g in gradients.items()), side
    asked = {n for n in vars(terms) if n not in ("total", "depth_supervision",
             "motion_supervision") and weight_of(n, recipe.objective) > 0}  # fmt: skip
    assert set(terms.as_floats()) == asked | {"total"}
