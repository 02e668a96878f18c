# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Commands and links of README and docs: each is one that exists, and the cheap ones run."""

from __future__ import annotations

import ast
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from sfm_depth_ros.cli import main as command_line
from sfm_depth_ros.cli.main import COMMANDS

ROOT = Path(__file__).resolve().parents[1]
PAGES = [
    ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "models" / "README.md",
    *sorted((ROOT / "docs").glob("*.md")),
]  # fmt: skip
NAMES = [str(page.relative_to(ROOT)) for page in PAGES]
PROGRAMS = ("sfm-depth", "make", "ros2", "python", "torchrun")
# What stands for a value in a command: MODEL, BAG, FILE, DIR, PATH, N, `...`
PLACEHOLDERS = {
    "MODEL": "shipped",
    "BAG": "bag",
    "CHECKPOINT": "a.ckpt",
    "N": "2",
    "PART": "engines",
}
CHEAP = ("sfm-depth info", "sfm-depth doctor")
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")


def _commands(page: Path) -> Iterator[str]:
    """Command lines of a page's code blocks, and those in backticks that have arguments."""
    text = page.read_text(encoding="utf-8")
    blocks = re.findall(r"```\w*\n(.*?)```", text, re.DOTALL)
    blocks += re.findall(r"(?:^    .*\n)+", text, re.MULTILINE)
    for block in blocks:
        for line in block.replace("\\\n", " ").splitlines():
            command = re.sub(r"(\s+|^)#.*", "", line).strip()
            if command.split(" ")[0] in PROGRAMS:
                yield command
    plain = re.sub(r"```.*?```", "", text, flags=re.DOTALL)
    for command in re.findall(r"`((?:sfm-depth|make) [^`]+)`", plain):
        yield " ".join(command.split())


ALL = [(name, command) for name, page in zip(NAMES, PAGES, strict=True)
       for command in _commands(page)]  # fmt: skip


def _of(program: str) -> list[tuple[str, str]]:
    return [(name, command) for name, command in ALL if command.startswith(f"{program} ")]


def _filled(command: str) -> list[str]:
    """Words of a command with brackets gone and a value for everything that stands for one."""
    words = []
    for word in shlex.split(re.sub(r"[\[\]]", "", command).replace("...", ""))[1:]:
        first = word.partition("|")[0] if "|" in word else word
        words.append(PLACEHOLDERS.get(first, first))
    return words


def test_commands_are_found() -> None:
    assert len(_of("sfm-depth")) > 20
    assert len(_of("ros2")) >= 8
    assert {name for name, _ in ALL} >= {"README.md", "docs/nav2.md", "docs/troubleshooting.md"}


@pytest.mark.parametrize(("page", "command"), _of("sfm-depth"))
def test_sfm_depth_takes_what_is_printed(
    page: str, command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    if " | " in command:  # the list of all
        listed = {word.strip() for word in command.removeprefix("sfm-depth ").split("|")}
        assert listed == set(COMMANDS)
        return
    words = _filled(command)
    if len(words) == 1:
        assert words[0] in COMMANDS or words[0].startswith("-")
        return
    command_line._build_parser(words).parse_args(words)  # exits where it does not fit


@pytest.mark.parametrize(("page", "command"), _of("make"))
def test_make_has_the_target_and_the_variables(page: str, command: str) -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z-]+(?: [a-z-]+)*):", makefile, re.MULTILINE))
    targets = {word for line in targets for word in line.split()}
    for word in _filled(command):
        variable, is_variable, _ = word.partition("=")
        if is_variable:
            assert re.search(rf"\$\({variable}\)|^{variable} \?=", makefile, re.MULTILINE), word
        else:
            assert word in targets


def _launch_arguments(name: str) -> set[str]:
    """Arguments that a launch file declares, read without importing it."""
    tree = ast.parse((ROOT / "launch" / name).read_text(encoding="utf-8"))
    keys: set[str] = set()
    for node in ast.walk(tree):
        target = getattr(node, "target", None) or (getattr(node, "targets", None) or [None])[0]
        if isinstance(target, ast.Name) and target.id in ("ARGUMENTS", "OUTPUTS"):
            assert isinstance(node.value, ast.Dict)  # type: ignore[attr-defined]
            keys |= {key.value for key in node.value.keys}  # type: ignore[attr-defined]
    return keys if name == "depth.launch.py" else keys | _launch_arguments("depth.launch.py")


@pytest.mark.parametrize(
    ("page", "command"), [row for row in _of("ros2") if " sfm_depth_ros " in row[1]]
)
def test_our_launch_files_and_nodes_take_what_is_printed(page: str, command: str) -> None:
    words = shlex.split(command)
    if words[1] == "run":
        setup = (ROOT / "setup.py").read_text(encoding="utf-8")
        assert f"{words[3]} = " in setup
        return
    assert words[1] == "launch"
    assert (ROOT / "launch" / words[3]).exists()
    given = {word.partition(":=")[0] for word in words[4:] if ":=" in word}
    assert given <= _launch_arguments(words[3])
    assert [word for word in words[4:] if ":=" not in word] in ([], ["--show-args"])


@pytest.mark.parametrize(("page", "command"), _of("python"))
def test_modules_exist(page: str, command: str) -> None:
    words = shlex.split(command)
    if "-m" in words:
        module = words[words.index("-m") + 1].replace(".", "/")
        assert (ROOT / f"{module}.py").exists() or (ROOT / module).is_dir(), module


@pytest.mark.parametrize("name", NAMES)
def test_links_lead_somewhere(name: str) -> None:
    page = ROOT / name
    for target in LINK.findall(page.read_text(encoding="utf-8")):
        if "://" in target:
            continue
        file, _, anchor = target.partition("#")
        linked = (page.parent / file).resolve() if file else page
        assert linked.exists(), target
        if anchor:
            headings = re.findall(r"^#+ (.+)$", linked.read_text(encoding="utf-8"), re.MULTILINE)
            anchors = {re.sub(r"[^\w -]", "", h.lower()).replace(" ", "-") for h in headings}
            assert anchor in anchors, target


@pytest.mark.parametrize("command", CHEAP)
def test_cheap_commands_run_as_printed(command: str, tmp_path: Path) -> None:
    assert command in {line for _, line in ALL} or command.split()[1] in COMMANDS
    done = subprocess.run(
        [sys.executable, "-m", "sfm_depth_ros.cli.main", *command.split()[1:]],
        cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert "Traceback" not in done.stderr
    assert done.stdout.strip()
    assert done.returncode in ((0,) if "info" in command else (0, 1))  # 1: something to mend


def test_the_page_of_depth_node_has_every_topic_that_it_publishes() -> None:
    outputs = (ROOT / "sfm_depth_ros" / "ros" / "depth_outputs.py").read_text(encoding="utf-8")
    topics = re.findall(r'"([a-z_/]+)": ', outputs.partition("_TOPICS")[2].partition("}")[0])
    assert len(topics) > 6
    published = (ROOT / "docs" / "depth_node.md").read_text(encoding="utf-8")
    published = published.partition("## Published topics")[2].partition("## TF")[0]
    assert [topic for topic in topics if f"| `{topic}` |" not in published] == []
