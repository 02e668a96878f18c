# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Names and sizes of Depth Anything V2's checkpoints, in the authors' layout and in transformers'.

Distill-Any-Depth's checkpoints have the same tensors and names. The head's kind is in no file:
the relative and the metric checkpoints hold the same tensors.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

import torch
from torch import Tensor

from sfm_depth_ros.config.networks import DepthNetworkConfig
from sfm_depth_ros.networks.depth_anything import SHAPES
from sfm_depth_ros.networks.model import create_depth_network
from sfm_depth_ros.networks.published.name_map import (
    NameMap,
    PublishedFormat,
    PublishedNetwork,
    own_names,
    sizeless,
)

UNREAD = ("pretrained.mask_token", "depth_head.scratch.refinenet4.resConfUnit1.")
PROJECTIONS = ("query", "key", "value")
TRANSFORMERS = "backbone."  # how names begin in the layout of the package transformers

_ENCODER = {
    "patch": "patch_embed.proj",
    "class_token": "cls_token",
    "positions": "pos_embed",
}
_BLOCK = {
    "gain1": "ls1.gamma",
    "gain2": "ls2.gamma",
    "fc1": "mlp.fc1",
    "fc2": "mlp.fc2",
}
_HEAD = {
    "conv1": "scratch.output_conv1",
    "conv2": "scratch.output_conv2.0",
    "heads": "scratch.output_conv2.2",
}
_FUSION = {"skip": "resConfUnit1", "refine": "resConfUnit2", "out": "out_conv"}

# From transformers' layout to the authors', in this order.
_RENAMED = (
    (r"^backbone\.embeddings\.patch_embeddings\.projection\.", "pretrained.patch_embed.proj."),
    (r"^backbone\.embeddings\.position_embeddings$", "pretrained.pos_embed"),
    (r"^backbone\.embeddings\.", "pretrained."),
    (r"^backbone\.layernorm\.", "pretrained.norm."),
    (r"^backbone\.encoder\.layer\.", "pretrained.blocks."),
    (r"\.attention\.output\.dense\.", ".attn.proj."),
    (r"\.layer_scale(\d)\.lambda1$", r".ls\1.gamma"),
    (r"^neck\.reassemble_stage\.layers\.(\d)\.projection\.", r"depth_head.projects.\1."),
    (r"^neck\.reassemble_stage\.layers\.(\d)\.resize\.", r"depth_head.resize_layers.\1."),
    (r"\.residual_layer(\d)\.convolution(\d)\.", r".resConfUnit\1.conv\2."),
    (r"^head\.conv1\.", "depth_head.scratch.output_conv1."),
    (r"^head\.conv2\.", "depth_head.scratch.output_conv2.0."),
    (r"^head\.conv3\.", "depth_head.scratch.output_conv2.2."),
)
_QKV = re.compile(r"(.*)\.attention\.attention\.(query|key|value)\.(weight|bias)")
_FUSED = re.compile(r"neck\.fusion_stage\.layers\.(\d)\.(.*)")
_NECK = re.compile(r"neck\.convs\.(\d)\.(.*)")


def depth_anything_config(state: Mapping[str, Tensor]) -> DepthNetworkConfig | None:
    """The network whose weights these are, its head not yet known.

    Args:
        state: Tensors by the authors' names.

    Returns:
        None where no known network has such weights.
    """
    token = state.get("pretrained.cls_token")
    blocks = {name.split(".")[2] for name in state if name.startswith("pretrained.blocks.")}
    for name, shape in SHAPES.items():
        encoder = shape.encoder
        if token is not None and (token.shape[-1], len(blocks)) == (encoder.width, encoder.blocks):
            return DepthNetworkConfig(name=name)
    return None


def depth_anything_names(config: DepthNetworkConfig) -> NameMap:
    """The authors' names; the coarsest stage holds a unit that nothing reads."""
    ours = {_published_name(name): name for name in own_names(create_depth_network, config)}
    return NameMap(ours, beyond=UNREAD)


def authors_layout(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Tensors by the authors' names, whichever layout the file has.

    The layout of transformers splits queries, keys and values, and counts the fusion stages from
    the coarsest.
    """
    if not any(name.startswith(TRANSFORMERS) for name in state):
        return dict(state)
    renamed: dict[str, Tensor] = {}
    parts: dict[str, dict[str, Tensor]] = {}
    for name, tensor in state.items():
        if match := _QKV.fullmatch(name):
            parts.setdefault(_authors_name(f"{match[1]}.attn.qkv.{match[3]}"), {})[match[2]] = (
                tensor
            )
        else:
            renamed[_authors_name(name)] = tensor
    for name, qkv in parts.items():
        renamed[name] = torch.cat([qkv[part] for part in PROJECTIONS if part in qkv])
    return renamed


def _authors_name(name: str) -> str:
    if match := _FUSED.fullmatch(name):
        name = f"depth_head.scratch.refinenet{4 - int(match[1])}.{match[2]}"
        name = name.replace(".projection.", ".out_conv.")
    if match := _NECK.fullmatch(name):
        name = f"depth_head.scratch.layer{int(match[1]) + 1}_rn.{match[2]}"
    for pattern, replacement in _RENAMED:
        name = re.sub(pattern, replacement, name)
    return name


def _published_name(ours: str) -> str:
    room, *parts = ours.split(".")
    if room == "encoder":
        if parts[0] == "blocks":
            parts[2] = _BLOCK.get(parts[2], parts[2])
        else:
            parts[0] = _ENCODER.get(parts[0], parts[0])
        return ".".join(("pretrained", *parts))
    kind, *rest = parts
    if kind == "fusions":
        level, layer, *rest = rest
        kind = f"scratch.refinenet{int(level) + 1}.{_FUSION[layer]}"
    elif kind == "narrow":
        kind = f"scratch.layer{int(rest.pop(0)) + 1}_rn"
    elif kind == "resizes":
        kind = "resize_layers"
    return ".".join(("depth_head", _HEAD.get(kind, kind), *rest))


NON_COMMERCIAL = "CC-BY-NC-4.0: non-commercial use only"
FORMAT = PublishedFormat(
    networks={
        "depth": PublishedNetwork(
            (("", depth_anything_names),),
            sizeless(depth_anything_config),
            "Depth Anything V2 Small, Base or Large (a ViT with a DPT head)",
        ),
    },
    by_file=False,
    licence="Apache-2.0",
    licences={
        "depth_anything_v2_base": NON_COMMERCIAL,
        "depth_anything_v2_large": NON_COMMERCIAL,
    },
    filter="area",
    size=(518, 294),
    layout=authors_layout,
    has_heads=True,
    # Virtual KITTI 2 (725 pixels of 1242), Hypersim (a horizontal field of view of 60 degrees)
    metric_focals={80.0: 725.0087 / 1242, 20.0: 886.81 / 1024},
)
