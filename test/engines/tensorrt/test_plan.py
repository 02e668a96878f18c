# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""New weights by name: a refusal names those that change and cannot be replaced."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from engines.stand_in_cuda import StandInCuda
from engines.stand_in_tensorrt import Faults, stand_in_tensorrt

from sfm_depth_ros.engines.tensorrt.plan import refit_engine
from sfm_depth_ros.engines.tensorrt.runtime import TensorRt
from sfm_depth_ros.errors import EngineError

BEFORE = {"weight": np.ones((2, 3), np.float32), "bias": np.zeros(2, np.float32)}


class Refitter:
    """Lists some weights, and remembers what it was given."""

    def __init__(self, listed: tuple[str, ...], missing: tuple[str, ...] = ()) -> None:
        self.listed, self.missing = listed, missing
        self.given: dict[str, np.ndarray] = {}
        self.refuses, self.fails = "", False

    def get_all_weights(self) -> list[str]:
        return list(self.listed)

    def get_missing_weights(self) -> list[str]:
        return list(self.missing)

    def set_named_weights(self, name: str, values: np.ndarray) -> bool:
        self.given[name] = values
        return name != self.refuses

    def refit_cuda_engine(self) -> bool:
        return not self.fails


def refit(refitter: Refitter, before: Any, after: dict[str, np.ndarray]) -> None:
    module = stand_in_tensorrt(StandInCuda(), Faults())
    module.Refitter = lambda engine, log: refitter
    refit_engine(TensorRt(module, "tensorrt"), SimpleNamespace(), before, after)


def changed(*names: str) -> dict[str, np.ndarray]:
    return {name: values + (name in names) for name, values in BEFORE.items()}


def test_all_that_is_listed_is_given() -> None:
    refitter = Refitter(("bias", "weight", "a constant of TensorRT's own"))
    after = changed("weight")
    refit(refitter, BEFORE, after)
    assert refitter.given.keys() == {"weight", "bias"}
    np.testing.assert_array_equal(refitter.given["weight"], after["weight"])


def test_a_weight_without_a_place_is_refused_only_where_it_changes() -> None:
    refit(Refitter(("weight",)), BEFORE, changed("weight"))
    with pytest.raises(EngineError, match=r"cannot take new values of \['bias'\]; it is rebuilt"):
        refit(Refitter(("weight",)), BEFORE, changed("bias"))
    with pytest.raises(EngineError, match=r"cannot take new values of \['bias'\]"):
        refit(Refitter(("weight",)), None, changed())  # nobody knows what it holds


def test_transposed_weights_are_given_as_they_lie_in_the_graph() -> None:
    refitter = Refitter(("weight", "bias"))
    turned = np.arange(6, dtype=np.float32).reshape(3, 2).T
    refit(refitter, None, {"weight": turned, "bias": BEFORE["bias"]})
    assert refitter.given["weight"].flags.c_contiguous
    np.testing.assert_array_equal(refitter.given["weight"], [[0, 2, 4], [1, 3, 5]])


def test_other_names_missing_ones_and_failures() -> None:
    listed = ("weight", "bias")
    with pytest.raises(EngineError, match=r"other weights \['bias'\]"):
        refit(Refitter(listed), BEFORE, {"weight": BEFORE["weight"]})
    with pytest.raises(EngineError, match=r"requires new values for \['gamma'\] too"):
        refit(Refitter(listed, ("gamma",)), BEFORE, changed("bias"))
    refitter = Refitter(listed)
    refitter.refuses = "bias"
    with pytest.raises(EngineError, match="refuses new values for bias"):
        refit(refitter, BEFORE, changed("bias"))
    refitter = Refitter(listed)
    refitter.fails = True
    with pytest.raises(EngineError, match="failed to replace the weights"):
        refit(refitter, BEFORE, changed("bias"))
