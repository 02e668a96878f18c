# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Pages are whole, escape what they are given, and load nothing."""

from __future__ import annotations

import base64
import re
from html.parser import HTMLParser
from xml.etree import ElementTree

import cv2
import numpy as np

from sfm_depth_ros.report import page as html
from sfm_depth_ros.report.pictures import encode, picture_source, shrunk
from sfm_depth_ros.report.plots import Line, line_plot, svg_source

VOID = {"meta", "img", "link", "br"}
NASTY = "<b onclick='x'>&\"</b>"


class _Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.words: list[str] = []
        self.seen: list[str] = []

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.seen += [name for name, _ in attributes]
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.words.append(data)


def test_every_part_escapes_its_text() -> None:
    picture = picture_source(np.zeros((4, 6, 3), np.uint8))
    text = html.page(
        NASTY,
        NASTY,
        [
            html.cards([(NASTY, NASTY)]),
            html.section(NASTY, html.heading(NASTY), html.paragraph(NASTY)),
            html.table([NASTY], [[NASTY]]),
            html.plots([html.figure(NASTY, picture, "plot wide")]),
            html.legend([(picture, [NASTY])]),
        ],
    )
    tags = _Tags()
    tags.feed(text)
    assert tags.open == []
    assert "onclick" not in tags.seen
    assert "alt" in tags.seen
    assert tags.words.count(NASTY) == 12  # the window's title too
    assert not re.search(r"""(src|href)=["'](?!data:)""", text)


def test_unknown_figures_are_dashes() -> None:
    assert html.number(None) == html.DASH
    assert html.number(0.12345) == "0.123"
    assert html.number(3.14159, "{:.1f} %") == "3.1 %"


def test_pictures_keep_their_colours_and_shrink_to_a_width() -> None:
    picture = np.zeros((30, 60, 3), np.uint8)
    picture[..., 0], picture[:, :30, 2] = 200, 100
    decoded = cv2.imdecode(np.frombuffer(encode(picture, ".png"), np.uint8), 1)[..., ::-1]
    np.testing.assert_array_equal(decoded, picture)
    small = shrunk(picture, 20)
    assert small.shape == (10, 20, 3)
    assert small[0, 0].tolist() == [200, 0, 100]
    assert shrunk(picture, 60) is picture


def test_a_plot_has_its_lines_and_none_is_drawn_of_nothing() -> None:
    svg = line_plot([Line("alpha", [0, 1], [1, 2]), Line("beta", [], [])], "steps", "loss")
    root = ElementTree.fromstring(svg)
    assert root.tag.endswith("svg")
    assert base64.b64decode(svg_source(svg).split(",")[1]).decode() == svg
    assert line_plot([Line("beta", [], [])], "steps", "loss") == ""
