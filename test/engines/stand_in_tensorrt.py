# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Stand-in for TensorRT that computes with ONNX Runtime, for machines without a GPU.

It returns None and False where TensorRT does, keeps the weights of a plan by their names, and can
have the faults that are known of TensorRT.
"""

from __future__ import annotations

import ctypes
import enum
import json
import weakref
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import numpy as np
import onnx
import onnxruntime
from engines.stand_in_cuda import StandInCuda
from onnx import numpy_helper

from sfm_depth_ros.engines.graphs.names import weight_arrays


@dataclass
class Faults:
    """Faults to play, and calls that were recorded.

    Attributes:
        unlisted_bias: Refittable plans lose a bias and do not list it (TensorRT 11.3).
        dropped_bias: Refitting sets a bias to zero.
        no_refittable_plan: A build with the flag REFIT gives None.
        deserialize_fails: Plans cannot be loaded.
        run_fails: ``execute_async_v3`` returns False.
        gives_nan: The network's output is NaN.
        attention_jumps: Graphs with attention give another scale for every frame, as users of
            TensorRT 10.3 saw it (ika-rwth-aachen/ros2-depth-anything-v3-trt#16).
        complaint: What TensorRT logs when it fails.
        builds: How often a plan was built, by whether it is refittable.
        kernels_loaded: Whether kept kernels were taken, each time they were offered.
    """

    unlisted_bias: bool = False
    dropped_bias: bool = False
    no_refittable_plan: bool = False
    deserialize_fails: bool = False
    run_fails: bool = False
    gives_nan: bool = False
    attention_jumps: bool = False
    complaint: str = "CUDA out of memory"
    builds: list[bool] = field(default_factory=list)
    kernels_loaded: list[bool] = field(default_factory=list)


class _Flag(enum.Enum):
    REFIT = 1
    TF32 = 2
    WORKSPACE = 3
    INPUT = 4
    OUTPUT = 5


class _Log:
    ERROR, INTERNAL_ERROR, INFO = "error", "internal error", "info"

    def __init__(self) -> None: ...


class _Monitor:
    def __init__(self) -> None: ...


class _Capability(enum.Enum):
    CURRENT = 1
    SM86 = 86
    SM89 = 89


class _Strategy(enum.Enum):
    DISABLED = 0
    WHOLE_GRAPH_CAPTURE = 1
    EAGER = 2


def stand_in_tensorrt_rtx(cuda: StandInCuda, faults: Faults) -> Any:
    """Something that serves as the module ``tensorrt_rtx`` on the given GPU."""
    module = stand_in_tensorrt(cuda, faults, "1.7.1", is_rtx=True)
    module.ComputeCapability = _Capability
    module.CudaGraphStrategy = module.DynamicShapesKernelSpecializationStrategy = _Strategy
    return module


def stand_in_tensorrt(
    cuda: StandInCuda, faults: Faults, version: str = "11.3.0", is_rtx: bool = False
) -> Any:
    """Something that serves as the module ``tensorrt`` on the given GPU."""
    config = _RtxConfig if is_rtx else _Config
    engine = _RtxEngine if is_rtx else _Engine
    return SimpleNamespace(
        __version__=version,
        ILogger=_Log,
        IProgressMonitor=_Monitor,
        NetworkDefinitionCreationFlag=SimpleNamespace(),  # 11 has none
        BuilderFlag=_Flag,
        MemoryPoolType=_Flag,
        TensorIOMode=_Flag,
        Weights=lambda values: values,
        nptype=lambda kind: kind,
        Builder=lambda log: _Builder(version, faults, log, config),
        OnnxParser=_Parser,
        Runtime=lambda log: _Runtime(cuda, version, faults, log, engine),
        Refitter=lambda engine, log: _Refitter(engine, faults),
    )


class _Parser:
    def __init__(self, network: Any, log: Any) -> None:
        self._network = network
        self.num_errors = 0

    def parse(self, content: bytes) -> bool:
        self._network.parser = weakref.ref(self)
        self._network.proto = onnx.load_model_from_string(content)
        return True


class _Network:
    proto: Any = None
    parser: Any = None

    def get_input(self, index: int) -> Any:
        value = self.proto.graph.input[index]
        sizes = value.type.tensor_type.shape.dim
        return SimpleNamespace(
            name=value.name, shape=tuple(size.dim_value or -1 for size in sizes)
        )


class _TimingCache:
    def __init__(self, content: bytes) -> None:
        self.content = content

    def serialize(self) -> bytes:
        return self.content + b"."


class _Config:
    progress_monitor: Any = None

    def __init__(self) -> None:
        self.flags = {_Flag.TF32}
        self.profiles: list[Any] = []
        self.timing: Any = None

    def set_memory_pool_limit(self, pool: Any, size: int) -> None:
        assert size > 0

    def set_flag(self, flag: Any) -> None:
        self.flags.add(flag)

    def clear_flag(self, flag: Any) -> None:
        self.flags.discard(flag)

    def add_optimization_profile(self, profile: Any) -> int:
        self.profiles.append(profile.shape)
        return len(self.profiles) - 1

    def create_timing_cache(self, content: bytes) -> _TimingCache | None:
        return None if content == b"damaged" else _TimingCache(content)

    def set_timing_cache(self, cache: _TimingCache, ignore_mismatch: bool) -> bool:
        self.timing = cache
        return True

    def get_timing_cache(self) -> _TimingCache:
        return self.timing


class _RtxConfig(_Config):
    """Named capabilities, and no timing cache."""

    num_compute_capabilities = 0
    create_timing_cache = get_timing_cache = None  # type: ignore[assignment]

    def __init__(self) -> None:
        super().__init__()
        self.capabilities: list[Any] = []

    def set_compute_capability(self, capability: Any, index: int) -> bool:
        self.capabilities.append(capability)
        return index == len(self.capabilities) - 1 < self.num_compute_capabilities


class _Profile:
    def set_shape(self, name: str, low: Any, best: Any, high: Any) -> None:
        assert low == best == high
        self.shape = list(best)


class _Builder:
    def __init__(self, version: str, faults: Faults, log: Any, config: Any) -> None:
        self._version, self._faults, self._log, self._config = version, faults, log, config

    def create_network(self, flags: int) -> _Network:
        assert flags == 0
        return _Network()

    def create_builder_config(self) -> _Config:
        return self._config()

    def create_optimization_profile(self) -> _Profile:
        return _Profile()

    def build_serialized_network(self, network: _Network, config: _Config) -> bytes | None:
        refittable = _Flag.REFIT in config.flags
        assert network.parser() is not None, "the weights lie in the parser's memory"
        self._faults.builds.append(refittable)
        if isinstance(config, _RtxConfig):
            assert config.capabilities == [_Capability.SM89], "the GPU's own"
        assert _Flag.TF32 not in config.flags, "fp32 must not be computed in TF32"
        monitor = config.progress_monitor
        if monitor is not None:
            monitor.phase_start("build", None, 2)
            monitor.phase_start("inner", "build", 7)
            if not (monitor.step_complete("build", 0) and monitor.step_complete("build", 1)):
                return None
        if refittable and self._faults.no_refittable_plan:
            self._log.log(_Log.ERROR, self._faults.complaint)
            return None
        lost = []
        if refittable and self._faults.unlisted_bias:
            lost = [_zero_a_bias(network.proto)]
        shapes = config.profiles or [list(network.get_input(0).shape)]
        header = {
            "version": self._version,
            "refittable": refittable,
            "shapes": shapes,
            "lost": lost,
        }
        return json.dumps(header).encode() + b"\n" + network.proto.SerializeToString()


def _zero_a_bias(proto: Any) -> str:
    entry = next(
        entry
        for entry in proto.graph.initializer
        if entry.name.endswith("heads.3.bias") or entry.name == "head.bias"
    )
    zeros = np.zeros_like(numpy_helper.to_array(entry))
    entry.CopyFrom(numpy_helper.from_array(zeros, entry.name))
    return str(entry.name)


def _has_attention(proto: Any) -> bool:
    return any(node.op_type == "Softmax" for node in proto.graph.node)


class _Runtime:
    def __init__(
        self, cuda: StandInCuda, version: str, faults: Faults, log: Any, engine: Any
    ) -> None:
        self._cuda, self._version, self._faults, self._log = cuda, version, faults, log
        self._engine = engine

    def deserialize_cuda_engine(self, plan: bytes) -> _Engine | None:
        header_text, _, content = plan.partition(b"\n")
        header = json.loads(header_text)
        if header["version"] != self._version or self._faults.deserialize_fails:
            self._log.log(_Log.ERROR, "the plan is of another version")
            return None
        loaded: _Engine = self._engine(self._cuda, self._faults, self._log, header, content)
        return loaded


class _Engine:
    num_io_tensors = 2

    def __init__(self, cuda: Any, faults: Faults, log: Any, header: Any, content: bytes) -> None:
        self.cuda, self.faults, self.log, self.header = cuda, faults, log, header
        self.proto = onnx.load_model_from_string(content)
        self.contexts = 0

    def get_tensor_name(self, index: int) -> str:
        # The output first: a plan need not keep the graph's order.
        return (self.proto.graph.output, self.proto.graph.input)[index][0].name

    def get_tensor_mode(self, name: str) -> Any:
        return _Flag.INPUT if name == self.proto.graph.input[0].name else _Flag.OUTPUT

    def get_tensor_dtype(self, name: str) -> Any:
        values = (*self.proto.graph.input, *self.proto.graph.output)
        kinds = {value.name: value.type.tensor_type.elem_type for value in values}
        return onnx.helper.tensor_dtype_to_np_dtype(kinds[name])

    def create_execution_context(self) -> _Context:
        return _Context(self)


class _RtxEngine(_Engine):
    def create_runtime_config(self) -> Any:
        return SimpleNamespace(
            cuda_graph_strategy=_Strategy.DISABLED,
            dynamic_shapes_kernel_specialization_strategy=None,
            create_runtime_cache=lambda: _RuntimeCache(self.faults),
            set_runtime_cache=lambda cache: True,
        )

    def create_execution_context(self, config: Any = None) -> _Context:
        assert config.cuda_graph_strategy is _Strategy.WHOLE_GRAPH_CAPTURE
        assert config.dynamic_shapes_kernel_specialization_strategy is _Strategy.EAGER
        return _Context(self)


class _RuntimeCache:
    def __init__(self, faults: Faults) -> None:
        self._faults, self._content = faults, b""

    def deserialize(self, content: bytes) -> bool:
        self._content = content if content.startswith(b"kernels") else b""
        self._faults.kernels_loaded.append(bool(self._content))
        return bool(self._content)

    def serialize(self) -> bytes:
        return self._content or b"kernels"


class _Context:
    def __init__(self, engine: _Engine) -> None:
        self._engine = engine
        self._profile = 0
        self._addresses: dict[str, int] = {}
        self._shape: tuple[int, ...] = ()
        self._session: Any = None
        self._state = b""
        self._frames = 0

    def set_optimization_profile_async(self, index: int, stream: int) -> bool:
        self._profile = index
        return index < len(self._engine.header["shapes"])

    def set_input_shape(self, name: str, shape: tuple[int, ...]) -> bool:
        self._shape = tuple(shape)
        return list(shape) == self._engine.header["shapes"][self._profile]

    def get_tensor_shape(self, name: str) -> tuple[int, ...]:
        kind = self._engine.get_tensor_dtype(self._engine.get_tensor_name(1))
        return self._output(np.zeros(self._shape, kind)).shape

    def set_tensor_address(self, name: str, address: int) -> bool:
        self._addresses[name] = address
        return address in self._engine.cuda.memory

    def execute_async_v3(self, stream: int) -> bool:
        if self._engine.faults.run_fails:
            self._engine.log.log(_Log.ERROR, self._engine.faults.complaint)
            return False
        self._engine.cuda.queue(stream, self._run)
        return True

    def _run(self) -> None:
        engine = self._engine
        source, target = engine.get_tensor_name(1), engine.get_tensor_name(0)
        kind = np.dtype(engine.get_tensor_dtype(source))
        size = int(np.prod(self._shape)) * kind.itemsize
        data = (ctypes.c_byte * size).from_address(self._addresses[source])
        output = self._output(np.frombuffer(data, kind).reshape(self._shape))
        if engine.faults.gives_nan and kind == np.float32:
            output = np.full_like(output, np.nan)
        if engine.faults.attention_jumps and _has_attention(engine.proto):
            self._frames += 1
            output = output * np.float32(1.3 if self._frames % 2 else 0.8)
        ctypes.memmove(self._addresses[target], output.ctypes.data, output.nbytes)

    def _output(self, image: np.ndarray) -> np.ndarray:
        state = self._engine.proto.SerializeToString()
        if self._session is None or state != self._state:
            options = onnxruntime.SessionOptions()
            options.log_severity_level = 3
            self._session = onnxruntime.InferenceSession(state, options)
            self._state = state
        (output,) = self._session.run(None, {self._session.get_inputs()[0].name: image})
        return np.ascontiguousarray(output)


class _Refitter:
    def __init__(self, engine: _Engine, faults: Faults) -> None:
        self._engine, self._faults = engine, faults
        self._given: dict[str, np.ndarray] = {}

    def get_all_weights(self) -> list[str]:
        lost = self._engine.header["lost"]
        return sorted(set(weight_arrays(self._engine.proto)) - set(lost))

    def set_named_weights(self, name: str, values: np.ndarray) -> bool:
        known = weight_arrays(self._engine.proto).get(name)
        if known is None or known.dtype != values.dtype or known.size != values.size:
            return False
        self._given[name] = values
        return True

    def get_missing_weights(self) -> list[str]:
        return []

    def refit_cuda_engine(self) -> bool:
        if not self._engine.header["refittable"]:
            return False
        for entry in self._engine.proto.graph.initializer:
            if entry.name in self._given:
                entry.CopyFrom(numpy_helper.from_array(self._given[entry.name].copy(), entry.name))
        if self._faults.dropped_bias:
            _zero_a_bias(self._engine.proto)
        return True
