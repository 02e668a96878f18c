# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Published checkpoints by their names: recognised, complete, or refused with the names."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from published_checkpoints import (
    narrow_networks,
    packnet_sfm_state,
    write_monodepth2,
    write_packnet_sfm,
)
from published_weights import published_tensor

from sfm_depth_ros.config.networks import DepthNetworkConfig, PoseNetworkConfig
from sfm_depth_ros.errors import ModelError
from sfm_depth_ros.networks.published.import_checkpoint import ImportOptions, import_networks

PACKNET = DepthNetworkConfig(name="packnet01", min_depth=0.5, reference_focal=371.2)
PACKNET_1B = DepthNetworkConfig(
    name="packnet01", skip_fusion="add", min_depth=0.5, reference_focal=371.2
)
PACKNET_SLIM = DepthNetworkConfig(name="packnet_slim01", min_depth=0.5, reference_focal=371.2)
RESNET18 = DepthNetworkConfig(name="resnet18", max_depth=100.0, reference_focal=371.2)
RESNET50 = DepthNetworkConfig(name="resnet50", max_depth=100.0, reference_focal=371.2)
POSENET = PoseNetworkConfig(name="posenet", convention="packnet_sfm", reference_focal=371.2)
POSE_RESNET = PoseNetworkConfig(
    name="pose_resnet18", convention="packnet_sfm", reference_focal=371.2
)
POSE_MONODEPTH2 = PoseNetworkConfig(
    name="pose_resnet18", convention="monodepth2", reference_focal=371.2
)


@pytest.fixture(autouse=True)
def narrow(monkeypatch: pytest.MonkeyPatch) -> None:
    narrow_networks(monkeypatch)


@pytest.mark.parametrize(("depth", "pose"), [
    (PACKNET, POSENET), (PACKNET_1B, None), (PACKNET_SLIM, POSE_RESNET), (RESNET18, POSENET),
    (RESNET50, None),
])  # fmt: skip
def test_packnet_sfm_is_recognised(
    tmp_path: Path, depth: DepthNetworkConfig, pose: PoseNetworkConfig | None
) -> None:
    path = write_packnet_sfm(tmp_path / "a.ckpt", packnet_sfm_state(depth, pose))
    found = import_networks([path], "packnet-sfm")
    assert found.depth.config == depth
    assert (None if found.pose is None else found.pose.config) == pose
    assert found.size == (640, 192)
    assert not found.has_stereo_unit
    assert not any(tensor.is_meta for tensor in found.depth.state_dict().values())
    assert found.depth.log_scale == 0


def test_depth_and_pose_may_come_in_two_files(tmp_path: Path) -> None:
    files = [
        write_packnet_sfm(tmp_path / "depth.ckpt", packnet_sfm_state(RESNET18, None)),
        write_packnet_sfm(tmp_path / "posenet.ckpt", packnet_sfm_state(None, POSENET)),
    ]
    found = import_networks(files, "packnet-sfm")
    assert found.depth.config == RESNET18
    assert found.pose is not None
    head = published_tensor("pose_pred.weight", tuple(found.pose.head.weight.shape))
    assert torch.equal(found.pose.head.weight, head)
    again = write_packnet_sfm(tmp_path / "again.ckpt", packnet_sfm_state(RESNET18, None))
    with pytest.raises(ModelError, match=r"second file holds names under model\.depth_net"):
        import_networks([*files, again], "packnet-sfm")


def test_names_and_format_of_the_first_versions(tmp_path: Path) -> None:
    old = {
        name.replace("model.depth_net.", "disp_network.")
        .replace("model.pose_net.", "pose_network.")
        .replace(".conv3.weight", ".conv3.0.weight"): tensor
        for name, tensor in packnet_sfm_state(PACKNET_SLIM, POSENET).items()
    }
    torch.save({"state_dict": old}, tmp_path / "old.pth.tar", _use_new_zipfile_serialization=False)
    found = import_networks([tmp_path / "old.pth.tar"], "packnet-sfm")
    assert found.depth.config == PACKNET_SLIM
    assert found.pose is not None


@pytest.mark.parametrize("wrapper", ["module.", "_orig_mod.", "_orig_mod.module."])
def test_names_of_wrapped_networks(tmp_path: Path, wrapper: str) -> None:
    """DataParallel and torch.compile put their names before those of the network."""
    plain = packnet_sfm_state(PACKNET_SLIM, POSENET)
    wrapped = {f"{wrapper}{name}": tensor for name, tensor in plain.items()}
    inside = {
        name.replace("_net.", f"_net.{wrapper}", 1): tensor for name, tensor in plain.items()
    }
    for state in (wrapped, inside):
        path = write_packnet_sfm(tmp_path / "a.ckpt", state)
        found = import_networks([path], "packnet-sfm")
        assert found.depth.config == PACKNET_SLIM
        assert found.pose is not None
    write_packnet_sfm(tmp_path / "a.ckpt", {**plain, **wrapped})
    with pytest.raises(ModelError, match="twice, wrapped and not"):
        import_networks([tmp_path / "a.ckpt"], "packnet-sfm")


