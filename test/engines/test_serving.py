# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The next-best engine serves until the better one is built; no frame waits for it."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable

import numpy as np
import pytest

from sfm_depth_ros.engines import serving
from sfm_depth_ros.engines.base import Engine
from sfm_depth_ros.engines.choice import Candidate
from sfm_depth_ros.engines.serving import BackgroundBuild, ServingEngine
from sfm_depth_ros.errors import EngineError, SfmDepthError

IMAGE = np.zeros((1, 3, 32, 32), np.float32)


class Answering(Engine):
    """An engine whose output is one number."""

    precision = "fp32"
    input_shape = (1, 3, 32, 32)

    def __init__(self, name: str, number: float) -> None:
        self.name, self._number, self.closed = name, number, 0

    def infer(self, image: np.ndarray) -> np.ndarray:
        return np.full((1, 1), self._number, np.float32)

    def close(self) -> None:
        self.closed += 1


class Slow:
    """A build that waits for a signal."""

    def __init__(self, error: Exception | None = None) -> None:
        self.engine, self.error = Answering("better", 2.0), error
        self.go = threading.Event()
        self.was_stopped = False

    def __call__(self, tell: Callable[[float], bool]) -> Engine:
        while not self.go.wait(0.001):
            if not tell(0.25):
                self.was_stopped = True
                raise EngineError("stopped")
        if self.error is not None:
            raise self.error
        return self.engine


def serving_engine(first: Engine, better: BackgroundBuild) -> ServingEngine:
    def no_spare(candidate: Candidate) -> Engine:
        raise AssertionError("nothing has failed")

    return ServingEngine(first, [], no_spare, better)


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.001)


def test_it_serves_from_the_first_image_and_changes_between_two(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    slow, first = Slow(), Answering("first", 1.0)
    build = BackgroundBuild(slow, "better")
    engine = serving_engine(first, build)
    for _ in range(3):
        assert engine.infer(IMAGE).item() == 1.0
    assert engine.name == "first"
    wait_until(lambda: build.progress == 0.25)
    slow.go.set()
    wait_until(lambda: build.is_done)
    assert engine.infer(IMAGE).item() == 2.0
    assert (engine.name, first.closed, slow.engine.closed) == ("better", 1, 0)
    assert "better replaces first" in caplog.text
    engine.close()
    assert slow.engine.closed == 1


def test_bytes_become_floats_until_an_engine_serves_that_takes_them() -> None:
    class Reading(Answering):
        def infer(self, image: np.ndarray) -> np.ndarray:
            assert (image.shape, image.dtype) == (self.input_shape, np.float32)
            return image[0, :, 1, 2]

    class Taking(Answering):
        @property
        def takes_bytes(self) -> bool:
            return True

        def infer_bytes(self, images: np.ndarray) -> np.ndarray:
            return images[0, 1, 2].astype(np.float32)

    picture = np.random.default_rng(0).integers(0, 256, (1, 32, 32, 3), dtype=np.uint8)
    slow = Slow()
    slow.engine = Taking("better", 2.0)
    build = BackgroundBuild(slow, "better")
    engine = serving_engine(Reading("first", 1.0), build)
    assert not engine.takes_bytes
    np.testing.assert_allclose(engine.infer_bytes(picture), picture[0, 1, 2] / 255, rtol=1e-6)
    slow.go.set()
    wait_until(lambda: build.is_done)
    assert engine.infer_bytes(picture).tolist() == picture[0, 1, 2].tolist()
    assert engine.takes_bytes


@pytest.mark.parametrize("error", [EngineError("out of memory"), ZeroDivisionError("a defect")])
def test_a_failed_build_is_said_once_and_the_first_goes_on(
    error: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    slow, first = Slow(error), Answering("first", 1.0)
    build = BackgroundBuild(slow, "better")
    engine = serving_engine(first, build)
    slow.go.set()
    wait_until(lambda: build.is_done)
    assert [engine.infer(IMAGE).item() for _ in range(3)] == [1.0] * 3
    lines = [r.message for r in caplog.records if "stays in service" in r.message]
    assert lines == [f"first stays in service: better could not be built: {error}"]
    assert first.closed == 0


def test_closing_stops_the_build_and_frees_both() -> None:
    slow, first = Slow(), Answering("first", 1.0)
    build = BackgroundBuild(slow, "better")
    serving_engine(first, build).close()
    wait_until(lambda: build.is_done)
    assert slow.was_stopped and first.closed == 1
    slow = Slow()
    build = BackgroundBuild(slow, "better")
    slow.go.set()
    wait_until(lambda: build.is_done)
    serving_engine(first, build).close()
    assert slow.engine.closed == 1, "one that was built meanwhile is freed too"


def test_taking_the_engine() -> None:
    slow = Slow()
    build = BackgroundBuild(slow, "better")
    with pytest.raises(TimeoutError, match="better is still being built"):
        build.take(timeout_s=0.0)
    slow.go.set()
    assert build.take() is slow.engine
    assert build.progress == 1.0
    with pytest.raises(ValueError, match="taken already"):
        build.take()


def test_a_build_that_ends_after_it_was_cancelled_is_freed() -> None:
    engine, proceed = Answering("better", 2.0), threading.Event()

    def deaf(tell: Callable[[float], bool]) -> Engine:
        proceed.wait(10)
        return engine

    build = BackgroundBuild(deaf, "better")
    build.cancel()
    proceed.set()
    with pytest.raises(SfmDepthError, match="was stopped"):
        build.take()
    assert engine.closed == 1


def test_progress_is_logged_now_and_then(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    monkeypatch.setattr(serving, "LOG_INTERVAL_S", 0.0)
    slow = Slow()
    build = BackgroundBuild(slow, "better")
    wait_until(lambda: "better is being built: 25 %" in caplog.text)
    slow.go.set()
    build.take()
    assert "better is built, after" in caplog.text


def test_a_failure_of_the_first_engine_does_not_stop_the_build() -> None:
    class Failing(Answering):
        def infer(self, image: np.ndarray) -> np.ndarray:
            raise EngineError("out of memory")

    slow, failing, spare = Slow(), Failing("first", 1.0), Answering("second", 3.0)
    build = BackgroundBuild(slow, "better")
    engine = ServingEngine(failing, [Candidate("second", "fp32")], lambda _: spare, build)
    assert engine.infer(IMAGE).item() == 3.0
    assert (engine.name, failing.closed) == ("second", 1)
    assert engine.remark == "first fp32 failed (out of memory); second fp32 serves"
    assert not engine.refit(None), "the better one is built of the old weights"  # type: ignore[arg-type]
    slow.go.set()
    wait_until(lambda: build.is_done)
    assert engine.infer(IMAGE).item() == 2.0
    assert (engine.name, spare.closed) == ("better", 1)
    engine.close()
    assert slow.engine.closed == 1
    with pytest.raises(EngineError, match="better was closed"):
        engine.infer(IMAGE)
