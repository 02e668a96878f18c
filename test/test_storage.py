# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Whole files and folders; a bounded cache under kill -9, damage and several processes."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import logging
import os
import signal
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from sfm_depth_ros import storage
from sfm_depth_ros.storage import (
    ASIDE,
    LruCache,
    cache_directory,
    disk_bytes,
    whole_file,
    write_folder,
    write_whole,
)

MIB = 1 << 20

WRITER = """
import sys, time
from pathlib import Path
from sfm_depth_ros.storage import whole_file
path, content, seconds = Path(sys.argv[1]), sys.argv[2].encode(), float(sys.argv[3])
with whole_file(path) as file:
    file.write(content[:1])
    file.flush()
    print("begun", flush=True)
    time.sleep(seconds)
    file.write(content[1:])
"""

FILLER = """
import os, sys, time
from pathlib import Path
from sfm_depth_ros.storage import LruCache
folder, seconds, resumes = Path(sys.argv[1]), float(sys.argv[2]), sys.argv[3] == "resume"
def fill(aside):
    with open(folder.parent / "fills", "a") as file:
        file.write(f"{os.getpid()} {sorted(path.name for path in aside.iterdir())}\\n")
    (aside / "first").write_bytes(b"1")
    print("begun", flush=True)
    time.sleep(seconds)
    (aside / "second").write_bytes(b"2")
path = LruCache(folder, 1 << 30).entry("bag", fill, resumes)
print(sorted(file.name for file in path.iterdir()), flush=True)
"""

FULL_DISK = """
import resource, signal, sys
from pathlib import Path
from sfm_depth_ros.storage import write_folder, write_whole
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
folder, failures = Path(sys.argv[1]), 0
for write in (lambda: write_whole(folder / "file", bytes(200_000)),
              lambda: write_folder(folder / "model", {"weights": bytes(200_000)})):
    try:
        write()
    except OSError:
        failures += 1
print(failures)
"""


def start(script: str, *arguments: object) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", script, *map(str, arguments)],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


def begun(script: str, *arguments: object) -> subprocess.Popen[str]:
    process = start(script, *arguments)
    assert process.stdout is not None and process.stdout.readline() == "begun\n"
    return process


def kill(process: subprocess.Popen[str]) -> None:
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=30)


def output(process: subprocess.Popen[str]) -> str:
    out, log = process.communicate(timeout=60)
    assert process.returncode == 0, log
    return out


def filling(size: int) -> Callable[[Path], None]:
    return lambda folder: [(folder / "data").write_bytes(os.urandom(size)), None][1]


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if path.name != ".locks")


