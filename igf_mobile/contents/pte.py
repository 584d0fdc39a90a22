"""Convolutions of a .pte, from XNNPACK's part of it, by the schemas that the executorch wheel brings."""

import importlib.util
import struct
from collections import Counter
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from igf_mobile import flatbuffer_tree
from igf_mobile.contents.layers import Array, Grid, Layer, bias_step

CONVOLUTIONS = ("XNNConv2d", "XNNDepthwiseConv2d", "XNNFullyConnected")
"""What XNNPACK runs a convolution with; the last for those of single pixels (`xnnpack_graph.products`)."""
_STORED = {
    "xnn_datatype_fp32": (np.float32, "float32"),
    "xnn_datatype_fp16": (np.float16, "float16"),
    "xnn_datatype_qcint8": (np.int8, "int8"),
}
_HEADER = struct.Struct("<4sIQQ")
"""The program's, at byte 8: magic, its length, bytes of the program, where the segments begin."""
_XNN_HEADER = struct.Struct("<4sHIIIQ")
"""XNNPACK's, at byte 4 of its payload: magic, length, offset and bytes of the graph, of the constants."""


def layers(path: Path) -> list[Layer]:
    """Every convolution that XNNPACK runs, graph by graph.

    Raises:
        ValueError: the file holds something else than this knows.
    """
    content = Path(path).read_bytes()
    tree, segments = program(content)
    named = named_data(content)
    found = []
    for number, delegate in enumerate(tree["execution_plan"][0]["delegates"]):
        where = delegate["processed"]
        if where["location"] == "SEGMENT":
            payload = segments[where["index"]]
        else:
            payload = tree["backend_delegate_data"][where["index"]]["data"]
        found += _graph_layers(xnn_graph(payload), constants(payload, named), f"delegate {number}")
    return found


def program(content: bytes) -> tuple[dict[str, Any], list[bytes]]:
    """The program of a .pte, and the segments that follow it.

    Raises:
        ValueError: it is none.
    """
    if len(content) < 8 + _HEADER.size or content[8:12] != b"eh00":
        raise ValueError("it has no program header at byte 8")
    _, _, _, base = _HEADER.unpack_from(content, 8)
    tree = flatbuffer_tree.read(content[: program_bytes(content)], _schema("exir/_serialize/program.fbs"))
    return tree, [content[base + s["offset"] : base + s["offset"] + s["size"]] for s in tree["segments"]]


def program_bytes(content: bytes) -> int:
    """Bytes of the program alone."""
    return int(_HEADER.unpack_from(content, 8)[2])


def kernels(content: bytes) -> dict[str, int]:
    """Operators that the first method calls outside its delegates, by short name: "_to_dim_order_copy" -> 4."""
    plan = program(content)[0]["execution_plan"][0]
    names = [operator["name"].rpartition("::")[2] for operator in plan.get("operators", [])]
    steps = [step for chain in plan["chains"] for step in chain["instructions"]]
    return dict(
        Counter(names[s["instr_args"]["op_index"]] for s in steps if s["instr_args_type"] == "KernelCall")
    )


def named_data(content: bytes) -> dict[str, bytes]:
    """Constants that lie beside the program, by name."""
    tree, segments = program(content)
    return {entry["key"]: segments[entry["segment_index"]] for entry in tree.get("named_data", [])}


def xnn_graph(payload: bytes) -> dict[str, Any]:
    """The graph in the data of one of XNNPACK's delegates.

    Raises:
        ValueError: it is none.
    """
    magic, _, offset, size, _, _ = _XNN_HEADER.unpack_from(payload, 4)
    if magic != b"XH00":
        raise ValueError(f"the delegate's data begin with {magic!r}, not with XNNPACK's header")
    return flatbuffer_tree.read(payload[offset : offset + size], xnn_schema())


