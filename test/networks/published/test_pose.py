# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Published pose networks: the same numbers as their authors' classes, and the same meaning.

The numbers were answered once by the original classes (packnet-sfm at de53b31, monodepth2 at
b676244), filled by ``published_weights``, on ``fixed_image(9, 64, 192)`` as three images in
temporal order. The 4x4 transforms are what the projects' own code made of them.
"""

from __future__ import annotations

import numpy as np
import pytest
import torch
from published_weights import fixed_image, published_tensor
from torch import Tensor, nn

from sfm_depth_ros.config.networks import PoseNetworkConfig
from sfm_depth_ros.geometry.se3 import motion_to_transform
from sfm_depth_ros.networks.model import create_pose_network
from sfm_depth_ros.networks.published.monodepth2 import (
    monodepth2_pose_config,
    monodepth2_pose_decoder_names,
    monodepth2_pose_encoder_names,
)
from sfm_depth_ros.networks.published.name_map import NameMap
from sfm_depth_ros.networks.published.packnet_sfm import (
    packnet_sfm_pose_config,
    packnet_sfm_pose_names,
)

STACK = fixed_image(9, 64, 192)

POSENET = PoseNetworkConfig(name="posenet", convention="packnet_sfm")
# Translation and Euler angles from the target to the image before and to the image after.
POSENET_SAYS = [
    -0.004622704, 0.0004178388, -0.002580366, 0.004313546, -0.003892941, -0.003388902,
    -0.007224155, 0.009780571, -0.004857881, 0.002245497, -0.004064705, 0.009655861,
]  # fmt: skip
# Pose.from_vec of the first, the inverse of Pose.from_vec of the second.
POSENET_MEANS = [
    [[0.999986708, 0.00338886981, -0.00389293092, -0.00462270435],
     [-0.0034056562, 0.99998492, -0.00431350013, 0.000417838804],
     [0.00387825444, 0.0043267007, 0.999983132, -0.0025803661],
     [0, 0, 0, 1]],
    [[0.9999451, 0.00964656, 0.00408618, 0.00714926],
     [-0.00965563, 0.99995095, 0.00220614, -0.00983913],
     [-0.00406469, -0.00224548, 0.99998921, 0.00485043],
     [0, 0, 0, 1]],
]  # fmt: skip

# Translation and Euler angles from the target (the later image) to the image before.
POSE_RESNET_SAYS = {
    18: [-0.00107831, -0.002087212, 0.003131542, -0.005216883, -0.002865886, 0.00420422],
    50: [-0.002958103, -0.003966826, 0.003236409, -0.0004724025, -0.004495998, 0.002456381],
}
POSE_RESNET_MEANS = {
    18: [[0.99998707, -0.00420419, -0.00286588, -0.00107831],
         [0.0042191, 0.99997753, 0.00521684, -0.00208721],
         [0.00284389, -0.00522886, 0.9999823, 0.00313154],
         [0, 0, 0, 1]],
    50: [[0.999986887, -0.00245635351, -0.00449598301, -0.00295810285],
         [0.00245850184, 0.999996841, 0.000472397747, -0.00396682648],
         [0.00449480861, -0.000483444921, 0.999989808, 0.00323640881],
         [0, 0, 0, 1]],
}  # fmt: skip

# Axis-angle and translation of both frames that the decoder speaks of.
MONODEPTH2_SAYS = {
    18: [0.006411179, 0.003153585, 0.0005695445, 0.009235444, 0.003064932, -0.003766824,
         -0.005700533, 0.002771005, -0.003069889, -0.009034319, -0.00491955, -0.005355385],
    50: [0.001887767, 0.006830719, -0.0004444405, 0.007349114, 0.001663265, -0.003850398,
         -0.004348313, -0.000205044, -0.003619405, -0.005727439, -0.003245805, -0.003761548],
}  # fmt: skip
# transformation_from_parameters with invert=True, as for the frame before the target.
MONODEPTH2_MEANS = {
    18: [[0.999994874, 0.000579641783, -0.00315168803, -0.00924904458],
         [-0.000559421605, 0.999979258, 0.00641193241, -0.00303554931],
         [0.00315533974, -0.00641013589, 0.999974489, 0.0037572335],
         [0, 0, 0, 1]],
    50: [[0.999976575, -0.000437982497, -0.00683098473, -0.00737451576],
         [0.000450878404, 0.999998093, 0.00188620645, -0.00165931263],
         [0.0068301456, -0.00188924256, 0.999974906, 0.00380324852],
         [0, 0, 0, 1]],
}  # fmt: skip


def empty(config: PoseNetworkConfig) -> nn.Module:
    with torch.device("meta"):
        return create_pose_network(config).eval()


def published_state(config: PoseNetworkConfig, names: NameMap) -> dict[str, Tensor]:
    shapes = {name: tuple(tensor.shape) for name, tensor in empty(config).state_dict().items()}
    return {name: published_tensor(name, shapes[own]) for name, own in names.ours.items()}


def answers(
    config: PoseNetworkConfig, weights: dict[str, Tensor], stack: Tensor
) -> tuple[Tensor, Tensor]:
    """The network's own output and its motions; loading is strict, so the map is complete."""
    network = empty(config)
    network.load_state_dict({**weights, "log_scale": torch.zeros(())}, assign=True)
    with torch.inference_mode():
        return network.raw(stack)[0], network(stack)[0]


