# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""TensorRT plans kept between starts: built once, by one process, rebuilt when they do not fit.

Locks are ``flock`` on a file beside the plan: the kernel lets go of them when a process dies, so
none is ever stale.
"""

from __future__ import annotations

import contextlib
import fcntl
import logging
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

from sfm_depth_ros.engines.tensorrt.plan_file import (
    PlanKey,
    StoredPlan,
    UnusablePlanError,
    read_plan,
    write_plan,
)
from sfm_depth_ros.errors import EngineError

LIMIT_BYTES = 4 << 30

_logger = logging.getLogger(__name__)
_Loaded = TypeVar("_Loaded")


def default_plan_folder() -> Path:
    """``~/.cache/sfm_depth_ros/plans``, or below ``XDG_CACHE_HOME`` where it is set."""
    root = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(root).expanduser() / "sfm_depth_ros" / "plans"


class PlanCache:
    """A folder of plans, bounded in size; the one that was used longest ago goes first.

    Args:
        folder: Where the plans lie; None = the user's cache.
        limit_bytes: Most that all plans together may take.
    """

    def __init__(self, folder: Path | None = None, limit_bytes: int = LIMIT_BYTES) -> None:
        self.folder = folder or default_plan_folder()
        self._limit_bytes = limit_bytes

    def path(self, key: PlanKey) -> Path:
        """File of a plan, whether it is there or not."""
        return self.folder / f"{key.slot}.plan"

    def holds(self, key: PlanKey) -> bool:
        """Whether a plan is there that fits, so that opening it builds nothing."""
        try:
            return read_plan(self.path(key), key) is not None
        except UnusablePlanError:
            return False

    def open(
        self,
        key: PlanKey,
        build: Callable[[], StoredPlan],
        load: Callable[[StoredPlan], _Loaded],
    ) -> _Loaded:
        """Load a plan, building it where there is none that can be loaded.

        Whoever asks for the same plan meanwhile, here or in another process, waits and gets it.

        Args:
            key: What the plan must be for.
            build: Makes the plan; called at most once.
            load: Makes what is wanted of a plan; raises ``EngineError`` where it cannot be used.

        Returns:
            What ``load`` gave.

        Raises:
            EngineError: ``build`` failed, or the plan just built cannot be loaded.
        """
        refused: bytes | None = None
        with contextlib.suppress(UnusablePlanError):  # said below, under the lock
            stored = read_plan(self.path(key), key)
            if stored is not None:
                try:
                    return self._used(key, load(stored))
                except EngineError:
                    refused = stored.plan
        with self._locked(key):
            stored = self._read_or_say_why(key)
            if stored is not None and stored.plan != refused:
                try:
                    return self._used(key, load(stored))
                except EngineError as error:
                    _logger.warning(
                        "plan %s is rebuilt: it cannot be loaded (%s)", self.path(key), error
                    )
            elif stored is not None:
                _logger.warning("plan %s is rebuilt: TensorRT cannot load it", self.path(key))
            stored = build()
            self._write(key, stored)
        return load(stored)

    def size_bytes(self) -> int:
        """What all plans together take."""
        return sum(size for _, size, _ in self._plans())

    def _used(self, key: PlanKey, loaded: _Loaded) -> _Loaded:
        with contextlib.suppress(OSError):
            os.utime(self.path(key))
        return loaded

    def _read_or_say_why(self, key: PlanKey) -> StoredPlan | None:
        try:
            return read_plan(self.path(key), key)
        except UnusablePlanError as error:
            _logger.warning("plan %s is rebuilt: it %s", self.path(key), error)
            return None

    def _write(self, key: PlanKey, stored: StoredPlan) -> None:
        """Keep a plan; one that cannot be kept still serves this process."""
        try:
            write_plan(self.path(key), key, stored)
        except OSError as error:
            _logger.warning(
                "cannot keep plan %s (%s); it is built again at the next start",
                self.path(key),
                error,
            )
            return
        self._evict(self.path(key))

    def _plans(self) -> list[tuple[float, int, Path]]:
        """(time of last use, bytes with its kernels, file) of every plan."""
        found = []
        for file in self.folder.glob("*.plan"):
            with contextlib.suppress(FileNotFoundError):
                status = file.stat()
                kernels = file.with_suffix(".kernels")
                more = kernels.stat().st_size if kernels.exists() else 0
                found.append((status.st_mtime, status.st_size + more, file))
        return found

    def _evict(self, newest: Path) -> None:
        """Remove what was not used for longest until the rest is small enough."""
        plans = sorted(self._plans())
        total = sum(size for _, size, _ in plans)
        for _, size, file in plans:
            if total > self._limit_bytes and file != newest:
                _logger.info(
                    "plan %s is removed: all plans together may take %d MB",
                    file,
                    self._limit_bytes >> 20,
                )
                for part in (file, file.with_suffix(".kernels")):
                    part.unlink(missing_ok=True)
                total -= size

        self._sweep()

    def _sweep(self) -> None:
        """Remove what killed writers left, and locks of plans that are gone."""
        for file in (*self.folder.glob("*.writing"), *self.folder.glob("*.lock")):
            lock = file.with_suffix(".lock")
            if file.suffix == ".lock" and lock.with_suffix(".plan").exists():
                continue
            with contextlib.suppress(OSError):  # BlockingIOError: somebody is at work on it
                descriptor = os.open(lock, os.O_RDWR | os.O_CREAT, 0o644)
                try:
                    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    file.unlink()
                finally:
                    os.close(descriptor)

    @contextlib.contextmanager
    def _locked(self, key: PlanKey) -> Iterator[None]:
        """Hold the plan's lock; where no lock can be had, go on without."""
        try:
            descriptor = self._lock(key)
        except OSError as error:
            _logger.warning(
                "%s is not writable (%s); TensorRT plans are built at every start",
                self.folder,
                error,
            )
            yield
            return
        try:
            yield
        finally:
            os.close(descriptor)

    def _lock(self, key: PlanKey) -> int:
        """Descriptor that holds the lock, of a lock file that was not removed meanwhile."""
        self.folder.mkdir(parents=True, exist_ok=True)
        file = self.folder / f"{key.slot}.lock"
        while True:
            descriptor = os.open(file, os.O_RDWR | os.O_CREAT, 0o644)
            _wait_for(descriptor, self.path(key))
            with contextlib.suppress(FileNotFoundError):
                if os.fstat(descriptor).st_ino == file.stat().st_ino:
                    return descriptor
            os.close(descriptor)


def _wait_for(descriptor: int, plan: Path) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        _logger.info("plan %s is being built already; waiting for it", plan)
        fcntl.flock(descriptor, fcntl.LOCK_EX)
