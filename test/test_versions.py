# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Facts that several files repeat are the same everywhere."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import sfm_depth_ros

ROOT = Path(__file__).resolve().parents[1]
SETUP = (ROOT / "setup.py").read_text(encoding="utf-8")


def _package() -> ElementTree.Element:
    return ElementTree.parse(ROOT / "package.xml").getroot()


def test_versions_agree() -> None:
    assert _package().findtext("version") == sfm_depth_ros.__version__
    assert '__version__ = "(.+)"' in SETUP  # setup.py reads the package's own
    newest = re.search(r"^(\d+\.\d+\.\d+) \(", (ROOT / "CHANGELOG.rst").read_text(), re.MULTILINE)
    assert newest is not None
    assert newest[1] == sfm_depth_ros.__version__


def test_licences_agree() -> None:
    assert _package().findtext("license") == "Apache-2.0"
    assert 'license="Apache-2.0"' in SETUP
    assert "Apache License" in (ROOT / "LICENSE").read_text(encoding="utf-8")


def test_console_scripts_exist() -> None:
    from importlib import import_module

    for module, function in re.findall(r"= \{PACKAGE\}\.([\w.]+):(\w+)", SETUP):
        assert callable(getattr(import_module(f"sfm_depth_ros.{module}"), function))


def test_constraints_pin_every_direct_dependency() -> None:
    text = "".join(
        (ROOT / name).read_text() for name in ("constraints.txt", "constraints-python.txt")
    )
    pinned = {name.lower() for name in re.findall(r"^([\w.-]+)==", text, re.MULTILINE)}
    table = SETUP[SETUP.index("EXTRAS = {") : SETUP.index("\n}\n")]
    wanted = re.findall(r'"([\w.-]+)(?:\[\w+\])?(?:[<>=].*?)?",?(?=[\s\]",#])', table)
    extras = {"train", "cpu", "bags", "demo", "ros", "test", "dev"}
    # timm comes with torchvision, which must fit whichever torch is installed; rerun-sdk is stood
    # in for by tests
    untested = {"timm", "rerun-sdk"}
    assert {name.lower() for name in wanted} - extras - untested <= pinned


def test_every_source_file_names_its_licence() -> None:
    header = "# Copyright 2026 The sfm_depth_ros authors\n# SPDX-License-Identifier: Apache-2.0\n"
    folders = ("sfm_depth_ros", "test", "launch")
    files = [path for folder in folders for path in sorted((ROOT / folder).rglob("*.py"))]
    assert files
    assert [str(f) for f in files if not f.read_text(encoding="utf-8").startswith(header)] == []
