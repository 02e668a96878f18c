# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Checkpoints of Depth Anything V2 and Lite-Mono: recognised by size, with the given head."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from published_checkpoints import (
    narrow_networks,
    write_depth_anything,
    write_lite_mono,
    write_monodepth2,
)

from sfm_depth_ros.config.networks import DepthNetworkConfig, PoseNetworkConfig
from sfm_depth_ros.errors import ConfigError, ModelError
from sfm_depth_ros.networks.published.checkpoint_files import FORMATS
from sfm_depth_ros.networks.published.import_checkpoint import ImportOptions, import_networks

SMALL = DepthNetworkConfig(name="depth_anything_v2_small")
RELATIVE = ImportOptions(head="inverse-affine")


@pytest.fixture(autouse=True)
def narrow(monkeypatch: pytest.MonkeyPatch) -> None:
    narrow_networks(monkeypatch)


@pytest.mark.parametrize("ending", [".pth", ".safetensors"])
@pytest.mark.parametrize("size", ["small", "base", "large"])
def test_size_and_licence_by_width(tmp_path: Path, size: str, ending: str) -> None:
    name = f"depth_anything_v2_{size}"
    path = write_depth_anything(tmp_path / f"a{ending}", DepthNetworkConfig(name=name))
    found = import_networks([path], "depth-anything-v2", RELATIVE)
    assert found.depth.config == DepthNetworkConfig(
        name=name, head="inverse-affine", reference_focal=0.58 * 518
    )
    assert found.pose is None
    assert found.size == (518, 294)
    assert found.depth.shift == found.depth.log_scale == 0
    layout = FORMATS["depth-anything-v2"]
    licence = layout.licences.get(name, layout.licence)
    assert licence.startswith("Apache-2.0" if size == "small" else "CC-BY-NC")


@pytest.mark.parametrize(("maximum", "share"), [(80.0, 725.0087 / 1242), (20.0, 886.81 / 1024)])
def test_a_metric_head_has_its_training_cameras_focal_length(
    tmp_path: Path, maximum: float, share: float
) -> None:
    path = write_depth_anything(tmp_path / "a.pth", SMALL)
    given = ImportOptions((280, 140), head="metric", max_depth=maximum)
    config = import_networks([path], "depth-anything-v2", given).depth.config
    assert (config.head, config.max_depth) == ("metric", maximum)
    assert config.reference_focal == pytest.approx(280 * share)
    with torch.no_grad():
        largest = import_networks([path], "depth-anything-v2", given).depth.depth(
            torch.rand(1, 3, 28, 28)
        )
    assert float(largest.max()) <= maximum


@pytest.mark.parametrize(("given", "message"), [
    (ImportOptions(), "do not determine the kind of head, got None: give --head inverse-affine"),
    (ImportOptions(head="depth-affine"), "got depth-affine: give --head inverse-affine"),
    (ImportOptions(head="metric"), "--max-depth: expected with --head metric"),
    (ImportOptions(head="inverse-affine", max_depth=80.0), "--max-depth: not for --head inverse"),
])  # fmt: skip
def test_the_head_must_be_given(tmp_path: Path, given: ImportOptions, message: str) -> None:
    path = write_depth_anything(tmp_path / "a.pth", SMALL)
    with pytest.raises(ConfigError, match=message):
        import_networks([path], "depth-anything-v2", given)


def test_other_formats_have_one_head(tmp_path: Path) -> None:
    weights = write_lite_mono(tmp_path / "w", DepthNetworkConfig(name="lite_mono_tiny"))
    with pytest.raises(ConfigError, match="lite-mono has one kind of head"):
        import_networks([weights], "lite-mono", RELATIVE)


def test_truncated_foreign_or_partial_files(tmp_path: Path) -> None:
    path = write_depth_anything(tmp_path / "a.pth", SMALL)
    weights = write_depth_anything(tmp_path / "a.safetensors", SMALL)
    for whole in (path, weights):
        cut = tmp_path / f"cut{whole.suffix}"
        cut.write_bytes(whole.read_bytes()[:5000])
        with pytest.raises(ModelError, match=r"cannot be read .*download or copy it again"):
            import_networks([cut], "depth-anything-v2", RELATIVE)
    folder = write_monodepth2(tmp_path / "md2", DepthNetworkConfig(name="resnet18"), None)
    with pytest.raises(ModelError, match="expected Depth Anything V2 Small, Base or Large"):
        import_networks([folder / "encoder.pth"], "depth-anything-v2", RELATIVE)
    with pytest.raises(ModelError, match="expected Lite-Mono tiny, small, base or 8M under enc"):
        import_networks([folder], "lite-mono")
    state = torch.load(path, weights_only=True)
    del state["depth_head.scratch.layer2_rn.weight"]
    torch.save(state | {"pretrained.register_tokens": torch.zeros(1)}, path)
    with pytest.raises(ModelError, match=r"missing depth_head\.scratch\.layer2_rn\.weight; unexp"
                       r"ected pretrained\.register_tokens"):  # fmt: skip
        import_networks([path], "depth-anything-v2", RELATIVE)


@pytest.mark.parametrize("name", ["lite_mono", "lite_mono_small", "lite_mono_tiny"])
def test_lite_mono_by_width_and_blocks_and_image_size(tmp_path: Path, name: str) -> None:
    config = DepthNetworkConfig(name=name)
    wide = write_lite_mono(tmp_path / "wide", config, (1024, 320))
    found = import_networks([wide], "lite-mono")
    assert found.size == (1024, 320)
    assert found.pose is None
    assert found.depth.config == DepthNetworkConfig(
        name=name, max_depth=100.0, wide_dilations=True, reference_focal=0.58 * 1024
    )
    narrow = import_networks([wide], "lite-mono", ImportOptions(size=(640, 192)))
    assert not narrow.depth.config.wide_dilations


def test_lite_mono_with_the_pose_files_of_monodepth2(tmp_path: Path) -> None:
    pose = PoseNetworkConfig(name="pose_resnet18", convention="monodepth2")
    both = write_monodepth2(tmp_path / "md2", DepthNetworkConfig(name="resnet18"), pose)
    weights = write_lite_mono(tmp_path / "w", DepthNetworkConfig(name="lite_mono_tiny"))
    for name in ("pose.pth", "pose_encoder.pth"):
        (both / name).rename(weights / name)
    found = import_networks([weights], "lite-mono")
    assert found.pose is not None
    assert found.pose.config.name == "pose_resnet18"
