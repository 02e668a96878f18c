# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Cache of TensorRT plans: built once, by one process, rebuilt when they do not fit."""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TypeVar

from sfm_depth_ros.errors import EngineError
from sfm_depth_ros.storage import LruCache, cache_directory, write_whole

LIMIT_BYTES = 4 << 30
MAGIC = b"sfm_depth_ros plan 1\n"

_logger = logging.getLogger(__name__)
_Loaded = TypeVar("_Loaded")


@dataclass(frozen=True)
class PlanKey:
    """Purpose and origin of a plan; a plan is used where all of it is equal."""

    runtime: str  # TensorRT's module and version
    device: str  # Name and compute capability of the GPU, or the capabilities built for
    driver: str  # CUDA version of the driver; empty where there is none
    precision: str  # `"fp32"` or `"fp16"`
    shapes: tuple[tuple[int, ...], ...]  # Input shapes, one optimisation profile each
    graph: str  # SHA-256 of the graph without its weights
    weights: str  # SHA-256 of the weights; empty for a refittable plan, which takes any

    @property
    def slot(self) -> str:
        """Name in the cache, from the purpose: another version or driver replaces the plan."""
        purpose = {**asdict(self), "runtime": self.runtime.split()[0], "driver": ""}
        return hashlib.sha256(json.dumps(purpose).encode()).hexdigest()[:32]

    def differences(self, other: dict[str, object]) -> str:
        """Differences of a stored key for a log line; empty where it fits."""
        mine = json.loads(json.dumps(asdict(self)))
        return ", ".join(
            f"{name} {other.get(name)} instead of {value}"
            for name, value in mine.items()
            if other.get(name) != value
        )


@dataclass(frozen=True)
class StoredPlan:
    """A plan with the hash of its weights."""

    plan: bytes  # Serialised engine
    weights: str  # SHA-256 of the weights that it was built with


class UnusablePlanError(Exception):
    """A plan file is damaged or of another version; the message is the reason."""


class PlanCache:
    """A folder of plans, bounded in size: a folder for each, with the kernels compiled for it.

    Args:
        folder: Location of the plans; None = the user's cache.
        limit_bytes: Bound of the disk space of all plans together.
    """

    def __init__(self, folder: Path | None = None, limit_bytes: int = LIMIT_BYTES) -> None:
        self.folder = folder or cache_directory() / "plans"
        self._cache = LruCache(self.folder, limit_bytes)

    def path(self, key: PlanKey) -> Path:
        """File of a plan, whether it exists or not."""
        return self._cache.path(key.slot) / "plan"

    def open(
        self,
        key: PlanKey,
        build: Callable[[], StoredPlan],
        load: Callable[[StoredPlan], _Loaded],
    ) -> _Loaded:
        """Load a plan, and build it where there is none that can be loaded.

        Other threads and processes that open the same plan meanwhile wait and get it.

        Args:
            key: Required properties of the plan.
            build: Builds the plan; called at most once.
            load: Converts the plan; raises ``EngineError`` where it cannot be used.

        Returns:
            Result of ``load``.

        Raises:
            EngineError: ``build`` failed, or the plan just built cannot be loaded.
        """
        refused: bytes | None = None
        with contextlib.suppress(UnusablePlanError):  # logged below, under the lock
            stored = read_plan(self.path(key), key)
            if stored is not None:
                try:
                    return self._used(key, load(stored))
                except EngineError:
                    refused = stored.plan
        with self._locked(key):
            stored = self._read_or_log(key)
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
        """Disk space of all plans."""
        return self._cache.size_bytes()

    def _used(self, key: PlanKey, loaded: _Loaded) -> _Loaded:
        self._cache.touch(key.slot)
        return loaded

    def _read_or_log(self, key: PlanKey) -> StoredPlan | None:
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
        self._cache.touch(key.slot)
        self._cache.make_room(keep=key.slot)

    @contextlib.contextmanager
    def _locked(self, key: PlanKey) -> Iterator[None]:
        """Hold the plan's lock; continue without one where the folder is not writable."""
        with contextlib.ExitStack() as stack:
            try:
                stack.enter_context(self._cache.locked(key.slot))
            except OSError as error:
                _logger.warning(
                    "%s is not writable (%s); TensorRT plans are built at every start",
                    self.folder,
                    error,
                )
            yield


def write_plan(file: Path, key: PlanKey, stored: StoredPlan) -> None:
    """Write a plan, flushed to the device.

    Raises:
        OSError: The disk is full or the folder not writable.
    """
    header = {
        "key": asdict(key),
        "weights": stored.weights,
        "bytes": len(stored.plan),
        "sha256": hashlib.sha256(stored.plan).hexdigest(),
    }
    content = MAGIC + json.dumps(header).encode() + b"\n" + stored.plan
    write_whole(file, content, sync=True)


def read_plan(file: Path, key: PlanKey) -> StoredPlan | None:
    """Read a plan, if it is whole and for exactly this key.

    Returns:
        The plan, or None where there is no file.

    Raises:
        UnusablePlanError: There is a file that cannot be used.
    """
    try:
        content = file.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise UnusablePlanError(f"cannot be read ({error})") from error
    if not content.startswith(MAGIC):
        raise UnusablePlanError("is damaged or of another kind")
    text, _, plan = content[len(MAGIC) :].partition(b"\n")
    try:
        header = json.loads(text)
        expected, weights, stored_key = header["sha256"], header["weights"], header["key"]
    except (ValueError, KeyError, TypeError) as error:
        raise UnusablePlanError("has a damaged header") from error
    if hashlib.sha256(plan).hexdigest() != expected:
        raise UnusablePlanError(
            f"is damaged ({len(plan)} of {header.get('bytes')} bytes are there or right)"
        )
    if differences := key.differences(stored_key):
        raise UnusablePlanError(f"was built with {differences}")
    return StoredPlan(plan, str(weights))
