# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Engine that switches between two frames: to a better one once built, to the next on failure."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence

import numpy as np

from sfm_depth_ros.engines.base import Engine, closed
from sfm_depth_ros.engines.choice import Candidate
from sfm_depth_ros.errors import BadImageError, EngineError, SfmDepthError
from sfm_depth_ros.model_folder.folder import ModelFolder

LOG_INTERVAL_S = 5.0

_logger = logging.getLogger(__name__)


class BackgroundBuild:
    """Build of one engine in a thread.

    Args:
        build: Builds the engine; its argument is called with the completed share, and returns
            False when the build shall stop.
        name: Name of the engine, for the log.
    """

    def __init__(self, build: Callable[[Callable[[float], bool]], Engine], name: str) -> None:
        self.name = name
        self.progress = 0.0  # completed share in [0, 1]
        self._build = build
        self._cancelled = threading.Event()
        self._lock = threading.Lock()  # the end of the build against its cancelling
        self._engine: Engine | None = None
        self._error: Exception | None = None
        self._logged = time.monotonic()
        self._thread = threading.Thread(target=self._run, name=f"build {name}", daemon=True)
        self._thread.start()

    @property
    def is_done(self) -> bool:
        """Whether it has ended, with or without an engine."""
        return not self._thread.is_alive()

    def take(self, timeout_s: float | None = None) -> Engine:
        """The engine, once it is built; the caller must close it.

        Args:
            timeout_s: Longest time to wait; None = no limit.

        Raises:
            SfmDepthError: The build failed, or was cancelled.
            TimeoutError: It is not done yet.
        """
        self._thread.join(timeout_s)
        if not self.is_done:
            raise TimeoutError(f"{self.name} is still being built")
        if self._error is not None:
            raise self._error
        with self._lock:
            engine, self._engine = self._engine, None
        if engine is None:
            raise ValueError(f"{self.name} was taken already")
        return engine

    def cancel(self) -> None:
        """Stop at the next step and free what was built; does not wait."""
        with self._lock:
            self._cancelled.set()
            engine, self._engine = self._engine, None
        if engine is not None:
            engine.close()

    def _run(self) -> None:
        started = time.monotonic()
        try:
            engine = self._build(self._report)
        except SfmDepthError as error:
            self._error = error
            return
        except Exception as error:  # a defect of ours must not end the thread without a trace
            _logger.exception("the build of %s failed", self.name)
            self._error = error
            return
        with self._lock:
            is_wanted = not self._cancelled.is_set()
            self._engine = engine if is_wanted else None
        if not is_wanted:
            engine.close()
            self._error = SfmDepthError(f"the build of {self.name} was stopped")
            return
        self.progress = 1.0
        _logger.info("%s is built, after %.0f s", self.name, time.monotonic() - started)

    def _report(self, share: float) -> bool:
        self.progress = share
        if time.monotonic() - self._logged > LOG_INTERVAL_S:
            self._logged = time.monotonic()
            _logger.info("%s is being built: %.0f %%", self.name, 100 * share)
        return not self._cancelled.is_set()


class ServingEngine(Engine):
    """Runs the best engine that is ready.

    Args:
        engine: First engine; closed with this one.
        spare: Candidates that follow an engine that fails, best first.
        build: Builds and checks one of them, or raises ``EngineError``.
        better: Build of a better engine, which replaces the first one; None = none.
    """

    def __init__(
        self,
        engine: Engine,
        spare: Sequence[Candidate],
        build: Callable[[Candidate], Engine],
        better: BackgroundBuild | None = None,
    ) -> None:
        self.input_shape = engine.input_shape
        self._spare, self._build, self._better = list(spare), build, better
        self._engine: Engine | None = None
        self._serve(engine)

    @property
    def takes_bytes(self) -> bool:
        """Whether the current engine takes bytes."""
        return self._engine is not None and self._engine.takes_bytes

    def infer(self, image: np.ndarray) -> np.ndarray:
        """Run the current engine on floats or bytes.

        Raises:
            BadImageError: No engine can compute with this image.
            EngineError: The last engine failed too.
        """
        if self._better is not None and self._better.is_done:
            self._exchange(self._better)
        while True:
            if self._engine is None:
                raise closed(self)
            try:
                return self._engine.run(image)
            except BadImageError:
                raise
            except EngineError as error:
                self._replace(self._engine, error)

    run = infer

    def infer_bytes(self, images: np.ndarray) -> np.ndarray:
        """As ``infer``."""
        return self.infer(images)

    def refit(self, folder: ModelFolder) -> bool:
        """Refit the current engine, unless a better one of the old weights is being built."""
        return self._better is None and self._engine is not None and self._engine.refit(folder)

    def close(self) -> None:
        """Stop the build and free the current engine."""
        if self._better is not None:
            self._better.cancel()
            self._better = None
        if self._engine is not None:
            self._engine.close()
            self._engine = None

    def _serve(self, engine: Engine) -> None:
        self._engine = engine
        self.name, self.precision = engine.name, engine.precision

    def _exchange(self, better: BackgroundBuild) -> None:
        """Serve with the better engine; a build that failed is logged once."""
        self._better = None
        try:
            engine = better.take()
        except Exception as error:  # whatever it was: frames must not stop
            _logger.warning(
                "%s stays in service: %s could not be built: %s", self.name, better.name, error
            )
            return
        before = self._engine
        _logger.info("%s replaces %s", engine.name, self.name)
        self._serve(engine)
        if before is not None:
            before.close()

    def _replace(self, failed: Engine, error: EngineError) -> None:
        """Serve with the next spare that can be built; raise the failure where there is none."""
        while self._spare:
            candidate = self._spare.pop(0)
            try:
                engine = self._build(candidate)
            except EngineError as refusal:
                _logger.warning("engine %s cannot take over: %s", candidate, refusal)
                continue
            self._serve(engine)
            self.remark = f"{failed.name} {failed.precision} failed ({error}); {candidate} serves"
            _logger.warning("%s", self.remark)
            failed.close()
            return
        raise error
