# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The store: found by content, filled once, bounded, whole or absent."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from sfm_depth_ros.errors import DataError
from sfm_depth_ros.storage import disk_bytes
from sfm_depth_ros.training.offline.caches import CacheStore

MIB = 1 << 20


class Filler:
    """Writes so many bytes, and counts how often it was asked to."""

    def __init__(self, size: int = 4096) -> None:
        self.size, self.calls = size, 0

    def __call__(self, folder: Path, make_room) -> None:
        self.calls += 1
        (folder / "data").write_bytes(os.urandom(self.size))
        make_room()


def test_the_same_content_is_filled_once(tmp_path: Path) -> None:
    fill = Filler()
    first = CacheStore(tmp_path, MIB).entry("a drive", {"width": 64}, fill)
    again = CacheStore(tmp_path, MIB).entry("a drive", {"width": 64}, fill)
    other = CacheStore(tmp_path, MIB).entry("a drive", {"width": 96}, fill)
    assert first == again != other
    assert first.name.startswith("a_drive-")
    assert fill.calls == 2


def test_the_least_recently_used_leaves(tmp_path: Path) -> None:
    store = CacheStore(tmp_path, MIB)
    paths = [store.entry(f"{i}", {}, Filler(300 * 1024)) for i in range(3)]
    for age, path in zip((1, 3, 2), paths, strict=True):
        os.utime(path, (time.time() - 100 * age,) * 2)
    store.close()
    newest = CacheStore(tmp_path, MIB).entry("3", {}, Filler(300 * 1024))
    assert [path.exists() for path in paths] == [True, False, True]
    assert newest.exists()
    assert disk_bytes(tmp_path) <= MIB


def test_what_a_run_uses_stays(tmp_path: Path) -> None:
    running = CacheStore(tmp_path, MIB)
    used = running.entry("used", {}, Filler(700 * 1024))
    with pytest.raises(DataError, match=r"training\.cache_gib"):
        CacheStore(tmp_path, MIB).entry("other", {}, Filler(700 * 1024))
    assert used.exists()
    assert [path.name for path in tmp_path.iterdir() if path.name != ".locks"] == [used.name]


def test_a_failed_filling_leaves_nothing_and_may_be_tried_again(tmp_path: Path) -> None:
    def fails(folder: Path, make_room) -> None:
        (folder / "half").write_bytes(b"1")
        raise DataError("no snippet")

    store = CacheStore(tmp_path, MIB)
    with pytest.raises(DataError, match="no snippet"):
        store.entry("bag", {}, fails)
    assert [path.name for path in tmp_path.iterdir()] == [".locks"]
    assert store.entry("bag", {}, Filler()).is_dir()


def test_a_resumable_filling_goes_on(tmp_path: Path) -> None:
    seen: list[list[str]] = []

    def fill(folder: Path, make_room) -> None:
        seen.append([path.name for path in folder.iterdir()])
        (folder / str(len(seen))).touch()
        if len(seen) == 1:
            raise KeyboardInterrupt

    store = CacheStore(tmp_path, MIB)
    with pytest.raises(KeyboardInterrupt):
        store.entry("rendered", {}, fill, is_resumable=True)
    path = store.entry("rendered", {}, fill, is_resumable=True)
    assert seen == [[], ["1"]]
    assert sorted(file.name for file in path.iterdir()) == ["1", "2"]


def test_others_wait_while_one_fills(tmp_path: Path) -> None:
    fill = Filler()

    def slow(folder: Path, make_room) -> None:
        time.sleep(0.3)
        fill(folder, make_room)

    found: list[Path] = []
    threads = [
        threading.Thread(
            target=lambda: found.append(CacheStore(tmp_path, MIB).entry("bag", {}, slow))
        )
        for _ in range(3)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert len(found) == 3
    assert fill.calls == 1


FULL_DISK = """
import resource, sys
from pathlib import Path
from sfm_depth_ros.errors import DataError
from sfm_depth_ros.training.offline.caches import CacheStore
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
def fill(folder, make_room):
    (folder / "data").write_bytes(bytes(200_000))
try:
    CacheStore(Path(sys.argv[1]), 1 << 30).entry("bag", {}, fill)
except DataError as error:
    print(error)
"""


def test_a_full_disk_is_said(tmp_path: Path) -> None:
    result = subprocess.run(
        [sys.executable, "-c", FULL_DISK, str(tmp_path)],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert "free some disk space" in result.stdout
    assert [path.name for path in tmp_path.iterdir()] == [".locks"]
