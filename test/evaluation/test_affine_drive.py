# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A simulated affine-invariant network on a rendered drive: landmarks against the true (A, B)."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

pytest.importorskip("rosbags", reason="rosbags is not installed")

from exact_drive import OracleEngine, OracleFolder

from sfm_depth_ros.bags.frames import read_frames
from sfm_depth_ros.bags.selection import BagSelection
from sfm_depth_ros.cli.main import main
from sfm_depth_ros.config.networks import DepthNetworkConfig
from sfm_depth_ros.config.schema import DepthNodeConfig
from sfm_depth_ros.estimation.prepared_model import network_input
from sfm_depth_ros.evaluation.evaluator import Evaluator

pytestmark = pytest.mark.slow

CONFIG = DepthNetworkConfig(name="depth_anything_v2_small", head="inverse-affine")
WIDTH = 416
NOISE = 0.08  # of the network's inverse depth, smooth over some 16 pixels
FARTHEST = 80.0  # metres, of the truth


class AffineFolder(OracleFolder):
    depth_focal = None


class AffineEngine(OracleEngine):
    """Depth of a head with A 1 and B 0 whose output is ``gain / depth + offset``, and noise."""

    def __init__(self, shape, gain, offset, newest):
        super().__init__([], shape)
        self._line, self._newest = (gain, offset), newest
        self._rng = np.random.default_rng(0)

    def infer(self, image):
        depth = self._newest["given"].depth
        depth = np.where(depth > 0, np.minimum(depth, 200.0), 200.0)
        noise = self._rng.normal(size=(8, 26)).astype(np.float32)
        noise = cv2.resize(noise, depth.shape[::-1], interpolation=cv2.INTER_CUBIC)
        output = self._line[0] / depth * np.exp(NOISE * noise) + self._line[1]
        return (1.0 / output)[None, None].astype(np.float32)


@pytest.fixture(scope="module")
def bag(tmp_path_factory):
    folder = tmp_path_factory.mktemp("drive") / "street"
    words = ("--seconds", "15", "--size", "640x192", "--seed", "3")
    assert main(["synth", str(folder), "--style", "street", *words]) == 0
    return folder


@pytest.mark.parametrize(("gain", "offset"), [(1.0, 0.1), (5.0, 0.0), (0.3, 0.25)])
def test_landmarks_find_factor_and_shift(bag, gain, offset):
    """After 5 s, as published, within 10 % of the error that the true ones leave; A to 5 %."""
    folder = AffineFolder([], [], width=WIDTH, depth_config=CONFIG, networks=("depth",),
                          has_pose=False)  # fmt: skip
    options, newest = DepthNodeConfig(), {}
    given = network_input(folder, options, options.tracking_width)
    frames = read_frames(BagSelection.parse(str(bag)), given)

    class Feed:
        def __len__(self):
            return len(frames)

        def __iter__(self):
            for newest["given"] in frames:
                yield newest["given"]

    rows = []

    def on_frame(evaluated):
        truth, result = evaluated.given.depth, evaluated.result
        known = np.isfinite(truth) & (truth > 0) & (truth < FARTHEST)
        output, truth = 1.0 / result.network_depth[known], truth[known]
        factor, shift = result.correction.inverse_factor, result.correction.inverse_shift
        errors = [
            np.mean(np.abs(1.0 / np.maximum(a * output + b, 1.0 / FARTHEST) / truth - 1))
            for a, b in ((factor, shift), (1.0 / gain, -offset / gain))
        ]
        errors.append(np.mean(np.abs(result.frame_depth[known].clip(0, FARTHEST) / truth - 1)))
        rows.append((evaluated.given.frame.stamp_ns * 1e-9, factor * gain, *errors))

    def engine(folder, network, size, **options):
        return AffineEngine((1, 3, *size), gain, offset, newest)

    judge = Evaluator(folder, options, create_engine=engine, on_frame=on_frame, motion_modes=())
    judge.evaluate_frames(Feed(), frames.velocities, "drive")
    stamps, factors, found, true, published = np.array(rows).T
    late = stamps > stamps[0] + 5.0
    assert np.mean(published[late]) < 1.1 * np.mean(true[late])
    assert np.mean(found[late]) < 1.15 * np.mean(true[late])  # without the local field
    middle = np.median(factors[late])
    assert middle == pytest.approx(1.0, abs=0.04)
    assert np.all(np.abs(np.percentile(factors[late], (5, 95)) / middle - 1) < 0.05)
