# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The equation as docs/training.md prints it, and the objective with the recipe of its name."""

from __future__ import annotations

import dataclasses
import textwrap
from pathlib import Path

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from sfm_depth_ros.config.loading import load_config
from sfm_depth_ros.config.schema import RecipeConfig
from sfm_depth_ros.losses.inputs import Prediction
from sfm_depth_ros.losses.objective import self_supervised_objective
from sfm_depth_ros.share import share_path
from sfm_depth_ros.snippets.batch import SnippetBatch, collate

DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "training.md"


def bare_sfm_loss(
    target: Tensor, sources: Tensor, depth: Tensor, K: Tensor, T_source_target: Tensor
) -> Tensor:
    """Run the lines of the document."""
    section = DOCUMENT.read_text(encoding="utf-8").partition("### The bare equation")[2]
    lines = section.partition("```python\n")[2].partition("```")[0]
    arguments = "target, sources, depth, K, T_source_target"
    names = {"torch": torch, "functional": functional}
    exec(f"def bare({arguments}):\n{textwrap.indent(lines, '    ')}", names)
    loss: Tensor = names["bare"](target, sources, depth, K, T_source_target)
    return loss


def _in_double(batch: SnippetBatch) -> SnippetBatch:
    """Without the rounding that decides whether a pixel on the very edge is inside."""
    tensors = {name: x.double() for name, x in vars(batch).items() if x is not None}
    return dataclasses.replace(batch, **tensors)


def test_the_recipe_is_the_equation(plane_snippets) -> None:
    batch = _in_double(collate(plane_snippets(2, seed=1, with_truth=True)))
    generator = torch.Generator().manual_seed(0)
    noise = torch.rand(batch.depth.shape, generator=generator).double()
    depth = (batch.depth.clamp(max=15) * (0.7 + 0.6 * noise)).requires_grad_()
    T = batch.T_source_target.clone().requires_grad_()
    bare = bare_sfm_loss(batch.target, batch.sources, depth, batch.K, T)
    config = load_config(RecipeConfig, share_path("config/train") / "bare_sfm.yaml", []).objective
    observed = SnippetBatch(batch.target, batch.sources, batch.K, batch.displacements)
    terms = self_supervised_objective(observed, Prediction([depth], T), config)
    assert terms.as_floats().keys() == {"total", "photometric"}
    assert terms.total.item() == pytest.approx(bare.item(), rel=1e-9)
    ours, theirs = (torch.autograd.grad(loss, (depth, T)) for loss in (terms.total, bare))
    for found, expected in zip(ours, theirs, strict=True):
        # Where both images are white the sign of the difference is that of rounding.
        assert ((found - expected).norm() / expected.norm()).item() < 1e-3


def test_the_truth_costs_less_than_a_depth_one_fifth_off(plane_snippets) -> None:
    batch = collate(plane_snippets(2, with_truth=True))
    loss = {
        factor: bare_sfm_loss(
            batch.target,
            batch.sources,
            factor * batch.depth.clamp(max=15),
            batch.K,
            batch.T_source_target,
        ).item()
        for factor in (0.8, 1.0, 1.2)
    }
    assert loss[1.0] < 0.7 * min(loss[0.8], loss[1.2])
