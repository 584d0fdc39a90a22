"""The int8 scales that are in an artifact, read from the file, against the table of ranges it was made from.

A convolution is known by the scales of its weights, one per channel, which no other has. Its input, and where
the runtime has one its output, must have the scale and zero point of its site. Sums and products
are checked as inputs of the convolutions that read them.
"""

import json
import re
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import nn
from torch.fx import Node

from igf_mobile import ranges as ranges_module
from igf_mobile.checkpoint import load_checkpoint
from igf_mobile.errors import DamagedFile, IgfError
from igf_mobile.graph import ExportGraph, Layout
from igf_mobile.manifest import Manifest
from igf_mobile.model import Generator
from igf_mobile.pt2e_ranges import RESIZED
from igf_mobile.ranges import HIGHEST, Range, Ranges, grid, symmetric_grid
from igf_mobile.sites import CONVOLUTION, activation_sites, is_fused, times_resized, trace

Grid = tuple[float, int]
"""Scale and zero point of one tensor."""

_NEAR = 1e-4
"""Relative difference of scales: float32 in .tflite and .pte."""

_FLATC = 6e-7
"""flatc prints six decimals, and the scales of a .pte are read from what it prints."""

_NEAR_FLOAT16 = 2.0**-10
"""Core ML has its scales in float16."""


@dataclass(frozen=True, eq=False)
class Convolution:
    """An int8 convolution as a file has it."""

    weight_scales: NDArray[np.float64]
    input: Grid | None
    """None where it is float."""
    output: Grid | None


def disagreements(path: Path, backend: str, model: Generator, ranges: Ranges) -> list[str]:
    """A sentence for each convolution whose scales are not those of the table.

    Args:
        path: a `w8a8` artifact of `model`.
        backend: litert, executorch or coreml.
        model: in eval mode.
        ranges: what it was to be made from.

    Raises:
        ValueError: no such backend.
        DamagedFile: the file holds no int8 network.
    """
    if backend not in _READERS:
        raise ValueError(f"backend {backend!r} is not one of {', '.join(_READERS)}")
    found = _READERS[backend](path)
    is_coreml = backend == "coreml"
    near = _NEAR_FLOAT16 if is_coreml else _NEAR
    convert = symmetric_grid if is_coreml else grid
    sentences = []
    for name, scales, source, result in _expected(model, ranges, backend):
        same = [c for c in found if _is_near(c.weight_scales, scales, near)]
        if len(same) != 1:
            sentences.append(f"{path.name}: {len(same)} convolutions have the weights' scales of {name}")
            continue
        pairs = [("input", same[0].input, source)]
        if not is_coreml:
            pairs.append(("output", same[0].output, result))
        for what, there, limits in pairs:
            wanted = convert(*limits)
            slack = near * wanted[0] + (_FLATC if backend == "executorch" else 0.0)
            if there is None or abs(there[0] - wanted[0]) > slack or there[1] != wanted[1]:
                has = "is float" if there is None else f"has scale {there[0]:.6g} and zero point {there[1]}"
                sentences.append(
                    f"{path.name}: {name}: its {what} {has}, the table {wanted[0]:.6g} and {wanted[1]}"
                )
    return sentences


def _is_near(a: NDArray[np.float64], b: NDArray[np.float64], near: float) -> bool:
    return a.shape == b.shape and bool(np.allclose(a, b, rtol=near, atol=0.0))


def _expected(
    model: Generator, ranges: Ranges, backend: str
) -> list[tuple[str, NDArray[np.float64], Range, Range]]:
    """Name, weight scales, input range and output range of every convolution."""
    # Convolutions are in an artifact as its exporter's form of the graph has them.
    layout: Layout = "NCHW" if backend == "coreml" else "NHWC"
    hourglass = ExportGraph(model, layout).model.hourglass
    assert isinstance(hourglass, nn.Module)
    graph = trace(hourglass, layout)
    sites = activation_sites(graph, "")
    rows = []
    for node in graph.graph.nodes:
        if node.target is not CONVOLUTION:
            continue
        source, weight = node.args[:2]
        assert isinstance(source, Node) and isinstance(weight, Node)
        name = str(weight.target).removesuffix(".weight")
        largest = hourglass.get_parameter(str(weight.target)).detach().double().abs().amax(dim=(1, 2, 3))
        written = next(iter(node.users)) if is_fused(node) else node
        # what is added before the ReLU has its range where it is added
        factor = RESIZED ** times_resized(source) if backend == "executorch" else 1.0
        low, high = ranges[sites.of[source]]
        limits = (factor * low, factor * high), ranges[sites.of[written]]
        rows.append((name, largest.numpy() / HIGHEST, *limits))
    return rows


def _read_litert(path: Path) -> list[Convolution]:
    from ai_edge_litert import schema_py_generated as schema

    tree = schema.ModelT.InitFromObj(schema.Model.GetRootAsModel(path.read_bytes(), 0))
    (graph,) = tree.subgraphs
    codes = (schema.BuiltinOperator.CONV_2D, schema.BuiltinOperator.DEPTHWISE_CONV_2D)

    def tensor_grid(index: int) -> Grid | None:
        tensor = graph.tensors[index]
        if tensor.type != schema.TensorType.INT8:
            return None
        return float(tensor.quantization.scale[0]), int(tensor.quantization.zeroPoint[0])

    found = []
    for operator in graph.operators:
        code = tree.operatorCodes[operator.opcodeIndex]
        if max(code.builtinCode, code.deprecatedBuiltinCode) not in codes:
            continue
        weights = graph.tensors[operator.inputs[1]].quantization
        if weights is None or weights.scale is None:
            continue
        scales = np.asarray(weights.scale, np.float64)
        found.append(Convolution(scales, tensor_grid(operator.inputs[0]), tensor_grid(operator.outputs[0])))
    return _some(found, path)


