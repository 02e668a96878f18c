# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np

from sfm_depth_ros.cli.demonstration.monitor import LiveState, progress_line
from sfm_depth_ros.cli.demonstration.pictures import Scene, draw_history, draw_scenes
from sfm_depth_ros.cli.demonstration.report import (
    Comparison,
    LiveFigures,
    summary,
    table,
    write_summary,
)

LIVE = LiveFigures(
    frames={"played": 100, "received": 98, "dropped": 3, "lost": 2, "published": 95, "failed": 0},
    latency_ms={"p50": 31.0, "p95": None},
    models_deployed=2,
    seconds=61.24,
    details={"loops": 1},
)


def _report(abs_rel: float, ratio: float) -> dict[str, object]:
    return {
        "depth": {"abs_rel": abs_rel, "a1": 0.8},
        "depth_median_scaled": {"abs_rel": 0.1, "a1": 0.9},
        "depth_scale_ratio": {"median": ratio, "iqr": 0.1, "count": 20},
        "ego_motion_network": {
            "translation_scale_ratio": {"median": 1.01, "iqr": 0.02, "count": 19},
            "translation_error_percent": 12.34,
            "rotation_error_deg_per_100m": 4.5,
        },
        "depth_anchored": {"abs_rel": 0.077},
        "ego_motion": {"translation_error_percent": 0.25},
    }


def test_summary_has_the_promised_keys_and_speaks_of_the_first_comparison(tmp_path: Path) -> None:
    comparisons = [
        Comparison("fifth", _report(0.3, 1.2), _report(0.12, 1.01)),
        Comparison("second", _report(0.4, 1.3), _report(0.14, 1.02)),
    ]
    write_summary(tmp_path / "summary.json", summary(LIVE, comparisons))
    found = json.loads((tmp_path / "summary.json").read_text())
    assert found["frames"]["played"] == 100
    assert found["latency_ms"] == {"p50": 31.0, "p95": None}
    assert found["abs_rel"] == {"before": 0.3, "after": 0.12}
    assert found["depth_scale_ratio"]["after"] == {"median": 1.01, "iqr": 0.1, "count": 20}
    assert found["translation_scale_ratio"]["before"]["median"] == 1.01
    assert found["models_deployed"] == 2
    assert found["seconds"] == 61.2
    assert found["details"]["comparisons"]["second"]["abs_rel"] == {"before": 0.4, "after": 0.14}


def test_without_truth_there_is_null_and_a_dash(tmp_path: Path) -> None:
    nothing = {
        "depth": None,
        "depth_median_scaled": None,
        "depth_scale_ratio": None,
        "ego_motion": {"translation_error_percent": float("nan")},
    }
    comparison = Comparison("bag", nothing, nothing)
    write_summary(tmp_path / "summary.json", summary(LIVE, [comparison]))
    found = json.loads((tmp_path / "summary.json").read_text())
    assert found["abs_rel"] == {"before": None, "after": None}
    assert found["depth_scale_ratio"] == {"before": None, "after": None}
    text = table(LIVE, [comparison])
    row = next(line for line in text.splitlines() if "abs_rel, unscaled" in line)
    assert row.split()[-2:] == ["-", "-"]


def test_table_has_the_network_alone_and_what_geometry_makes_of_it() -> None:
    text = table(LIVE, [Comparison("fifth", _report(0.3, 1.2), _report(0.12, 1.01))])
    rows = {line[2:45].strip(): line.split()[-2:] for line in text.splitlines()}
    assert rows["abs_rel, unscaled"] == ["0.300", "0.120"]
    assert rows["translation_scale_ratio (1 = metric)"] == ["1.010", "1.010"]
    assert rows["held to landmarks: abs_rel, unscaled"] == ["0.077", "0.077"]
    assert rows["ego-motion, network: translation, %"] == ["12.340", "12.340"]
    assert rows["ego-motion, fused: translation, %"] == ["0.250", "0.250"]
    assert rows["ego-motion, fused: deg/100 m"] == ["-", "-"]


def test_a_drive_without_a_new_model_has_its_reason() -> None:
    facts = {
        "steps": 20.0,
        "verdict": "waiting for held-out snippets: 3 of 12",
        "advice": "the CPU is busy: steps get 40% of a core",
    }
    live = dataclasses.replace(LIVE, models_deployed=0, details={"trainer_node": facts})
    comparison = Comparison("fifth", _report(0.3, 1.2), _report(0.3, 1.2))
    (line,) = (text for text in table(live, [comparison]).splitlines() if "why none" in text)
    assert line.split(": ", 1)[1] == (
        "20 training steps; waiting for held-out snippets: 3 of 12; the CPU is busy: steps get "
        "40% of a core"
    )
    assert "why none" not in table(LIVE, [comparison])


def test_state_follows_events_and_the_progress_line_shows_them() -> None:
    state = LiveState()
    assert "lost -" in progress_line(state, 0.0)
    for name in ("depth_node", "trainer_node"):
        assert not state.are_active
        state.take({"event": "state", "node": name, "state": "active"}, 1.0)
    assert state.are_active
    facts = {"received": 40.0, "lost": 1.0, "depth_scale_ratio": 1.0312, "rate_hz": 9.8}
    state.take({"event": "depth", "message": "publishing", "facts": facts}, 2.0)
    facts = {"state": "training", "steps": 12.0, "loss.photometric": 0.081}
    state.take({"event": "training", "message": "", "facts": facts}, 2.1)
    state.take({"event": "model", "path": "/models/a"}, 2.2)
    state.take({"event": "model", "path": "/models/a"}, 2.3)
    state.take({"event": "outputs", "stamps_ns": [1, 2]}, 2.4)
    state.take({"event": "outputs", "stamps_ns": [3]}, 2.5)
    assert state.stamps_ns == [1, 2, 3]
    line = progress_line(state, 3.0)
    for words in (
        "images 40",
        "9.8 fps",
        "lost 1",
        "training step 12",
        "photo 0.081",
        "scale depth 1.031",
        "models 1",
    ):
        assert words in line
    assert state.history[0]["seconds"] == 2.1


def test_pictures_are_drawn_with_and_without_truth(tmp_path: Path) -> None:
    image = np.zeros((32, 64, 3), np.uint8)
    depth = np.tile(np.linspace(2, 40, 64, dtype=np.float32), (32, 1))
    sparse = np.where(np.random.default_rng(0).random(depth.shape) < 0.05, depth, 0)
    for number, truth in enumerate((depth, sparse, None)):
        path = tmp_path / f"{number}.png"
        draw_scenes([Scene(image, depth, 1.2 * depth, truth)], path, "title")
        assert path.read_bytes()[:4] == b"\x89PNG"
    draw_history([{"seconds": 1.0, "loss.velocity": 0.1}], [{"seconds": 1.0}], tmp_path / "h.png")
    assert (tmp_path / "h.png").exists()
