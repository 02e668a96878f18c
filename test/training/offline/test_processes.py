# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Two processes, as torchrun starts them, do what one does with the doubled batch."""

from __future__ import annotations

import dataclasses
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
import tiny_run
import torch
from safetensors.torch import load_file
from tiny_run import CONFIG, judge, make_trainer

from sfm_depth_ros.training.offline.processes import (
    GradientExchange,
    Processes,
    SyncedBatchNorm2d,
    synchronise_batch_norms,
)
from sfm_depth_ros.training.offline.run_state import STATE_FILE


class _Doubled(Processes):
    """Two processes whose other one has exactly the same."""

    def mean(self, tensor: torch.Tensor) -> torch.Tensor:
        return tensor


def test_two_processes_give_the_gradient_of_the_doubled_batch(tmp_path: Path) -> None:
    """With synchronised batch norm, masks of different size, jitter and flips."""
    config = dataclasses.replace(CONFIG, steps=1, batch_size=4)
    for folder in ("one", "two"):
        tiny_run.make_data(tmp_path / folder / "cache", config)
    trainer, data = make_trainer(
        tmp_path / "one", config, gradient=str(tmp_path / "one.safetensors")
    )
    trainer.run(data.batch, judge)
    arguments = [str(tmp_path / "two"), "1", "--gradient", str(tmp_path / "two.safetensors")]
    result = subprocess.run(
        [
            sys.executable,
            "-m",
            "torch.distributed.run",
            "--nproc-per-node",
            "2",
            "--master-port",
            str(_free_port()),
            tiny_run.__file__,
            *arguments,
        ],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    assert result.stdout.split() == ["step", "1"]  # rank 0 alone speaks
    one, two = (load_file(tmp_path / f"{name}.safetensors") for name in ("one", "two"))
    assert one.keys() == two.keys()
    gradients = [name for name, _ in trainer.networks.named_parameters() if name in one]
    largest = max(float(one[name].abs().max()) for name in gradients)
    assert largest > 1e-3
    whole, other = (torch.cat([g[name].flatten() for name in gradients]) for g in (one, two))
    assert (whole - other).norm() < 1e-5 * whole.norm()
    for name in gradients:  # small ones are differences of large numbers
        error = (one[name] - two[name]).norm() / one[name].norm().clamp(min=1e-3 * largest)
        assert error < 3e-5, name
    statistics = [name for name in one if "running" in name]
    assert statistics
    for name in statistics:
        assert torch.allclose(one[name], two[name], rtol=1e-5, atol=1e-6), name


def test_when_one_dies_the_others_end_with_a_remedy(tmp_path: Path) -> None:
    tiny_run.make_data(tmp_path / "cache", CONFIG)
    port = str(_free_port())
    processes = [_start(tmp_path, rank, port) for rank in range(2)]
    try:
        _wait_for_step(processes[0], CONFIG.save_every + 1)
        processes[1].send_signal(signal.SIGKILL)
        error = processes[0].communicate(timeout=60)[1].decode()
        assert processes[0].returncode == 1
        assert "another process of this run ended" in error
        assert "--resume" in error
        assert len(error.strip().splitlines()[-1]) < 600
    finally:
        for process in processes:
            process.kill()
            process.wait()
    names = {path.name for path in (tmp_path / "state").iterdir()}
    assert {name for name in names if not name.startswith("best-")} == {STATE_FILE}
    trainer, _ = make_trainer(tmp_path, CONFIG)
    trainer.resume()
    assert trainer.progress.step == CONFIG.save_every


def test_synced_batch_norm_alone_is_batch_norm() -> None:
    torch.manual_seed(0)
    norm = torch.nn.BatchNorm2d(3)
    with torch.no_grad():
        norm.weight.uniform_(0.5, 2)
        norm.bias.normal_()
    other = torch.nn.Sequential(torch.nn.BatchNorm2d(3))
    other[0].load_state_dict(norm.state_dict())
    synchronise_batch_norms(other, _Doubled(0, 2))
    assert isinstance(other[0], SyncedBatchNorm2d)
    x = (torch.randn(4, 3, 5, 6) * 3 + 20).requires_grad_()
    whole = torch.cat((x, x))  # what the two processes have together
    weights = torch.randn(4, 3, 5, 6)
    (norm(whole) * torch.cat((weights, weights))).sum().div(2).backward()
    expected, x.grad = x.grad.clone(), None
    (other(x) * weights).sum().backward()
    assert torch.allclose(x.grad, expected, rtol=1e-4, atol=1e-5)
    found = other[0].state_dict()
    for name, value in norm.state_dict().items():
        assert torch.allclose(found[name].double(), value.double(), rtol=1e-5), name
    assert torch.allclose(other.eval()(x), norm.eval()(x), atol=1e-4)


def test_exchange_keeps_unused_parameters_without_gradient() -> None:
    networks = torch.nn.ModuleList([torch.nn.Linear(2, 2), torch.nn.Linear(2, 2)])
    stopping = [False]
    exchange = GradientExchange(networks, _Doubled(0, 2), lambda: stopping[0])
    networks[0](torch.ones(1, 2)).sum().backward()
    before = networks[0].weight.grad.clone()
    assert exchange(True)
    assert torch.equal(networks[0].weight.grad, before)
    assert networks[1].weight.grad is None
    assert not exchange.stops
    stopping[0] = True
    assert not exchange(False)  # somebody's loss was not finite
    assert exchange.stops


def test_a_gpu_for_each_process_of_a_machine() -> None:
    assert Processes(5, 8, 1).device("cuda") == "cuda:1"
    assert Processes(5, 8, 1).device("cpu") == "cpu"
    assert Processes().device("cuda") == "cuda"


def test_alone_without_torchrun(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RANK", raising=False)
    assert Processes.of_environment() == Processes(0, 1, 0)
    for name, value in (("RANK", "3"), ("WORLD_SIZE", "4"), ("LOCAL_RANK", "1")):
        monkeypatch.setenv(name, value)
    assert Processes.of_environment() == Processes(3, 4, 1)
    assert not Processes.of_environment().is_first


def _start(folder: Path, rank: int, port: str) -> subprocess.Popen[bytes]:
    environment = {
        **os.environ,
        "RANK": str(rank),
        "WORLD_SIZE": "2",
        "LOCAL_RANK": str(rank),
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": port,
        "OMP_NUM_THREADS": "1",
    }
    return subprocess.Popen(
        [sys.executable, tiny_run.__file__, str(folder), "100000"],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


def _wait_for_step(process: subprocess.Popen[bytes], step: int) -> None:
    end = time.monotonic() + 60
    assert process.stdout is not None
    while process.stdout.readline().split() != [b"step", str(step).encode()]:
        assert time.monotonic() < end
        assert process.poll() is None


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])
