# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Model folders: written whole, refused when damaged, chosen in the promised order."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import logging
import os
import pickle
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save

from sfm_depth_ros.config.schema import DepthNetworkConfig, PoseNetworkConfig
from sfm_depth_ros.errors import ModelError
from sfm_depth_ros.model_folder.folder import ModelFolder, read_model_folder, write_model_folder
from sfm_depth_ros.model_folder.history import (
    is_inside,
    model_folder_name,
    point_current,
    prune_models,
    resolve_model,
)


def write(destination: Path, value: float = 1.0, **changes: object) -> ModelFolder:
    """Write a small model folder whose weights depend on ``value``."""
    rng = np.random.default_rng(0)
    check = {
        "image": rng.random((2, 3, 32, 64), dtype=np.float32),
        "depth": rng.random((2, 1, 32, 64), dtype=np.float32),
        "pair": rng.random((2, 6, 32, 64), dtype=np.float32),
        "motion": rng.random((2, 6), dtype=np.float32),
    }
    files = {
        "depth.safetensors": save({"w": np.full(3, value, np.float32)}),
        "pose.safetensors": save({"w": np.zeros(2, np.float32)}),
        "depth.onnx": b"graph of depth",
        "pose.onnx": b"graph of pose",
        "check.safetensors": save(check),
    }
    metadata = {
        "architecture": {
            "depth": dataclasses.asdict(DepthNetworkConfig(width=8)),
            "pose": dataclasses.asdict(PoseNetworkConfig(width=8)),
        },
        "preprocessing": {"width": 320, "range": [0, 1], "filter": "area", "multiple": 32},
        "reference_focal": 200.0,
        "depth_range": [0.1, 120.0],
        "trained_on": [{"name": "synthetic world", "licence": "Apache-2.0"}],
        "licence": "Apache-2.0",
        "steps": 7,
        "metrics": {"abs_rel": float("nan")},
        "parent": None,
        **changes,
    }
    return write_model_folder(destination, files, metadata)


def edit_json(folder: ModelFolder, **changes: object) -> None:
    path = folder.path / "model.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def test_round_trip(tmp_path: Path) -> None:
    written = write(tmp_path / "a")
    folder = read_model_folder(tmp_path / "a")
    assert folder == written
    assert folder.width == 320
    assert folder.depth_config == DepthNetworkConfig(width=8)
    assert folder.pose_config == PoseNetworkConfig(width=8)
    assert folder.depth_weights()["w"].tolist() == [1.0, 1.0, 1.0]
    assert folder.check_frames().motion.shape == (2, 6)
    assert folder.onnx("pose").read_bytes() == b"graph of pose"
    assert folder.metadata["metrics"] == {"abs_rel": None}
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


def test_metres_are_what_the_training_had_and_without_a_word_the_heads(tmp_path: Path) -> None:
    assert write(tmp_path / "a").has_metres
    assert not write(tmp_path / "b", has_metres=False).has_metres
    assert read_model_folder(tmp_path / "a").has_metres
    assert not read_model_folder(tmp_path / "b").has_metres


def test_the_id_follows_the_weights_alone(tmp_path: Path) -> None:
    a, same = write(tmp_path / "a"), write(tmp_path / "same", steps=8)
    other = write(tmp_path / "other", value=2.0)
    assert a.model_id == same.model_id != other.model_id
    assert len(a.model_id) == 12


def test_an_existing_folder_is_never_overwritten(tmp_path: Path) -> None:
    write(tmp_path / "a")
    with pytest.raises(ModelError, match="exists already"):
        write(tmp_path / "a", value=2.0)
    assert read_model_folder(tmp_path / "a").depth_weights()["w"][0] == 1.0


def test_a_failed_write_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ModelError, match="writable"):
        write(tmp_path / "file" / "a")
    with pytest.raises(ModelError, match="steps"):
        write(tmp_path / "b", steps="many")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


