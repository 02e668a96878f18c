# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Nothing in a stranger's file runs; tensors come out of it."""

from __future__ import annotations

import collections
import io
import os
import pickle
import sys
import tarfile
import types
import zipfile
from pathlib import Path
from typing import Any

import pytest
import torch

from sfm_depth_ros.errors import ModelError
from sfm_depth_ros.networks import checkpoint_file
from sfm_depth_ros.networks.checkpoint_file import Placeholder, load_file_content

both_formats = pytest.mark.parametrize("is_zip", [True, False], ids=["zip", "legacy"])


@pytest.fixture
def foreign(monkeypatch: pytest.MonkeyPatch) -> types.ModuleType:
    """A module with a configuration class like that of yacs, gone when the file is read."""
    module = types.ModuleType("strange_config")

    class CfgNode(dict[str, Any]):
        def __init__(self, content: dict[str, Any]) -> None:
            super().__init__(content)
            self.__dict__["_immutable"] = True

    CfgNode.__module__, CfgNode.__qualname__ = "strange_config", "CfgNode"
    module.CfgNode = CfgNode  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "strange_config", module)
    return module


class Runs:
    """Makes the pickle call a function when it is read."""

    def __init__(self, function: Any, *arguments: Any) -> None:
        self.call = (function, arguments)

    def __reduce__(self) -> Any:
        return self.call


def state() -> dict[str, torch.Tensor]:
    base = torch.arange(12.0).view(3, 4)
    return collections.OrderedDict(
        weight=base,
        view=base[1:, ::2],
        half=torch.ones(2).half(),
        count=torch.tensor(7),
        parameter=torch.nn.Parameter(torch.ones(2, 2)),
        empty=torch.zeros(0, 3),
    )


@both_formats
def test_tensors_and_plain_things_come_out(tmp_path: Path, is_zip: bool) -> None:
    content = {"state_dict": state(), "epoch": 3, "note": ["a", 1.5, None, (True,)]}
    torch.save(content, tmp_path / "a.ckpt", _use_new_zipfile_serialization=is_zip)
    found = load_file_content(tmp_path / "a.ckpt")
    assert found.foreign == ()
    assert found.value["epoch"] == 3
    assert found.value["note"] == ["a", 1.5, None, (True,)]
    assert list(found.value["state_dict"]) == list(state())
    for name, tensor in state().items():
        assert torch.equal(found.value["state_dict"][name], tensor)
        assert found.value["state_dict"][name].dtype == tensor.dtype


