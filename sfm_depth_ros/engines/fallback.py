# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""An engine that fails while it runs is replaced by the next best: frames go on."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from sfm_depth_ros.engines.base import Engine, closed, run, takes_bytes
from sfm_depth_ros.engines.choice import Candidate
from sfm_depth_ros.errors import BadImageError, EngineError
from sfm_depth_ros.model_folder.folder import ModelFolder

_logger = logging.getLogger(__name__)


class FallbackEngine:
    """Serves with the best engine, and after its failure with the next; follows ``Engine``.

    Attributes:
        remark: Which engine failed and why, for diagnostics; empty while the first one serves.
    """

    def __init__(
        self, serving: Engine, spare: Sequence[Candidate], build: Callable[[Candidate], Engine]
    ) -> None:
        """Begin with one.

        Args:
            serving: The best engine; closed by this one's ``close``.
            spare: What follows it, best first.
            build: Builds and checks one of them, or raises ``EngineError``.
        """
        self.remark = ""
        self.input_shape = serving.input_shape
        self._serving: Engine | None = serving
        self._last_name, self._last_precision = serving.name, serving.precision
        self._spare, self._build = list(spare), build

    @property
    def name(self) -> str:
        """Name of the engine that serves at present."""
        return self._serving.name if self._serving else self._last_name

    @property
    def precision(self) -> str:
        """Precision of the engine that serves at present."""
        return self._serving.precision if self._serving else self._last_precision

    @property
    def takes_bytes(self) -> bool:
        """Whether the engine that serves at present does."""
        return self._serving is not None and takes_bytes(self._serving)

    def infer(self, image: np.ndarray) -> np.ndarray:
        """Run the network on floats or bytes, see :func:`~sfm_depth_ros.engines.base.run`.

        Raises:
            BadImageError: No engine can compute with this image.
            EngineError: The last engine failed too.
        """
        while True:
            if self._serving is None:
                raise closed(self)
            try:
                return run(self._serving, image)
            except BadImageError:
                raise
            except EngineError as error:
                self._replace(self._serving, error)

    infer_bytes = infer

    def refit(self, folder: ModelFolder) -> bool:
        """Serve another model's weights, where the engine can take them while it runs."""
        refit: Any = getattr(self._serving, "refit", None)
        return bool(refit is not None and refit(folder))

    def close(self) -> None:
        """Free the engine that serves."""
        if self._serving is not None:
            self._last_name, self._last_precision = self.name, self.precision
            self._serving.close()
            self._serving = None

    def _replace(self, failed: Engine, error: EngineError) -> None:
        """Serve with the next spare that can be built; the failure is raised where none can."""
        while self._spare:
            candidate = self._spare.pop(0)
            try:
                self._serving = self._build(candidate)
            except EngineError as refusal:
                _logger.warning("engine %s cannot take over: %s", candidate, refusal)
                continue
            self.remark = f"{failed.name} {failed.precision} failed ({error}); {candidate} serves"
            _logger.warning("%s", self.remark)
            failed.close()
            return
        raise error
