# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""An engine that takes long to build is built beside the one that serves."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable

import numpy as np

from sfm_depth_ros.engines.base import Engine, run, takes_bytes
from sfm_depth_ros.errors import SfmDepthError
from sfm_depth_ros.model_folder.folder import ModelFolder

LOG_INTERVAL_S = 5.0

_logger = logging.getLogger(__name__)


class BackgroundBuild:
    """One build in a thread of its own.

    Args:
        build: Makes the engine; is given a function to tell the share that is done, whose answer
            False means that the build shall stop.
        name: What is built, for the log.
    """

    def __init__(self, build: Callable[[Callable[[float], bool]], Engine], name: str) -> None:
        self.name = name
        self.progress = 0.0  # share done in [0, 1]
        self._build = build
        self._cancelled = threading.Event()
        self._lock = threading.Lock()  # the end of the build against its cancelling
        self._engine: Engine | None = None
        self._error: Exception | None = None
        self._said = time.monotonic()
        self._thread = threading.Thread(target=self._run, name=f"build {name}", daemon=True)
        self._thread.start()

    @property
    def is_done(self) -> bool:
        """Whether it has ended, well or not."""
        return not self._thread.is_alive()

    def take(self, timeout_s: float | None = None) -> Engine:
        """The engine, once it is built; it is the caller's from then on.

        Args:
            timeout_s: How long to wait; None = as long as it takes.

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
            engine = self._build(self._tell)
        except SfmDepthError as error:
            self._error = error
            return
        except Exception as error:  # a defect of ours must not end the thread unheard
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

    def _tell(self, share: float) -> bool:
        self.progress = share
        if time.monotonic() - self._said > LOG_INTERVAL_S:
            self._said = time.monotonic()
            _logger.info("%s is being built: %.0f %%", self.name, 100 * share)
        return not self._cancelled.is_set()


class InterimEngine:
    """Serves with one engine until a better one is built, and with that from then on.

    Between two frames: none is lost. A build that fails is logged once, and the first engine goes
    on serving.

    Args:
        serving: The next-best engine.
        build: The better one; both are closed by this engine's ``close``.
    """

    def __init__(self, serving: Engine, build: BackgroundBuild) -> None:
        self._serving = serving
        self._build: BackgroundBuild | None = build
        self.input_shape = serving.input_shape

    @property
    def name(self) -> str:
        """Name of the engine that serves at present."""
        return self._serving.name

    @property
    def precision(self) -> str:
        """Precision of the engine that serves at present."""
        return self._serving.precision

    @property
    def takes_bytes(self) -> bool:
        """Whether the engine that serves at present does."""
        return takes_bytes(self._serving)

    def infer(self, image: np.ndarray) -> np.ndarray:
        """Run the network on floats or bytes, see :func:`~sfm_depth_ros.engines.base.run`."""
        if self._build is not None and self._build.is_done:
            self._exchange(self._build)
        return run(self._serving, image)

    infer_bytes = infer

    def refit(self, folder: ModelFolder) -> bool:
        """Serve another model's weights, once the better engine serves and where it can."""
        refit = getattr(self._serving, "refit", None)
        return self._build is None and refit is not None and bool(refit(folder))

    def close(self) -> None:
        """Free both engines."""
        if self._build is not None:
            self._build.cancel()
            self._build = None
        self._serving.close()

    def _exchange(self, build: BackgroundBuild) -> None:
        self._build = None
        try:
            better = build.take()
        except Exception as error:  # whatever it was: frames must not stop
            _logger.warning(
                "%s goes on serving, for %s could not be built: %s",
                self._serving.name,
                build.name,
                error,
            )
            return
        before, self._serving = self._serving, better
        _logger.info("%s serves from now on, instead of %s", better.name, before.name)
        before.close()
