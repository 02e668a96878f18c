# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The whole objective against an independent, slow composition in numpy."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from torch import Tensor

from sfm_depth_ros.config.schema import ObjectiveConfig
from sfm_depth_ros.geometry.se3 import motion_to_transform
from sfm_depth_ros.losses.inputs import Prediction
from sfm_depth_ros.losses.objective import LossTerms, self_supervised_objective
from sfm_depth_ros.snippets.batch import SnippetBatch

HEIGHT, WIDTH = 8, 12
CONFIG = ObjectiveConfig(smoothness_weight=0.1)


@dataclasses.dataclass(frozen=True)
class Case:
    """Everything the objective sees, in float64; two scales, two sources."""

    target: Tensor
    sources: Tensor
    depths: list[Tensor]
    K: Tensor
    motion: Tensor
    displacements: Tensor
    valid: Tensor | None = None

    def terms(self, config: ObjectiveConfig = CONFIG) -> LossTerms:
        observed = SnippetBatch(self.target, self.sources, self.K, self.displacements, self.valid)
        predicted = Prediction(self.depths, motion_to_transform(self.motion))
        return self_supervised_objective(observed, predicted, config)


@pytest.fixture
def case() -> Case:
    generator = torch.Generator().manual_seed(3)

    def double(*shape: int) -> Tensor:
        return torch.rand(*shape, generator=generator, dtype=torch.float64)

    # Random sources differ so much from the target that some pixels prefer the unwarped one.
    target = double(2, 3, HEIGHT, WIDTH)
    sources = 0.5 * double(2, 2, 3, HEIGHT, WIDTH) + 0.5 * target[:, None]
    depths = [2 + double(2, 1, HEIGHT, WIDTH), 2 + double(2, 1, HEIGHT // 2, WIDTH // 2)]
    K = torch.tensor([[9.0, 0, 5.4], [0, 9.5, 3.6], [0, 0, 1]], dtype=torch.float64)
    motion = (double(2, 2, 6) - 0.5) * 0.4
    displacements = torch.tensor([[0.3, float("nan")], [0.1, 0.2]], dtype=torch.float64)
    return Case(target, sources, depths, K.repeat(2, 1, 1), motion, displacements)


def _windows(image: np.ndarray) -> np.ndarray:
    padded = np.pad(image, ((0, 0), (1, 1), (1, 1)), mode="reflect")
    view = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), axis=(1, 2))
    return view.reshape(*image.shape, 9)