def test_the_users_cache(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", "/somewhere")
    assert cache_directory() == Path("/somewhere/sfm_depth_ros")
    monkeypatch.setenv("XDG_CACHE_HOME", "")
    monkeypatch.setenv("HOME", "/home/robot")
    assert cache_directory() == Path("/home/robot/.cache/sfm_depth_ros")


def test_a_file_that_cannot_be_written_whole_stays_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "report.json"
    write_whole(path, "first")
    with pytest.raises(UnicodeEncodeError):
        write_whole(path, "second \udc80")
    with pytest.raises(ZeroDivisionError), whole_file(path) as file:
        file.writelines(b"%d" % (1 // number) for number in (1, 0))
    assert path.read_text(encoding="utf-8") == "first"
    assert names(tmp_path) == ["report.json"]
    write_whole(path, b"2")
    assert path.read_bytes() == b"2"
    write_whole(tmp_path / "new" / "depth.onnx", b"\x00\xff", sync=True)
    assert (tmp_path / "new" / "depth.onnx").read_bytes() == b"\x00\xff"


def test_files_are_readable_by_others(tmp_path: Path) -> None:
    umask = os.umask(0o022)
    try:
        write_whole(tmp_path / "file", "x")
        write_folder(tmp_path / "model", {"weights": b"1"})
    finally:
        os.umask(umask)
    assert (tmp_path / "file").stat().st_mode & 0o777 == 0o644
    assert (tmp_path / "model").stat().st_mode & 0o777 == 0o755


def test_a_killed_writer_leaves_the_old_file_and_stops_nobody(tmp_path: Path) -> None:
    path = tmp_path / "state"
    write_whole(path, "old")
    kill(begun(WRITER, path, "a longer content", 60))
    assert path.read_text() == "old"
    assert names(tmp_path) == [".state.writing", "state"]
    write_whole(path, "new")
    assert path.read_text() == "new"
    assert names(tmp_path) == ["state"]


def test_two_writers_of_one_file_run_one_after_the_other(tmp_path: Path) -> None:
    path = tmp_path / "state"
    slow = begun(WRITER, path, "slow and long", 0.5)
    write_whole(path, "fast")  # waits
    assert path.read_text() == "fast"
    assert slow.wait(30) == 0
    assert names(tmp_path) == ["state"]


def test_many_writers_leave_one_whole_file(tmp_path: Path) -> None:
    path = tmp_path / "state"
    contents = [letter * (10_000 + 1000 * i) for i, letter in enumerate("abcdefgh")]

    def write(content: str) -> None:
        for _ in range(20):
            write_whole(path, content)
            assert path.read_text() in contents

    threads = [threading.Thread(target=write, args=(content,)) for content in contents]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert path.read_text() in contents
    assert names(tmp_path) == ["state"]


def test_a_pipe_is_written_to_and_stays(tmp_path: Path) -> None:
    pipe, link = tmp_path / "pipe", tmp_path / "link"
    os.mkfifo(pipe)
    link.symlink_to(pipe)  # as /dev/stdout is a link
    for path in (pipe, link):
        reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
        write_whole(path, "content")
        assert os.read(reader, 100) == b"content"
        os.close(reader)
    assert stat.S_ISFIFO(pipe.stat().st_mode) and link.is_symlink()
    assert sorted(file.name for file in tmp_path.iterdir()) == ["link", "pipe"]


def test_a_full_disk_leaves_nothing(tmp_path: Path) -> None:
    assert output(start(FULL_DISK, tmp_path)) == "2\n"
    assert names(tmp_path) == []


def test_a_file_system_without_locks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_lock(*_: object) -> None:
        raise OSError(errno.ENOLCK, "no locks available")

    monkeypatch.setattr(storage.fcntl, "flock", no_lock)
    write_whole(tmp_path / "file", "x")
    assert (tmp_path / "file").read_text() == "x"
    assert LruCache(tmp_path / "cache", MIB).entry("bag", filling(10)).is_dir()


def test_a_folder_is_whole_or_absent(tmp_path: Path) -> None:
    write_folder(tmp_path / "model", {"weights": b"1", "graph": b"2"})
    assert (tmp_path / "model" / "graph").read_bytes() == b"2"
    with pytest.raises(OSError, match="not empty"):
        write_folder(tmp_path / "model", {"weights": b"3"})
    with pytest.raises(FileNotFoundError):
        write_folder(tmp_path / "other", {"weights": b"1", "no/such/folder": b"2"})
    assert names(tmp_path) == ["model"]
    assert (tmp_path / "model" / "weights").read_bytes() == b"1"
    assert not list(tmp_path.glob(f"{ASIDE}*"))


def test_an_entry_is_filled_once(tmp_path: Path) -> None:
    calls: list[Path] = []

    def fill(folder: Path) -> None:
        calls.append(folder)
        (folder / "data").touch()

    first = LruCache(tmp_path, MIB).entry("a", fill)
    assert LruCache(tmp_path, MIB).entry("a", fill) == first == tmp_path / "a"
    assert LruCache(tmp_path, MIB).entry("b", fill) != first
    assert len(calls) == 2
    assert names(tmp_path) == ["a", "b"]


def test_the_least_recently_used_leaves(tmp_path: Path) -> None:
    cache = LruCache(tmp_path, MIB)
    paths = [cache.entry(f"{i}", filling(300 * 1024)) for i in range(3)]
    for age, path in zip((1, 3, 2), paths, strict=True):
        os.utime(path, (time.time() - 100 * age,) * 2)
    cache.close()
    cache.entry("3", filling(300 * 1024))
    assert cache.make_room() == 0
    assert [path.exists() for path in paths] == [True, False, True]
    assert cache.size_bytes() == sum(disk_bytes(tmp_path / name) for name in "023") <= MIB
    assert sorted(path.name for path in (tmp_path / ".locks").iterdir()) == ["0", "2", "3"]


def test_an_entry_that_is_used_now_is_the_last_to_leave(tmp_path: Path) -> None:
    cache = LruCache(tmp_path, 100 * 1024)
    for index, name in enumerate("abc"):
        (tmp_path / name).write_bytes(bytes(40 * 1024))
        os.utime(tmp_path / name, (time.time() - 100 + index,) * 2)
    cache.touch("a")
    cache.touch("absent")
    assert cache.make_room(keep="b") == 0
    assert names(tmp_path) == ["a", "b"]


def test_what_a_process_uses_stays(tmp_path: Path) -> None:
    running, other = LruCache(tmp_path, MIB), LruCache(tmp_path, MIB // 2)
    running.entry("used", filling(700 * 1024))
    assert 0 < other.make_room() < 300 * 1024
    assert names(tmp_path) == ["used"]
    running.close()
    assert other.make_room() == 0
    assert names(tmp_path) == []


def test_what_is_being_written_stays(tmp_path: Path) -> None:
    cache = LruCache(tmp_path, 0)
    with cache.locked("plan"):
        write_whole(cache.path("plan"), bytes(5000))
        assert cache.make_room() > 0
    assert cache.make_room() == 0
    assert names(tmp_path) == []


def test_writers_of_one_entry_wait_and_say_so(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    cache, order = LruCache(tmp_path, MIB), []

    def second() -> None:
        with LruCache(tmp_path, MIB).locked("plan"):
            order.append("second")

    with caplog.at_level(logging.INFO), cache.locked("plan"), cache.locked("other"):
        thread = threading.Thread(target=second)
        thread.start()
        thread.join(0.3)
        order.append("first")
    thread.join(10)
    assert order == ["first", "second"]
    assert caplog.text.count(f"{tmp_path / 'plan'} is being built already; waiting for it") == 1


def test_a_failed_filling_leaves_nothing_and_may_be_tried_again(tmp_path: Path) -> None:
    def fails(folder: Path) -> None:
        (folder / "half").write_bytes(b"1")
        raise ValueError("no snippet")

    cache = LruCache(tmp_path, MIB)
    with pytest.raises(ValueError, match="no snippet"):
        cache.entry("bag", fails)
    assert names(tmp_path) == []
    assert cache.entry("bag", filling(10)).is_dir()


def test_others_wait_while_one_fills(tmp_path: Path) -> None:
    calls: list[Path] = []

    def slow(folder: Path) -> None:
        calls.append(folder)
        time.sleep(0.3)

    found: list[Path] = []
    threads = [
        threading.Thread(target=lambda: found.append(LruCache(tmp_path, MIB).entry("bag", slow)))
        for _ in range(3)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert found == [tmp_path / "bag"] * 3
    assert len(calls) == 1


@pytest.mark.parametrize(("mode", "second_finds"), [("resume", "['first']"), ("afresh", "[]")])
def test_a_killed_filling_holds_nobody_up(tmp_path: Path, mode: str, second_finds: str) -> None:
    folder = tmp_path / "cache"
    killed = begun(FILLER, folder, 60, mode)
    waiting = start(FILLER, folder, 0, mode)
    time.sleep(0.5)
    assert waiting.poll() is None
    kill(killed)
    assert output(waiting) == "begun\n['first', 'second']\n"
    assert (tmp_path / "fills").read_text().splitlines() == [
        f"{killed.pid} []", f"{waiting.pid} {second_finds}"
    ]  # fmt: skip
    assert names(folder) == ["bag"]


def test_two_processes_at_once_fill_once(tmp_path: Path) -> None:
    processes = [start(FILLER, tmp_path / "cache", 0.5, "afresh") for _ in range(3)]
    outputs = sorted(output(process) for process in processes)
    assert outputs == ["['first', 'second']\n"] * 2 + ["begun\n['first', 'second']\n"]
    assert len((tmp_path / "fills").read_text().splitlines()) == 1


def test_what_an_interrupted_filling_left_is_counted_and_removed(tmp_path: Path) -> None:
    kill(begun(FILLER, tmp_path / "cache", 60, "resume"))
    cache = LruCache(tmp_path / "cache", 0)
    assert names(cache.folder) == ["bag.filling"]
    assert cache.size_bytes() > 0
    assert cache.make_room() == 0
    assert names(cache.folder) == []
    assert not list((cache.folder / ".locks").iterdir())


def test_a_lock_that_was_swept_away_meanwhile_is_none(tmp_path: Path) -> None:
    """Whoever opened a lock file before it was removed must not rely on it."""
    cache = LruCache(tmp_path, 0)
    with cache.locked("plan"):
        lock = tmp_path / ".locks" / "plan"
        late = threading.Thread(target=lambda: contextlib.ExitStack().enter_context(
            cache.locked("plan")))  # fmt: skip
        late.start()
        time.sleep(0.2)  # it waits on the file
        lock.unlink()
    late.join(10)
    assert not late.is_alive()
    assert lock.exists(), "it has made a new one"
    with open(lock, "r+b") as file:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


def test_a_cache_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    cache = LruCache(tmp_path / "file" / "cache", MIB)
    with pytest.raises(NotADirectoryError), cache.locked("plan"):
        pass
    with pytest.raises(NotADirectoryError):
        cache.entry("bag", filling(10))
    assert cache.size_bytes() == 0
