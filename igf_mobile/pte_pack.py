"""A .pte made smaller, with the same operators and the same numbers.

ExecuTorch 1.5.1 gives each constant of an XNNPACK graph a segment and names it by 64 hexadecimal digits, in the graph
and again in the program; flatc writes a shape for each tensor that has it; a convolution in float16 has float32
weights; and each vector of scales is a constant with an entry of its own. Here constants follow their graph without
names, equal parts of the graph are written once, scales stand in the graph, and weights of float16 convolutions are
float16: the serialiser made them wider, so they are exact.
"""

import struct
from dataclasses import replace
from typing import Any

import numpy as np

from igf_mobile import flatbuffer_tree, pte_calls
from igf_mobile.contents import pte

_ALIGNMENT = 16
_CONSTANTS = 4
"""Alignment of a constant: that of its widest number. XNNPACK copies all of them into an order of its own before
ExecuTorch frees the graph, so no kernel reads them where they lie."""
_XNN_HEADER = struct.Struct("<4x4sHIIIQ")


def packed(content: bytes) -> bytes:
    """The same program, smaller.

    Args:
        content: a .pte whose delegates are XNNPACK's, all of them.

    Raises:
        ValueError: it holds something else.
    """
    from executorch.exir._serialize._program import deserialize_pte_binary, serialize_pte_binary
    from executorch.exir.schema import DataLocation

    file = deserialize_pte_binary(content)
    program, named = file.program, pte.named_data(content)
    call = pte_calls.only_call(program)
    for delegate in program.execution_plan[0].delegates:
        if delegate.id != "XnnpackBackend" or delegate.processed.location != DataLocation.INLINE:
            raise ValueError(f"a delegate of {delegate.id}, not of XNNPACK")
        data = program.backend_delegate_data[delegate.processed.index]
        graph, buffers = pte.xnn_graph(bytes(data.data)), pte.constants(bytes(data.data), named)
        if call is not None:
            pte_calls.share_constants(program, call, graph)
            pte_calls.take_casts(program, call, graph)
        data.data = _delegate(graph, buffers)
    if call is not None:
        pte_calls.drop_unused(program)
    # The tree of Python's arguments, 308 characters that no runtime reads; methods without arguments have none either.
    program.execution_plan[0].container_meta_type.encoded_inp_str = ""
    whole = serialize_pte_binary(
        replace(file, named_data=None), extract_delegate_segments=True, segment_alignment=_ALIGNMENT
    )
    return bytes(whole)


def _delegate(graph: dict[str, Any], buffers: list[bytes]) -> bytes:
    """XNNPACK's payload with its constants in it."""
    _halve(graph, buffers)
    _inline_scales(graph, buffers)
    constants = bytearray()
    graph["constant_data"] = []
    for data in _once(graph, buffers):
        constants += bytes(-len(constants) % _CONSTANTS)
        graph["constant_data"].append({"offset": len(constants), "size": len(data)})
        constants += data
    for node in graph["xnodes"]:
        node.pop("debug_handle", None)  # of the compiler's own graph, for its messages
    flatbuffer = flatbuffer_tree.write(graph, pte.xnn_schema())
    start = _XNN_HEADER.size + -_XNN_HEADER.size % _ALIGNMENT
    end = start + len(flatbuffer) + -len(flatbuffer) % _ALIGNMENT
    header = _XNN_HEADER.pack(b"XH00", _XNN_HEADER.size, start, len(flatbuffer), end, len(constants))
    return (header.ljust(start, b"\0") + flatbuffer).ljust(end, b"\0") + bytes(constants)


def _inline_scales(graph: dict[str, Any], buffers: list[bytes]) -> None:
    """Scales of channels into the graph, in place, where XNNPACK's delegate looks for those that no constant holds."""
    for value in graph["xvalues"]:
        scheme = value["xvalue_union"].get("quant_params", {})
        if place := scheme.pop("scale_buffer_idx", 0):
            scheme["scale"] = np.frombuffer(buffers[place], np.float32).tolist()
            scheme.pop("num_scales", None)  # which a vector has itself


def _once(graph: dict[str, Any], buffers: list[bytes]) -> list[bytes]:
    """Let the graph have each constant once, in place; the buffers that are left."""
    used = [pte.tensor_of(value).get("constant_buffer_idx", 0) for value in graph["xvalues"]]
    kept = list(dict.fromkeys([b"", *(buffers[place] for place in sorted(set(used)) if place)]))
    places = {data: place for place, data in enumerate(kept)}
    first: dict[str, int] = {}
    stands_for: dict[int, int] = {}
    values = []
    for value in graph["xvalues"]:
        union, tensor = value["xvalue_union"], pte.tensor_of(value)
        if tensor.get("constant_buffer_idx"):
            tensor["constant_buffer_idx"] = places[buffers[tensor["constant_buffer_idx"]]]
        index = tensor["id_out"]
        if tensor.get("constant_buffer_idx"):
            stands_for[index] = first.setdefault(repr({**value, "xvalue_union": _without_id(union)}), index)
        if stands_for.get(index, index) == index:
            values.append(value)
    graph["xvalues"] = values
    pte.rename(graph, stands_for)
    return kept


def _without_id(union: dict[str, Any]) -> dict[str, Any]:
    if "tensor_value" in union:
        return {**union, "tensor_value": _without_id(union["tensor_value"])}
    return {name: value for name, value in union.items() if name != "id_out"}


def _halve(graph: dict[str, Any], buffers: list[bytes]) -> None:
    """Weights and biases of convolutions with float16 inputs, in place.

    Raises:
        ValueError: they are something else than float16 made wider.
    """
    tensors = {}
    for value in graph["xvalues"]:
        tensor = pte.tensor_of(value)
        tensors[tensor["id_out"]] = tensor
    for node in graph["xnodes"]:
        union = node["xnode_union"]
        if node["xnode_union_type"] not in pte.CONVOLUTIONS:
            continue
        if tensors[union["input1_id"]]["datatype"] != "xnn_datatype_fp16":
            continue
        # Both: XNNPACK asks the filter for the bias's type, and a float32 bias beside a float16 filter gave NaN.
        for tensor in (tensors[union[name]] for name in ("filter_id", "bias_id") if union[name] in tensors):
            if tensor["datatype"] != "xnn_datatype_fp32":
                continue
            place = tensor["constant_buffer_idx"]
            wide = np.frombuffer(buffers[place], np.float32)
            half = wide.astype(np.float16)
            if not np.array_equal(half.astype(np.float32), wide):
                raise ValueError(f"node {node['xnode_union_type']} has weights that float16 does not hold")
            tensor["datatype"], buffers[place] = "xnn_datatype_fp16", half.tobytes()
