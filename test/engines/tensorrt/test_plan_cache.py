# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Plans are built once, by one process; whatever happened to the file, the right one is loaded."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
from engines.tensorrt.plan_worker import KEY

from sfm_depth_ros.engines.tensorrt.plan_cache import (
    PlanCache,
    PlanKey,
    StoredPlan,
    UnusablePlanError,
    read_plan,
)
from sfm_depth_ros.errors import EngineError

WORKER = Path(__file__).with_name("plan_worker.py")
PLAN = StoredPlan(b"a plan", "weights")


class Builder:
    """Counts its builds."""

    def __init__(self, plan: bytes = b"a plan") -> None:
        self.plan, self.builds = plan, 0

    def __call__(self) -> StoredPlan:
        self.builds += 1
        return StoredPlan(self.plan, "weights")


def content(stored: StoredPlan) -> bytes:
    return stored.plan


def holds(cache: PlanCache, key: PlanKey) -> bool:
    """Whether there is a plan that fits."""
    try:
        return read_plan(cache.path(key), key) is not None
    except UnusablePlanError:
        return False


@pytest.fixture
def cache(tmp_path: Path) -> PlanCache:
    return PlanCache(tmp_path / "plans")


def start(folder: Path, seconds: float, mode: str = "stand_in") -> subprocess.Popen[str]:
    builds = folder.parent / "builds"
    return subprocess.Popen(
        [sys.executable, str(WORKER), str(folder), str(builds), str(seconds), mode],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


def builds_of(folder: Path) -> list[int]:
    file = folder.parent / "builds"
    return [int(line) for line in file.read_text().split()] if file.exists() else []


def wait_for_build(folder: Path, count: int) -> None:
    deadline = time.monotonic() + 30
    while len(builds_of(folder)) < count:
        assert time.monotonic() < deadline, "no build began"
        time.sleep(0.01)


def finished(process: subprocess.Popen[str]) -> tuple[str, str]:
    out, log = process.communicate(timeout=60)
    assert process.returncode == 0, log
    return out, log


def test_two_processes_at_once_build_once(cache: PlanCache) -> None:
    first = start(cache.folder, 60.0)
    wait_for_build(cache.folder, 1)
    second = start(cache.folder, 0.0)
    assert second.stderr is not None
    assert "is being built already; waiting for it" in second.stderr.readline()
    (cache.folder.parent / "release").touch()
    assert [finished(one)[0] for one in (first, second)] == ["b'a plan' 6\n"] * 2
    assert len(builds_of(cache.folder)) == 1


def test_a_killed_build_holds_nobody_up(cache: PlanCache) -> None:
    killed = start(cache.folder, 60.0)
    wait_for_build(cache.folder, 1)
    waiting = start(cache.folder, 0.0)
    time.sleep(0.3)
    killed.send_signal(signal.SIGKILL)
    killed.communicate(timeout=30)
    out, _ = finished(waiting)
    assert out == "b'a plan' 6\n"
    assert builds_of(cache.folder) == [killed.pid, waiting.pid]
    builder = Builder()
    assert cache.open(KEY, builder, content) == b"a plan"
    assert builder.builds == 0


def test_what_a_killed_writer_left_is_removed(cache: PlanCache) -> None:
    cache.folder.mkdir(parents=True)
    aside = cache.path(KEY).with_name(".plan.writing")
    aside.parent.mkdir()
    aside.write_bytes(b"half a pl")
    (cache.folder / ".locks").mkdir()
    (cache.folder / ".locks" / "4567").touch()
    assert cache.size_bytes() > 0
    cache.open(KEY, Builder(), content)
    assert sorted(file.name for file in aside.parent.iterdir()) == ["plan"]
    assert [file.name for file in (cache.folder / ".locks").iterdir()] == [KEY.slot]


def test_plans_of_an_older_layout_leave_when_room_is_needed(tmp_path: Path) -> None:
    (tmp_path / "0123.plan").write_bytes(bytes(30_000))
    cache = PlanCache(tmp_path, limit_bytes=25_000)
    cache.open(KEY, Builder(), content)
    assert [path.name for path in tmp_path.iterdir() if path.name != ".locks"] == [KEY.slot]


def test_a_real_plan_is_kept_between_processes(cache: PlanCache) -> None:
    pytest.importorskip("tensorrt_rtx", reason="the extra tensorrt is not installed")
    pytest.importorskip("onnx")
    first = finished(start(cache.folder, 0.0, "tensorrt_rtx"))[0]
    assert finished(start(cache.folder, 0.0, "tensorrt_rtx"))[0] == first
    assert int(first.split()[-1]) > 100
    assert len(builds_of(cache.folder)) == 1


@pytest.mark.parametrize(
    "damage", ["truncated", "changed", "empty", "foreign", "header", "folder"]
)
def test_a_damaged_plan_is_rebuilt_with_one_line(
    cache: PlanCache, caplog: pytest.LogCaptureFixture, damage: str
) -> None:
    cache.open(KEY, Builder(), content)
    file = cache.path(KEY)
    whole = file.read_bytes()
    if damage == "folder":
        file.unlink()
        file.mkdir()
    else:
        file.write_bytes({
            "truncated": whole[:-2], "changed": whole[:-1] + b"X", "empty": b"",
            "foreign": b"ONNX", "header": whole.replace(b'"sha256"', b'"sha"'),
        }[damage])  # fmt: skip
    assert not holds(cache, KEY)
    builder = Builder(b"a new plan")
    assert cache.open(KEY, builder, content) == b"a new plan"
    lines = [record.message for record in caplog.records if "is rebuilt: it" in record.message]
    assert len(lines) == 1 and str(file) in lines[0]
    assert builder.builds == 1
    if damage != "folder":  # which cannot be written over: built at every start, and logged
        assert cache.open(KEY, builder, content) == b"a new plan"
        assert builder.builds == 1


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"runtime": "tensorrt 10.13.0"}, "runtime tensorrt 11.3.0 instead of tensorrt 10.13.0"),
        ({"driver": "12.8"}, "driver 13.0 instead of 12.8"),
    ],
)
def test_another_version_takes_the_place_of_the_plan(
    cache: PlanCache, caplog: pytest.LogCaptureFixture, change: dict[str, str], message: str
) -> None:
    cache.open(KEY, Builder(b"old"), content)
    other, builder = replace(KEY, **change), Builder(b"new")
    assert cache.open(other, builder, content) == b"new"
    assert [record.message for record in caplog.records if message in record.message]
    assert cache.open(other, builder, content) == b"new"
    assert builder.builds == 1
    assert not holds(cache, KEY)
    assert len(list(cache.folder.glob("*/plan"))) == 1


