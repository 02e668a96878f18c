# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Plans of one network: preparation of the graph, cache or build, and refit of weights.

TensorRT 11.3 may drop the bias of a matrix product from a refittable plan without listing it. So
every weight that changes must be among those that the engine lists, and the caller of a refit
compares the engine with the model's check frames afterwards.
"""

from __future__ import annotations

import contextlib
import hashlib
import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from sfm_depth_ros.engines.base import EngineRequest
from sfm_depth_ros.engines.graphs.constants import (
    dequantise_biases,
    fix_input_shape,
    fold_constants,
    parse_graph,
)
from sfm_depth_ros.engines.graphs.names import fingerprints, weight_arrays
from sfm_depth_ros.engines.graphs.precision import to_half
from sfm_depth_ros.engines.quantisation import int8_graph
from sfm_depth_ros.engines.tensorrt.builder import PlanRequest, Progress, build_plan, failed
from sfm_depth_ros.engines.tensorrt.cuda_driver import CudaDriver
from sfm_depth_ros.engines.tensorrt.plan_cache import PlanCache, PlanKey, StoredPlan
from sfm_depth_ros.engines.tensorrt.runtime import TensorRt
from sfm_depth_ros.errors import EngineError
from sfm_depth_ros.storage import write_whole

PRECISIONS = ("fp32", "fp16", "int8")
Shape = tuple[int, int, int, int]

_logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class NetworkGraph:
    """A model's graph, ready for TensorRT."""

    content: bytes  # Content of an `.onnx` file, typed as it shall compute
    graph: str  # SHA-256 of it without its weights
    weights: str  # SHA-256 of the weights
    arrays: dict[str, np.ndarray]  # Weights by name, typed as in the graph
    precision: str  # `"fp32"`, `"fp16"` or `"int8"`
    shapes: tuple[Shape, ...]  # Input shapes that it shall serve


def prepare_graph(request: EngineRequest, shapes: tuple[Shape, ...]) -> NetworkGraph:
    """Prepare a model's graph, without torch and without a change of the model's files.

    Args:
        request: Model, network and precision.
        shapes: Input shapes; a single one is fixed in the graph.

    Raises:
        EngineError: TensorRT has no such precision here, or int8 was never calibrated.
        ModelError: The file is no graph of ours, or its weights do not fit into fp16.
    """
    precision = request.precision
    if precision not in PRECISIONS:
        raise EngineError(f"tensorrt has no {precision} here; set precision: fp16 or fp32")
    is_int8 = precision == "int8"
    content = (
        int8_graph(request, symmetric=True)
        if is_int8
        else request.folder.onnx(request.network).read_bytes()
    )
    proto = parse_graph(content)
    fold_constants(proto)
    if precision == "fp16":
        to_half(proto)
    if is_int8:
        dequantise_biases(proto)
    if len(shapes) == 1:
        fix_input_shape(proto, shapes[0])
    graph, weights = fingerprints(proto)
    return NetworkGraph(
        proto.SerializeToString(), graph, weights, weight_arrays(proto), precision, shapes
    )


class PlanSource:
    """Engines of one network, from the cache or a build.

    Args:
        runtime: TensorRT.
        cuda: The GPU that they run on.
        cache: Cache of plans.
        refittable: Whether their weights can be replaced.
    """

    def __init__(
        self, runtime: TensorRt, cuda: CudaDriver, cache: PlanCache, refittable: bool
    ) -> None:
        self.refittable = refittable
        self._runtime, self._cuda, self._cache = runtime, cuda, cache
        major, minor = cuda.capability
        self._device = f"{cuda.name} ({major}.{minor})"
        self._loader: Any = None  # engines need it as long as they live

    def key(self, network: NetworkGraph) -> PlanKey:
        """Key of this network's plan on this machine."""
        return PlanKey(
            runtime=str(self._runtime),
            device=self._device,
            driver=self._cuda.version,
            precision=network.precision,
            shapes=network.shapes,
            graph=network.graph,
            weights="" if self.refittable else network.weights,
        )

    def open(self, network: NetworkGraph, progress: Progress | None = None) -> Any:
        """Engine of a network, with the network's weights.

        Args:
            network: The graph.
            progress: Called with the completed share of a build; False ends it.

        Returns:
            Deserialised engine (``ICudaEngine``).

        Raises:
            EngineError: It cannot be built or loaded.
        """
        return self._cache.open(
            self.key(network),
            build=lambda: self._build(network, progress),
            load=lambda stored: self._load(network, stored),
        )

    def kernel_file(self, network: NetworkGraph) -> Path:
        """File of the kernels that TensorRT-RTX compiles for a network's plan."""
        return self._cache.path(self.key(network)).with_name("kernels")

    def _build(self, network: NetworkGraph, progress: Progress | None) -> StoredPlan:
        _logger.info(
            "building a TensorRT plan for %s at %s, %s: some seconds to minutes, once",
            self._device,
            network.precision,
            network.shapes,
        )
        timing_file = self._timing_file()
        known = b""
        with contextlib.suppress(OSError):
            known = timing_file.read_bytes()
        ahead = self._runtime.builds_ahead
        target = (self._cuda.capability,) if ahead else ()
        request = PlanRequest(network.content, network.shapes, target, self.refittable)
        built = build_plan(self._runtime, request, progress, known)
        if built.timing_cache and built.timing_cache != known:
            with contextlib.suppress(OSError):  # it only saves time
                write_whole(timing_file, built.timing_cache)
        _logger.info("the plan is built: %.1f MB in %.1f s", len(built.plan) / 1e6, built.seconds)
        return StoredPlan(built.plan, network.weights)

    def _load(self, network: NetworkGraph, stored: StoredPlan) -> Any:
        self._cuda.use()
        if self._loader is None:
            self._loader = self._runtime.module.Runtime(self._runtime.log)
        if self._loader is None:
            raise failed(self._runtime, "cannot start")
        engine = self._loader.deserialize_cuda_engine(stored.plan)
        if engine is None:
            raise failed(self._runtime, "cannot load the plan")
        if stored.weights != network.weights:  # a refittable plan of another model
            refit_engine(self._runtime, engine, None, network.arrays)
        return engine

    def _timing_file(self) -> Path:
        identity = f"{self._runtime} {self._device} {self._cuda.version}"
        digest = hashlib.sha256(identity.encode()).hexdigest()[:16]
        return self._cache.folder / f".{digest}.timing"


def refit_engine(
    runtime: TensorRt,
    engine: Any,
    before: dict[str, np.ndarray] | None,
    after: dict[str, np.ndarray],
) -> None:
    """Replace the weights of an engine that is not running.

    Args:
        runtime: TensorRT.
        engine: Engine (``ICudaEngine``) of a refittable plan.
        before: Its weights by initialiser name, typed as in the graph; None = unknown, all of
            them must be replaced.
        after: Its new weights.

    Raises:
        EngineError: A weight that changes cannot be replaced, or TensorRT fails; the engine then
            has undefined weights and must not be used.
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
            f"{runtime} requires new values for {sorted(missing)} too, which the graph "
            "does not have; the plan is rebuilt"
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
                f"{sorted(before.keys() ^ after.keys())}; the plan is rebuilt"
            )
        changed = {
            name for name, values in after.items() if not np.array_equal(values, before[name])
        }
    if lost := sorted(changed - set(refitter.get_all_weights())):
        raise EngineError(f"the plan cannot take new values of {lost}; it is rebuilt")


def _weights(runtime: TensorRt, values: np.ndarray) -> Any:
    """TensorRT's view of an array, which must outlive it."""
    return runtime.module.Weights(values)
