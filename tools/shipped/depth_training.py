# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Training of a depth network on cached images, behind a frozen encoder or whole; resumable."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from sfm_depth_ros.config.schema import DepthNetworkConfig
from sfm_depth_ros.geometry.depth import canonical_to_depth
from sfm_depth_ros.networks.model import create_depth_network
from sfm_depth_ros.training.optimiser import WeightAverage, cosine, set_rate, warmed_up
from tools.shipped.augmentation import Cropped, CropRange, crop, mix_styles, relight
from tools.shipped.frozen_features import Features, frozen_features
from tools.shipped.image_cache import ImageCache
from tools.shipped.shape_loss import shape_loss

WARMUP_STEPS = 100
FINAL_SHARE = 0.02  # of the learning rate at the end
FROZEN, TUNED, SCRATCH = ENCODERS = ("frozen", "tuned", "scratch")


@dataclass(frozen=True)
class TrainingSpec:
    """One training."""

    steps: int  # In all, over which the rate falls
    batch_size: int = 12  # Images of `width` x `height`; of other proportions, as many pixels
    width: int = 320  # Pixels of the network's image
    height: int = 96
    further_widths: tuple[int, ...] = ()  # Of images that as many steps see
    rate: float = 2e-3
    network: str = "efficientnet_lite0"
    encoder: str = FROZEN  # Or `TUNED` from its ImageNet weights, or trained from `SCRATCH`
    tuning_share: float = 0.015  # of the rate, for an encoder that is tuned
    decoder_width: int = 16  # Channels of the decoder's finest stage
    average_decay: float = 0.998
    weight_decay: float = 1e-2
    style_mixing: float = 0.5  # Largest share of another image's feature statistics
    feature_dropout: float = 0.0  # Share of the features' channels that a step leaves out
    smallest_window: float = 0.72  # Least width of a window, in shares of the rendered image's
    feature_precision: str = "f32"  # Or bf16: see `frozen_features`
    falls_with_clock: bool = False  # The rate falls with the minutes instead of the steps
    seed: int = 0


@dataclass(frozen=True)
class Drawn:
    """Images of one cache for one step."""

    arrays: tuple[Tensor, Tensor, Tensor]  # As `ImageCache.take` returns them
    size: tuple[int, int]  # Width and height of the network's image
    seed: int


