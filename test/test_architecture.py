# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Imports between rooms: the two laws, the allowed arrows, and work without torch."""

from __future__ import annotations

import ast
import importlib.util
import json
import re
import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "sfm_depth_ros"

ROS_ROOMS = {"ros"}
ROS_MODULES = {
    "rclpy", "launch", "launch_ros", "tf2_ros", "tf2_py", "cv_bridge", "message_filters",
    "ament_index_python", "rosbag2_py", "sensor_msgs_py",
}  # fmt: skip
ROS_ENDINGS = ("_msgs", "_srvs", "_interfaces")
BACKENDS = ["tensorrt", "tensorrt_rtx", "onnxruntime", "openvino", "rosbags", "cv2"]

# Rooms from the ground up; each may import what stands above it in this list and is named here.
GROUND = {
    "errors", "optional", "config", "share", "shared_memory", "storage", "engine_table",
}  # fmt: skip
VALUES = {"geometry", "snippets", "camera"} | GROUND
LEARNT = {"networks", "networks.published", "losses", "model_folder", "engines.graphs"}
ARROWS = {
    "errors": set(),
    "optional": {"errors", "engine_table"},
    "share": {"errors"},
    "storage": set(),
    "shared_memory": set(),
    "engine_table": set(),
    "config": {"errors", "engine_table"},
    "geometry": GROUND,
    "snippets": {"geometry"} | GROUND,
    "camera": {"geometry", "snippets"} | GROUND,
    "messages": VALUES,
    "message_builder": VALUES,
    "losses": {"geometry", "snippets"} | GROUND,
    "networks": {"geometry"} | GROUND,
    "networks.published": {"networks"} | GROUND,
    "visual_odometry": VALUES,
    "bags": {"messages", "message_builder", "visual_odometry"} | VALUES,
    "world": {"bags"} | VALUES,
    "report": GROUND,
    "inspection": {"bags", "messages"} | VALUES,
    "engines.graphs": {"networks"} | GROUND,
    "model_folder": {"networks", "engines.graphs", "geometry"} | GROUND,
    "engines": {"networks", "model_folder", "engines.graphs"} | GROUND,
    "estimation": {"bags", "visual_odometry", "engines", "model_folder", "networks"} | VALUES,
    "evaluation": {"estimation", "bags", "visual_odometry", "engines", "model_folder"} | VALUES,
    "training": {"evaluation", "visual_odometry", "world", "bags"} | LEARNT | VALUES,
    "training.online": {"training", "visual_odometry"} | LEARNT | VALUES,
    "training.offline": {"training", "bags", "world"} | LEARNT | VALUES,
}
BELOW_ROS = set(ARROWS)
ARROWS["ros"] = BELOW_ROS
ARROWS["cli"] = BELOW_ROS

# What computes with tensors. Everything else runs on a robot that has no torch.
NEEDS_TORCH = (
    "geometry.direct_alignment", "geometry.flow", "geometry.pinhole", "geometry.se3",
    "geometry.stereo", "geometry.warping",
    "losses", "networks", "world", "snippets.batch", "snippets.augmentation",
    "snippets.rotations", "snippets.zoom",
    "training", "engines.graphs.export", "engines.torch_engine", "model_folder.loading",
    "model_folder.saving", "ros.moving_view", "ros.trainer_node", "cli.benchmarks",
)  # fmt: skip
TORCH_FREE = ("training.online.status",)

IMPORT_ALL = """
import importlib, json, sys, traceback
blocked, endings, modules = json.loads(sys.argv[1])

class Without:
    def __init__(self, finder):
        self.finder = finder
    def find_spec(self, name, path=None, target=None):
        top = name.partition(".")[0]
        if top in blocked or top.endswith(tuple(endings) or ("\\0",)):
            return None
        return self.finder.find_spec(name, path, target)

sys.meta_path = [Without(finder) for finder in sys.meta_path]
failures = {}
for module in modules:
    try:
        importlib.import_module(module)
    except Exception as error:
        place = traceback.extract_tb(error.__traceback__)[-1]
        failures[module] = f"{type(error).__name__}: {error} ({place.filename}:{place.lineno})"
loaded = [m for m in sys.modules if m in blocked or m.endswith(tuple(endings) or ("\\0",))]
print(json.dumps([failures, loaded]))
"""


def _modules() -> dict[str, Path]:
    """Name of every module of the package, and its file."""
    found = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(ROOT).with_suffix("").parts
        parts = parts[:-1] if parts[-1] == "__init__" else parts
        if parts[-1] != "__main__":
            found[".".join(parts)] = path
    return found


MODULES = _modules()


def _room(module: str) -> str:
    """Innermost room that a module lies in; "" for the package itself."""
    parts = module.split(".")[1:]
    inner = ".".join(parts[:2])
    return inner if inner in ARROWS else parts[0] if parts else ""


