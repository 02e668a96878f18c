# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""New weights into a deserialised TensorRT engine, by name; refused where one has no place.

TensorRT 11.3 may drop the bias of a matrix product from a refittable plan and then does not list
it. So every weight that changes must be among those that the engine says it can replace, and
whoever calls this compares the engine with the model's check frames afterwards.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from sfm_depth_ros.engines.tensorrt.builder import failed
from sfm_depth_ros.engines.tensorrt.runtime import TensorRt
from sfm_depth_ros.errors import EngineError


def refit_engine(
    runtime: TensorRt,
    engine: Any,
    before: dict[str, np.ndarray] | None,
    after: dict[str, np.ndarray],
) -> None:
    """Replace the weights of an engine that nothing runs meanwhile.

    Args:
        runtime: TensorRT.
        engine: Engine (``ICudaEngine``) of a refittable plan.
        before: Weights that it has, by initialiser name, typed as in the graph; None = unknown,
            so that all of them must be replaced.
        after: Weights that it shall have.

    Raises:
        EngineError: A weight that changes cannot be replaced, or TensorRT fails; the engine may
            then hold a mixture and must not be used.
    """
    runtime.log.take_errors()
    refitter = runtime.module.Refitter(engine, runtime.log)
    _check_names(refitter, before, after)
    kept = {name: np.ascontiguousarray(values) for name, values in after.items()}
    for name in refitter.get_all_weights():
        if name in kept and not refitter.set_named_weights(name, _weights(runtime, kept[name])):
            raise failed(runtime, f"refuses new values for {name}")
    if missing := refitter.get_missing_weights():
        raise EngineError(
            f"{runtime} wants new values for {sorted(missing)} too, which the graph "
            "does not have; the plan is built anew"
        )
    if not refitter.refit_cuda_engine():
        raise failed(runtime, "failed to replace the weights")


def _check_names(
    refitter: Any, before: dict[str, np.ndarray] | None, after: dict[str, np.ndarray]
) -> None:
    changed = set(after)
    if before is not None:
        if before.keys() != after.keys():
            raise EngineError(
                "the new graph has other weights "
                f"{sorted(before.keys() ^ after.keys())}; the plan is built anew"
            )
        changed = {
            name for name, values in after.items() if not np.array_equal(values, before[name])
        }
    if lost := sorted(changed - set(refitter.get_all_weights())):
        raise EngineError(f"the plan has no place for new values of {lost}; it is built anew")


def _weights(runtime: TensorRt, values: np.ndarray) -> Any:
    """TensorRT's view of an array, which must outlive it."""
    return runtime.module.Weights(values)