def constants(payload: bytes, named: Mapping[str, bytes]) -> list[bytes]:
    """The constants of a delegate's graph, in its order: in the delegate's data, or beside the program by name."""
    _, _, _, _, start, _ = _XNN_HEADER.unpack_from(payload, 4)
    return [
        named.get(entry["named_key"], b"")[: entry["size"]]
        if entry.get("named_key")
        else payload[start + entry["offset"] :][: entry["size"]]
        for entry in xnn_graph(payload)["constant_data"]
    ]


def xnn_schema() -> flatbuffer_tree.Schema:
    """Of XNNPACK's graphs as the installed ExecuTorch writes them."""
    return _schema("backends/xnnpack/serialization/schema.fbs")


@lru_cache
def _schema(name: str) -> flatbuffer_tree.Schema:
    spec = importlib.util.find_spec("executorch")
    if spec is None or not spec.submodule_search_locations:
        raise ValueError("executorch, whose schemas reading a .pte takes, is not installed")
    return flatbuffer_tree.load_schema(Path(next(iter(spec.submodule_search_locations))) / name)


def tensor_of(value: dict[str, Any]) -> dict[str, Any]:
    """Of an entry of XNNPACK's `xvalues`: the tensor, which a quantized one has inside."""
    union: dict[str, Any] = value["xvalue_union"]
    tensor: dict[str, Any] = union.get("tensor_value", union)
    return tensor


def rename(graph: dict[str, Any], stands_for: Mapping[int, int]) -> None:
    """Let the nodes of one of XNNPACK's graphs read and write other tensors, by their numbers, in place."""
    for node in graph["xnodes"]:
        union = node["xnode_union"]
        for name in [name for name in union if name.endswith("_id")]:
            union[name] = stands_for.get(union[name], union[name])


def _graph_layers(graph: dict[str, Any], buffers: list[bytes], where: str) -> list[Layer]:
    values = {}
    for value in graph["xvalues"]:
        tensor = tensor_of(value)
        values[tensor["id_out"]] = (tensor, value["xvalue_union"].get("quant_params"))
    found = []
    for position, node in enumerate(graph["xnodes"]):
        kind, union = node["xnode_union_type"], node["xnode_union"]
        if kind in CONVOLUTIONS:
            found.append(_layer(kind, union, values, buffers, f"{where}, node {position} ({kind})"))
    return found


def _layer(
    kind: str, node: dict[str, Any], values: dict[int, Any], buffers: list[bytes], label: str
) -> Layer:
    tensor, scheme = values[node["filter_id"]]
    if tensor["datatype"] not in _STORED:
        raise ValueError(f"{label}: weights of type {tensor['datatype']}; known: {', '.join(_STORED)}")
    dtype, number = _STORED[tensor["datatype"]]
    array = (
        np.frombuffer(buffers[tensor["constant_buffer_idx"]], dtype)
        .reshape(tensor["dims"])
        .astype(np.float64)
    )
    source, bias = _grid(*values[node["input1_id"]]), None
    if number == "int8":
        scale = _scales(scheme, buffers)
        along = [1] * array.ndim
        along[scheme["channel_dim"]] = scale.size
        array = array * scale.reshape(along)
        if source is not None and node["bias_id"] in values:
            bias = bias_step(_scales(values[node["bias_id"]][1], buffers), source, scale)
    if kind == "XNNFullyConnected":
        weights = array[:, :, None, None]
    else:
        weights = array.transpose((3, 0, 1, 2) if kind == "XNNDepthwiseConv2d" else (0, 3, 1, 2))
    return Layer(label, weights, number, source, _grid(*values[node["output_id"]]), bias)


def _scales(scheme: dict[str, Any], buffers: list[bytes]) -> Array:
    stored = scheme.get("scale") or np.frombuffer(buffers[scheme["scale_buffer_idx"]], np.float32)
    return np.asarray(stored, np.float64)


def _grid(tensor: dict[str, Any], scheme: dict[str, Any] | None) -> Grid | None:
    """None for float, and for inputs that are quantized on the fly."""
    if tensor["datatype"] != "xnn_datatype_qint8" or scheme is None:
        return None
    return Grid(scheme["scale"], scheme["zero_point"])
