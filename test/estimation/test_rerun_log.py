# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A recording of Rerun of a replayed bag; without rerun-sdk an error names what to install."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from exact_drive import Drive, create_oracle_engine, oracle, write_bag

from sfm_depth_ros.config.schema import DepthNodeConfig
from sfm_depth_ros.errors import MissingDependencyError
from sfm_depth_ros.estimation.replay import replay


class Stream:
    """Keeps what is logged, as rerun.RecordingStream takes it."""

    def __init__(self, name: str) -> None:
        self.entries: list[tuple[int, str, Any]] = []
        self.calls: list[str] = []
        self._now = -1
        STREAMS.append(self)

    def save(self, path: str) -> None:
        self.calls.append(f"save {Path(path).name}")

    def set_time(self, timeline: str, timestamp: np.datetime64) -> None:
        self._now = int(timestamp.astype(np.int64))

    def log(self, entity: str, value: Any, static: bool = False) -> None:
        self.entries.append((-1 if static else self._now, entity, value))

    def flush(self) -> None:
        self.calls.append("flush")

    def disconnect(self) -> None:
        self.calls.append("disconnect")


STREAMS: list[Stream] = []


class Value:
    """Any of Rerun's archetypes."""

    def __init__(self, *values: Any, **named: Any) -> None:
        self.values, self.named = values, named

    def compress(self, quality: int) -> Value:
        return self


NAMES = ("Pinhole", "Image", "DepthImage", "Tensor", "Points3D", "Scalars", "Transform3D",
         "LineStrips3D")  # fmt: skip


def _replay(folder: Path, drive: Drive) -> None:
    replay(
        oracle(drive),
        write_bag(folder / "in", drive),
        folder / "out",
        DepthNodeConfig(tracking_width=320),
        rerun=folder / "drive.rrd",
        create_engine=create_oracle_engine,
    )


def test_every_result_is_logged_at_its_stamp(
    tmp_path: Path, drive: Drive, monkeypatch: pytest.MonkeyPatch
) -> None:
    stand_in = SimpleNamespace(
        RecordingStream=Stream,
        ViewCoordinates=SimpleNamespace(FLU="FLU"),
        **dict.fromkeys(NAMES, Value),
    )
    monkeypatch.setitem(sys.modules, "rerun", stand_in)
    _replay(tmp_path, drive)
    (stream,) = STREAMS
    assert stream.calls == ["save drive.rrd", "flush", "disconnect"]
    stamps = [frame.stamp_ns for frame in drive.frames]
    for entity in ("world/base/camera/depth", "world/base/camera/landmarks", "confidence"):
        assert [at for at, name, _ in stream.entries if name == entity] == stamps, entity
    depths = [value for _, name, value in stream.entries if name.endswith("/depth")
              and name.startswith("world")]  # fmt: skip
    assert depths[0].named == {"meter": 1.0}
    assert np.isfinite(depths[0].values[0]).all()
    path = [value for _, name, value in stream.entries if name == "world/path"][-1].values[0][0]
    assert path.shape == (len(stamps), 3)
    length = np.linalg.norm(np.diff(path, axis=0), axis=1).sum()
    assert length == pytest.approx(6.0 * (stamps[-1] - stamps[0]) * 1e-9, rel=0.02)


def test_without_rerun_the_error_names_the_package(
    tmp_path: Path, drive: Drive, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "rerun", None)
    with pytest.raises(MissingDependencyError, match="pip install rerun-sdk"):
        _replay(tmp_path, drive)
    assert not (tmp_path / "out").exists()


@pytest.mark.skipif(importlib.util.find_spec("rerun") is None, reason="rerun-sdk not installed")
def test_a_real_recording_is_a_file_with_content(tmp_path: Path, drive: Drive) -> None:
    _replay(tmp_path, drive)
    assert (tmp_path / "drive.rrd").stat().st_size > 100_000
