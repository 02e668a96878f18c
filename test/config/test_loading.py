# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from sfm_depth_ros.config.loading import from_mapping, iter_options, load_config, to_dict
from sfm_depth_ros.config.schema import DepthNodeConfig, ObjectiveConfig, TrainerNodeConfig
from sfm_depth_ros.errors import ConfigError


def test_defaults_need_no_file() -> None:
    assert load_config(TrainerNodeConfig) == TrainerNodeConfig()


def test_file_and_overrides_reach_nested_options(tmp_path: Path) -> None:
    path = tmp_path / "trainer.yaml"
    path.write_text("min_displacement: 0.2\ntraining:\n  learning_rate: 1e-4\n  batch_size: 2\n")
    config = load_config(
        TrainerNodeConfig, path, ["training.batch_size=3", "objective.auto_mask=false"]
    )
    assert config.min_displacement == 0.2
    assert config.training.learning_rate == 1e-4
    assert config.training.batch_size == 3
    assert config.objective.auto_mask is False


def test_override_of_strings_and_lists() -> None:
    config = load_config(
        DepthNodeConfig, None, ["model=", "crop=[0, 0.1, 0, 0]", "base_frame=1", "max_depth=80"]
    )
    assert config.model == ""
    assert config.base_frame == "1"
    assert config.crop == (0.0, 0.1, 0.0, 0.0)
    assert config.max_depth == 80.0


@pytest.mark.parametrize(
    ("mapping", "message"),
    [
        ({"trainings": {}}, "trainings: no such option; did you mean training"),
        ({"training": {"bach_size": 3}}, "training.bach_size: no such option; did you mean"),
        ({"training": {"batch_size": 0}}, "training.batch_size: expected a number in"),
        ({"training": {"batch_size": "many"}}, "training.batch_size: expected int, got 'many'"),
        ({"training": {"learning_rate": "fast"}}, "training.learning_rate: expected a number"),
        ({"training": 3}, "training: expected a group of options, got 3"),
        ({"crop": 3}, "crop: expected a list of numbers, got 3"),
        ({"min_depth": True}, "min_depth: expected a number, got True"),
        ({"base_frame": 3}, "base_frame: expected str, got 3"),
        ({"objective": {"reduction": "max"}}, "objective.reduction: expected one of minimum"),
        (
            {"training": {"present_share": 0.9, "synthetic_share": 0.9}},
            "training: expected present_share",
        ),
        ({"min_depth": 50.0, "max_depth": 20.0}, "expected min_depth < max_depth"),
    ],
)
def test_mistakes_name_the_option(mapping: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match="(?s)^" + message.replace("(", r"\(")):
        from_mapping(TrainerNodeConfig, mapping)


@pytest.mark.parametrize(
    ("text", "message"),
    [("- 1\n- 2\n", "expected a mapping"), ("a: [1\n", "cannot be read as YAML")],
)
def test_bad_files_are_named(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "bad.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=message) as caught:
        load_config(ObjectiveConfig, path)
    assert "bad.yaml" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_missing_file_and_malformed_override() -> None:
    with pytest.raises(ConfigError, match=r"nowhere\.yaml"):
        load_config(ObjectiveConfig, Path("nowhere.yaml"))
    with pytest.raises(ConfigError, match="expected name=value"):
        load_config(ObjectiveConfig, None, ["ssim_weight"])
    with pytest.raises(ConfigError, match="seed is a value"):
        load_config(TrainerNodeConfig, None, ["seed=1", "seed.x=3"])


def test_to_dict_and_back() -> None:
    objective = replace(TrainerNodeConfig().objective, velocity_weight=0.3)
    config = replace(TrainerNodeConfig(), objective=objective)
    plain = to_dict(config)
    assert plain["objective"]["velocity_weight"] == 0.3
    assert plain["crop"] == [0.0, 0.0, 0.0, 0.0]
    assert from_mapping(TrainerNodeConfig, plain) == config


def test_the_online_objective_warps_by_the_measured_motion() -> None:
    rows = {row.path: row for row in iter_options(TrainerNodeConfig)}
    warp = rows["objective.warp_motion"]
    assert (warp.default, warp.choices) == ("measured", ("network", "measured"))
    assert TrainerNodeConfig().objective.warp_motion == "measured"
    assert ObjectiveConfig().warp_motion == "network"


def test_every_option_is_described() -> None:
    rows = {row.path: row for row in iter_options(TrainerNodeConfig)}
    assert rows["training.batch_size"].default == 6
    assert rows["objective.velocity_weight"].dynamic
    assert rows["min_depth"].minimum == 0.01
    assert all(row.doc and not row.doc.endswith(".") for row in rows.values())


@pytest.mark.parametrize(
    "option", ["flow_weight=1", "consensus_weight=1", "cross_task_weight=0.1"]
)
def test_a_live_trainer_refuses_networks_that_it_does_not_have(option: str) -> None:
    with pytest.raises(ConfigError, match="train from a bag"):
        load_config(TrainerNodeConfig, None, [f"objective.{option}"])
    imagenet = ["objective.feature_weight=0.1", "objective.features=imagenet"]
    with pytest.raises(ConfigError, match="train from a bag"):
        load_config(TrainerNodeConfig, None, imagenet)
    assert load_config(TrainerNodeConfig, None, imagenet[:1]).objective.feature_weight == 0.1
