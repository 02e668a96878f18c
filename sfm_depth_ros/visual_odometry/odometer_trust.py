# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Running statistics of how far odometer and image disagree, and what the odometer is worth."""

from __future__ import annotations

import math
from collections import deque

import numpy as np

from sfm_depth_ros.visual_odometry.median import column_medians, median

_MEMORY = 60  # motions
_FEWEST = 8
_FEWEST_FOR_BIAS = 10
_EVERY = 4  # motions between two evaluations, once there are many
_ROTATION_FLOOR = 3e-5  # rad a motion
_DIRECTION_FLOOR = 5e-4  # share of the length, sideways
_BIAS_FLOOR = 5e-3  # rad/s: an apparent bias below may be the calibration's
_START_BIAS = 0.02  # rad/s, standard deviation before there are statistics
_BIAS_SIGNIFICANCE = 4.0  # standard deviations
_LASTING_SHARE = 0.3  # of a bias
_BENEFIT_OF_DOUBT = 6.0  # on the image's variance: a good odometer is better than the image
_SURPRISE = 5.0  # standard deviations
_START_ROTATION = 1e-3  # rad, before there are statistics
# In traffic and far from everything, landmarks drift by more than wheels slip.
_LEAST_CONTRADICTION = 0.2  # relative length, below which the odometer is believed
_START_DIRECTION = (
    0.1  # share of the length: a mounting may be wrong, and shows before it is believed
)


class RotationTrust:
    """Bias and noise of the odometer's rotation and sideways translation, in camera axes.

    Args:
        up: ``(3,)`` the base's upward axis in the camera's axes.
    """

    def __init__(self, up: np.ndarray) -> None:
        self._up = np.abs(up)
        self._rates: deque[np.ndarray] = deque(maxlen=_MEMORY)  # rad/s
        self._rotations: deque[np.ndarray] = deque(maxlen=_MEMORY)  # rad
        self._directions: deque[np.ndarray] = deque(maxlen=_MEMORY)
        self._excess: deque[np.ndarray] = deque(maxlen=_MEMORY)
        self._direction_excess: deque[np.ndarray] = deque(maxlen=_MEMORY)
        self._count = 0
        self.bias = np.zeros(3)  # rad/s that the odometer reports too much; 0 = not significant
        self.rotation_variance = np.full(3, _START_ROTATION**2)  # rad^2 a motion, without bias
        self.direction_variance = np.full(2, _START_DIRECTION**2)  # shares of the length squared

    def observe(
        self, rotation: np.ndarray, direction: np.ndarray | None, seconds: float,
        rotation_variance: np.ndarray, direction_variance: np.ndarray,
    ) -> np.ndarray:  # fmt: skip
        """Take one disagreement, odometer minus image.

        Args:
            rotation: ``(3,)`` rad.
            direction: ``(2,)`` sideways and vertical share of the length; None while standing.
            seconds: Duration of the motion.
            rotation_variance: ``(3,)`` of the image's rotation.
            direction_variance: ``(2,)`` of the image's direction.

        Returns:
            ``(3,)`` rad^2, variance to add to this one rotation: of a single disagreement that
            the statistics do not explain.
        """
        left = rotation - self.bias * seconds
        expected = self.rotation_variance + rotation_variance
        self._rates.append(rotation / seconds)
        self._rotations.append(rotation - self.bias * seconds)
        self._excess.append(rotation_variance)
        if direction is not None:
            self._directions.append(direction)
            self._direction_excess.append(direction_variance)
        self._count += 1
        if self._count < 3 * _FEWEST or self._count % _EVERY == 0:
            self._update(seconds)
        return np.where(left**2 > _SURPRISE**2 * expected, left**2, 0.0)

    @property
    def has_lasting_bias(self) -> bool:
        """Whether every quarter of the memory shows the bias.

        Traffic past a slow robot feigns one for a while: it is taken out all the same, as the
        newest rotations are consistent with it, but is no reason to blame the odometer.
        """
        if not self.bias.any():
            return False
        quarters = np.array(
            [np.median(part, axis=0) for part in np.array_split(np.array(self._rates), 4)]
        )
        lasts = (quarters * np.sign(self.bias) > _LASTING_SHARE * np.abs(self.bias)).all(0)
        return bool((lasts & (self.bias != 0)).any())

    def _update(self, seconds: float) -> None:
        self.bias, deviation = self._significant_bias(seconds)
        self.rotation_variance = _excess(
            self._rotations, self._excess, 3, _START_ROTATION, _ROTATION_FLOOR
        )
        # a bias that has not been found yet, of yaw, as no robot goes on pitching or rolling;
        # without it landmarks take the odometer's rotations over, and the image agrees with any
        self.rotation_variance += (deviation * self._up * seconds) ** 2
        self.direction_variance = _excess(
            self._directions, self._direction_excess, 2, _START_DIRECTION, _DIRECTION_FLOOR
        )

    def _significant_bias(self, seconds: float) -> tuple[np.ndarray, np.ndarray]:
        """The bias, 0 where it may be chance, and its standard deviation, ``(3,)`` rad/s each."""
        if len(self._rates) < _FEWEST_FOR_BIAS:
            return np.zeros(3), np.full(3, _START_BIAS)
        rates = np.array(self._rates)
        centre = column_medians(rates)
        spread = 1.4826 * column_medians(np.abs(rates - centre))
        by_image = np.sqrt(column_medians(np.array(self._excess))) / seconds
        noise = np.maximum(spread, by_image)  # what agrees may have been made to agree
        deviation = np.minimum(1.25 * noise / np.sqrt(len(rates)), _START_BIAS)
        bound = np.maximum(_BIAS_SIGNIFICANCE * deviation, _BIAS_FLOOR)
        return np.where(np.abs(centre) > bound, centre, 0.0), deviation