def _imports(path: Path) -> Iterator[str]:
    """Full names of everything a file imports, inside functions and by name too."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Call) and node.args and _imports_by_name(node.func):
            argument = node.args[0]
            if isinstance(argument, ast.Constant) and isinstance(argument.value, str):
                yield argument.value


def _imports_by_name(function: ast.expr) -> bool:
    name = getattr(function, "attr", getattr(function, "id", ""))
    return name in ("import_module", "__import__", "require")


def _is_ros(module: str) -> bool:
    top = module.partition(".")[0]
    return top in ROS_MODULES or top.endswith(ROS_ENDINGS)


def _needs_torch(module: str) -> bool:
    def among(names: Iterable[str]) -> bool:
        full = [f"sfm_depth_ros.{name}" for name in names]
        return any(module == name or module.startswith(f"{name}.") for name in full)

    return among(NEEDS_TORCH) and not among(TORCH_FREE)


def _import_without(
    blocked: Iterable[str], modules: Iterable[str], endings: Iterable[str] = ()
) -> None:
    """Import modules in a fresh process in which some others cannot be found."""
    question = json.dumps([list(blocked), list(endings), list(modules)])
    answer = subprocess.run(
        [sys.executable, "-c", IMPORT_ALL, question],
        cwd=ROOT, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert answer.returncode == 0, answer.stderr
    failures, loaded = json.loads(answer.stdout.splitlines()[-1])
    assert not failures, "\n".join(f"{name}: {error}" for name, error in failures.items())
    assert not loaded


def test_the_tree_is_found() -> None:
    assert {_room(module) for module in MODULES} - {""} == set(ARROWS)
    assert len(MODULES) > len(ARROWS)


@pytest.mark.parametrize("module", sorted(m for m in MODULES if _room(m) not in ROS_ROOMS))
def test_law_1_ros_is_imported_in_its_rooms_alone(module: str) -> None:
    assert not [name for name in _imports(MODULES[module]) if _is_ros(name)]


def test_law_1_launch_files_and_nodes_do_import_ros() -> None:
    """The parser sees what it looks for."""
    nodes = [path for module, path in MODULES.items() if _room(module) in ROS_ROOMS]
    assert any(_is_ros(name) for path in nodes for name in _imports(path))
    for path in (ROOT / "launch").glob("*.py"):
        assert any(_is_ros(name) for name in _imports(path)), path


def test_law_2_other_rooms_import_without_ros() -> None:
    pytest.importorskip("torch")
    modules = [module for module in MODULES if _room(module) not in ROS_ROOMS]
    _import_without(ROS_MODULES, modules, ROS_ENDINGS)


def test_law_2_foundations_import_without_backends() -> None:
    pytest.importorskip("torch")
    rooms = {"config", "geometry", "networks", "losses", "errors", "optional"}
    modules = [module for module in MODULES if _room(module).split(".")[0] in rooms]
    _import_without([*BACKENDS, *ROS_MODULES], modules, ROS_ENDINGS)


def test_a_robot_without_torch_imports_what_it_runs() -> None:
    has_ros = importlib.util.find_spec("rclpy") is not None
    modules = [
        module for module in MODULES
        if not _needs_torch(module) and (has_ros or _room(module) not in ROS_ROOMS)
    ]  # fmt: skip
    expected = {
        "geometry.camera", "geometry.frames", "camera.rectification", "snippets.velocity",
        "model_folder.folder", "engines.factory", "estimation.depth_estimator",
    }  # fmt: skip
    assert {f"sfm_depth_ros.{name}" for name in expected} <= set(modules)
    _import_without(["torch", "torchvision"], modules)


@pytest.mark.parametrize("module", sorted(m for m in MODULES if _room(m)))
def test_arrows_point_down(module: str) -> None:
    room = _room(module)
    allowed = ARROWS[room] | {room}
    for name in _imports(MODULES[module]):
        if name.startswith("sfm_depth_ros.") and _room(name) not in (allowed | {"__version__"}):
            raise AssertionError(f"{module} imports {name}")


def test_no_room_reaches_itself_through_others() -> None:
    def reached(room: str, seen: frozenset[str] = frozenset()) -> Iterator[str]:
        for below in ARROWS[room] - seen:
            yield below
            yield from reached(below, seen | {below})

    circles = {room for room in ARROWS if room in set(reached(room))}
    assert not circles


def test_every_room_has_its_line_in_the_documents() -> None:
    text = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    rows = [line.split("|")[1] for line in text.splitlines() if line.startswith("| `")]
    named = {name for row in rows for name in re.findall(r"`([a-z_.]+)`", row)}
    assert named == set(ARROWS)


def test_files_that_the_architecture_page_names_exist() -> None:
    for page in ("architecture.md", "scale.md"):
        text = (ROOT / "docs" / page).read_text(encoding="utf-8")
        for name in re.findall(r"`([a-z_]+/[a-z_/]+\.py)`", text):
            assert (PACKAGE / name).exists() or (ROOT / name).exists(), f"{page}: {name}"


def test_rosbags_is_known_to_two_files() -> None:
    importers = {
        module for module, path in MODULES.items()
        if any(name.partition(".")[0] == "rosbags" for name in _imports(path))
    }  # fmt: skip
    assert importers <= {"sfm_depth_ros.bags.storage_files", "sfm_depth_ros.bags.writer"}


def test_every_file_names_its_licence() -> None:
    head = "# Copyright 2026 The sfm_depth_ros authors\n# SPDX-License-Identifier: Apache-2.0\n"
    folders = (PACKAGE, ROOT / "launch", ROOT / "test")
    files = [path for folder in folders for path in folder.rglob("*.py")]
    assert not [str(path) for path in files if not path.read_text().startswith(head)]
