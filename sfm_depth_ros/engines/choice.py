# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Choice of the fastest engine and precision that pass: measured once, remembered, logged."""

from __future__ import annotations

import json
import logging
import platform
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import numpy as np

from sfm_depth_ros.engines.base import Engine, EngineRequest
from sfm_depth_ros.engines.verification import RelativeError
from sfm_depth_ros.errors import EngineError
from sfm_depth_ros.storage import write_whole

MEASURE_S, MEASURE_RUNS, WARM_UP_RUNS = 0.7, 30, 3
# Automatic choice of a reduced precision: largest relative error, and latency against fp32.
UNNAMED_P99, WORTH_IT = 2e-2, 0.9

_logger = logging.getLogger(__name__)


class Candidate(NamedTuple):
    """An engine at a precision."""

    name: str  # Engine
    precision: str  # A definite precision, never `auto`

    def __str__(self) -> str:
        """Form in the cache and in the log."""
        return f"{self.name} {self.precision}"


class Checked(NamedTuple):
    """An engine compared with the check frames."""

    engine: Engine  # At the requested shape
    error: RelativeError  # Relative to torch
    refusal: str = ""  # Reason why it does not pass; empty where it does

    def refused(self, precision: str) -> str:
        """Reason not to use it for a request of ``precision``; empty where it may serve."""
        p99 = self.error.p99
        if self.refusal or precision != "auto" or p99 <= UNNAMED_P99:
            return self.refusal
        return (
            f"relative error p99 {p99:.1e}, allowed {UNNAMED_P99:.0e} unless the precision is "
            "named"
        )

    def accepted(self, precision: str) -> Engine:
        """The engine, if it may serve.

        Raises:
            EngineError: It may not; it is closed.
        """
        if reason := self.refused(precision):
            self.engine.close()
            raise EngineError(reason)
        return self.engine


Build = Callable[[Candidate], Checked]


@dataclass
class Choice:
    """Choice among candidates."""

    request: EngineRequest  # Its precision may be `auto`
    candidates: Sequence[Candidate]  # In the order in which they are tried
    build: Build  # Builds and checks one, or raises `EngineError`
    cache_file: Path  # File of measured latencies
    key: str  # Everything that the latencies depend on
    # Engine that is tried only if no other serves, being slow to load; or empty
    last_resort: str = ""
    # Reasons why candidates do not serve, by their names
    refused: dict[str, str] = field(default_factory=dict)
    # Quickest run by candidate, as measured or remembered
    latencies_ms: dict[str, float] = field(default_factory=dict)

    def fastest(self) -> tuple[Engine, list[Candidate]]:
        """The best engine, and the other candidates in the order in which they would follow.

        Raises:
            EngineError: No candidate serves.
        """
        self.latencies_ms = recall_latencies(self.cache_file, self.key)
        ranked = self._ranked()
        for candidate in ranked:
            try:
                checked = self.build(candidate)
                checked.accepted(self.request.precision)
                return self._announced(candidate, checked, ranked)
            except EngineError as error:
                _logger.info("engine %s, the next fastest, is not used: %s", candidate, error)
                self.refused[str(candidate)] = str(error)
        return self._measured()

    def _measured(self) -> tuple[Engine, list[Candidate]]:
        """Build and measure all, serve with the fastest that passes.

        Candidates that do not pass are measured too: the next model has the same speed and may
        pass.
        """
        built = self._all_that_can_be_built()
        serve = [one for one, checked in built.items() if str(one) not in self.refused]
        if len(built) > 1 and serve:
            self.latencies_ms = quickest_ms({c: one.engine for c, one in built.items()})
            remember_latencies(self.cache_file, self.key, self.latencies_ms)
        else:
            self.latencies_ms = {}
        ranked = [one for one in self._ranked() or serve if one in serve]
        for candidate, checked in built.items():
            if candidate not in ranked[:1]:
                checked.engine.close()
        if not ranked:
            reasons = "; ".join(f"{name}: {why}" for name, why in self.refused.items())
            raise EngineError(f"no engine serves ({self.request}): {reasons}")
        return self._announced(ranked[0], built[ranked[0]], ranked)

    def _ranked(self) -> list[Candidate]:
        """Candidates of known latency, best first; fp32 before one that saves too little."""
        known = [one for one in self.candidates if str(one) in self.latencies_ms]
        full = [self.latencies_ms[str(one)] for one in known if one.precision == "fp32"]
        limit = WORTH_IT * min(full, default=np.inf)

        def rank(one: Candidate) -> tuple[bool, float]:
            latency_ms = self.latencies_ms[str(one)]
            return one.precision != "fp32" and latency_ms > limit, latency_ms

        return sorted(known, key=rank)

    def _all_that_can_be_built(self) -> dict[Candidate, Checked]:
        """Every candidate; those that fail or do not pass get a reason in ``refused``."""
        built: dict[Candidate, Checked] = {}
        self.refused = {name: why for name, why in self.refused.items() if " " not in name}
        for candidate in self.candidates:
            passed = [one for one in built if str(one) not in self.refused]
            if candidate.name == self.last_resort and passed:
                continue
            try:
                built[candidate] = self.build(candidate)
                reason = built[candidate].refused(self.request.precision)
            except EngineError as error:
                reason = str(error)
            if reason:
                self.refused[str(candidate)] = reason
        return built

    def _announced(
        self, chosen: Candidate, checked: Checked, ranked: Sequence[Candidate]
    ) -> tuple[Engine, list[Candidate]]:
        """Log one line: the choice, its error against torch, and why not the others."""
        measured = {name: f"{ms:.1f} ms" for name, ms in self.latencies_ms.items()}
        why = measured.pop(str(chosen), "the only one")
        others = {**measured, **self.refused}
        if self.last_resort in {one.name for one in self.candidates} - {chosen.name}:
            others.setdefault(self.last_resort, "not tried: slow to load")
        _logger.info(
            "engine %s chosen (%s; relative error p50 %.1e, p99 %.1e): %s; not %s",
            chosen,
            why,
            checked.error.p50,
            checked.error.p99,
            self.request,
            ", ".join(f"{name} ({reason})" for name, reason in others.items()),
        )
        spare = [one for one in ranked if one != chosen]
        last = [one for one in self.candidates if one.name == self.last_resort != chosen.name]
        return checked.engine, spare + last


