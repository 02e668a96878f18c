# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Trust in measured metres: how much of a factor is applied, and when nothing may be learnt.

Slip and wrong units look like a model that is wrong by a factor. A small factor is believed in
proportion to its evidence. One beyond ``LARGEST`` needs a second witness: the height of the camera
above the floor, the same factor in a later stretch, or a person.

A good model's depth may be wrong by 1.9 in one place of a drive and right in the next. So once a
camera is calibrated only what an odometer's fault does is doubted: the factors of depth and of
translations leave their usual values together, in one direction.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from statistics import median

from sfm_depth_ros.training.scale_calibration import ScaleMeasurement, trusted_factor

LARGEST = 1.3  # factor, in either direction, that the odometer alone may cause
JOINT = math.log(1.5)  # by which both factors leave their usual values when the odometer fails
REMEMBERED = 20  # stretches that make the usual values
LARGEST_OF_STRETCHES = 2.0  # the same where two stretches agree: units err by more
APART_S = 30.0  # between two stretches that are witnesses of each other; wheels slip for less
AGREEMENT = math.log(1.15)  # between a factor and its witness
LARGEST_SPREAD = math.log(1.35)  # of one stretch's snippets; more is a mixture
KILOMETRES_PER_HOUR = 3.6
_UNIT = math.log(1.12)  # a good model's own bias beside a unit's factor


@dataclass(frozen=True)
class Stretch:
    """Measurement of both scales on one stretch of driving."""

    found: ScaleMeasurement
    snippets: int  # that the measurement speaks for
    first_ns: int  # Stamp of its first image
    last_ns: int  # Stamp of its last image
    floor_factor: float = math.nan  # Depth factor that the camera's height demands; NaN = unknown


@dataclass(frozen=True)
class ScaleDecision:
    """Part of a measurement that is applied."""

    depth: float = 1.0  # Factor of depths
    translation: float = 1.0  # Factor of translations
    doubt: str = ""  # Why nothing may be learnt from this stretch; empty = its metres are believed
    remark: str = ""  # What was left out of a believed measurement


class MetreTrust:
    """Decides over measured factors, and remembers the one that waits for a witness."""

    def __init__(self) -> None:
        self.pending: Stretch | None = None  # whose factor waits for a witness or a person
        self._usual: deque[tuple[float, float]] = deque(maxlen=REMEMBERED)

    def decide(self, stretch: Stretch, is_first: bool = True) -> ScaleDecision:
        """Decide over one stretch.

        Args:
            stretch: The measurement.
            is_first: Whether it is to calibrate a camera; later ones apply nothing small.

        The depth's factor is about the odometer and the images alone. Where it is small, the
        odometer is right, and a large factor of translations is the pose network's own: it is
        left to training.
        """
        found = stretch.found
        if not is_first and not found.triangulated:
            return ScaleDecision()  # a search is too weak to doubt what was believed
        if not found.is_known or found.is_at_limit or found.spread > LARGEST_SPREAD:
            self.pending = None
            return ScaleDecision(doubt=_unusable(found))
        if self._is_usual(found, is_first):
            self._remember(found)
            return _small(stretch) if is_first else ScaleDecision()
        witness = self._witness(stretch)
        if witness == "floor":
            self._remember(found)
            return _entire(found)
        if witness == "stretch":  # of one kind of place perhaps: in part, as a small one
            self._remember(found)
            return _in_part(stretch)
        if self.pending is None or not _agree(found, self.pending.found):
            self.pending = stretch
        return ScaleDecision(doubt=_doubt(stretch))

    def accept(self) -> ScaleDecision | None:
        """Take a person's word for the pending factors; None where none are pending."""
        pending, self.pending = self.pending, None
        if pending is None:
            return None
        self._usual.clear()
        self._remember(pending.found)
        return _entire(pending.found)

    @property
    def usual(self) -> list[tuple[float, float]]:
        """Logarithms of the believed factors of (depth, translation), oldest first."""
        return list(self._usual)

    @usual.setter
    def usual(self, factors: Iterable[tuple[float, float]]) -> None:
        self._usual = deque(factors, maxlen=REMEMBERED)

    def note_applied(self, depth: float, translation: float) -> None:
        """Both scales were multiplied: what is usual changes by as much."""
        logs = math.log(depth), math.log(translation)
        moved = [(d - logs[0], t - logs[1]) for d, t in self._usual]
        self._usual = deque(moved, maxlen=REMEMBERED)

    def _is_usual(self, found: ScaleMeasurement, is_first: bool) -> bool:
        if is_first:
            return _is_within(found.depth_factor, LARGEST)
        known = [(d, t) for d, t in self._usual if math.isfinite(t)]
        if not known or not math.isfinite(found.translation_factor):
            return _is_within(found.depth_factor, LARGEST_OF_STRETCHES)
        depth = math.log(found.depth_factor) - median(d for d, _ in known)
        translation = math.log(found.translation_factor) - median(t for _, t in known)
        return depth * translation < 0 or min(abs(depth), abs(translation)) < JOINT

    def _remember(self, found: ScaleMeasurement) -> None:
        self.pending = None
        factor = found.translation_factor
        translation = math.log(factor) if math.isfinite(factor) else math.nan
        self._usual.append((math.log(found.depth_factor), translation))

    def _witness(self, stretch: Stretch) -> str:
        """``floor`` or ``stretch``, or an empty string without a witness."""
        factor, floor = stretch.found.depth_factor, stretch.floor_factor
        if math.isfinite(floor):
            return "floor" if abs(math.log(factor / floor)) < AGREEMENT else ""
        earlier = self.pending
        is_seen_again = (
            earlier is not None
            and stretch.first_ns - earlier.last_ns > APART_S * 1e9
            and _is_within(factor, LARGEST_OF_STRETCHES)
            and _agree(stretch.found, earlier.found)
        )
        return "stretch" if is_seen_again else ""


