# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import cv2
import numpy as np
import pytest

from sfm_depth_ros.errors import TrainingError
from sfm_depth_ros.geometry.camera import Intrinsics
from sfm_depth_ros.snippets.replay_buffer import ReplayBuffer
from sfm_depth_ros.snippets.selection import most_redundant, similarity, snippet_feature
from sfm_depth_ros.snippets.store import encode_snippet
from sfm_depth_ros.snippets.values import Snippet

SECOND = 10**9


def _snippet(
    scene: int, seconds: float = 0.0, displacement: float = 1.0, width: int = 64, noise: float = 0
) -> Snippet:
    """A snippet of one scene; scenes look quite different."""
    rng = np.random.default_rng(scene)
    coarse = rng.integers(0, 256, (4, 8, 3), dtype=np.uint8)
    image = cv2.resize(coarse, (width, width // 2), interpolation=cv2.INTER_CUBIC)
    if noise:
        image = cv2.add(image, np.full_like(image, noise))
    stamps = np.round((seconds + np.array([0, 0.1, 0.2])) * SECOND).astype(np.int64)
    return Snippet(
        target=image,
        sources=np.stack([image, image[::-1]]),
        intrinsics=Intrinsics.from_hfov(90, width, width // 2),
        displacements=np.array([displacement, displacement], np.float32),
        stamps_ns=stamps,
        valid=np.arange(width) > np.zeros((width // 2, 1)),
    )


def _buffer(
    folder: Path, capacity: int = 20, share: float = 0.0, max_bytes: int = 1 << 30
) -> ReplayBuffer:
    return ReplayBuffer(folder, capacity, max_bytes, share, seed=0)


def test_a_snippet_comes_back_as_it_was(tmp_path):
    buffer = _buffer(tmp_path)
    snippet = _snippet(1)
    assert buffer.add(snippet)
    got = buffer.newest(1)[0]
    for name in ("target", "sources", "displacements", "stamps_ns", "valid"):
        np.testing.assert_array_equal(getattr(got, name), getattr(snippet, name))
        assert getattr(got, name).dtype == getattr(snippet, name).dtype
    assert got.intrinsics == snippet.intrinsics
    assert got.depth is None
    assert got.T_source_target is None
    assert buffer.size_bytes == sum(path.stat().st_size for path in tmp_path.glob("*.safetensors"))


def test_near_duplicates_are_refused_unless_the_motion_differs(tmp_path):
    buffer = _buffer(tmp_path)
    assert buffer.add(_snippet(1))
    assert not buffer.add(_snippet(1, noise=3))
    assert not buffer.add(_snippet(1, displacement=1.1))
    assert buffer.add(_snippet(1, displacement=2.0))
    assert buffer.add(_snippet(2))
    assert buffer.refused == {"duplicate": 2, "guard": 0, "too_large": 0}
    assert len(buffer) == 3


def test_unknown_displacement_is_no_obstacle(tmp_path):
    buffer = _buffer(tmp_path)
    assert buffer.add(_snippet(1, displacement=float("nan")))
    assert buffer.add(_snippet(2, displacement=float("nan")))


def test_it_stays_bounded_and_the_most_redundant_leaves(tmp_path):
    buffer = _buffer(tmp_path, capacity=10)
    for scene in range(9):
        buffer.add(_snippet(scene, scene))
    buffer.add(_snippet(3, 20, displacement=1.5))  # the same scene at another speed
    buffer.add(_snippet(100, 30))
    assert len(buffer) == 10
    assert len(list(tmp_path.glob("*.safetensors"))) == 10
    seconds = {int(s.stamps_ns[0]) // SECOND for s in buffer.newest(20)}
    assert seconds == {0, 1, 2, 4, 5, 6, 7, 8, 20, 30}  # of the pair the older one left


def test_it_stays_below_its_bytes(tmp_path):
    one = len(encode_snippet(_snippet(0), feature=snippet_feature(_snippet(0))))
    buffer = _buffer(tmp_path, capacity=100, share=0.1, max_bytes=10 * one)
    for scene in range(60):
        buffer.add(_snippet(scene, scene / 5))
        on_disk = sum(path.stat().st_size for path in tmp_path.glob("*.safetensors"))
        assert on_disk == buffer.size_bytes <= 10 * one
    assert (len(buffer), buffer.holdout_count) == (9, 1)
    again = _buffer(tmp_path, capacity=100, share=0.1, max_bytes=4 * one)
    assert len(again) == 3
    assert again.size_bytes <= 4 * one


def test_a_snippet_beyond_all_bytes_is_refused(tmp_path):
    buffer = _buffer(tmp_path, max_bytes=5000)
    assert not buffer.add(_snippet(1))
    assert buffer.refused["too_large"] == 1
    assert not list(tmp_path.glob("*.safetensors"))


def test_most_redundant_in_a_large_buffer_is_of_the_close_pair():
    rng = np.random.default_rng(0)
    features = np.zeros((2000, 129), np.float32)
    features[:, :128] = rng.normal(size=(2000, 128))
    features[:1000, :128] = features[0, :128] + 0.05 * rng.normal(size=(1000, 128))
    features[:, :128] /= np.linalg.norm(features[:, :128], axis=1, keepdims=True)
    assert most_redundant(features, rng) < 1000


def test_similarity_falls_with_the_difference_in_motion():
    a, b, c = (
        snippet_feature(_snippet(1, displacement=d))[None] for d in (1.0, 1.2, np.float32(0))
    )
    assert similarity(a, a)[0, 0] == pytest.approx(1.0)
    assert similarity(a, b)[0, 0] == pytest.approx(1 - 0.1 * np.log(1.2), abs=1e-5)
    assert np.isfinite(similarity(a, c)).all()


def test_newest_come_first_and_sampling_has_no_doubles(tmp_path):
    buffer = _buffer(tmp_path)
    for scene in range(10):
        buffer.add(_snippet(scene, scene))
    assert [int(s.stamps_ns[0]) // SECOND for s in buffer.newest(3)] == [9, 8, 7]
    rng = np.random.default_rng(0)
    drawn = [int(s.stamps_ns[0]) // SECOND for s in buffer.sample(10, rng)]
    assert sorted(drawn) == list(range(10))
    assert len(buffer.sample(50, rng)) == 10
    few = {int(s.stamps_ns[0]) // SECOND for s in buffer.sample(3, rng, among_newest=4)}
    assert few < {6, 7, 8, 9}
    assert len(few) == 3
    assert _buffer(tmp_path / "empty").sample(4, rng) == []


def test_held_out_snippets_are_apart_from_those_trained_on(tmp_path):
    buffer = _buffer(tmp_path, capacity=400, share=0.1)
    for index in range(400):
        buffer.add(_snippet(index, index / 10))
    training = [s.stamps_ns for s in buffer.newest(400)]
    holdout = [s.stamps_ns for s in buffer.holdout()]
    assert len(holdout) == buffer.holdout_count
    assert len(holdout) == pytest.approx(36, abs=6)
    gap = min(max(t[0] - h[2], h[0] - t[2]) for t in training for h in holdout)
    assert gap >= 0.49 * SECOND
    assert buffer.refused["guard"] > 0
    assert len(buffer.holdout(5)) == 5


def test_a_drive_played_twice_leaks_nothing(tmp_path):
    buffer = _buffer(tmp_path, capacity=400, share=0.1)
    for _ in range(2):
        for index in range(100):
            buffer.add(_snippet(index, index / 10))
    before = len(buffer)
    # the same places under other stamps
    for index in range(100):
        buffer.add(_snippet(index, 1000.35 + index / 10))
    assert len(buffer) - before < 15  # those that a guard had kept out
    assert buffer.refused["duplicate"] > 150


def test_everything_survives_a_restart(tmp_path):
    buffer = _buffer(tmp_path, capacity=50, share=0.1)
    for index in range(100):
        buffer.add(_snippet(index, index / 10))
    again = _buffer(tmp_path, capacity=50, share=0.1)
    assert (len(again), again.holdout_count) == (len(buffer), buffer.holdout_count)
    assert again.size_bytes == buffer.size_bytes
    a, b = ([s.stamps_ns.tolist() for s in x.newest(60)] for x in (buffer, again))
    assert a == b
    # the schedule too: the same stamps keep their role
    assert not again.add(_snippet(99, 9.9))
    assert again.add(_snippet(1000, 12.0))
    assert len(again) <= 45


def test_a_smaller_capacity_after_a_restart_holds(tmp_path):
    buffer = _buffer(tmp_path, capacity=50)
    for index in range(40):
        buffer.add(_snippet(index, index))
    assert len(_buffer(tmp_path, capacity=10)) == 10
    assert len(list(tmp_path.glob("*.safetensors"))) == 10


@pytest.mark.parametrize("damage", ["truncated", "empty", "flipped", "foreign"])
def test_damaged_entries_are_dropped_with_a_log_line(tmp_path, caplog, damage):
    buffer = _buffer(tmp_path)
    for index in range(3):
        buffer.add(_snippet(index, index))
    path = sorted(tmp_path.glob("*.safetensors"))[1]
    content = bytearray(path.read_bytes())
    content[3000] ^= 0xFF  # in the target's pixels
    contents = {"truncated": content[:5000], "empty": b"", "flipped": content, "foreign": b"x"}
    path.write_bytes(contents[damage])
    if damage == "foreign":
        path.rename(tmp_path / "notes.safetensors")
    again = _buffer(tmp_path)
    assert len(again.sample(3, np.random.default_rng(0))) == 2
    assert len(again) == 2
    assert "dropped" in caplog.text
    assert len(list(tmp_path.glob("*.safetensors"))) == 2


def test_a_damaged_schedule_is_dropped(tmp_path, caplog):
    buffer = _buffer(tmp_path, share=0.1)
    buffer.add(_snippet(1))
    (tmp_path / "schedule.json").write_text("{")
    again = _buffer(tmp_path, share=0.1)
    assert len(again) == 1
    assert "schedule.json" in caplog.text


def test_images_of_another_size_are_kept_apart_and_leave_first(tmp_path):
    buffer = _buffer(tmp_path, capacity=5)
    for index in range(4):
        buffer.add(_snippet(index, index))
    for index in range(10, 14):
        buffer.add(_snippet(index, index, width=32))
        assert {s.target.shape for s in buffer.newest(9)} == {(16, 32, 3)}
    assert len(buffer) == 4
    assert len(list(tmp_path.glob("*.safetensors"))) == 5


def test_clear_forgets_everything(tmp_path):
    buffer = _buffer(tmp_path, share=0.1)
    buffer.add(_snippet(1))
    buffer.clear()
    assert len(buffer) == 0
    assert list(tmp_path.iterdir()) == []
    assert buffer.add(_snippet(1))


def test_a_folder_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(TrainingError, match="buffer_dir"):
        _buffer(tmp_path / "file" / "buffer")
    buffer = _buffer(tmp_path / "gone")
    buffer.clear()
    (tmp_path / "gone").rmdir()
    (tmp_path / "gone").write_text("")
    with pytest.raises(TrainingError, match="buffer_dir"):
        buffer.add(_snippet(1))


def test_threads_may_add_and_draw_at_once(tmp_path):
    buffer, failures = _buffer(tmp_path, capacity=8), []

    def draw(seed: int) -> None:
        rng = np.random.default_rng(seed)
        try:
            for _ in range(40):
                buffer.sample(4, rng)
                buffer.newest(2)
        except Exception as error:
            failures.append(error)

    threads = [threading.Thread(target=draw, args=(seed,)) for seed in range(2)]
    for thread in threads:
        thread.start()
    for index in range(60):
        buffer.add(_snippet(index, index))
    for thread in threads:
        thread.join()
    assert not failures
    assert len(buffer) == 8


KILLED = """
import sys
sys.path.insert(0, {here!r})
from test_replay_buffer import _buffer, _snippet
from pathlib import Path
buffer = _buffer(Path({folder!r}), capacity=30)
for index in range(100000):
    buffer.add(_snippet(index, index))
"""


def test_kill_9_leaves_whole_snippets(tmp_path):
    script = KILLED.format(here=str(Path(__file__).parent), folder=str(tmp_path))
    process = subprocess.Popen([sys.executable, "-c", script], env=dict(os.environ))
    deadline = time.monotonic() + 60
    while len(list(tmp_path.glob("*.safetensors"))) < 30 and time.monotonic() < deadline:
        time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    process.wait()
    buffer = _buffer(tmp_path, capacity=30)
    assert len(buffer) >= 29
    assert len(buffer.newest(30)) == len(buffer)
    assert not list(tmp_path.glob(".*"))


def test_a_stretch_is_forgotten_in_both_roles_and_stays_so(tmp_path):
    buffer = _buffer(tmp_path, capacity=60)
    for i in range(10):
        buffer.add(_snippet(i))
    first = buffer.next_serial
    for i in range(10, 40):
        buffer.add(_snippet(i))
    end = buffer.next_serial
    for i in range(40, 50):
        buffer.add(_snippet(i))
    kept = len(buffer) + buffer.holdout_count
    assert buffer.forget(first, end) == end - first
    assert len(buffer) + buffer.holdout_count == kept - (end - first)
    again = _buffer(tmp_path, capacity=60)
    assert len(again) + again.holdout_count == kept - (end - first)


def test_a_folder_that_was_removed_is_made_again(tmp_path):
    buffer = _buffer(tmp_path / "buffer")
    assert buffer.add(_snippet(0))
    shutil.rmtree(tmp_path / "buffer")
    assert buffer.add(_snippet(1))
    assert len(buffer) == 1
    assert len(_buffer(tmp_path / "buffer")) == 1


def test_a_file_of_another_name_is_dropped(tmp_path):
    buffer = _buffer(tmp_path)
    assert buffer.add(_snippet(1))
    (kept,) = tmp_path.glob("*.safetensors")
    kept.rename(tmp_path / "first-training.safetensors")
    again = _buffer(tmp_path)
    assert len(again) == 0
    assert again.next_serial == 0
    assert not list(tmp_path.glob("*.safetensors"))
