# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Work beside the caller's: on another core where there is one, and otherwise all the same."""

from __future__ import annotations

import os
import threading

import pytest

from sfm_depth_ros.estimation import side_thread
from sfm_depth_ros.estimation.side_thread import SideThread

CORES = frozenset({0, 1, 2})


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, frozenset[int]]]:
    """Calls to the kernel on a machine of three cores; the caller goes 1, 1, 2."""
    calls: list[tuple[int, frozenset[int]]] = []
    places = iter([1, 1, 2])
    monkeypatch.setattr(side_thread, "_allowed_cores", lambda: CORES)
    monkeypatch.setattr(side_thread, "_current_core", lambda: next(places))
    monkeypatch.setattr(
        side_thread.os, "sched_setaffinity",
        lambda thread, cores: calls.append((thread, frozenset(cores))), raising=False,
    )  # fmt: skip
    return calls


def test_it_is_kept_off_the_callers_core(asked: list[tuple[int, frozenset[int]]]) -> None:
    side = SideThread("beside")
    ids = {side.submit(threading.get_native_id).result() for _ in range(3)}
    side.close()
    assert len(ids) == 1 and ids != {threading.get_native_id()}
    (thread,) = ids
    assert asked == [(thread, CORES - {1}), (thread, CORES - {2})], "only where it changes"


def test_work_that_starts_threads_is_left_alone(asked: list[tuple[int, frozenset[int]]]) -> None:
    side = SideThread("beside", own_core=False)
    assert side.submit(pow, 2, 3).result() == 8
    side.close()
    assert not asked


def test_cores_that_were_taken_away_are_no_error(
    asked: list[tuple[int, frozenset[int]]], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(thread: int, cores: frozenset[int]) -> None:
        raise OSError(22, "Invalid argument")

    monkeypatch.setattr(side_thread.os, "sched_setaffinity", refuse)
    side = SideThread("beside")
    assert [side.submit(pow, 2, 3).result() for _ in range(2)] == [8, 8]
    side.close()


@pytest.mark.skipif(
    not hasattr(os, "sched_getaffinity") or len(os.sched_getaffinity(0)) < 2,
    reason="needs two cores",
)
def test_the_kernel_obeys() -> None:
    cores = os.sched_getaffinity(0)
    side = SideThread("beside")
    here = min(cores)
    try:
        os.sched_setaffinity(0, {here})  # of this thread alone
        assert side.submit(os.sched_getaffinity, 0).result() == cores - {here}
        assert side.submit(side_thread._current_core).result() != here
    finally:
        os.sched_setaffinity(0, cores)
        side.close()


def test_where_it_begins_late_the_kernel_chooses_for_a_while(
    asked: list[tuple[int, frozenset[int]]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(side_thread, "_current_core", lambda: 1)
    monkeypatch.setattr(side_thread, "LATE_S", 60.0)
    side = SideThread("beside")
    side.submit(pow, 2, 3).result()
    monkeypatch.setattr(side_thread, "LATE_S", -1.0)  # others work on its core
    side.submit(pow, 2, 3).result()
    monkeypatch.setattr(side_thread, "LATE_S", 60.0)
    for _ in range(side_thread.REST):
        side.submit(pow, 2, 3).result()
    assert [cores for _, cores in asked] == [CORES - {1}, CORES]
    side.submit(pow, 2, 3).result()
    assert [cores for _, cores in asked[2:]] == [CORES - {1}], "tried again"
    side.close()


def test_errors_reach_the_caller() -> None:
    side = SideThread("beside")
    with pytest.raises(ZeroDivisionError):
        side.submit(divmod, 1, 0).result()
    side.close()