class DepthTraining:
    """Network, optimiser and data; ``run`` takes steps."""

    def __init__(self, spec: TrainingSpec, caches: Sequence[ImageCache], device: str) -> None:
        """Args: the training; its images; where it computes."""
        self.spec, self.device = spec, device
        torch.manual_seed(spec.seed)
        network: Any = create_depth_network(network_config(spec)).to(device)
        network.to(memory_format=torch.channels_last).train()
        parts = {"decoder": network.decoder}
        if spec.encoder != FROZEN:
            parts["encoder"] = network.encoder.train(spec.encoder == SCRATCH)
        self.network, self.trained = network, nn.ModuleDict(parts)
        self._frozen: dict[tuple[int, int], Features] = {}
        self._optimiser = torch.optim.AdamW(
            _groups(self.trained, spec), lr=spec.rate, weight_decay=spec.weight_decay
        )
        self.average = WeightAverage(self.trained, spec.average_decay)
        self._caches, self.step = caches, 0

    def run(self, until: float) -> Iterator[Tensor]:
        """Steps until all are taken or the clock (``time.monotonic``) reaches ``until``; losses.

        While a step computes, the images of the next one are read.
        """
        began = time.monotonic()
        with ThreadPoolExecutor(1) as reader:
            ahead: Future[Drawn] = reader.submit(self._read, self.step)
            while self.step < self.spec.steps and (now := time.monotonic()) < until:
                drawn, ahead = ahead.result(), reader.submit(self._read, self.step + 1)
                done = self.step / self.spec.steps
                if self.spec.falls_with_clock:
                    done = (now - began) / (until - began)
                yield self._take_step(drawn, done)

    def averaged(self) -> nn.Module:
        """The network with the averaged weights, in eval mode."""
        self.network.load_state_dict(self.average.network.state_dict(), strict=False)
        return self.network.eval()

    def save(self, path: Path) -> None:
        """Keep everything that continuing needs."""
        state = {
            "trained": self.trained.state_dict(),
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
        self.trained.load_state_dict(state["trained"])
        self.average.network.load_state_dict(state["average"])
        self.average.updates = state["updates"]
        self._optimiser.load_state_dict(state["optimiser"])
        self.step = state["step"]

    def _take_step(self, drawn: Drawn, done: float) -> Tensor:
        spec = self.spec
        set_rate(
            self._optimiser,
            spec.rate * warmed_up(self.step, WARMUP_STEPS) * cosine(done, FINAL_SHARE),
        )
        generator = torch.Generator(self.device).manual_seed(drawn.seed)
        batch = self._window(drawn, generator)
        features = self._features(batch.image)
        if spec.style_mixing > 0:
            features = mix_styles(features, spec.style_mixing, generator)
        if spec.feature_dropout > 0:
            features = [functional.dropout2d(level, spec.feature_dropout) for level in features]
        with self._reduced_precision():
            logits = self.network.decoder(features)
        depths = [self._metres(level.float(), batch.focal) for level in logits]
        losses = [shape_loss(depth, _thinned(batch.depth, depth)) for depth in depths]
        loss = losses[0] + 0.25 * torch.stack(losses[1:]).mean()
        self._optimiser.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(self.trained.parameters(), 1.0)
        self._optimiser.step()
        self.average.update(self.trained)
        self.step += 1
        return losses[0].detach()

    def _features(self, image: Tensor) -> list[Tensor]:
        spec, size = self.spec, (image.shape[-1], image.shape[-2])
        if spec.encoder != FROZEN:
            with self._reduced_precision():
                return self.network.encoder(image.contiguous(memory_format=torch.channels_last))
        if size not in self._frozen:
            self._frozen[size] = frozen_features(
                self.network.encoder, tuple(image.shape), self.device, spec.feature_precision
            )
        return self._frozen[size](image)

    def _reduced_precision(self) -> torch.autocast:
        return torch.autocast(self.device.partition(":")[0], torch.bfloat16)

    def _read(self, step: int) -> Drawn:
        """Images of a step; step, seed and what is filled decide what is in it."""
        spec = self.spec
        rng = np.random.default_rng((spec.seed, step))
        filled = [cache.filled for cache in self._caches]
        counts = np.array([len(rows) for rows in filled])
        place = int(rng.choice(len(counts), p=counts / counts.sum()))
        cache = self._caches[place]
        width = int(rng.choice((spec.width, *spec.further_widths)))
        size = width, max(32, 32 * round(width * cache.spec.height / cache.spec.width / 32))
        count = max(2, round(spec.batch_size * spec.width * spec.height / (width * size[1])))
        rows = np.sort(rng.choice(filled[place], min(count, counts[place]), replace=False))
        return Drawn(cache.take(rows), size, int(rng.integers(2**62)))

    def _window(self, drawn: Drawn, generator: torch.Generator) -> Cropped:
        images, depths, focals = (array.to(self.device) for array in drawn.arrays)
        limits = CropRange(self.spec.smallest_window)
        image = images.permute(0, 3, 1, 2).float() / 255
        batch = crop(image, depths.float()[:, None], focals, drawn.size, limits, generator)
        return Cropped(relight(batch.image, generator), batch.depth, batch.focal)

    def _metres(self, logits: Tensor, focal: Tensor) -> Tensor:
        canonical = self.network.to_depth(torch.sigmoid(logits))
        reference = self.network.config.reference_focal
        return canonical_to_depth(canonical, focal.view(-1, 1, 1, 1), reference)


def network_config(spec: TrainingSpec) -> DepthNetworkConfig:
    """The network that is trained."""
    pretrained = "" if spec.encoder == SCRATCH else "imagenet"
    return DepthNetworkConfig(name=spec.network, pretrained=pretrained, width=spec.decoder_width)


def _groups(trained: nn.ModuleDict, spec: TrainingSpec) -> list[dict[str, Any]]:
    """A group of each part, with how its rate follows the base rate."""
    shares = {"decoder": 1.0, "encoder": 1.0 if spec.encoder == SCRATCH else spec.tuning_share}
    return [
        {"params": list(part.parameters()), "rate_factor": shares[name]}
        for name, part in trained.items()
    ]


def _thinned(truth: Tensor, depth: Tensor) -> Tensor:
    """The truth at a coarser scale's pixel centres, unblended."""
    step = truth.shape[-1] // depth.shape[-1]
    return truth[..., step // 2 :: step, step // 2 :: step]