@pytest.mark.parametrize(
    "other",
    [
        replace(KEY, runtime="tensorrt_rtx 11.3.0"),
        replace(KEY, device="Stand-in GPU (9.0)"),
        replace(KEY, precision="fp16"),
        replace(KEY, shapes=((1, 3, 32, 64),)),
        replace(KEY, graph="another graph"),
        replace(KEY, weights=""),
    ],
)
def test_plans_for_different_things_live_side_by_side(cache: PlanCache, other: PlanKey) -> None:
    cache.open(KEY, Builder(b"one"), content)
    cache.open(other, Builder(b"two"), content)
    none = Builder()
    assert cache.open(KEY, none, content) == b"one"
    assert cache.open(other, none, content) == b"two"
    assert none.builds == 0


def test_a_plan_that_cannot_be_loaded_is_rebuilt_with_one_line(
    cache: PlanCache, caplog: pytest.LogCaptureFixture
) -> None:
    cache.open(KEY, Builder(b"refused"), content)

    def load(stored: StoredPlan) -> bytes:
        if stored.plan == b"refused":
            raise EngineError("it is of another planet")
        return stored.plan

    builder = Builder(b"good")
    assert cache.open(KEY, builder, load) == b"good"
    assert builder.builds == 1
    assert len([r for r in caplog.records if "rebuilt" in r.message]) == 1
    always_refused = Builder(b"refused")
    with pytest.raises(EngineError, match="another planet"):
        cache.open(replace(KEY, graph="other"), always_refused, load)
    assert always_refused.builds == 1, "it is not built again and again"


def test_a_failed_build_leaves_nothing(cache: PlanCache) -> None:
    def build() -> StoredPlan:
        raise EngineError("out of memory")

    with pytest.raises(EngineError, match="out of memory"):
        cache.open(KEY, build, content)
    assert not holds(cache, KEY)
    assert cache.open(KEY, Builder(), content) == b"a plan"


def test_the_one_used_longest_ago_goes_first(tmp_path: Path) -> None:
    cache = PlanCache(tmp_path, limit_bytes=25_000)
    keys = [replace(KEY, graph=str(index)) for index in range(4)]
    for index, key in enumerate(keys[:2]):
        cache.open(key, Builder(bytes(10_000)), content)
        age = time.time() - 100 + index
        os.utime(cache.path(key).parent, (age, age))
    cache.open(keys[0], Builder(), content)  # used: the other one is now the older
    cache.open(keys[2], Builder(bytes(10_000)), content)
    assert [holds(cache, key) for key in keys] == [True, False, True, False]
    cache.open(keys[3], Builder(bytes(30_000)), content)
    assert [holds(cache, key) for key in keys] == [False, False, False, True]
    assert cache.size_bytes() > 30_000


def test_where_nothing_can_be_written_plans_are_built_every_time(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").touch()
    cache, builder = PlanCache(tmp_path / "file" / "plans"), Builder()
    with caplog.at_level(logging.WARNING):
        assert cache.open(KEY, builder, content) == b"a plan"
        assert cache.open(KEY, builder, content) == b"a plan"
    assert builder.builds == 2
    assert "is not writable" in caplog.text


def test_the_users_cache(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", "/somewhere")
    assert PlanCache().folder == Path("/somewhere/sfm_depth_ros/plans")
