# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Remarks and wrong inputs of a recorded drive, in the words that the nodes have for them."""

from __future__ import annotations

import logging
from collections import Counter

from sfm_depth_ros.errors import kind_of
from sfm_depth_ros.estimation.depth_result import DepthResult

FAULTY = 0.1  # share of the images from which a wrong input is named
LACKING = 0.5  # share of the images from which a missing part of the results is named
FEWEST = 5  # images below which nothing is named
_logger = logging.getLogger(__name__)


class DriveNotes:
    """Counts by kind what results say, and logs at the end what holds for many of them."""

    def __init__(self) -> None:
        self._results = 0
        self._faults: Counter[str] = Counter()
        self._remarks: Counter[str] = Counter()
        self._newest: dict[str, str] = {}  # Text by kind

    def add(self, result: DepthResult) -> None:
        """Take the next result."""
        self._results += 1
        for fault in result.faults:
            self._faults[fault.kind] += 1
            self._newest[fault.kind] = fault.text
        for kind, text in {kind_of(remark): remark for remark in result.remarks}.items():
            self._remarks[kind] += 1
            self._newest[kind] = text

    def lines(self) -> list[str]:
        """Wrong inputs, then what many results lack, the commonest first."""
        if self._results < FEWEST:
            return []
        found = [
            self._newest[kind]
            for kind, count in self._faults.most_common()
            if count >= FAULTY * self._results
        ]
        found += [
            f"{count} of {self._results} images: {self._newest[kind]}"
            for kind, count in self._remarks.most_common()
            if count >= LACKING * self._results
        ]
        return found

    def log(self, name: str) -> None:
        """Log every line, with the drive's name before it."""
        for line in self.lines():
            _logger.warning("%s: %s", name, line)
