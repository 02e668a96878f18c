# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""config/*.yaml name real parameters and repeat the defaults; the other files are well formed."""

from __future__ import annotations

import json
import re
import xml.etree.ElementTree as ET

import pytest
import yaml

from sfm_depth_ros.config.loading import iter_options
from sfm_depth_ros.config.schema import DepthNodeConfig, TrainerNodeConfig


@pytest.mark.parametrize(
    ("name", "config_class"),
    [("depth.yaml", DepthNodeConfig), ("trainer.yaml", TrainerNodeConfig)],
)
def test_parameter_files_name_options_and_their_defaults(source_tree, name, config_class):
    content = yaml.safe_load((source_tree / "config" / name).read_text())
    defaults = {option.path: option.default for option in iter_options(config_class)}
    for option, value in content["/**"]["ros__parameters"].items():
        expected = defaults[option]
        assert value == (list(expected) if isinstance(expected, tuple) else expected), option
        assert type(value) is (list if isinstance(expected, tuple) else type(expected)), option


def test_the_profile_is_the_default_for_participants(source_tree):
    root = ET.parse(source_tree / "config" / "fastdds.xml").getroot()
    names = {"dds": "http://www.eprosima.com"}
    participant = root.find(".//dds:participant", names)
    assert participant.get("is_default_profile") == "true"
    used = [node.text for node in participant.findall(".//dds:userTransports/*", names)]
    kinds = {
        node.find("dds:transport_id", names).text: node.find("dds:type", names).text
        for node in root.findall(".//dds:transport_descriptor", names)
    }
    assert sorted(kinds[name] for name in used) == ["SHM", "UDPv4"]
    locators = participant.findall(".//dds:defaultUnicastLocatorList/dds:locator/*", names)
    assert [node.tag.rpartition("}")[2] for node in locators] == ["udpv4"]


def test_rviz_shows_our_topics(source_tree):
    content = yaml.safe_load((source_tree / "config" / "depth.rviz").read_text())
    displays = content["Visualization Manager"]["Displays"]
    topics = {display["Topic"]["Value"] for display in displays if "Topic" in display}
    assert topics == {
        "image",
        "depth/color",
        "depth/points",
        "landmarks",
        "depth/confidence",
        "ego_motion/odom",
    }


def _published(source_tree):
    """Topics of depth_node's publishers and of trainer_node's, as their sources name them."""
    text = (source_tree / "sfm_depth_ros" / "ros" / "depth_outputs.py").read_text()
    table = text.partition("_TOPICS")[2].partition("}")[0]
    return set(re.findall(r'"([a-z_/]+)": ', table)) | {"diagnostics", "training/status"}


def test_rviz_names_topics_that_are_published(source_tree):
    content = yaml.safe_load((source_tree / "config" / "depth.rviz").read_text())
    displays = content["Visualization Manager"]["Displays"]
    topics = {display["Topic"]["Value"] for display in displays if "Topic" in display}
    assert len(_published(source_tree)) > 8
    assert topics - {"image"} <= _published(source_tree)


def test_foxglove_shows_every_panel_of_its_layout_and_topics_that_are_published(source_tree):
    content = json.loads((source_tree / "config" / "foxglove.json").read_text())
    panels = []

    def walk(part):
        if isinstance(part, str):
            panels.append(part)
        else:
            walk(part["first"])
            walk(part["second"])

    walk(content["layout"])
    assert sorted(panels) == sorted(content["configById"])
    topics = set(re.findall(r'"/([a-z_/]+)', json.dumps(content)))
    assert topics - {"camera/image_raw"} <= _published(source_tree)
    assert {"depth/color", "depth/points", "landmarks", "ego_motion/odom"} <= topics