def _error(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """0.85 (1 - SSIM) / 2 + 0.15 L1 of two (3, H, W) images, (H, W)."""
    wa, wb = _windows(a), _windows(b)
    ma, mb = wa.mean(-1), wb.mean(-1)
    covariance = (wa * wb).mean(-1) - ma * mb
    similarity = (2 * ma * mb + 1e-4) * (2 * covariance + 9e-4)
    similarity /= (ma**2 + mb**2 + 1e-4) * (wa.var(-1) + wb.var(-1) + 9e-4)
    return 0.85 * ((1 - similarity) / 2).mean(0) + 0.15 * np.abs(a - b).mean(0)


def _sample(image: np.ndarray, x: float, y: float) -> np.ndarray:
    x, y = np.clip(x, 0, WIDTH - 1), np.clip(y, 0, HEIGHT - 1)
    x0, y0 = min(int(x), WIDTH - 2), min(int(y), HEIGHT - 2)
    a, b = x - x0, y - y0
    top = image[:, y0, x0] * (1 - a) + image[:, y0, x0 + 1] * a
    bottom = image[:, y0 + 1, x0] * (1 - a) + image[:, y0 + 1, x0 + 1] * a
    return top * (1 - b) + bottom * b


def _warp(
    image: np.ndarray, depth: np.ndarray, K: np.ndarray, T: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    warped, inside = np.empty_like(image), np.empty((HEIGHT, WIDTH), bool)
    for v, u in np.ndindex(HEIGHT, WIDTH):
        point = T[:3, :3] @ (depth[v, u] * np.linalg.inv(K) @ [u, v, 1.0]) + T[:3, 3]
        x, y, z = K @ point
        warped[:, v, u] = _sample(image, x / z, y / z)
        inside[v, u] = 0 <= x / z <= WIDTH - 1 and 0 <= y / z <= HEIGHT - 1
    return warped, inside


def _upsampled(depth: np.ndarray) -> np.ndarray:
    """Twice the size by bilinear interpolation of 1 / depth at half-pixel centres."""
    h, w = depth.shape
    full = np.empty((2 * h, 2 * w))
    for v, u in np.ndindex(*full.shape):
        y, x = np.clip((v + 0.5) / 2 - 0.5, 0, h - 1), np.clip((u + 0.5) / 2 - 0.5, 0, w - 1)
        y0, x0 = min(int(y), h - 2), min(int(x), w - 2)
        b, a = y - y0, x - x0
        rows = (1 / depth[y0 : y0 + 2, x0 : x0 + 2]) @ [1 - a, a]
        full[v, u] = 1 / (rows @ [1 - b, b])
    return full


def _reference_photometric(case: Case, auto_mask: bool) -> float:
    T = motion_to_transform(case.motion).numpy()
    means = []
    for depth in case.depths:
        errors = []
        for b in range(2):
            full = depth[b, 0].numpy()
            full = full if full.shape == (HEIGHT, WIDTH) else _upsampled(full)
            target = case.target[b].numpy()
            candidates = []
            for s in range(2):
                source = case.sources[b, s].numpy()
                warped, inside = _warp(source, full, case.K[b].numpy(), T[b, s])
                candidates.append(np.where(inside, _error(warped, target), np.inf))
                if auto_mask:
                    candidates.append(_error(source, target))
            errors.append(np.min(candidates, axis=0))
        finite = np.stack(errors)[np.isfinite(errors)]
        means.append(finite.mean())
    return float(np.mean(means))


def _reference_smoothness(case: Case) -> float:
    values = []
    for scale, depth in enumerate(case.depths):
        factor = 2**scale
        image = case.target.numpy()
        h, w = HEIGHT // factor, WIDTH // factor
        image = image.reshape(2, 3, h, factor, w, factor).mean((3, 5))
        inverse = 1 / depth.numpy()
        inverse /= inverse.mean((2, 3), keepdims=True)
        value = 0.0
        for axis in (2, 3):
            edges = np.abs(np.diff(image, axis=axis)).mean(1, keepdims=True)
            value += (np.abs(np.diff(inverse, axis=axis)) * np.exp(-edges)).mean()
        values.append(value / factor)
    return float(np.mean(values))


@pytest.mark.parametrize("auto_mask", [True, False])
def test_terms_equal_the_reference(case: Case, auto_mask: bool) -> None:
    config = dataclasses.replace(CONFIG, auto_mask=auto_mask)
    terms = case.terms(config)
    photometric = _reference_photometric(case, auto_mask)
    smoothness = _reference_smoothness(case)
    lengths = case.motion[..., :3].norm(dim=-1)
    known = [abs(float(lengths[b, s] - case.displacements[b, s])) for b, s in
             ((0, 0), (1, 0), (1, 1))]  # fmt: skip
    assert float(terms.photometric) == pytest.approx(photometric, abs=2e-6)
    assert float(terms.smoothness) == pytest.approx(smoothness, abs=1e-9)
    assert float(terms.velocity) == pytest.approx(np.mean(known), abs=1e-9)
    total = photometric + 0.1 * smoothness + config.velocity_weight * np.mean(known)
    assert float(terms.total) == pytest.approx(total, abs=2e-6)


def test_float32_is_close_to_float64(case: Case) -> None:
    single = Case(
        case.target.float(), case.sources.float(), [d.float() for d in case.depths],
        case.K.float(), case.motion.float(), case.displacements.float(),
    )  # fmt: skip
    assert single.terms().total.dtype == torch.float32
    assert float(single.terms().total) == pytest.approx(float(case.terms().total), abs=1e-5)


@pytest.mark.parametrize("reduction", ["minimum", "mean"])
@pytest.mark.parametrize("masked", [False, True])
def test_gradients_by_finite_differences(case: Case, reduction: str, masked: bool) -> None:
    config = dataclasses.replace(CONFIG, reduction=reduction)
    valid = None
    if masked:
        valid = torch.ones(2, 1, HEIGHT, WIDTH, dtype=torch.bool)
        valid[..., :2] = False
    fine, coarse = (depth.clone().requires_grad_() for depth in case.depths)
    motion = case.motion.clone().requires_grad_()

    def total(fine: Tensor, coarse: Tensor, motion: Tensor) -> Tensor:
        varied = dataclasses.replace(case, depths=[fine, coarse], motion=motion, valid=valid)
        return varied.terms(config).total

    assert torch.autograd.gradcheck(
        total, (fine, coarse, motion), eps=1e-7, atol=1e-5, rtol=1e-3, fast_mode=True
    )


def test_true_depth_and_motion_are_a_minimum() -> None:
    # A fronto-parallel wall 5 m away, camera 0.5 m to the side: the image moves by 1 pixel.
    texture = torch.rand(1, 3, HEIGHT, WIDTH + 1, generator=torch.Generator().manual_seed(0))
    target, source = texture[..., 1:].contiguous(), texture[..., :-1].contiguous()
    K = torch.tensor([[10.0, 0, 5.5], [0, 10, 3.5], [0, 0, 1]])[None]
    T = motion_to_transform(torch.tensor([[[0.5, 0, 0, 0, 0, 0]]]))
    # What has left the source, and the windows that touch it, are left out.
    seen = torch.ones(1, 1, HEIGHT, WIDTH, dtype=torch.bool)
    seen[..., -2:] = False
    config = dataclasses.replace(CONFIG, auto_mask=False)

    def photometric(depth: float) -> float:
        depths = [torch.full((1, 1, HEIGHT, WIDTH), depth)]
        observed = SnippetBatch(target, source[:, None], K, torch.tensor([[0.5]]), seen)
        terms = self_supervised_objective(observed, Prediction(depths, T), config)
        return terms.as_floats()["photometric"]

    assert photometric(5.0) < 1e-5
    assert photometric(4.0) > 0.02 and photometric(7.0) > 0.02


def test_standing_still_teaches_nothing(case: Case) -> None:
    depths = [depth.clone().requires_grad_() for depth in case.depths]
    still = dataclasses.replace(
        case, sources=case.target[:, None].repeat(1, 2, 1, 1, 1), depths=depths
    )
    terms = still.terms(dataclasses.replace(CONFIG, smoothness_weight=0.0))
    terms.total.backward()
    assert terms.as_floats()["photometric"] == pytest.approx(0.0, abs=1e-12)
    assert all(depth.grad is not None and (depth.grad == 0).all() for depth in depths)


def test_invalid_pixels_do_not_matter(case: Case) -> None:
    valid = torch.ones(2, 1, HEIGHT, WIDTH, dtype=torch.bool)
    valid[..., :3] = False
    masked = dataclasses.replace(case, valid=valid)
    garbage = torch.where(valid, case.target, torch.zeros(()).double())
    soiled = torch.where(valid[:, None], case.sources, torch.ones(()).double())
    changed = dataclasses.replace(masked, target=garbage, sources=soiled)
    assert float(changed.terms().photometric) == pytest.approx(
        float(masked.terms().photometric), abs=1e-12
    )


def test_all_valid_is_the_same_as_no_mask_inside(case: Case) -> None:
    valid = torch.ones(2, 1, HEIGHT, WIDTH, dtype=torch.bool)
    masked = dataclasses.replace(case, valid=valid)
    assert float(masked.terms().total) == pytest.approx(float(case.terms().total), abs=1e-12)


def test_nothing_valid_is_zero_and_finite(case: Case) -> None:
    valid = torch.zeros(2, 1, HEIGHT, WIDTH, dtype=torch.bool)
    depths = [depth.clone().requires_grad_() for depth in case.depths]
    terms = dataclasses.replace(case, valid=valid, depths=depths).terms()
    terms.total.backward()
    assert terms.as_floats()["photometric"] == 0.0
    assert all(d.grad is not None and d.grad.isfinite().all() for d in depths)


def test_terms_become_numbers_and_take_supervision(case: Case) -> None:
    terms = case.terms()
    assert list(terms.as_floats()) == ["total", "photometric", "smoothness", "velocity"]
    parts = {"depth_supervision": torch.tensor(2.0), "motion_supervision": torch.tensor(3.0)}
    supervised = terms.with_supervision(parts, weight=0.5)
    assert float(supervised.total) == pytest.approx(float(terms.total) + 2.5)
    assert supervised.as_floats()["motion_supervision"] == 3.0


def test_wrong_shapes_are_refused(case: Case) -> None:
    with pytest.raises(ValueError, match="sources"):
        dataclasses.replace(case, sources=case.sources[:, 0]).terms()
    with pytest.raises(ValueError, match="depths"):
        dataclasses.replace(case, depths=[]).terms()
    with pytest.raises(ValueError, match="valid"):
        dataclasses.replace(case, valid=torch.ones(2, HEIGHT, WIDTH, dtype=torch.bool)).terms()
