# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Inference by TensorRT on an NVIDIA GPU; new weights without a rebuild where possible."""

from __future__ import annotations

import logging
import threading
from dataclasses import replace
from typing import Any

import numpy as np

from sfm_depth_ros.engines.base import Engine, EngineRequest, closed
from sfm_depth_ros.engines.tensorrt.builder import BuildStoppedError, Progress
from sfm_depth_ros.engines.tensorrt.cuda_driver import CudaDriver, load_cuda
from sfm_depth_ros.engines.tensorrt.plan import (
    NetworkGraph,
    PlanSource,
    prepare_graph,
    refit_engine,
)
from sfm_depth_ros.engines.tensorrt.plan_cache import PlanCache
from sfm_depth_ros.engines.tensorrt.runtime import TensorRt, load_tensorrt
from sfm_depth_ros.engines.tensorrt.session import TensorRtSession, bytes_network
from sfm_depth_ros.engines.verification import check_shape, verify_engine
from sfm_depth_ros.errors import EngineError, SfmDepthError
from sfm_depth_ros.model_folder.folder import ModelFolder

_logger = logging.getLogger(__name__)


class TensorRtEngine(Engine):
    """A network in TensorRT, fp32, fp16 or int8.

    The constructor compares it with the model's check frames. A refittable plan is tried first,
    a plain one where TensorRT cannot build that or its output differs.

    Args:
        request: Model, network, shape and precision.
        runtime: TensorRT; None = what is installed.
        cuda: The GPU; None = the first visible one.
        cache: Cache of plans; None = the user's.
        progress: Called with the completed share of a build; False ends it.
    """

    name = "tensorrt"

    def __init__(
        self,
        request: EngineRequest,
        runtime: TensorRt | None = None,
        cuda: CudaDriver | None = None,
        cache: PlanCache | None = None,
        progress: Progress | None = None,
    ) -> None:
        """Open or build the plan and check it.

        Raises:
            EngineError: No GPU or driver, too little memory, a graph that TensorRT refuses, or
                outputs that differ from the check frames.
            MissingDependencyError: TensorRT is not installed.
        """
        # The driver first: without a GPU, 200 MB of TensorRT need not be loaded.
        self._cuda = cuda or load_cuda()
        self._runtime = runtime or load_tensorrt()
        self._cache = cache or PlanCache()
        self.precision, self.input_shape = request.precision, request.input_shape
        self._kind = request.network
        self._lock = threading.Lock()  # inference against the exchange of sessions
        self._engine: Any = None
        self._session: TensorRtSession | None = None
        self._front: Any = None  # engine from bytes to the network's image
        self._spare: tuple[Any, dict[str, np.ndarray]] | None = None
        self._request = request
        self._graph = prepare_graph(request, self._shapes(request.folder))
        self._serve(request.folder, progress)

    def infer(self, image: np.ndarray) -> np.ndarray:
        """Run the network, see :class:`~sfm_depth_ros.engines.base.Engine`."""
        with self._lock:
            if self._session is None:
                raise closed(self)
            return self._session.infer(image)

    def take_bytes(self) -> None:
        """Accept images as bytes too: the GPU converts them to floats.

        Raises:
            EngineError: The GPU computes a wrong image.
        """
        source = PlanSource(self._runtime, self._cuda, self._cache, refittable=False)
        front = source.open(bytes_network(self.input_shape))
        with self._lock:
            if self._session is None:
                raise closed(self)
            self._session.accept_bytes(front)
            self._front = front

    @property
    def takes_bytes(self) -> bool:
        """Whether :meth:`infer_bytes` may be called."""
        return self._front is not None

    def infer_bytes(self, images: np.ndarray) -> np.ndarray:
        """Run the network on bytes, after :meth:`take_bytes`.

        Args:
            images: ``(N, H, W, 3)`` uint8 RGB of the network's size, in temporal order: one for
                depth, the pair (or three) for pose.

        Returns:
            As ``infer``.
        """
        with self._lock:
            if self._session is None:
                raise closed(self)
            return self._session.infer_bytes(images)

    def refit(self, folder: ModelFolder) -> bool:
        """Serve another model's weights, if they pass its check frames.

        A second engine receives them while the first one serves; they are exchanged between two
        frames.

        Args:
            folder: Model of the same architecture.

        Returns:
            Whether the new weights serve. If not, the old ones do, and a new engine must be
            built for the new model.
        """
        if not self._source.refittable or self._session is None:
            return False
        try:
            graph = prepare_graph(replace(self._request, folder=folder), self._shapes(folder))
            if graph.graph != self._graph.graph:
                raise EngineError("its graph differs")
            engine, weights = self._spare or (self._source.open(self._graph), self._graph.arrays)
            self._spare = None  # its weights are undefined until the exchange
            refit_engine(self._runtime, engine, weights, graph.arrays)
            session = self._checked_session(engine, graph, folder)
        except SfmDepthError as error:
            _logger.warning(
                "tensorrt: the running plan keeps its weights and does not take those of model "
                "%s: %s",
                folder.model_id,
                error,
            )
            return False
        with self._lock:
            before, self._session = self._session, session
        self._spare = (self._engine, self._graph.arrays)
        self._engine, self._graph = engine, graph
        before.close()
        _logger.info("tensorrt: refitted to model %s", folder.model_id)
        return True

    def close(self) -> None:
        """Free the GPU's memory; calling it twice is harmless."""
        with self._lock:
            session, self._session = self._session, None
        if session is not None:
            session.close()
        self._spare = self._engine = self._front = None

    def _shapes(self, folder: ModelFolder) -> tuple[tuple[int, int, int, int], ...]:
        """The shape that is served, and the one of the check frames."""
        return tuple(dict.fromkeys((self.input_shape, check_shape(folder, self._kind))))

    def _serve(self, folder: ModelFolder, progress: Progress | None) -> None:
        """Open the first plan that passes the check frames: refittable, else plain."""
        # The weights of an int8 graph are quantised: no parameter's name is left to refit by.
        for refittable in (False,) if self.precision == "int8" else (True, False):
            self._source = PlanSource(self._runtime, self._cuda, self._cache, refittable)
            try:
                self._engine = self._source.open(self._graph, progress)
                self._session = self._checked_session(self._engine, self._graph, folder)
                return
            except BuildStoppedError:
                raise
            except EngineError as error:
                if not refittable:
                    raise
                _logger.info("tensorrt: no refittable plan (%s); new models are built anew", error)

    def _checked_session(
        self, engine: Any, graph: NetworkGraph, folder: ModelFolder
    ) -> TensorRtSession:
        """Session for the served shape of an engine that passes the check frames."""
        last = len(graph.shapes) - 1
        session = self._new_session(engine, graph, last)
        try:
            error = verify_engine(session, folder, self._kind)
            if last:
                session.close()
                session = self._new_session(engine, graph, 0)
            if self._front is not None:
                session.accept_bytes(self._front)
        except BaseException:
            session.close()
            raise
        self.error = error
        return session

    def _new_session(self, engine: Any, graph: NetworkGraph, profile: int) -> TensorRtSession:
        return TensorRtSession(
            self._runtime,
            self._cuda,
            engine,
            graph.shapes[profile],
            self.precision,
            profile,
            self._source.kernel_file(graph),
        )