def _excess(
    disagreements: deque[np.ndarray], explained: deque[np.ndarray], size: int, start: float,
    floor: float,
) -> np.ndarray:  # fmt: skip
    """Part of the disagreements that the image's own uncertainty does not explain."""
    if len(disagreements) < _FEWEST:
        return np.full(size, start**2)
    observed = (1.4826 * column_medians(np.abs(np.array(disagreements)))) ** 2
    image = _BENEFIT_OF_DOUBT * column_medians(np.array(explained))
    return np.maximum(observed - image, floor**2)


class LengthTrust:
    """Kalman filter of one number: the logarithm of how far the landmarks' scale has drifted.

    Landmarks keep their scale for a while, the odometer's length keeps it for ever: a wheel that
    slips is an innovation that the landmarks' drift does not explain, and is not taken.
    """

    def __init__(
        self,
        drift: float = 0.006,
        noise: float = 0.015,
        gate: float = 5.0,
        start: float = 0.03,
        patience: int = 15,
    ) -> None:
        """Begin with landmarks that were scaled by the odometer.

        Args:
            drift: Standard deviation of the landmarks' scale a motion, relative.
            noise: Expected standard deviation of an innovation, relative.
            gate: Standard deviations beyond which the odometer is not believed.
            start: Standard deviation of the first scale, relative.
            patience: Motions in a row for which the odometer may be disbelieved.
        """
        self._drift, self._gate = drift, gate
        self._variance = start**2
        self._start = start
        self._noise = noise
        self._patience = patience
        self._rejected = 0
        self._recent: deque[float] = deque(maxlen=3)
        self._spread: deque[float] = deque(maxlen=_MEMORY)

    def restart(self) -> None:
        """New landmarks, scaled by the odometer."""
        self._variance = self._start**2
        self._recent.clear()
        self._rejected = 0

    @property
    def deviation(self) -> float:
        """Standard deviation of the landmarks' scale, relative."""
        return math.sqrt(self._variance)

    @property
    def noise(self) -> float:
        """Standard deviation of an innovation, relative."""
        if len(self._spread) < _FEWEST:
            return self._noise
        return max(1.4826 * median(np.abs(np.array(self._spread) - self._usual)), 0.004)

    @property
    def _usual(self) -> float:
        """Median of the innovations that were believed."""
        return median(np.array(self._spread)) if len(self._spread) >= _FEWEST else 0.0

    def coast(self) -> None:
        """One motion without a measured length."""
        self._variance += self._drift**2
        self._recent.clear()

    def update(
        self, innovation: float, residual: float, seen_variance: float = 0.0
    ) -> float | None:
        """Take one measured length.

        Args:
            innovation: log(measured / visual length) of the newest motion, before refinement:
                independent of the odometer, but a little short where inverse depths are noisy.
            residual: The same of the refined motions before it, which is unbiased.
            seen_variance: Of the logarithm of the visual length.

        Returns:
            The logarithm of the factor by which the landmarks' metres are to be corrected; None
            where the odometer is not believed.
        """
        self._variance += self._drift**2
        self._recent.append(innovation)
        noise, usual = self.noise, self._usual
        mean = sum(self._recent) / len(self._recent) - usual
        allowed = self._gate * math.sqrt(self._variance + noise**2 + seen_variance)
        worst = max(abs(mean), abs(innovation - usual))
        if worst > max(allowed, _LEAST_CONTRADICTION):
            self._rejected += 1
            if self._rejected < self._patience:
                return None
            # the landmarks' own scale is no better by now
            self.restart()
            return mean
        self._rejected = 0
        self._spread.append(innovation)
        gain = self._variance / (self._variance + noise**2)
        self._variance *= 1.0 - gain
        return gain * residual
