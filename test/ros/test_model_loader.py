# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import os
import shutil
import threading
import time
from types import SimpleNamespace

import numpy as np
import pytest

from sfm_depth_ros.camera.camera_model import CameraModel
from sfm_depth_ros.config.schema import DepthNodeConfig
from sfm_depth_ros.errors import EngineError
from sfm_depth_ros.geometry.camera import Intrinsics
from sfm_depth_ros.geometry.frames import pose_to_matrix
from sfm_depth_ros.model_folder.folder import read_model_folder
from sfm_depth_ros.ros.error_log import ErrorLog
from sfm_depth_ros.ros.model_loader import ModelLoader

POSE = pose_to_matrix(DepthNodeConfig().base_to_camera)


class FakeEstimator:
    """The part of the estimator that the loader needs."""

    broken: set[str] = set()

    def __init__(self, folder, camera, config):
        self.camera, self.is_closed = camera, False
        self.model = self.prepare(folder)

    def prepare(self, folder):
        self._check(folder)
        self.niceness = os.getpriority(os.PRIO_PROCESS, threading.get_native_id())
        return SimpleNamespace(model_id=folder.model_id, engine_names={"depth": "fake fp32"})

    def swap(self, prepared):
        self.model = prepared

    def refocus(self, camera):
        self.camera = camera
        return True

    def reset(self):
        """Nothing to forget."""

    def close(self):
        self.is_closed = True

    def _check(self, folder):
        if folder.model_id in self.broken:
            raise EngineError("no engine runs this")


def _camera(focal=100.0):
    return CameraModel.from_intrinsics(Intrinsics(focal, focal, 95.5, 31.5, 192, 64), "camera")


@pytest.fixture
def loader(tiny_model, tmp_path):
    config = DepthNodeConfig(models_dir=str(tmp_path))
    made = ModelLoader(tiny_model, config, ErrorLog(), FakeEstimator)
    made.set_mounting(POSE)
    yield made
    made.close()
    FakeEstimator.broken = set()


def _wait(condition, seconds=5.0):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.005)


def test_nothing_serves_before_a_camera_is_known(loader, tiny_model):
    loader.offer(str(tiny_model.path))
    time.sleep(0.05)
    assert loader.serving is None
    assert loader.waiting == "waiting for camera_info"
    loader.set_camera(_camera())
    _wait(lambda: loader.serving is not None)
    assert loader.serving.estimator.model.model_id == tiny_model.model_id


def test_a_mounting_that_comes_later_is_taken_without_loading_again(loader):
    loader.set_mounting(None)
    loader.set_camera(_camera())
    _wait(lambda: loader.serving is not None)
    before = loader.serving
    assert (before.velocities, before.odometry) == (None, None)
    before.reset()
    before.clear_velocities()
    loader.set_mounting(POSE)
    assert loader.serving.estimator is before.estimator
    np.testing.assert_array_equal(loader.serving.velocities.T_base_camera, POSE)
    assert loader.serving.odometry is not None


def test_another_camera_gets_another_estimator_and_the_old_one_is_closed(loader):
    loader.set_camera(_camera())
    _wait(lambda: loader.serving is not None)
    old = loader.serving
    loader.set_camera(_camera(focal=120.0))
    _wait(lambda: loader.serving is not old)
    assert old.estimator.is_closed
    assert loader.serving.estimator.camera.K[0, 0] == 120


def test_an_engine_that_cannot_run_the_first_model_is_a_lasting_reason(loader, tiny_model):
    FakeEstimator.broken = {tiny_model.model_id}
    loader.set_camera(_camera())
    _wait(lambda: loader.has_failed)
    assert loader.waiting == "no model serves: no engine runs this"
    FakeEstimator.broken = set()
    loader.set_camera(_camera(focal=101.0))
    _wait(lambda: loader.serving is not None)
    assert not loader.has_failed


def test_another_camera_that_the_model_cannot_be_loaded_for_is_the_reason(loader, tiny_model):
    loader.set_camera(_camera())
    _wait(lambda: loader.serving is not None)
    old = loader.serving
    FakeEstimator.broken = {tiny_model.model_id}  # its folder was removed meanwhile
    loader.set_camera(_camera(focal=150.0))
    _wait(lambda: loader.has_failed)
    assert loader.serving is None and old.estimator.is_closed
    assert loader.waiting == "no model serves: no engine runs this"
    FakeEstimator.broken = set()
    loader.set_camera(_camera(focal=151.0))
    _wait(lambda: loader.serving is not None)


