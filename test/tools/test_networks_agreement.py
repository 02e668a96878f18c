# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Every network answers the same in every CPU engine, and one that does not is no success."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from cli.benchmarks.wrong_engine import one_percent_off
from exact_drive import CAMERA, make_drive, write_bag

from sfm_depth_ros.engines.verification import RelativeError
from sfm_depth_ros.errors import DataError
from tools import networks_agreement
from tools.network_table import NETWORKS
from tools.networks_agreement import (
    compare_network,
    main,
    read_frames_of,
    row,
)

pytest.importorskip("onnxruntime")
pytest.importorskip("openvino")
SMALL = {("depth", "small"), ("pose", "small")}


@pytest.mark.parametrize(
    "key",
    [
        pytest.param(key, id="-".join(key), marks=[] if key in SMALL else [pytest.mark.slow])
        for key in NETWORKS
    ],
)
def test_it_agrees_at_explicit_fp32(key: tuple[str, str], tmp_path: Path) -> None:
    stacks = np.random.default_rng(0).random((2, 9, 64, 96), dtype=np.float32)
    errors = compare_network(*key, stacks, tmp_path)
    assert list(errors) == ["openvino", "onnxruntime", "torch"]
    for error in errors.values():
        assert error.max < 1e-3
    assert errors["openvino"].max > 0 and errors["onnxruntime"].max > 0


def test_frames_come_from_a_bag_of_the_right_shape(tmp_path: Path) -> None:
    bag = write_bag(tmp_path / "drive", make_drive(6))
    stacks = read_frames_of(bag, (96, 320))
    assert stacks.shape[1:] == (9, 96, 320) and (CAMERA.height, CAMERA.width) == (96, 320)
    assert np.array_equal(stacks[1:, :6], stacks[:-1, 3:]), "each after the other"
    with pytest.raises(DataError, match="would be 256x96, expected 256x128"):
        read_frames_of(bag, (128, 256))


def test_an_engine_that_is_wrong_is_no_success(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    stacks = np.random.default_rng(0).random((1, 9, 32, 64), dtype=np.float32)
    monkeypatch.setattr(networks_agreement, "read_frames_of", lambda bag: stacks)
    document = tmp_path / "page.md"
    document.write_text("before\n<!-- agreement -->\n<!-- end -->\n")
    assert main(Path("bag"), document, ["pose small"]) == 0
    assert "| pose small | " in document.read_text()
    wrong = one_percent_off("onnxruntime", "onnxruntime")
    monkeypatch.setattr(networks_agreement, "build_engine", wrong)
    assert main(Path("bag"), document, ["depth small"]) == 1
    assert "1e-2, 1e-2, 1e-2" in capsys.readouterr().out
    assert main(Path("bag"), document, ["depth unheard_of"]) == 1


def test_a_row_is_short() -> None:
    errors = dict.fromkeys(("openvino", "torch"), RelativeError(1.26e-7, 0.0, 3.4e-4))
    assert row("depth small", errors) == "| depth small | 1e-7, 0, 3e-4 | 1e-7, 0, 3e-4 |\n"
