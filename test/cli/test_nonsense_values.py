# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Numbers that no option can mean: refused in one line that names the option, before any work."""

from __future__ import annotations

import argparse
from collections.abc import Iterator

import numpy as np
import pytest

from sfm_depth_ros.camera.image_files import encode_png
from sfm_depth_ros.cli.main import COMMANDS, every_command, main

NOT_HERE = {"play", "view", "completion"}  # bag_player's own options; ends the process; none
NEEDS = {
    "train": ["BAG", "--out", "OUT"],
    "adapt": ["BAG", "--out", "OUT"],
    "synth": ["OUT"],
    "eval": ["shipped", "BAG"],
    "replay": ["shipped", "BAG", "--out", "OUT"],
    "infer": ["shipped", "IMAGE", "--out", "OUT", "--hfov", "60"],
    "export": ["shipped", "--out", "OUT"],
    "import": ["FILE", "--format", "onnx", "--head", "metric", "--out", "OUT"],
    "bench": ["shipped"],
}


def _numbers() -> Iterator[tuple[str, str, str]]:
    """(command, option, value) of every option that takes numbers."""
    for command, parser in every_command().items():
        for action in parser._actions:
            is_number = isinstance(action, argparse._StoreAction) and action.type in (int, float)
            if command in NOT_HERE or not is_number or not action.option_strings:
                continue
            for value in ("nan", "-1e30") if action.type is float else ("-99999999999999999999",):
                yield command, action.option_strings[-1], value


@pytest.mark.parametrize(("command", "option", "value"), list(_numbers()))
def test_nonsense_is_refused_by_name(command, option, value, tmp_path, capsys) -> None:
    assert command in COMMANDS
    (tmp_path / "BAG").mkdir()
    (tmp_path / "IMAGE").write_bytes(encode_png(np.zeros((128, 416, 3), np.uint8)))
    (tmp_path / "FILE").write_bytes(b"")
    words = [str(tmp_path / w) if w.isupper() else w for w in NEEDS.get(command, [])]
    action = next(a for a in every_command()[command]._actions if option in a.option_strings)
    count = action.nargs if isinstance(action.nargs, int) else 1
    given = [option, *[value] * count] if count > 1 else [f"{option}={value}"]
    try:
        status = main([command, *words, *given])
    except SystemExit as leaving:
        status = leaving.code
    error = capsys.readouterr().err.strip().splitlines()
    assert status in (1, 2)
    assert len(error) == 1
    assert option.lstrip("-") in error[0].replace("_", "-")
