"""Convolutions of a .pte, from XNNPACK's part of it. Reads with the `flatc` that the executorch wheel brings."""

import importlib.util
import json
import re
import struct
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from igf_mobile.contents.layers import Array, Grid, Layer, bias_step

_CONVOLUTIONS = ("XNNConv2d", "XNNDepthwiseConv2d")
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
    root = _executorch()
    tree, segments = program(Path(path).read_bytes())
    named = {entry["key"]: segments[entry["segment_index"]] for entry in tree["named_data"]}
    schema = root / "backends" / "xnnpack" / "serialization" / "runtime_schema.fbs"
    found = []
    for number, delegate in enumerate(tree["execution_plan"][0]["delegates"]):
        where = delegate["processed"]
        if where["location"] == "SEGMENT":
            payload = segments[where["index"]]
        else:
            payload = bytes(tree["backend_delegate_data"][where["index"]]["data"])
        found += _graph_layers(_xnn_graph(payload, schema), named, f"delegate {number}")
    return found


def program(content: bytes) -> tuple[dict[str, Any], list[bytes]]:
    """The program of a .pte, and the segments that follow it.

    Raises:
        ValueError: it is none.
    """
    if len(content) < 8 + _HEADER.size or content[8:12] != b"eh00":
        raise ValueError("it has no program header at byte 8")
    _, _, _, base = _HEADER.unpack_from(content, 8)
    schema = _executorch() / "exir" / "_serialize" / "program.fbs"
    tree = _json(content[: program_bytes(content)], schema)
    return tree, [content[base + s["offset"] : base + s["offset"] + s["size"]] for s in tree["segments"]]


def program_bytes(content: bytes) -> int:
    """Bytes of the program alone."""
    return int(_HEADER.unpack_from(content, 8)[2])


def _executorch() -> Path:
    spec = importlib.util.find_spec("executorch")
    if spec is None or not spec.submodule_search_locations:
        raise ValueError("executorch, whose flatc and schemas reading a .pte takes, is not installed")
    return Path(next(iter(spec.submodule_search_locations)))


def _json(content: bytes, schema: Path) -> dict[str, Any]:
    """A flatbuffer as JSON, with the wheel's own schema and compiler."""
    flatc = _executorch() / "data" / "bin" / "flatc"
    with tempfile.TemporaryDirectory(prefix="igf-pte-") as folder:
        file = Path(folder) / "content.bin"
        file.write_bytes(content)
        options = ["--json", "--strict-json", "--defaults-json", "--raw-binary", "-o", folder]
        command = [str(flatc), *options, str(schema), "--", str(file)]
        result = subprocess.run(command, capture_output=True, text=True, check=False)
        if result.returncode:
            raise ValueError(
                f"flatc ended with {result.returncode}: {(result.stderr or result.stdout).strip()[-200:]}"
            )
        text = file.with_suffix(".json").read_text(encoding="utf-8")
    # flatc writes C's words where Python reads JavaScript's
    text = re.sub(r"(?<=[ \[])(-?)inf\b", r"\1Infinity", text)
    tree: dict[str, Any] = json.loads(re.sub(r"(?<=[ \[])-?nan\b", "NaN", text))
    return tree


def _xnn_graph(payload: bytes, schema: Path) -> dict[str, Any]:
    magic, _, offset, size, _, _ = _XNN_HEADER.unpack_from(payload, 4)
    if magic != b"XH00":
        raise ValueError(f"the delegate's data begin with {magic!r}, not with XNNPACK's header")
    return _json(payload[offset : offset + size], schema)


def _graph_layers(graph: dict[str, Any], named: dict[str, bytes], where: str) -> list[Layer]:
    values = {}
    for value in graph["xvalues"]:
        union = value["xvalue_union"]
        tensor = union.get("tensor_value", union)
        values[tensor["id_out"]] = (tensor, union.get("quant_params"))
    buffers = [named.get(constant["named_key"], b"") for constant in graph["constant_data"]]
    found = []
    for position, node in enumerate(graph["xnodes"]):
        kind, union = node["xnode_union_type"], node["xnode_union"]
        if kind in _CONVOLUTIONS:
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
    weights = array.transpose((3, 0, 1, 2) if kind == "XNNDepthwiseConv2d" else (0, 3, 1, 2))
    return Layer(label, weights, number, source, _grid(*values[node["output_id"]]), bias)


def _scales(scheme: dict[str, Any], buffers: list[bytes]) -> Array:
    stored = scheme["scale"] or np.frombuffer(buffers[scheme["scale_buffer_idx"]], np.float32)
    return np.asarray(stored, np.float64)


def _grid(tensor: dict[str, Any], scheme: dict[str, Any] | None) -> Grid | None:
    """None for float, and for inputs that are quantized on the fly."""
    if tensor["datatype"] != "xnn_datatype_qint8" or scheme is None:
        return None
    return Grid(scheme["scale"], scheme["zero_point"])
