# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Training of a decoder behind a frozen encoder, on cached images; resumable."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from sfm_depth_ros.config.schema import DepthNetworkConfig
from sfm_depth_ros.geometry.depth import canonical_to_depth
from sfm_depth_ros.networks.model import create_depth_network
from sfm_depth_ros.training.optimiser import WeightAverage, cosine, set_rate, warmed_up
from tools.shipped.augmentation import Cropped, CropRange, crop, mix_styles, relight
from tools.shipped.frozen_features import frozen_features
from tools.shipped.image_cache import ImageCache
from tools.shipped.shape_loss import shape_loss

WARMUP_STEPS = 100
FINAL_SHARE = 0.02  # of the learning rate at the end


@dataclass(frozen=True)
class TrainingSpec:
    """One training."""

    steps: int  # In all, over which the rate falls
    batch_size: int = 12
    width: int = 320  # Pixels of the network's image
    height: int = 96
    rate: float = 2e-3
    decoder_width: int = 16  # Channels of the decoder's finest stage
    average_decay: float = 0.998
    weight_decay: float = 1e-2
    style_mixing: float = 0.5  # Largest share of another image's feature statistics
    feature_precision: str = "f32"  # Or bf16: see `frozen_features`
    seed: int = 0


class DecoderTraining:
    """Network, optimiser and data; ``run`` takes steps."""

    def __init__(self, spec: TrainingSpec, caches: Sequence[ImageCache], device: str) -> None:
        """Args: the training; its images; where it computes."""
        self.spec, self.device = spec, device
        torch.manual_seed(spec.seed)
        config = DepthNetworkConfig(
            name="efficientnet_lite0", pretrained="imagenet", width=spec.decoder_width
        )
        network: Any = create_depth_network(config).to(device)
        self.network = network
        shape = spec.batch_size, 3, spec.height, spec.width
        self._features = frozen_features(
            self.network.encoder, shape, device, spec.feature_precision
        )
        self.decoder: nn.Module = self.network.decoder
        self.decoder.to(memory_format=torch.channels_last).train()
        self._optimiser = torch.optim.AdamW(
            self.decoder.parameters(), lr=spec.rate, weight_decay=spec.weight_decay
        )
        set_groups(self._optimiser)
        self.average = WeightAverage(self.decoder, spec.average_decay)
        self._caches, self.step = caches, 0

    def run(self, until: float) -> Iterator[float]:
        """Steps until all are taken or the clock (``time.monotonic``) says ``until``; losses."""
        while self.step < self.spec.steps and time.monotonic() < until:
            yield self._take_step()

    def averaged(self) -> nn.Module:
        """The network with the averaged decoder, in eval mode."""
        self.network.decoder.load_state_dict(self.average.network.state_dict())
        return self.network.eval()

    def save(self, path: Path) -> None:
        """Keep everything that continuing needs."""
        state = {
            "decoder": self.decoder.state_dict(),
            "average": self.average.network.state_dict(),
            "updates": self.average.updates,
            "optimiser": self._optimiser.state_dict(),
            "step": self.step,
        }
        torch.save(state, path.with_suffix(".part"))
        path.with_suffix(".part").replace(path)

    def load(self, path: Path) -> None:
        """Continue from a file of ``save``."""
        state = torch.load(path, map_location=self.device, weights_only=True)
        self.decoder.load_state_dict(state["decoder"])
        self.average.network.load_state_dict(state["average"])
        self.average.updates = state["updates"]
        self._optimiser.load_state_dict(state["optimiser"])
        self.step = state["step"]

    def _take_step(self) -> float:
        spec = self.spec
        set_rate(
            self._optimiser,
            spec.rate
            * warmed_up(self.step, WARMUP_STEPS)
            * cosine(self.step / spec.steps, FINAL_SHARE),
        )
        batch = self._draw()
        features = self._features(batch.image)
        if spec.style_mixing > 0:
            generator = torch.Generator().manual_seed(self.step)
            features = mix_styles(features, spec.style_mixing, generator)
        with torch.autocast(self.device.partition(":")[0], torch.bfloat16):
            logits = self.decoder(features)
        depths = [self._metres(level.float(), batch.focal) for level in logits]
        losses = [shape_loss(depth, _thinned(batch.depth, depth)) for depth in depths]
        loss = losses[0] + 0.25 * torch.stack(losses[1:]).mean()
        self._optimiser.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(self.decoder.parameters(), 1.0)
        self._optimiser.step()
        self.average.update(self.decoder)
        self.step += 1
        return float(losses[0].detach())

    def _draw(self) -> Cropped:
        """A batch; step and seed alone decide what is in it."""
        spec = self.spec
        rng = np.random.default_rng((spec.seed, self.step))
        generator = torch.Generator().manual_seed(int(rng.integers(2**62)))
        sizes = [len(cache.filled) for cache in self._caches]
        cache = self._caches[int(rng.choice(len(sizes), p=np.array(sizes) / sum(sizes)))]
        rows = np.sort(rng.choice(cache.filled, spec.batch_size, replace=False))
        images = torch.from_numpy(cache.images[rows]).permute(0, 3, 1, 2).float() / 255
        depths = torch.from_numpy(cache.depths[rows].astype(np.float32))[:, None]
        focals = torch.from_numpy(cache.focals[rows])
        size = spec.width, spec.height
        batch = crop(images, depths, focals, size, CropRange(), generator)
        image = relight(batch.image, generator)
        return Cropped(*(tensor.to(self.device) for tensor in (image, batch.depth, batch.focal)))

    def _metres(self, logits: Tensor, focal: Tensor) -> Tensor:
        canonical = self.network.to_depth(torch.sigmoid(logits))
        reference = self.network.config.reference_focal
        return canonical_to_depth(canonical, focal.view(-1, 1, 1, 1), reference)


def set_groups(optimiser: torch.optim.Optimizer) -> None:
    """Every group follows the base rate."""
    for group in optimiser.param_groups:
        group["rate_factor"] = 1.0


def _thinned(truth: Tensor, depth: Tensor) -> Tensor:
    """The truth at a coarser scale's pixel centres, unblended."""
    step = truth.shape[-1] // depth.shape[-1]
    return truth[..., step // 2 :: step, step // 2 :: step]