def _read_executorch(path: Path) -> list[Convolution]:
    """From the graphs of the XNNPACK delegates; scales per channel lie beside them, by name."""
    from executorch.backends.xnnpack.serialization.xnnpack_graph_serialize import XNNHeader
    from executorch.exir._serialize._program import deserialize_pte_binary

    program = deserialize_pte_binary(path.read_bytes())
    named = program.named_data
    data = (
        {key: bytes(named.buffers[entry.buffer_index]) for key, entry in named.pte_data.items()}
        if named
        else {}
    )
    found: list[Convolution] = []
    for delegate in program.program.backend_delegate_data:
        blob = bytes(delegate.data)
        header = XNNHeader.from_bytes(blob[: XNNHeader.EXPECTED_LENGTH])
        begin = header.flatbuffer_offset
        found += _xnn_convolutions(_xnn_graph(blob[begin : begin + header.flatbuffer_size]), data)
    return _some(found, path)


def _xnn_graph(flatbuffer: bytes) -> dict[str, Any]:
    from importlib.resources import files

    from executorch.exir._serialize._flatbuffer import _flatc_decompile

    schema = files("executorch.backends.xnnpack.serialization").joinpath("schema.fbs").read_text()
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "xnn.fbs").write_text(schema)
        (Path(folder) / "xnn.bin").write_bytes(flatbuffer)
        _flatc_decompile(folder, f"{folder}/xnn.fbs", f"{folder}/xnn.bin", ["--raw-binary"])
        # flatc writes the bounds of what is not clamped as `inf`; JSON has no such word, Python's reader another
        text = re.sub(r"(: -?)inf\b", r"\1Infinity", (Path(folder) / "xnn.json").read_text())
        graph: dict[str, Any] = json.loads(text)
        return graph


def _xnn_convolutions(graph: dict[str, Any], data: dict[str, bytes]) -> list[Convolution]:
    values: dict[int, dict[str, Any]] = {}
    for entry in graph["xvalues"]:
        value = entry["xvalue_union"]
        tensor = value.get("tensor_value", value)
        values[tensor["id_out"]] = value.get("quant_params", {})
    found = []
    for entry in graph["xnodes"]:
        if entry["xnode_union_type"] not in ("XNNConv2d", "XNNDepthwiseConv2d"):
            continue
        node = entry["xnode_union"]
        scales = values[node["filter_id"]]
        if "channel_dim" not in scales:
            continue
        grids = [_xnn_grid(values[node[key]]) for key in ("input1_id", "output_id")]
        found.append(Convolution(_xnn_scales(scales, graph, data), *grids))
    return found


def _xnn_grid(parameters: dict[str, Any]) -> Grid | None:
    return (parameters["scale"], parameters["zero_point"]) if "zero_point" in parameters else None


def _xnn_scales(
    parameters: dict[str, Any], graph: dict[str, Any], data: dict[str, bytes]
) -> NDArray[np.float64]:
    key = graph["constant_data"][parameters["scale_buffer_idx"]]["named_key"]
    return np.frombuffer(data[key], np.float32, parameters["num_scales"]).astype(np.float64)


def _read_coreml(path: Path) -> list[Convolution]:
    from igf_mobile.mil_reference import MilProgram

    found = []
    for op in MilProgram(path).operations:
        if (
            op.op_type != "conv"
            or op.weight.op is None
            or op.weight.op.op_type != "constexpr_affine_dequantize"
        ):
            continue
        scales = np.asarray(op.weight.op.scale.val, np.float64).ravel()
        found.append(Convolution(scales, _mil_grid(op.x.op), None))
    return _some(found, path)


def _mil_grid(op: Any) -> Grid | None:
    if op is None or op.op_type != "dequantize":
        return None
    zero = op.zero_point
    return float(op.scale.val), 0 if zero is None else int(zero.val)


def _some(found: list[Convolution], path: Path) -> list[Convolution]:
    if not found:
        raise DamagedFile(f"{path} holds no int8 convolution")
    return found


_READERS: dict[str, Callable[[Path], list[Convolution]]] = {
    "litert": _read_litert,
    "executorch": _read_executorch,
    "coreml": _read_coreml,
}


def check_build(
    manifest: Manifest, folder: Path, checkpoint: Path, progress: Callable[[str], None]
) -> list[str]:
    """A sentence for each convolution of a build's `w8a8` artifacts whose scales are not those of its table.

    Args:
        manifest: the build's.
        folder: where it is.
        checkpoint: the build's.
        progress: is told each artifact, and why one was not read.
    """
    records = [record for record in manifest.artifacts if record.scheme == "w8a8"]
    if manifest.ranges is None or not records:
        return []
    table = ranges_module.load(folder / manifest.ranges.file.file)
    model, _ = load_checkpoint(checkpoint)
    sentences = []
    for record in records:
        if record.backend not in _READERS:
            progress(f"{record.file}: scales not read: there is no reader for {record.backend}")
            continue
        progress(f"{record.file}: reading scales")
        try:
            sentences += disagreements(folder / record.file, record.backend, model, table)
        except (ImportError, IgfError) as error:
            sentences.append(f"{record.file}: its scales cannot be read: {error}")
    return sentences