@pytest.mark.parametrize("name", ["depth.safetensors", "pose.onnx", "check.safetensors"])
def test_wrong_hash_and_missing_file_are_named(tmp_path: Path, name: str) -> None:
    folder = write(tmp_path / "a")
    (folder.path / name).write_bytes(b"something else")
    with pytest.raises(ModelError, match=f"{name} has another SHA-256"):
        read_model_folder(folder.path)
    (folder.path / name).unlink()
    with pytest.raises(ModelError, match=f"{name} is missing.*copy it again"):
        read_model_folder(folder.path)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"format_version": 2}, "format version 2.*update sfm_depth_ros"),
        ({"architecture": {"depth": {"name": "huge"}}}, "unknown architecture.*depth"),
        ({"architecture": {"depth": {"colour": 1}}}, "unknown architecture.*colour"),
        ({"architecture": {}}, "unknown architecture"),
        ({"files": {}}, "does not list depth.safetensors"),
        ({"preprocessing": {}}, "preprocessing.width"),
        ({"licence": None}, "licence"),
        ({"has_metres": "perhaps"}, "has_metres is neither true nor false"),
    ],
)
def test_bad_metadata_is_refused(tmp_path: Path, changes: dict[str, object], message: str) -> None:
    folder = write(tmp_path / "a")
    edit_json(folder, **changes)
    with pytest.raises(ModelError, match=message):
        read_model_folder(folder.path)


def test_files_outside_of_the_folder_are_refused(tmp_path: Path) -> None:
    folder = write(tmp_path / "a")
    edit_json(folder, files={**folder.metadata["files"], "../secret": "0" * 64})
    with pytest.raises(ModelError, match="plain file name"):
        read_model_folder(folder.path)


def replace_file(folder: ModelFolder, name: str, data: bytes) -> None:
    """Another content with the right hash."""
    (folder.path / name).write_bytes(data)
    digest = hashlib.sha256(data).hexdigest()
    edit_json(folder, files={**folder.metadata["files"], name: digest})


@pytest.mark.parametrize(
    ("name", "data", "message"),
    [
        ("depth.safetensors", pickle.dumps({"w": [1.0]}), "holds no tensors"),
        ("depth.safetensors", b"", "holds no tensors"),
        ("pose.safetensors", save({"w": np.array([0.0, np.nan])}), "holds NaN or infinity in w"),
        (
            "check.safetensors",
            save({"depth": np.array([np.inf])}),
            "holds NaN or infinity in depth",
        ),
    ],
    ids=["pickle", "empty", "nan", "infinity"],
)
def test_wrong_content_with_the_right_hash_is_refused(
    tmp_path: Path, name: str, data: bytes, message: str
) -> None:
    folder = write(tmp_path / "a")
    replace_file(folder, name, data)
    with pytest.raises(ModelError, match=rf"{name} {message}.*copy it again"):
        read_model_folder(folder.path)


def test_a_link_out_of_the_folder_is_refused(tmp_path: Path) -> None:
    folder, secret = write(tmp_path / "a"), tmp_path / "secret"
    for name in ("depth.onnx", "model.json"):
        (folder.path / name).rename(secret)
        (folder.path / name).symlink_to(secret)
        with pytest.raises(ModelError, match=f"{name} is a link out of the folder"):
            read_model_folder(folder.path)
        (folder.path / name).unlink()
        secret.rename(folder.path / name)
    assert read_model_folder(folder.path) == folder
    (folder.path / "depth.onnx").rename(folder.path / "graph")
    (folder.path / "depth.onnx").symlink_to("graph")
    assert read_model_folder(folder.path) == folder


@pytest.mark.parametrize("name", ["pose.onnx", "model.json"])
def test_only_regular_files_of_bounded_size_are_read(tmp_path: Path, name: str) -> None:
    folder = write(tmp_path / "a")
    (folder.path / name).unlink()
    os.mkfifo(folder.path / name)  # opening it would wait for a writer
    with pytest.raises(ModelError, match=f"{name} is not a regular file"):
        read_model_folder(folder.path)
    (folder.path / name).unlink()
    (folder.path / name).mkdir()
    with pytest.raises(ModelError, match=f"{name} is not a regular file"):
        read_model_folder(folder.path)
    (folder.path / name).rmdir()
    with open(folder.path / name, "wb") as file:
        file.truncate(5 * 2**30)  # takes no space on the disk
    with pytest.raises(ModelError, match=f"{name} has 5368709120 bytes"):
        read_model_folder(folder.path)


def test_deeply_nested_metadata_is_refused(tmp_path: Path) -> None:
    folder = write(tmp_path / "a")
    (folder.path / "model.json").write_text("[" * 100_000)
    with pytest.raises(ModelError, match="cannot be read"):
        read_model_folder(folder.path)