def test_an_offer_that_no_engine_runs_leaves_the_old_model(loader, tiny_model, other_model):
    loader.set_camera(_camera())
    _wait(lambda: loader.serving is not None)
    FakeEstimator.broken = {other_model.model_id}
    inside = shutil.copytree(other_model.path, f"{loader.config.models_dir}/accepted")
    loader.offer(inside)
    _wait(lambda: loader.refused == 1)
    assert loader.serving.estimator.model.model_id == tiny_model.model_id
    FakeEstimator.broken = set()
    loader.set_camera(_camera(focal=102.0))  # still builds with the model that served
    _wait(lambda: loader.serving.estimator.camera.K[0, 0] == 102)
    assert loader.serving.estimator.model.model_id == tiny_model.model_id


def test_an_accepted_offer_serves_and_says_how_long_it_took(loader, other_model):
    inside = shutil.copytree(other_model.path, f"{loader.config.models_dir}/newer")
    loader.offer(inside)  # before anything serves: it waits
    time.sleep(0.05)
    loader.set_camera(_camera())
    _wait(lambda: loader.loaded == 1)
    assert loader.serving.estimator.model.model_id == other_model.model_id
    assert [0.05 < seconds < 5 for seconds in loader.update_s] == [True]


def test_a_model_is_loaded_at_the_priority_of_the_frames(loader, other_model, tmp_path):
    """One of low priority would hold the interpreter while it waits for a core."""
    loader.set_camera(_camera())
    _wait(lambda: loader.serving is not None)
    shutil.copytree(other_model.path, tmp_path / "other")
    loader.offer(str(tmp_path / "other"))
    _wait(lambda: loader.loaded == 1)
    assert loader.serving.estimator.niceness == os.getpriority(os.PRIO_PROCESS, 0)


@pytest.mark.parametrize("fault", ["long", "pipe", "device", "large", "many", "folder", "absent"])
def test_an_offer_that_would_hold_the_loader_is_refused_and_the_next_one_serves(
    loader, other_model, tmp_path, fault
):
    loader.set_camera(_camera())
    _wait(lambda: loader.serving is not None)
    folder = tmp_path / "bad"
    if fault != "absent":
        shutil.copytree(other_model.path, folder)
        (folder / "model.json").unlink()
    if fault == "pipe":
        os.mkfifo(folder / "model.json")
    elif fault == "device":
        (folder / "model.json").symlink_to("/dev/zero")
    elif fault == "large":
        with (folder / "depth.safetensors").open("ab") as file:
            file.truncate(5 << 30)
    elif fault == "many":
        for index in range(100):
            (folder / f"{index}.txt").touch()
    elif fault == "folder":
        (folder / "model.json").mkdir()
    loader.offer("/a" * 500_000 if fault == "long" else str(folder))
    _wait(lambda: loader.refused == 1)
    assert "refused" in loader._errors.current()
    loader.offer(str(shutil.copytree(other_model.path, tmp_path / "good")))
    _wait(lambda: loader.loaded == 1)


def test_the_same_model_again_changes_nothing(loader, tiny_model):
    loader.set_camera(_camera())
    _wait(lambda: loader.serving is not None)
    inside = shutil.copytree(tiny_model.path, f"{loader.config.models_dir}/same")
    assert read_model_folder(inside).model_id == tiny_model.model_id
    loader.offer(inside)
    time.sleep(0.1)
    assert (loader.loaded, loader.refused) == (0, 0)


def test_a_refocused_camera_keeps_its_estimator(loader):
    loader.set_camera(_camera())
    _wait(lambda: loader.serving is not None)
    estimator = loader.serving.estimator
    for focal in (100.3, 100.9, 101.6, 102.4):  # each less than 1 % of the one before
        camera = _camera(focal)
        loader.set_camera(camera)
        _wait(lambda camera=camera: estimator.camera is camera)
    assert loader.serving.estimator is estimator and not estimator.is_closed
    loader.set_camera(_camera(120.0))
    _wait(lambda: loader.serving.estimator is not estimator)
    assert estimator.is_closed


def test_a_mounting_revives_nothing_that_was_dropped(loader):
    dropping = threading.Thread(target=loader._drop)

    class Served:
        estimator = SimpleNamespace(close=lambda: None)

        def mounted(self, *_):
            dropping.start()  # from the loader's thread, as the mounting changes
            dropping.join(0.2)
            return self

    loader.serving = Served()
    loader.set_mounting(POSE)
    dropping.join()
    assert loader.serving is None