@pytest.mark.parametrize("as_files", [False, True])
def test_monodepth2_folder_or_files(tmp_path: Path, as_files: bool) -> None:
    folder = write_monodepth2(tmp_path / "weights", RESNET18, POSE_MONODEPTH2, (160, 96), True)
    paths = [folder]
    if as_files:
        paths = [folder / f"{name}.pth" for name in ("depth", "encoder", "pose", "pose_encoder")]
    found = import_networks(paths, "monodepth2")
    assert found.size == (160, 96)
    assert found.has_stereo_unit
    assert found.depth.config.name == "resnet18"
    assert found.depth.config.reference_focal == pytest.approx(0.58 * 160)
    assert found.pose is not None
    assert found.pose.config.convention == "monodepth2"
    given = import_networks(
        paths, "monodepth2", ImportOptions(size=(64, 64), reference_focal=77.0)
    )
    assert given.size == (64, 64)
    assert given.depth.config.reference_focal == given.pose.config.reference_focal == 77.0


def test_monodepth2_without_a_pose_network(tmp_path: Path) -> None:
    folder = write_monodepth2(tmp_path / "weights", RESNET18, None)
    assert import_networks([folder], "monodepth2").pose is None


def test_a_partial_file_is_refused_with_the_missing_names(tmp_path: Path) -> None:
    state = packnet_sfm_state(RESNET18, POSENET)
    del state["model.depth_net.decoder.decoder.3.conv.conv.bias"]
    path = write_packnet_sfm(tmp_path / "a.ckpt", state)
    with pytest.raises(
        ModelError,
        match=r"missing model\.depth_net\.decoder\.decoder\.3\.conv\."
        r"conv\.bias; unexpected nothing",
    ):
        import_networks([path], "packnet-sfm")
    folder = write_monodepth2(tmp_path / "weights", RESNET18, POSE_MONODEPTH2)
    (folder / "depth.pth").unlink()
    with pytest.raises(ModelError, match=r"missing depth: decoder\.0.*and \d+ more"):
        import_networks([folder], "monodepth2")


def test_another_architecture_is_refused_with_the_unexpected_names(tmp_path: Path) -> None:
    state = packnet_sfm_state(RESNET18, None)
    state["model.depth_net.decoder.attention.weight"] = torch.zeros(3)
    state["model.depth_net.encoder.encoder.conv1.weight"] = torch.zeros(64, 6, 7, 7)
    path = write_packnet_sfm(tmp_path / "a.ckpt", state)
    with pytest.raises(
        ModelError,
        match=r"unexpected model\.depth_net\.decoder\.attention\.weight"
        r"; of another shape model\.depth_net\.encoder\.encoder\."
        r"conv1\.weight",
    ):
        import_networks([path], "packnet-sfm")


def test_the_other_project_is_refused_with_the_found_names(tmp_path: Path) -> None:
    path = write_packnet_sfm(tmp_path / "a.ckpt", packnet_sfm_state(RESNET18, POSENET))
    with pytest.raises(
        ModelError,
        match=r"expected a ResNet-18, 34 or 50 under encoder\.pth and "
        r"depth\.pth; found model\.depth_net.*--format",
    ):
        import_networks([path], "monodepth2")
    folder = write_monodepth2(tmp_path / "weights", RESNET18, None)
    with pytest.raises(ModelError, match=r"under model\.depth_net\.\*; found encoder\."):
        import_networks([folder / "encoder.pth"], "packnet-sfm")


def test_a_pose_network_of_another_kind_is_refused(tmp_path: Path) -> None:
    folder = write_monodepth2(tmp_path / "weights", RESNET18, None)
    torch.save({"convs.0.weight": torch.zeros(16, 6, 7, 7)}, folder / "pose.pth")
    with pytest.raises(ModelError, match=r"pose network is none that is known.*convs\.0\.weight"):
        import_networks([folder], "monodepth2")


def test_files_without_weights_are_refused(tmp_path: Path) -> None:
    torch.save([1, 2, 3], tmp_path / "list.ckpt")
    with pytest.raises(ModelError, match="no weights by name"):
        import_networks([tmp_path / "list.ckpt"], "packnet-sfm")
    with pytest.raises(ModelError, match="does not exist"):
        import_networks([tmp_path / "none.ckpt"], "packnet-sfm")
    with pytest.raises(ModelError, match=r"holds none of depth\.pth, encoder\.pth"):
        import_networks([tmp_path], "monodepth2")
