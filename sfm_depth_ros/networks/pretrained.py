# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""ImageNet weights from a local file into a ResNet encoder."""

from __future__ import annotations

from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from sfm_depth_ros.errors import ModelError
from sfm_depth_ros.networks.resnet import ResNetEncoder
from sfm_depth_ros.networks.restricted_unpickler import load_file_content

CLASSIFIER = "fc."
COUNTER = "num_batches_tracked"  # of batch norms; old files lack it and nothing reads it


def load_pretrained(encoder: ResNetEncoder, path: str) -> None:
    """Give an encoder the weights of a file with torchvision's names.

    Where the encoder takes several images, the first convolution's weights are repeated and
    divided by their number, so that equal images give the features of one (Monodepth2).

    Args:
        encoder: The encoder to fill.
        path: ``.safetensors``, else a file of ``torch.save``, of which tensors alone are read.

    Raises:
        ModelError: The file cannot be read, or belongs to another network.
    """
    state = {
        name: tensor
        for name, tensor in _tensors(Path(path).expanduser()).items()
        if not name.startswith(CLASSIFIER)
    }
    if (first := state.get("conv1.weight")) is not None:
        images = encoder.conv1.in_channels // 3
        state["conv1.weight"] = first.repeat(1, images, 1, 1) / images
    own = encoder.state_dict()
    missing = sorted(name for name in own if name not in state and not name.endswith(COUNTER))
    unexpected = sorted(set(state) - set(own))
    reshaped = sorted(
        name for name in own.keys() & state.keys() if own[name].shape != state[name].shape
    )
    if missing or unexpected or reshaped:
        raise ModelError(
            f"{path} holds no weights of this encoder: missing {_some(missing)}, "
            f"unexpected {_some(unexpected)}, of another shape {_some(reshaped)}; "
            "give the file of the ResNet that the option name says"
        )
    encoder.load_state_dict({**own, **state})


def _tensors(path: Path) -> dict[str, Tensor]:
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
    except (OSError, SafetensorError) as error:
        raise ModelError(
            f"{path} cannot be read as weights ({error}); give a .safetensors file, "
            "or a .pth file that holds tensors alone"
        ) from error
    content = load_file_content(path).value
    if not isinstance(content, dict) or not all(isinstance(t, Tensor) for t in content.values()):
        raise ModelError(
            f"{path} is not a plain set of weights; save the encoder's state_dict "
            "alone and give that file"
        )
    return content


def _some(names: list[str]) -> str:
    """The first names of a list, and how many more there are."""
    shown, rest = ", ".join(names[:3]), len(names) - 3
    return (f"{shown} and {rest} more" if rest > 0 else shown) or "nothing"
