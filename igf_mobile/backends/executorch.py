"""ExecuTorch (.pte) through the XNNPACK delegate: torch.export, PT2E quantization, Python runtime."""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from igf_mobile import recipes, schemes
from igf_mobile.backends.base import (
    OUTPUTS,
    Artifact,
    Backend,
    BackendUnavailable,
    Calibration,
    FloatArray,
    Runner,
    tensor_specs,
    with_alpha,
)
from igf_mobile.contents import pte
from igf_mobile.contents.layers import Layer
from igf_mobile.errors import DamagedFile
from igf_mobile.files import atomic_path
from igf_mobile.graph import ExportGraph, Layout, restore_clamps, slices_for_splits
from igf_mobile.layers import identify, is_layer, layer_weights
from igf_mobile.model import Generator
from igf_mobile.observers import ranges_for
from igf_mobile.pte_pack import packed
from igf_mobile.ranges import Ranges
from igf_mobile.xnnpack_graph import cancelled_transposes

_NETWORK = "model.hourglass"
"""The submodule that `w8` and `w8a8` quantize; the rest of the graph stays float."""

_METADATA_METHOD = "igf_metadata"

_FILE_IDENTIFIER = b"ET12"

_NOTES = {
    "fp16": ("arithmetic in float16 on the delegate; edges stay float32",),
    "w8": (
        "dense convolutions quantize their input on the fly (XNNPACK has no weight-only convolution);"
        " depthwise convolutions stay float32",
    ),
}


class _HalfGraph(ExportGraph):
    """Float16 inside, float32 at the edges."""

    def __init__(self, model: Generator, layout: Layout, coefficients_only: bool) -> None:
        super().__init__(model, layout, coefficients_only)
        self.half()

    def forward(self, guidance: Any, weak_mask: Any) -> tuple[Any, ...]:
        """As ExportGraph."""
        return tuple(output.float() for output in super().forward(guidance.half(), weak_mask.half()))


def _half_scalars(exported: Any) -> None:
    """Scalars of arithmetic as float16 constants, in place: left alone they are float32 and cast in every call."""
    import torch

    aten = torch.ops.aten
    for node in list(exported.graph.nodes):
        if node.target not in (aten.add.Tensor, aten.sub.Tensor, aten.mul.Tensor, aten.rsub.Scalar):
            continue
        tensor, scalar = node.args[:2]
        if not isinstance(scalar, int | float):
            continue
        name = f"scalar_{scalar}".replace(".", "_").replace("-", "minus_")
        exported.register_buffer(name, torch.tensor(scalar, dtype=torch.float16))
        with exported.graph.inserting_before(node):
            constant = exported.graph.get_attr(name)
        if node.target is aten.rsub.Scalar:
            node.target, node.args = aten.sub.Tensor, (constant, tensor)
        else:
            node.args = (tensor, constant)
    exported.recompile()


def _quantized(
    exported: Any,
    scheme: str,
    ranges: Ranges | None,
    example: tuple[Any, ...],
    layers: Mapping[str, str] | None,
) -> Any:
    import torch
    from torchao.quantization.pt2e.quantize_pt2e import convert_pt2e, prepare_pt2e

    from igf_mobile.xnnpack_quantizer import StaticQuantizer, WeightQuantizer

    quantizer = WeightQuantizer(_NETWORK) if scheme == "w8" else StaticQuantizer(_NETWORK, ranges, layers)
    prepared = prepare_pt2e(exported, quantizer)
    with torch.no_grad():
        prepared(*example)  # lets the weights' observers see them
    return convert_pt2e(prepared)


