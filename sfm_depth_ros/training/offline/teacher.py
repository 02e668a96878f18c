# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Teacher model: a larger network whose disparity snippets carry, up to a gain and an offset."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from sfm_depth_ros.errors import ConfigError
from sfm_depth_ros.model_folder.folder import ModelFolder, read_model_folder
from sfm_depth_ros.model_folder.loading import load_network
from sfm_depth_ros.snippets.batch import images_to_tensor
from sfm_depth_ros.snippets.values import Snippet

_logger = logging.getLogger(__name__)


class TeacherModel:
    """The depth network of a model folder, run in torch at the width that it was trained at.

    Args:
        folder: The model; metric, or relative (its gain and offset do not matter).
        device: Torch device.

    Raises:
        ConfigError: It is an imported graph, which torch cannot run.
    """

    def __init__(self, folder: ModelFolder, device: str = "cpu") -> None:
        if folder.is_foreign:
            raise ConfigError(
                f"training.teacher_model: {folder.path} is an imported ONNX graph, which torch "
                "cannot run; import the network's checkpoint instead"
            )
        self.model_id = folder.model_id
        self._folder, self._device = folder, device
        self._network: Any = load_network(folder, "depth").to(device).eval()

    @torch.no_grad()
    def disparity(self, image: np.ndarray) -> np.ndarray:
        """Disparity of an image between 0 (farthest) and 1 (nearest), in a unit of its own.

        Args:
            image: ``(H, W, 3)`` uint8 RGB.

        Returns:
            ``(H, W)`` float32.
        """
        pixels = images_to_tensor(image[None]).to(self._device)
        size = (image.shape[0], image.shape[1])
        seen = functional.interpolate(
            pixels, self._input_size(*size), mode="bilinear", antialias=True, align_corners=False
        ).clamp(0, 1)
        inverse: Tensor = 1.0 / self._network.depth(seen)
        low, high = inverse.amin(), inverse.amax()
        scaled = (inverse - low) / (high - low).clamp(min=1e-9)
        full = functional.interpolate(scaled, size, mode="bilinear", align_corners=False)
        found: np.ndarray = full[0, 0].float().cpu().numpy()
        return found

    def taught(self, snippets: Iterable[Snippet]) -> Iterator[Snippet]:
        """The snippets with the disparity of their targets."""
        for number, snippet in enumerate(snippets):
            if number == 0:
                _logger.info("the teacher %s looks at every target", self.model_id)
            yield replace(snippet, teacher_disparity=self.disparity(snippet.target))

    def _input_size(self, height: int, width: int) -> tuple[int, int]:
        """Height and width of what the network sees: its own width, the image's shape."""
        multiple = self._folder.multiple
        own = self._folder.width
        rows = max(multiple, round(height * own / width / multiple) * multiple)
        return rows, max(multiple, round(own / multiple) * multiple)


def read_teacher(path: str, device: str) -> TeacherModel | None:
    """The teacher of ``training.teacher_model``; None where it is empty.

    Raises:
        ModelError: The folder is missing or damaged.
        ConfigError: It cannot teach.
    """
    return TeacherModel(read_model_folder(Path(path).expanduser()), device) if path else None
