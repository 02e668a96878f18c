# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Choice of the installed TensorRT, and its log."""

from __future__ import annotations

import pytest
from engines.stand_in_cuda import StandInCuda
from engines.stand_in_tensorrt import Faults, stand_in_tensorrt, stand_in_tensorrt_rtx

from sfm_depth_ros.engines.tensorrt import runtime as tensorrt_runtime
from sfm_depth_ros.engines.tensorrt.runtime import (
    TensorRt,
    installed_module,
    installed_version,
    load_tensorrt,
)
from sfm_depth_ros.errors import EngineError, MissingDependencyError


@pytest.mark.parametrize(
    ("there", "taken"),
    [
        ({"tensorrt", "tensorrt_rtx"}, "tensorrt"),
        ({"tensorrt_rtx"}, "tensorrt_rtx"),
        (set(), None),
    ],
)
def test_tensorrt_first_rtx_second(
    monkeypatch: pytest.MonkeyPatch, there: set[str], taken: str | None
) -> None:
    monkeypatch.setattr(tensorrt_runtime, "is_available", lambda name: name in there)
    assert installed_module() == taken
    assert (installed_version() is None) == (taken is None)


def test_none_is_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tensorrt_runtime, "MODULES", ("tensorrt_that_is_not_there",))
    with pytest.raises(MissingDependencyError, match="tensorrt_that_is_not_there"):
        load_tensorrt()


def test_one_for_the_whole_process() -> None:
    """TensorRT reports to the first log it was given, whichever comes later."""
    pytest.importorskip("tensorrt_rtx", reason="the extra tensorrt is not installed")
    assert load_tensorrt() is load_tensorrt()


def test_capabilities_have_names() -> None:
    cuda, faults = StandInCuda(), Faults()
    rtx = TensorRt(stand_in_tensorrt_rtx(cuda, faults), "tensorrt_rtx")
    assert rtx.builds_ahead
    assert rtx.all_capabilities() == [(8, 6), (8, 9)]
    assert rtx.capability((8, 9)).name == "SM89"
    with pytest.raises(EngineError, match=r"no compute capability 12\.0 \(SM120\), only SM86"):
        rtx.capability((12, 0))
    assert not TensorRt(stand_in_tensorrt(cuda, faults), "tensorrt").builds_ahead
    assert str(rtx) == "tensorrt_rtx 1.7.1"


def test_complaints_are_kept_once_and_in_one_line() -> None:
    runtime = TensorRt(stand_in_tensorrt(StandInCuda(), Faults()), "tensorrt")
    severities = runtime.module.ILogger
    runtime.log.log(severities.ERROR, "out of\n  memory")
    runtime.log.log(severities.ERROR, "out of memory")
    runtime.log.log(severities.INFO, "by the way")
    runtime.log.log(severities.INTERNAL_ERROR, "worse")
    assert runtime.log.take_errors() == ["out of memory", "worse"]
    assert runtime.log.take_errors() == []
