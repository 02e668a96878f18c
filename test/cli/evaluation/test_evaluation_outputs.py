# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Table, trajectories, pictures, plots and page of an evaluation whose answers are known."""

from __future__ import annotations

import base64
import re
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree

import cv2
import numpy as np
import pytest
from exact_drive import Drive, create_oracle_engine, make_drive, oracle, write_bag

pytest.importorskip("rosbags")
pytest.importorskip("matplotlib")

from sfm_depth_ros.bags.frames import BagFrame
from sfm_depth_ros.cli.evaluation.page import write_page
from sfm_depth_ros.cli.evaluation.scenes import (
    Scene,
    SceneChooser,
    error_colours,
    error_picture,
    truth_picture,
)
from sfm_depth_ros.cli.evaluation.table import table, write_trajectories
from sfm_depth_ros.config.schema import DepthNodeConfig
from sfm_depth_ros.estimation.depth_views import depth_to_color
from sfm_depth_ros.evaluation.drive_evaluation import DriveEvaluation
from sfm_depth_ros.evaluation.evaluator import Evaluator
from sfm_depth_ros.evaluation.matching import MatchedDepth
from sfm_depth_ros.evaluation.report import report_of

VOID = {"meta", "img"}


@dataclass
class _Page(HTMLParser):
    """Collects tags, and finds those that are not closed."""

    open_tags: list[str] = field(default_factory=list)
    images: list[tuple[str, str]] = field(default_factory=list)
    words: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        if tag == "img":
            self.images.append((values["alt"] or "", values["src"] or ""))
        elif tag not in VOID:
            self.open_tags.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open_tags.pop() == tag

    def handle_data(self, data: str) -> None:
        self.words.append(data)


@dataclass(frozen=True)
class Evaluation:
    drives: dict[str, DriveEvaluation]
    report: dict
    scenes: SceneChooser


@pytest.fixture(scope="module")
def drive() -> Drive:
    return make_drive(30, speed=8.0, yaw_rate=0.1)


@pytest.fixture(scope="module")
def evaluation(drive: Drive, tmp_path_factory: pytest.TempPathFactory) -> Evaluation:
    folder = tmp_path_factory.mktemp("bags")
    bag = write_bag(folder / "drive <1>", drive, sparse=True)
    scenes = SceneChooser()
    evaluator = Evaluator(
        oracle(drive, 1.2, 0.9),
        DepthNodeConfig(ego_motion="network"),
        create_engine=create_oracle_engine,
        on_frame=scenes.add,
    )
    drives = evaluator.evaluate_bags([bag, f"{bag}@0-1"])
    return Evaluation(drives, report_of("oracle", drives, evaluator.protocol), scenes)


def test_table_has_a_row_for_every_bag_and_the_total(evaluation: Evaluation) -> None:
    lines = table(evaluation.report)
    assert lines[0] == (
        "model oracle; truth from 0.001 to 80 m, no crop, disparity resized to the truth's size"
    )
    for name in ("drive <1> ", "drive <1>@0-1", "all"):
        found = [re.match(rf"{re.escape(name)}\s*network +(\d\.\d+)", line) for line in lines]
        depth = [match for match in found if match]
        assert len(depth) == 1
        assert float(depth[0][1]) == pytest.approx(0.2, abs=2e-3)
    motion = next(line for line in lines if line.startswith("all") and "segments of" in line)
    error = float(motion.split("translation ")[1].split()[0])
    assert error == pytest.approx(10.0, abs=0.5)
    assert motion.endswith(f"{29 * 0.8 + 9 * 0.8:.0f} m")


def test_stereo_rows_say_what_they_cover(evaluation: Evaluation) -> None:
    part = evaluation.report["bags"]["drive <1>"]
    stereo = {key: part[key] for key in ("depth", "depth_scale_ratio")} | {"coverage": 0.814}
    nothing = {"depth": None, "depth_scale_ratio": None, "coverage": None}
    report = evaluation.report | {
        "bags": {"a": part | {"stereo_baseline": stereo}, "b": part | {"stereo_baseline": nothing}}
    }
    rows = [line for line in table(report) if "stereo SGBM" in line]
    assert len(rows) == 2
    assert rows[0].startswith("a ")
    assert rows[0].endswith(f"{stereo['depth']['points']}, 81 % of the truth")
    assert rows[1].endswith("no true depth")