def assert_same(found: tuple[Tensor, Tensor], says: list[float], means: list) -> None:
    raw, motion = found
    torch.testing.assert_close(raw, torch.tensor(says), rtol=1e-4, atol=1e-7)
    T = motion_to_transform(motion.double().unflatten(0, (-1, 6))).numpy()
    np.testing.assert_allclose(T, np.reshape(means, (-1, 4, 4)), atol=1e-6)


def test_posenet_of_packnet_sfm() -> None:
    names = packnet_sfm_pose_names(POSENET)
    state = published_state(POSENET, names)
    assert packnet_sfm_pose_config(state) == POSENET
    found = answers(POSENET, names.translated(state), STACK)
    assert_same(found, POSENET_SAYS, POSENET_MEANS)


@pytest.mark.parametrize("layers", [18, 50])
def test_pose_resnet_of_packnet_sfm(layers: int) -> None:
    config = PoseNetworkConfig(name=f"pose_resnet{layers}", convention="packnet_sfm")
    names = packnet_sfm_pose_names(config)
    state = published_state(config, names)
    assert packnet_sfm_pose_config(state) == config
    found = answers(config, names.translated(state), STACK[:, :6])
    assert_same(found, POSE_RESNET_SAYS[layers], POSE_RESNET_MEANS[layers])


@pytest.mark.parametrize("layers", [18, 50])
def test_pose_encoder_and_pose_of_monodepth2(layers: int) -> None:
    config = PoseNetworkConfig(name=f"pose_resnet{layers}", convention="monodepth2")
    encoder, decoder = monodepth2_pose_encoder_names(config), monodepth2_pose_decoder_names(config)
    first, second = published_state(config, encoder), published_state(config, decoder)
    assert monodepth2_pose_config(first) == config
    weights = {**encoder.translated(first), **decoder.translated(second)}
    found = answers(config, weights, STACK[:, :6])
    assert_same(found, MONODEPTH2_SAYS[layers], MONODEPTH2_MEANS[layers])


@pytest.mark.parametrize("name", ["posenet", "pose_resnet18", "pose_resnet50"])
def test_every_tensor_has_one_name(name: str) -> None:
    config = PoseNetworkConfig(name=name, convention="packnet_sfm")
    own = sorted(set(empty(config).state_dict()) - {"log_scale"})
    assert sorted(packnet_sfm_pose_names(config).ours.values()) == own


def test_other_checkpoints_are_not_taken_for_a_network() -> None:
    assert packnet_sfm_pose_config({"conv1.weight": torch.zeros(1)}) is None
    assert monodepth2_pose_config({"pose_0.weight": torch.zeros(1)}) is None
