# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What stands before a network on the GPU: from the camera's bytes to the network's image.

It is a plan of its own, so that the network's plan serves images and bytes, is checked with the
model's frames whatever the camera sends, and need not be built again for another camera.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any

import numpy as np

from sfm_depth_ros.engines.graphs.input import InputLayout, input_graph, shrink
from sfm_depth_ros.engines.tensorrt.plan import NetworkGraph
from sfm_depth_ros.engines.tensorrt.session import TensorRtSession
from sfm_depth_ros.errors import EngineError

TOLERANCE = 1e-3  # of an image in [0, 1]; a quarter of a grey level


def input_network(layout: InputLayout, images: int) -> NetworkGraph:
    """The graph from bytes to the image, as ``PlanSource`` builds it."""
    proto = input_graph(layout, images)
    content = proto.SerializeToString(deterministic=True)
    shape = (images, *layout.camera_hw, 3)
    digest = hashlib.sha256(content).hexdigest()
    return NetworkGraph(content, digest, "", {}, "fp32", (shape,))


@dataclass(frozen=True)
class BytesFront:
    """A deserialised plan of :func:`input_network`."""

    engine: Any  # `ICudaEngine`
    layout: InputLayout  # From the camera's image to the network's
    images: int  # Images at a time

    def attach(self, session: TensorRtSession) -> None:
        """Put it before a network, and see that the network gets the image it should.

        Raises:
            EngineError: The image differs, or it cannot be run.
        """
        shape = (self.images, *self.layout.camera_hw, 3)
        session.take_bytes(self.engine, shape)
        picture = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
        session.infer_bytes(picture)
        error = np.abs(session.network_image() - shrink(self.layout, picture)).max()
        if not error <= TOLERANCE:
            raise EngineError(
                f"tensorrt scales the camera's image wrongly (by {error:.1e} of 1);"
                " report the versions that sfm-depth info prints"
            )