@pytest.mark.parametrize(
    "path",
    ["/a" * 500_000, "nul\0byte", "~nobody-of-this-name/model"],
    ids=["long", "null byte", "nobody's home"],
)
def test_what_is_no_path_is_refused_at_once(tmp_path: Path, path: str) -> None:
    for call in (read_model_folder, lambda p: is_inside(tmp_path, p)):
        begin = time.monotonic()
        with pytest.raises(ModelError, match="is not a path") as error:
            call(path)
        assert time.monotonic() - begin < 1.0
        assert len(str(error.value)) < 300


def test_not_a_model_folder(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"no model\.json"):
        read_model_folder(tmp_path / "nowhere")
    (tmp_path / "model.json").write_text("{")
    with pytest.raises(ModelError, match="cannot be read"):
        read_model_folder(tmp_path)


def test_is_inside_follows_symbolic_links(tmp_path: Path) -> None:
    models, outside = tmp_path / "models", tmp_path / "outside"
    models.mkdir()
    outside.mkdir()
    (models / "escape").symlink_to(outside)
    assert is_inside(models, models / "a")
    assert not is_inside(models, models)
    assert not is_inside(models, models / "escape")
    assert not is_inside(models, models / ".." / "outside")
    assert not is_inside(models, tmp_path / "models-evil")


def test_resolve_prefers_parameter_then_current_then_shipped(tmp_path: Path) -> None:
    models = tmp_path / "models"
    shipped = write(tmp_path / "shipped")
    a, b = write(models / "a", 2.0), write(models / "b", 3.0)
    assert resolve_model("", str(models), shipped.path) == shipped
    point_current(models, a)
    assert resolve_model("", str(models), shipped.path) == a
    point_current(models, b)
    assert resolve_model("", str(models), shipped.path) == b
    assert resolve_model(str(a.path), str(models), shipped.path) == a
    assert sorted(path.name for path in models.iterdir()) == ["a", "b", "current"]


def test_damaged_current_falls_to_shipped_with_a_reason(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    models = tmp_path / "models"
    shipped, a = write(tmp_path / "shipped"), write(models / "a", 2.0)
    point_current(models, a)
    (a.path / "depth.onnx").write_bytes(b"")
    with caplog.at_level(logging.WARNING):
        assert resolve_model("", str(models), shipped.path) == shipped
    assert "depth.onnx has another SHA-256" in caplog.text
    with pytest.raises(ModelError, match=r"depth\.onnx"):
        resolve_model(str(a.path), str(models), shipped.path)


def test_current_must_stay_inside(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    models = tmp_path / "models"
    models.mkdir()
    shipped, outside = write(tmp_path / "shipped"), write(tmp_path / "outside", 2.0)
    with pytest.raises(ModelError, match="outside"):
        point_current(models, outside)
    (models / "current").symlink_to(outside.path)
    with caplog.at_level(logging.WARNING):
        assert resolve_model("", str(models), shipped.path) == shipped
    assert "points outside" in caplog.text


def test_point_current_does_not_replace_a_real_folder(tmp_path: Path) -> None:
    a = write(tmp_path / "a")
    (tmp_path / "current").mkdir()
    with pytest.raises(ModelError, match="no symbolic link"):
        point_current(tmp_path, a)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "current"]


def test_prune_keeps_current_its_parent_and_the_users_own(tmp_path: Path) -> None:
    accepted: list[ModelFolder] = []
    for index in range(6):
        parent = accepted[0].model_id if index == 1 else None
        name = f"2026112{index}T120000.000Z-{index:012x}"
        accepted.append(write(tmp_path / name, float(index), parent=parent))
    mine = write(tmp_path / "mine", 9.0)
    for name in (".writing-old", ".writing-new"):
        (tmp_path / name).mkdir()
    os.utime(tmp_path / ".writing-old", (0, 0))
    point_current(tmp_path, accepted[1])
    removed = prune_models(tmp_path, keep=2)
    assert removed == [accepted[2].path, accepted[3].path]
    left = [*(accepted[i].path.name for i in (0, 1, 4, 5)), "current", "mine", ".writing-new"]
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(left)
    assert read_model_folder(mine.path) == mine


def test_names_sort_by_time() -> None:
    names = [model_folder_name("0123456789ab") for _ in range(3)]
    assert names == sorted(names)
    assert names[0].endswith("Z-0123456789ab")


def test_reading_needs_no_torch() -> None:
    code = (
        "import sys; sys.modules['torch'] = None; "
        "import sfm_depth_ros.model_folder.folder, sfm_depth_ros.model_folder.history"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