def export(
    model: Generator,
    scheme: str,
    calibration: Calibration,
    path: Path,
    metadata: Mapping[str, str],
    size: tuple[int, int] = (512, 512),
    layers: Mapping[str, str] | None = None,
    coefficients_only: bool = False,
) -> Artifact:
    """Write a .pte; see `base.ExportFunction`."""
    import torch
    from executorch.backends.xnnpack.partition.xnnpack_partitioner import (
        XnnpackDynamicallyQuantizedPartitioner,
        XnnpackPartitioner,
    )
    from executorch.exir import ExecutorchBackendConfig, to_edge_transform_and_lower
    from executorch.exir.passes import MemoryPlanningPass

    height, width = size
    example = (torch.rand(1, 3, height, width), torch.rand(1, 1, height, width))
    half = scheme == "fp16"
    module = (_HalfGraph if half else ExportGraph)(model, "NHWC", coefficients_only)
    graph: Any = torch.export.export(module, example).module()
    restore_clamps(graph)
    slices_for_splits(graph)
    if half:
        _half_scalars(graph)
    if schemes.has_int8(scheme, layers):
        ranges = ranges_for(model, calibration) if scheme != "w8" else None
        graph = _quantized(graph, scheme, ranges, example, layers)
    partitioners: list[Any] = [XnnpackPartitioner()]
    if scheme == "w8":
        partitioners.insert(0, XnnpackDynamicallyQuantizedPartitioner())
    with torch.no_grad(), cancelled_transposes():
        edge = to_edge_transform_and_lower(
            torch.export.export(graph, example),
            partitioner=partitioners,
            constant_methods={_METADATA_METHOD: json.dumps(dict(metadata), sort_keys=True)},
        )
    delegated, outside, quantized = _operators(edge.exported_program())
    found = {} if layers is None else _layers(edge.exported_program(), layer_weights(model, "NHWC"))
    # The default copies the inputs, 4 MB, into memory of the program's own with each call.
    planning = MemoryPlanningPass(alloc_graph_input=False)
    config = ExecutorchBackendConfig(memory_planning_pass=planning)
    content = packed(bytes(edge.to_executorch(config).buffer))
    fallback = pte.kernels(content)  # fewer than outside before: the delegate casts by itself
    for name, count in outside.items():
        if taken := count - fallback.get(name, 0):
            delegated[name] = delegated.get(name, 0) + taken
    with atomic_path(path) as temporary:
        temporary.write_bytes(content)
    inputs, outputs = tensor_specs(size, "NHWC", coefficients_only)
    notes = _NOTES.get(scheme, ())
    return Artifact(path, "executorch", scheme, inputs, outputs, delegated, fallback, quantized, notes, found)


def _short(target: object) -> str:
    """ "aten.convolution.default" -> "convolution"."""
    parts = str(target).split(".")
    return parts[1] if len(parts) > 1 else parts[0]


def _operators(program: Any) -> tuple[dict[str, int], dict[str, int], dict[str, int]]:
    """Counts by operator name: inside the XNNPACK delegate, outside it, and quantized."""
    from executorch.exir.backend.utils import get_delegates
    from executorch.exir.lowered_backend_module import get_lowered_submodules

    delegated: Counter[str] = Counter()
    quantized: Counter[str] = Counter()
    for _, lowered, _ in get_lowered_submodules(program.graph_module):
        nodes = lowered.original_module.graph.nodes
        calls = [n for n in nodes if n.op == "call_function" and "getitem" not in str(n.target)]
        delegated.update(_short(n.target) for n in calls)
        quantized.update(_short(n.target) for n in calls if _is_quantized(n))
    delegates = {n.name for n in get_delegates(program.graph)}
    outside = [
        n
        for n in program.graph.nodes
        if n.op == "call_function"
        and n.name not in delegates
        and "getitem" not in str(n.target)
        and "executorch_call_delegate" not in str(n.target)
    ]
    return dict(delegated), dict(Counter(_short(n.target) for n in outside)), dict(quantized)


def _is_quantized(node: Any) -> bool:
    """Whether it reads what was int8; of a convolution its weights count, for a float one may read such a tensor."""
    sources = node.args[1:2] if "convolution" in str(node.target) else node.all_input_nodes
    return any("dequantize" in str(source.target) for source in sources)


def _layers(program: Any, weights: Mapping[str, FloatArray]) -> dict[str, str]:
    """Layer -> what the delegates compute it with, told by its weights."""
    from executorch.exir.lowered_backend_module import get_lowered_submodules

    arrays, precisions = [], []
    for _, lowered, _ in get_lowered_submodules(program.graph_module):
        part = lowered.original_module
        for node in part.graph.nodes:
            if "convolution" in str(node.target):
                source, weight = node.args[:2]
                arrays.append(_constant(part, weight))
                static = "dequantize" in str(source.target)
                int8 = recipes.STATIC if static else recipes.WEIGHTS
                precisions.append(int8 if _is_quantized(node) else recipes.FLOAT)
    names = identify(arrays, weights)
    return {name: found for name, found in zip(names, precisions, strict=True) if is_layer(name)}