def quickest_ms(engines: Mapping[Candidate, Engine]) -> dict[str, float]:
    """Quickest run of each, measured alternately: other processes start at the same time."""
    images = {one: _noise(engine) for one, engine in engines.items()}
    quickest = dict.fromkeys(map(str, engines), np.inf)
    for engine, image in zip(engines.values(), images.values(), strict=True):
        for _ in range(WARM_UP_RUNS):
            engine.infer(image)
    until = time.perf_counter() + MEASURE_S * len(engines)
    for _ in range(MEASURE_RUNS):
        for one, engine in engines.items():
            quickest[str(one)] = min(quickest[str(one)], _timed_ms(engine, images[one]))
        if time.perf_counter() > until:
            break
    return quickest


def run_times_ms(engine: Engine) -> list[float]:
    """Times of single runs after a warm-up."""
    image = _noise(engine)
    for _ in range(WARM_UP_RUNS):
        engine.infer(image)
    times: list[float] = []
    while len(times) < MEASURE_RUNS and sum(times) < 1e3 * MEASURE_S:
        times.append(_timed_ms(engine, image))
    return times


def _noise(engine: Engine) -> np.ndarray:
    return np.random.default_rng(0).random(engine.input_shape, dtype=np.float32)


def _timed_ms(engine: Engine, image: np.ndarray) -> float:
    started = time.perf_counter()
    engine.infer(image)
    return 1e3 * (time.perf_counter() - started)


def recall_latencies(file: Path, key: str) -> dict[str, float]:
    """Latencies in milliseconds by engine name, empty where ``key`` was never measured."""
    measured = _read(file).get(key, {})
    return measured if _is_latencies(measured) else {}


def remember_latencies(file: Path, key: str, latencies_ms: dict[str, float]) -> None:
    """Add measured latencies; a cache that cannot be written is only logged."""
    content = {**_read(file), key: latencies_ms}
    try:
        write_whole(file, json.dumps(content, indent=2))
    except OSError as error:
        _logger.warning(
            "cannot remember the fastest engine in %s (%s); it is measured again at "
            "the next start",
            file,
            error,
        )


def processor_name() -> str:
    """Name of the CPU; ``platform.processor`` is empty on most Linux machines."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()


def _read(file: Path) -> dict[str, dict[str, float]]:
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        _logger.warning(
            "%s is ignored: it cannot be read (%s); engines are measured again", file, error
        )
        return {}
    if not isinstance(content, dict):
        _logger.warning("%s is ignored: it holds no object; engines are measured again", file)
        return {}
    return content


def _is_latencies(value: object) -> bool:
    return (
        isinstance(value, dict)
        and bool(value)
        and all(isinstance(number, (int, float)) for number in value.values())
    )
