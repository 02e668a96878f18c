# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The light decoder: its width, and the context of the image's rows."""

from __future__ import annotations

import pytest
import torch

from sfm_depth_ros.networks.blocks import RowContext
from sfm_depth_ros.networks.light_depth import LightDecoder

ENCODER = [16, 24, 40, 112, 320]


@pytest.mark.parametrize("width", [8, 16, 24])
def test_stages_are_multiples_of_the_width(width: int) -> None:
    decoder = LightDecoder(ENCODER, width)
    assert [head.in_channels for head in decoder.heads] == [6 * width, 3 * width, 2 * width, width]


def test_a_row_gets_one_context_in_all_its_places() -> None:
    torch.manual_seed(0)
    context, x = RowContext(8).eval(), torch.randn(2, 8, 6, 10)
    added = context(x) - x
    assert torch.allclose(added, added[..., :1].expand_as(added), atol=1e-6)
    assert (added[:, :, 1:] - added[:, :, :-1]).abs().max() > 1e-3  # rows differ


def test_a_change_reaches_rows_that_are_two_away_and_no_farther() -> None:
    torch.manual_seed(0)
    context, x = RowContext(4).eval(), torch.randn(1, 4, 12, 5)
    other = x.clone()
    other[:, :, 6, 2] += 1.0
    changed = ((context(other) - other) - (context(x) - x)).abs().amax((0, 1, 3)) > 1e-6
    assert changed.nonzero().flatten().tolist() == [4, 5, 6, 7, 8]
