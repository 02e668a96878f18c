# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from sfm_depth_ros.config.schema import (
    DepthNodeConfig,
    NodeConfig,
    OnlineTrainingConfig,
    TrainerNodeConfig,
)
from sfm_depth_ros.errors import ConfigError, TrainingError
from sfm_depth_ros.ros.folders import FolderLock, buffer_folder, with_own_models

HOLD = """
import sys
from pathlib import Path
from sfm_depth_ros.ros.folders import FolderLock
lock = FolderLock(Path(sys.argv[1]), "/robot1/trainer_node", "models_dir")
print("held", flush=True)
sys.stdin.read()
"""


@pytest.mark.parametrize(
    ("namespace", "expected"),
    [
        ("/", "~/.ros/sfm_depth_ros/models"),
        ("/robot1", "~/.ros/sfm_depth_ros/robot1/models"),
        ("/fleet/robot2", "~/.ros/sfm_depth_ros/fleet/robot2/models"),
    ],
)
def test_the_default_folder_is_the_namespaces_own(namespace, expected):
    config = with_own_models(DepthNodeConfig(), namespace)
    assert config.models_dir == os.path.expanduser(expected)
    given = with_own_models(NodeConfig(models_dir="/data/models"), namespace)
    assert given.models_dir == "/data/models"


def test_the_home_of_no_user_is_refused():
    config = NodeConfig(models_dir="~nobody_of_that_name/models")
    with pytest.raises(
        ConfigError, match=r"models_dir ~nobody_of_that_name/models: .* whole path"
    ):
        with_own_models(config, "/")


def test_each_trainer_has_a_buffer_of_its_own():
    config = TrainerNodeConfig(models_dir="/data/models")
    assert buffer_folder(config, "trainer_node") == Path("/data/training")
    assert buffer_folder(config, "rear") == Path("/data/training_rear")
    training = OnlineTrainingConfig(buffer_dir="/fast/buffer")
    given = TrainerNodeConfig(models_dir="/data/models", training=training)
    assert buffer_folder(given, "rear") == Path("/fast/buffer")


def test_a_folder_that_another_process_holds_is_refused_by_its_name(tmp_path):
    folder = tmp_path / "models"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(folder)], env=environment, text=True,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    ) as other:  # fmt: skip
        assert other.stdout.readline() == "held\n"
        with pytest.raises(TrainingError, match="/robot1/trainer_node") as caught:
            FolderLock(folder, "/robot2/trainer_node", "models_dir")
        assert str(other.pid) in str(caught.value)
        assert "set models_dir" in str(caught.value)
        other.kill()
    lock = FolderLock(folder, "/robot2/trainer_node", "models_dir")  # the kernel has released it
    lock.release()
    FolderLock(folder, "/robot2/trainer_node", "models_dir").release()


def test_a_folder_that_cannot_be_made_names_the_parameter(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(TrainingError, match=r"set training\.buffer_dir"):
        FolderLock(tmp_path / "file" / "buffer", "/trainer_node", "training.buffer_dir")