def _constant(program: Any, node: Any) -> FloatArray:
    """The value of a weight, dequantized where it is stored as int8."""
    if node.op == "placeholder":
        signature = program.graph_signature
        names = {**signature.inputs_to_parameters, **signature.inputs_to_buffers}
        names |= signature.inputs_to_lifted_tensor_constants
        name = names[node.name]
        tensor = program.state_dict[name] if name in program.state_dict else program.constants[name]
        return np.asarray(tensor.detach().float().numpy())
    stored, scales, _, axis = node.args[:4]
    sides = [1] * 4
    sides[axis] = -1
    return _constant(program, stored) * _constant(program, scales).reshape(sides)


def _open(path: Path, method: str) -> tuple[Any, Any]:
    """The program, which must outlive its method, and the method."""
    from executorch.runtime import Runtime, Verification

    try:
        # The runtime aborts the process over a file that is not one of its own, so look first.
        if path.read_bytes()[4:8] != _FILE_IDENTIFIER:
            raise ValueError(f"no {_FILE_IDENTIFIER.decode()} at byte 4")
        program = Runtime.get().load_program(path, verification=Verification.InternalConsistency)
        return program, program.load_method(method)
    except (OSError, RuntimeError, ValueError) as error:
        reason = str(error).splitlines()[0]
        raise DamagedFile(f"{path} is not a whole ExecuTorch program: {reason}") from error


def read_metadata(path: Path) -> dict[str, str]:
    """What `export` wrote into the file.

    Raises:
        DamagedFile: the file is not a whole .pte.
    """
    _program, method = _open(path, _METADATA_METHOD)
    (text,) = method.execute([])
    metadata: dict[str, str] = json.loads(text)
    return metadata


class _ExecuTorchRunner:
    def __init__(self, path: Path, threads: int) -> None:
        from importlib.metadata import version

        from executorch.extension.pybindings.portable_lib import _unsafe_reset_threadpool

        _unsafe_reset_threadpool(threads)

        self._program, self._method = _open(path, "forward")
        self.description = (
            f"ExecuTorch {version('executorch')}, XNNPACK, {threads} thread{'s' if threads > 1 else ''}"
        )

    def __call__(self, guidance: FloatArray, weak_mask: FloatArray) -> tuple[FloatArray, FloatArray]:
        import torch

        # The runtime takes strides for a dim order, so a transposed view would be refused.
        outputs = self._method.execute(
            [torch.from_numpy(np.ascontiguousarray(x)) for x in (guidance, weak_mask)]
        )
        # Outputs have no names in a program; the coefficients are the last one.
        names = OUTPUTS[-len(outputs) :]
        arrays = {name: x.numpy().copy() for name, x in zip(names, outputs, strict=True)}
        return with_alpha(arrays, guidance)


def load(path: Path, threads: int = 1) -> Runner:
    """Open a .pte.

    Raises:
        DamagedFile: the file is not a whole .pte.
        BackendUnavailable: no ExecuTorch on this machine.
    """
    if reason := runs_here():
        raise BackendUnavailable(reason)
    return _ExecuTorchRunner(path, threads)


def runs_here() -> str | None:
    """None, or why not."""
    try:
        import executorch.runtime  # noqa: F401
    except ImportError as error:
        return f"executorch cannot be imported: {error}"
    return None


def layers(path: Path) -> Sequence[Layer]:
    """The convolutions of a .pte; see `contents`."""
    return pte.layers(path)


BACKEND = Backend(
    name="executorch",
    suffix=".pte",
    schemes=("fp32", "fp16", "w8", "w8a8"),
    packages=("executorch", "torch", "torchao"),
    export=export,
    load=load,
    runs_here=runs_here,
    read_metadata=read_metadata,
    # No w8: XNNPACK has no convolution with int8 weights and float arithmetic.
    layer_precisions=(recipes.FLOAT, recipes.STATIC),
    layers=layers,
)