def test_trajectories_are_written_for_other_tools(evaluation: Evaluation, tmp_path: Path) -> None:
    write_trajectories(tmp_path / "new", evaluation.drives)
    names = sorted(path.name for path in (tmp_path / "new").iterdir())
    assert names == sorted(
        f"drive_1_{part}_0_{kind}.{ending}"
        for part in ("", "0-1") for kind in ("predicted", "truth") for ending in ("kitti", "tum")
    )  # fmt: skip
    poses = np.loadtxt(tmp_path / "new/drive_1__0_predicted.kitti").reshape(-1, 3, 4)
    truth = np.loadtxt(tmp_path / "new/drive_1__0_truth.kitti").reshape(-1, 3, 4)
    assert len(poses) == len(truth) == 30
    lengths = [
        np.linalg.norm(np.diff(way[:, :, 3], axis=0), axis=1).sum() for way in (poses, truth)
    ]
    assert lengths[0] / lengths[1] == pytest.approx(0.9, rel=1e-3)
    stamps = np.loadtxt(tmp_path / "new/drive_1__0_predicted.tum")[:, 0]
    np.testing.assert_allclose(np.diff(stamps), 0.1, rtol=1e-6)


def test_frames_are_spread_over_each_bag_and_the_worst_is_shown(evaluation: Evaluation) -> None:
    scenes = evaluation.scenes.scenes("drive <1>")
    assert [scene.number for scene in scenes[:3]] == [6, 16, 26]
    assert scenes[3].label == "the worst frame"
    errors = [frame.abs_rel for frame in evaluation.drives["drive <1>"].depth.unscaled]
    assert scenes[3].number == int(np.argmax(errors)) + 1
    assert scenes[3].abs_rel == pytest.approx(max(errors), rel=1e-6)


def test_error_colours_are_blue_where_near_and_red_where_far() -> None:
    near, right, far, farther = error_colours(np.array([-0.5, 0.0, 0.5, 7.0])).astype(int)
    assert near[2] > near[0] + 100
    assert far[0] > far[2] + 100
    assert (right == 247).all()
    assert (far == farther).all()


def test_points_are_painted_where_they_lie() -> None:
    image = np.full((20, 40, 3), 100, np.uint8)
    matched = MatchedDepth(np.array([4.0]), np.array([8.0]), np.array([30.2]), np.array([4.8]))
    scene = Scene(1, "", image, np.full((20, 40), 8.0), matched, 1.0)
    truth, error = truth_picture(scene, matched), error_picture(scene, matched)
    np.testing.assert_array_equal(truth[5, 30], depth_to_color(np.full((1, 1), 4.0))[0, 0])
    np.testing.assert_array_equal(error[5, 30], error_colours(np.array([1.0]))[0])
    np.testing.assert_array_equal(truth[4:7, 29:32].reshape(-1, 3), np.tile(truth[5, 30], (9, 1)))
    assert (truth[0] == 35).all()  # the dimmed image
    assert (truth != 35).any(-1).sum() == 9


def test_page_is_whole_and_loads_nothing(evaluation: Evaluation, tmp_path: Path) -> None:
    path = tmp_path / "page.html"
    write_page(path, evaluation.report, evaluation.drives, evaluation.scenes)
    text = path.read_text(encoding="utf-8")
    page = _Page()
    page.feed(text)
    page.close()
    assert page.open_tags == []
    assert "drive <1>" in page.words
    assert not re.search(r"""(src|href)=["'](?!data:)""", text)
    kinds = [alt for alt, _ in page.images if alt]
    assert kinds.count("Path from above") == 2
    assert kinds.count("error") == 8
    assert page.words.count("segments of") == 1  # ten frames are too short for one
    assert page.words[page.words.index("segments of") + 4] == "20 m"
    assert "0.200" in page.words  # abs_rel
    for alt, source in page.images:
        head, data = source.split(",", 1)
        content = base64.b64decode(data)
        if "svg" in head:
            assert ElementTree.fromstring(content).tag.endswith("svg")
            assert len(content) > 5000, alt
        else:
            assert cv2.imdecode(np.frombuffer(content, np.uint8), 1) is not None
    assert [entry.name for entry in tmp_path.iterdir()] == ["page.html"]


def test_page_without_any_truth(drive: Drive, tmp_path: Path) -> None:
    scenes = SceneChooser()
    evaluator = Evaluator(
        oracle(drive),
        DepthNodeConfig(ego_motion="network"),
        create_engine=create_oracle_engine,
        on_frame=scenes.add,
    )
    frames = [BagFrame(frame, None, None) for frame in drive.frames[:5]]
    drives = {"": evaluator.evaluate_frames(frames)}
    report = report_of("oracle", drives, evaluator.protocol)
    assert "no true depth" in "\n".join(table(report))
    write_page(tmp_path / "page.html", report, drives, scenes)
    page = _Page()
    page.feed((tmp_path / "page.html").read_text(encoding="utf-8"))
    assert page.open_tags == []
    kinds = [alt for alt, _ in page.images]
    assert kinds.count("image") == kinds.count("predicted depth") == 3
    assert "true depth" not in kinds