def trusted_within(factor: float, snippets: int) -> float:
    """Part of a small factor that is applied; 1 for one that needs a witness."""
    return trusted_factor(factor, snippets) if is_small(factor) else 1.0


def is_small(factor: float) -> bool:
    """Whether it may be that of a few places, and needs no witness."""
    return _is_within(factor, LARGEST)


def _small(stretch: Stretch) -> ScaleDecision:
    """Decision about a depth factor that needs no witness."""
    found = stretch.found
    certainty = 1.0 / (1.0 + (found.spread / AGREEMENT) ** 2)
    snippets = round(stretch.snippets * certainty)
    depth = trusted_factor(found.depth_factor, snippets)
    if _is_within(found.translation_factor, LARGEST):
        return ScaleDecision(depth, trusted_factor(found.translation_factor, snippets))
    remark = f"translation x {found.translation_factor:.3f} is left to training"
    return ScaleDecision(depth, remark=remark)


def _unusable(found: ScaleMeasurement) -> str:
    if not found.is_known:
        return "the scale of depth cannot be measured: too little parallax or texture"
    factor = f"x {found.depth_factor:.3f}"
    if found.is_at_limit:
        return (
            f"the search for the scale of depth ended at its limit, {factor}: these images are "
            "unlike anything learnt, or the velocities have another unit"
        )
    return (
        f"the snippets contradict each other: depth {factor} with a spread of x "
        f"{math.exp(found.spread):.2f}; do wheels slip?"
    )


def _doubt(stretch: Stretch) -> str:
    found = stretch.found
    hint = "do wheels slip, or have the velocities another unit?"
    if abs(math.log(found.depth_factor / KILOMETRES_PER_HOUR)) < _UNIT:
        hint = "velocities look like km/h, expected are m/s"
    if math.isfinite(stretch.floor_factor):
        hint += f"; the camera's height demands depth x {stretch.floor_factor:.3f}"
    return (
        f"measured scales are not believed: depth x {found.depth_factor:.3f}, translation x "
        f"{found.translation_factor:.3f}, at most x {LARGEST:g} without a witness; {hint}; "
        "~/accept_scale applies them"
    )


def _agree(one: ScaleMeasurement, other: ScaleMeasurement) -> bool:
    return abs(math.log(one.depth_factor / other.depth_factor)) < AGREEMENT


def _is_within(factor: float, largest: float) -> bool:
    """Whether a factor is at most ``largest`` in either direction; an unknown one is."""
    return not math.isfinite(factor) or abs(math.log(factor)) <= math.log(largest)


def _entire(found: ScaleMeasurement) -> ScaleDecision:
    translation = found.translation_factor
    return ScaleDecision(found.depth_factor, translation if math.isfinite(translation) else 1.0)


def _in_part(stretch: Stretch) -> ScaleDecision:
    found, snippets = stretch.found, stretch.snippets
    return ScaleDecision(
        depth=trusted_factor(found.depth_factor, snippets),
        translation=trusted_factor(found.translation_factor, snippets),
    )