@both_formats
def test_a_foreign_configuration_becomes_a_placeholder(
    tmp_path: Path, is_zip: bool, foreign: types.ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = foreign.CfgNode({"model": foreign.CfgNode({"name": "SfmModel"}), "list": [1, 2]})
    counter = collections.Counter({"a": 1})
    torch.save(
        {"config": config, "counter": counter, "state_dict": state()},
        tmp_path / "a.ckpt",
        _use_new_zipfile_serialization=is_zip,
    )
    monkeypatch.delitem(sys.modules, "strange_config")
    found = load_file_content(tmp_path / "a.ckpt")
    assert isinstance(found.value["config"], Placeholder)
    assert found.foreign == ("collections.Counter", "strange_config.CfgNode")
    assert torch.equal(found.value["state_dict"]["weight"], state()["weight"])


@both_formats
@pytest.mark.parametrize("place", ["beside", "as the file", "as a weight", "in a list"])
def test_nothing_runs(tmp_path: Path, is_zip: bool, place: str) -> None:
    proof = tmp_path / "proof"
    evil = Runs(os.system, f"touch {proof}")
    content: Any = {
        "beside": {"config": evil, "state_dict": {"weight": torch.ones(2)}},
        "as the file": evil,
        "as a weight": {"state_dict": {"weight": evil}},
        "in a list": {"state_dict": {"weight": torch.ones(2)}, "hooks": [evil, evil]},
    }[place]
    torch.save(content, tmp_path / "a.ckpt", _use_new_zipfile_serialization=is_zip)
    found = load_file_content(tmp_path / "a.ckpt")
    assert not proof.exists()
    assert found.foreign == (f"{os.system.__module__}.system",)
    # The file is one that does run when it is trusted.
    torch.load(tmp_path / "a.ckpt", weights_only=False)
    assert proof.exists()


def test_what_a_foreign_call_answers_is_inert_too(tmp_path: Path) -> None:
    """A chain of calls on what foreign functions answer, as exploits have it."""
    evil = Runs(getattr, Runs(__import__, "os"), "system")
    torch.save({"a": Runs(eval, "1 / 0"), "b": evil}, tmp_path / "a.ckpt")
    found = load_file_content(tmp_path / "a.ckpt")
    assert isinstance(found.value["a"], Placeholder)
    assert isinstance(found.value["b"], Placeholder)
    assert found.value["b"]("touch proof") is not None
    assert set(found.foreign) == {
        f"__builtin__.{name}"
        for name in ("__import__", "eval", "getattr")  # as protocol 2 has it
    }


def crafted(pickled: bytes, path: Path) -> Path:
    """A zip as torch.save writes it around a pickle of one's own."""
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("archive/data.pkl", pickled)
        archive.writestr("archive/version", "3\n")
    return path


def test_functions_of_torch_cannot_be_changed(tmp_path: Path) -> None:
    """BUILD sets attributes of what was named before: here the function's defaults."""
    attack = (
        pickle.PROTO
        + b"\x02"
        + b"ctorch._utils\n_rebuild_tensor_v2\n"
        + pickle.NONE
        + b"}U\x0c__defaults__)s"
        + pickle.TUPLE2
        + b"b."
    )
    before = torch._utils._rebuild_tensor_v2.__defaults__
    with pytest.raises(ModelError, match="changes a function of torch"):
        load_file_content(crafted(attack, tmp_path / "a.ckpt"))
    assert torch._utils._rebuild_tensor_v2.__defaults__ == before


def test_placeholders_take_whatever_a_pickle_does(tmp_path: Path) -> None:
    protocol_4 = {
        "set": frozenset({1}),
        "ordered": collections.OrderedDict(a=1),
        "deque": collections.deque([1, 2]),
        "path": Path("x"),
        "type": dict[str, int],
        "dtype": torch.float32,
        "exception": ValueError("x"),
    }
    torch.save(protocol_4, tmp_path / "a.ckpt", pickle_protocol=4)
    found = load_file_content(tmp_path / "a.ckpt")
    assert found.value["ordered"] == {"a": 1}
    assert isinstance(found.value["path"], Placeholder)


@pytest.mark.parametrize(
    "change", ["cut", "noise", "empty", "tar", "text", "pickle", "zip", "torchscript"]
)
def test_other_files_are_refused(tmp_path: Path, change: str) -> None:
    path = tmp_path / "a.ckpt"
    torch.save({"weight": torch.ones(1000)}, path)
    data = path.read_bytes()
    if change == "tar":
        with tarfile.open(path, "w") as archive:
            archive.addfile(tarfile.TarInfo("../../outside"), io.BytesIO())
    elif change == "zip":
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("readme.txt", "no weights")
    elif change == "torchscript":
        with zipfile.ZipFile(path, "a") as archive:
            archive.writestr("a/constants.pkl", b"")
    else:
        path.write_bytes(
            {
                "cut": data[: len(data) // 2],
                "noise": bytes(range(256)) * 20,
                "empty": b"",
                "text": b"<html>404</html>",
                "pickle": pickle.dumps({"weight": 1}),
            }[change]
        )
    with pytest.raises(ModelError, match=r"a\.ckpt.*(give|download)"):
        load_file_content(path)


@both_formats
def test_a_missing_file_is_an_error_of_ours(tmp_path: Path, is_zip: bool) -> None:
    with pytest.raises(ModelError, match="cannot be read"):
        load_file_content(tmp_path / "missing.ckpt")


def test_nothing_but_tensors_is_allowed() -> None:
    """Whoever adds a line here must be able to say why it cannot run anything."""
    assert set(checkpoint_file.ALLOWED) == {
        ("torch._utils", "_rebuild_tensor"),
        ("torch._utils", "_rebuild_tensor_v2"),
        ("torch._utils", "_rebuild_parameter"),
        ("torch", "Size"),
        ("collections", "OrderedDict"),
    }
