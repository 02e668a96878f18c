# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The table of engines is the only place that lists them."""

from __future__ import annotations

import importlib
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from sfm_depth_ros.engine_table import ENGINES
from sfm_depth_ros.engines.base import Engine
from sfm_depth_ros.model_folder.folder import ModelFolder

ROOT = Path(__file__).resolve().parents[1]

ROW = """
ENGINES["toy"] = EngineKind(
    implementation="sfm_depth_ros.engines.toy_engine:ToyEngine",
    modules=("toy_runtime",),
    extra="toy",
    requirements=("toy-runtime>=2",),
    precisions=("fp32",),
)
"""

# Prints what each part of the package knows of the engines; launch is replaced where it is absent.
QUESTIONS = """
import argparse, importlib.util, json, runpy, sys, types
from pathlib import Path

import setuptools
from sfm_depth_ros.cli import arguments, doctor, info
from sfm_depth_ros.config.schema import DepthNodeConfig
from sfm_depth_ros.engines.factory import create_engine
from sfm_depth_ros.errors import ConfigError, SfmDepthError
from sfm_depth_ros.model_folder.folder import read_model_folder
from sfm_depth_ros import optional

root, model = Path(sys.argv[1]), sys.argv[2]
facts = {}

facts["config"] = DepthNodeConfig(engine="toy").engine
try:
    DepthNodeConfig(engine="unheard_of")
except ConfigError as error:
    facts["refusal"] = str(error)

parser = argparse.ArgumentParser()
arguments.add_inference_arguments(parser)
facts["command"] = parser.parse_args(["model", "--engine", "toy"]).engine

if importlib.util.find_spec("launch_ros") is None:
    for name in ("launch", "launch.actions", "launch_ros", "launch_ros.actions"):
        module = sys.modules[name] = types.ModuleType(name)
        module.__path__ = []
        for kind in ("LaunchContext", "LaunchDescription", "DeclareLaunchArgument",
                     "OpaqueFunction", "SetEnvironmentVariable", "Node"):
            setattr(module, kind, object)
launch_file = runpy.run_path(str(root / "launch" / "depth.launch.py"))
facts["launch"] = launch_file["ARGUMENTS"]["engine"][1]

found = info.collect("")
facts["info"] = [found["engines"]["toy"], found["versions"]["toy-runtime"]]

doctor.is_available = lambda module: module == "toy_runtime"
finding = doctor.check_engines()
facts["doctor"] = [finding.state, finding.detail]
doctor.is_available = lambda module: False
facts["doctor without"] = doctor.check_engines().detail

setuptools.setup = lambda **options: facts.update(extras=options["extras_require"])
runpy.run_path(str(root / "setup.py"))

folder = read_model_folder(model)
facts["named"] = create_engine(folder, "depth", (64, 96), "toy").name
facts["auto"] = sorted(json.loads(Path(sys.argv[3]).read_text()).popitem()[1]) if (
    create_engine(folder, "depth", (64, 96), cache_file=Path(sys.argv[3]))) else None
(root / "toy_runtime.py").unlink()
sys.modules.pop("toy_runtime")
importlib.invalidate_caches()
try:
    create_engine(folder, "depth", (64, 96), "toy")
except SfmDepthError as error:
    facts["remedy"] = str(error)
print(json.dumps(facts))
"""


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A copy of the package with one file and one row more."""
    root = tmp_path / "tree"
    ignored = shutil.ignore_patterns("__pycache__")
    for folder in ("sfm_depth_ros", "launch"):
        shutil.copytree(ROOT / folder, root / folder, ignore=ignored)
    for file in ("setup.py", "README.md"):
        shutil.copy(ROOT / file, root)
    shutil.copy(ROOT / "test" / "toy_engine.py", root / "sfm_depth_ros" / "engines")
    (root / "toy_runtime.py").write_text("", encoding="utf-8")
    with open(root / "sfm_depth_ros" / "engine_table.py", "a", encoding="utf-8") as table:
        table.write(ROW)
    return root


def test_an_engine_is_added_by_one_file_and_one_row(
    tree: Path, tiny_model: ModelFolder, tmp_path: Path
) -> None:
    process = subprocess.run(
        [sys.executable, "-c", QUESTIONS, str(tree), str(tiny_model.path), str(tmp_path / "c")],
        cwd=tree,
        env={**os.environ, "PYTHONPATH": str(tree), "XDG_CACHE_HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert process.returncode == 0, process.stderr
    facts = json.loads(process.stdout.splitlines()[-1])
    assert facts["config"] == facts["command"] == facts["named"] == "toy"
    assert "auto, tensorrt, openvino, onnxruntime, torch, toy" in facts["refusal"]
    assert facts["launch"] == ["", "auto", "tensorrt", "openvino", "onnxruntime", "torch", "toy"]
    assert facts["info"] == ["installed, of an unknown version", "not installed"]
    assert facts["doctor"] == ["ok", "toy"]
    assert facts["doctor without"].endswith("onnxruntime, torch, toy is installed")
    assert facts["extras"]["toy"] == ["toy-runtime>=2"]
    assert "toy-runtime>=2" in facts["extras"]["all"]
    assert "toy fp32" in facts["auto"], "engine: auto has measured it"
    assert "pip install 'toy-runtime>=2'" in facts["remedy"]


@pytest.mark.parametrize("name", ENGINES)
def test_every_row_has_a_class_of_that_name(name: str) -> None:
    module, _, attribute = ENGINES[name].implementation.partition(":")
    if name == "torch":
        pytest.importorskip("torch")
    kind = getattr(importlib.import_module(module), attribute)
    assert issubclass(kind, Engine) and kind.name == name


def test_the_documents_list_every_engine() -> None:
    page = (ROOT / "docs" / "engines.md").read_text(encoding="utf-8")
    table = page[page.index("| engine |") :].partition("\n\n")[0]
    rows = re.sub(r"[\s_-]", "", table.lower())
    for name, kind in ENGINES.items():
        assert f"|{name}" in rows and kind.requirements[0].partition(";")[0] in table
        for precision in (*kind.precisions, *kind.gpu_precisions):
            assert precision in table


def test_setup_reads_the_table(tmp_path: Path) -> None:
    """The extras that were written by hand before."""
    script = (
        "import runpy, setuptools, json\n"
        "setuptools.setup = lambda **o: print(json.dumps(o['extras_require']))\n"
        f"runpy.run_path({str(ROOT / 'setup.py')!r})"
    )
    shown = subprocess.run(
        [sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    extras = json.loads(shown.stdout)
    assert sorted(extras["train"]) == ["onnx", "onnxscript", "torch"]
    assert sorted(extras["cpu"]) == ["onnxruntime", "openvino"]
    assert extras["tensorrt"] == ["onnx", "tensorrt-rtx; platform_machine == 'x86_64'"]
    named = ("train", "cpu", "tensorrt", "bags", "demo", "import", "ros")
    assert set(extras["all"]) == {package for name in named for package in extras[name]}
