"""LiteRT (.tflite): litert-torch converts, ai-edge-quantizer quantizes, ai-edge-litert runs."""

import hashlib
import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from igf_mobile import recipes, tflite_ranges
from igf_mobile.backends.base import (
    INPUTS,
    Artifact,
    Backend,
    BackendUnavailable,
    Calibration,
    FloatArray,
    Runner,
    output_names,
    tensor_specs,
    with_alpha,
)
from igf_mobile.contents import tflite
from igf_mobile.contents.layers import Layer
from igf_mobile.errors import DamagedFile
from igf_mobile.files import atomic_path
from igf_mobile.graph import ExportGraph
from igf_mobile.layers import layer_weights
from igf_mobile.model import Generator
from igf_mobile.observers import ranges_for
from igf_mobile.tflite_pack import drop_repeats, pack

_NETWORK = r"Hourglass_hourglass"
"""Part of the name of every operator of the network proper; the rest of the graph stays float."""

_EDGE = r"JoinedConv_head;\d*;$"
"""The addition that brings the corrections back to the float part; a scope ends in `;`."""

_METADATA_NAME = "igf_mobile"
"""One entry, as JSON: each of its own takes 40 bytes beside its text."""

_float_models: dict[str, bytes] = {}


def _rule(regex: str, operation: str, algorithm: str, config: dict[str, Any]) -> dict[str, Any]:
    return {"regex": regex, "operation": operation, "algorithm_key": algorithm, "op_config": config}


def _stored_as(regex: str, algorithm: str, **weights: Any) -> list[dict[str, Any]]:
    """Convolutions in float whose weights are stored otherwise."""
    config = {
        "weight_tensor_config": weights,
        "compute_precision": "FLOAT",
        "explicit_dequantize": True,
    }
    return [_rule(regex, op, algorithm, config) for op in ("CONV_2D", "DEPTHWISE_CONV_2D")]


def _half(regex: str) -> list[dict[str, Any]]:
    return _stored_as(regex, "float_casting", num_bits=16, dtype="FLOAT", granularity="TENSORWISE")


def _recipe(scheme: str) -> list[dict[str, Any]]:
    """Our scheme as an ai-edge-quantizer recipe for the network; where the vendor's words appear."""
    weights = {"num_bits": 8, "symmetric": True, "granularity": "CHANNELWISE", "dtype": "INT"}
    if scheme == "fp16":
        return _half(_NETWORK)
    if scheme == "w8":
        return _stored_as(_NETWORK, "min_max_uniform_quantize", **weights)
    if scheme == "w8a8":
        config = {
            "activation_tensor_config": {**weights, "symmetric": False, "granularity": "TENSORWISE"},
            "weight_tensor_config": weights,
            "compute_precision": "INTEGER",
            "explicit_dequantize": False,
        }
        return [
            _rule(_NETWORK, "*", "min_max_uniform_quantize", config),
            _rule(_EDGE, "ADD", "no_quantize", {}),
        ]
    raise ValueError(f"litert has no recipe for scheme {scheme!r}")


def _mixed(content: bytes, model: Generator, layers: Mapping[str, str]) -> list[dict[str, Any]]:
    """A resolved recipe as an ai-edge-quantizer recipe: the rules of `w8` and `w8a8` for single operators."""
    from igf_mobile import tflite_layers

    scopes = tflite_layers.scopes_by_precision(content, layer_weights(model, "NHWC"), layers)
    (whole, *exceptions), convolutions = _recipe("w8a8"), _recipe("w8")
    rules = [
        {**whole, "regex": f"^{re.escape(scope)}$"}
        for scope in scopes[recipes.STATIC]
        if re.search(_NETWORK, scope)
    ]
    rules += exceptions
    return rules + [
        {**rule, "regex": f"^{re.escape(scope)}$"}
        for scope in scopes[recipes.WEIGHTS]
        for rule in convolutions
    ]


def _float_model(model: Generator, size: tuple[int, int], coefficients_only: bool = False) -> bytes:
    """The float flatbuffer; converting takes half a minute, so the schemes of one model share it."""
    import litert_torch
    import torch

    digest = hashlib.sha256(repr((size, coefficients_only)).encode())
    for name, tensor in model.state_dict().items():
        digest.update(name.encode() + tensor.detach().cpu().numpy().tobytes())
    key = digest.hexdigest()
    if key not in _float_models:
        height, width = size
        example = (torch.rand(1, 3, height, width), torch.rand(1, 1, height, width))
        graph = ExportGraph(model, "NHWC", coefficients_only)
        _float_models[key] = bytes(litert_torch.convert(graph, example).model_content())
    return _float_models[key]


def _quantized(
    content: bytes, rules: list[dict[str, Any]], model: Generator, calibration: Calibration
) -> bytes:
    from ai_edge_quantizer import quantizer

    tool = quantizer.Quantizer(bytearray(content), rules)
    if not tool.need_calibration:
        return bytes(tool.quantize().quantized_model)
    ranges = tflite_ranges.tensor_ranges(content, model, ranges_for(model, calibration))
    return bytes(tool.quantize(ranges).quantized_model)


def _finish(content: bytes, metadata: Mapping[str, str], outputs: Sequence[str]) -> bytes:
    """Name the edges, add the metadata, and take out what no runtime reads: other names, empty tables."""
    from ai_edge_litert import schema_py_generated as schema

    tree = tflite.model_of(content)
    (graph,) = tree.subgraphs
    for tensor in graph.tensors:
        tensor.name = None
        if tensor.quantization is not None and tensor.quantization.scale is None:
            tensor.quantization = None
    for names, indices in ((INPUTS, graph.inputs), (outputs, graph.outputs)):
        for name, index in zip(names, indices, strict=True):
            graph.tensors[index].name = name
    (signature,) = tree.signatureDefs
    for entry in (*signature.inputs, *signature.outputs):
        entry.name = graph.tensors[entry.tensorIndex].name
    drop_repeats(tree)
    graph.name = "igf"
    tree.description = metadata.get("name", "igf")
    tree.metadata = [entry for entry in tree.metadata if entry.name == b"min_runtime_version"]
    buffer, entry = schema.BufferT(), schema.MetadataT()
    text = json.dumps(dict(metadata), sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    buffer.data = np.frombuffer(text.encode(), np.uint8)
    entry.name, entry.buffer = _METADATA_NAME, len(tree.buffers)
    tree.buffers.append(buffer)
    tree.metadata.append(entry)
    return pack(tree)


def read_metadata(path: Path) -> dict[str, str]:
    """What `_finish` wrote into the file.

    Raises:
        DamagedFile: the file is not a whole .tflite.
    """
    _open(path)
    try:
        tree = tflite.model_of(path.read_bytes())
        named = {entry.name.decode(): tree.buffers[entry.buffer].data for entry in tree.metadata or ()}
        metadata = json.loads(bytes(named.get(_METADATA_NAME, b"{}")))
        if not isinstance(metadata, dict):
            raise TypeError(f"{metadata!r} is no table")
        return metadata
    except (ValueError, TypeError, IndexError) as error:
        raise DamagedFile(f"{path}: its metadata are damaged: {error}") from error


def _open(path: Path, threads: int = 1, xnnpack: bool = True) -> Any:
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    resolvers = (OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES, OpResolverType.AUTO)
    try:
        interpreter = Interpreter(
            str(path), num_threads=threads, experimental_op_resolver_type=resolvers[xnnpack]
        )
        interpreter.allocate_tensors()
    except (ValueError, RuntimeError) as error:
        raise DamagedFile(f"{path} is not a whole LiteRT model: {str(error).splitlines()[0]}") from error
    return interpreter


def _operators(path: Path) -> tuple[dict[str, int], dict[str, int], dict[str, int]]:
    """Counts by operator name: delegated to XNNPACK, fallen back, quantized to int8."""
    interpreter = _open(path)
    types = {t["index"]: t["dtype"] for t in interpreter.get_tensor_details()}
    constants = _constant_tensors(path)
    nodes = interpreter._get_ops_details()
    inside = {i for node in nodes if node["op_name"] == "DELEGATE" for i in node["outputs"]}
    operators = [node for node in nodes if node["op_name"] != "DELEGATE"]
    producer = {i: node for node in operators for i in node["outputs"]}
    known = inside | constants | {t["index"] for t in interpreter.get_input_details()}
    # A tensor that a delegate or the caller reads and no delegate wrote came from an operator outside.
    wanted = [i for node in nodes if node["op_name"] == "DELEGATE" for i in node["inputs"]]
    wanted += [t["index"] for t in interpreter.get_output_details()]
    outside: dict[int, Any] = {}
    while wanted:
        tensor = wanted.pop()
        if tensor < 0 or tensor in known or tensor not in producer:
            continue
        known.add(tensor)
        outside[producer[tensor]["index"]] = producer[tensor]
        wanted += list(producer[tensor]["inputs"])
    fallback = Counter(node["op_name"] for node in outside.values())
    delegated = Counter(node["op_name"] for node in operators if node["index"] not in outside)
    quantized = Counter(
        node["op_name"]
        for node in operators
        if any(i >= 0 and types.get(i) is np.int8 for i in (*node["inputs"], *node["outputs"]))
    )
    return dict(delegated), dict(fallback), dict(quantized)


def _constant_tensors(path: Path) -> set[int]:
    tree = tflite.model_of(path.read_bytes())
    (graph,) = tree.subgraphs
    return {i for i, t in enumerate(graph.tensors) if tree.buffers[t.buffer].data is not None}


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
    """Write a .tflite; see `base.ExportFunction`."""
    from igf_mobile.tflite_layers import layers_found

    content = _float_model(model, size, coefficients_only)
    if layers is not None:
        content = _quantized(content, _mixed(content, model, layers), model, calibration)
    elif scheme != "fp32":
        content = _quantized(content, _recipe(scheme), model, calibration)
    with atomic_path(path) as temporary:
        temporary.write_bytes(_finish(content, metadata, output_names(coefficients_only)))
    delegated, fallback, quantized = _operators(path)
    inputs, outputs = tensor_specs(size, "NHWC", coefficients_only)
    found = layers_found(content, layer_weights(model, "NHWC")) if layers is not None else {}
    return Artifact(path, "litert", scheme, inputs, outputs, delegated, fallback, quantized, layers=found)


class _LiteRTRunner:
    def __init__(self, path: Path, threads: int, xnnpack: bool = True) -> None:
        from ai_edge_litert import __version__ as version

        self._interpreter = _open(path, threads, xnnpack)
        self._signature = self._interpreter.get_signature_runner()
        kernels = "XNNPACK" if xnnpack else "own kernels"
        self.description = f"LiteRT {version}, {kernels}, {threads} thread{'s' if threads > 1 else ''}"

    def __call__(self, guidance: FloatArray, weak_mask: FloatArray) -> tuple[FloatArray, FloatArray]:
        result = self._signature(
            guidance=np.ascontiguousarray(guidance), weak_mask=np.ascontiguousarray(weak_mask)
        )
        return with_alpha(result, guidance)


def load(path: Path, threads: int = 1) -> Runner:
    """Open a .tflite with the XNNPACK delegate.

    Raises:
        DamagedFile: the file is not a whole .tflite.
        BackendUnavailable: no LiteRT on this machine.
    """
    if reason := runs_here():
        raise BackendUnavailable(reason)
    return _LiteRTRunner(path, threads)


def load_without_xnnpack(path: Path) -> Runner:
    """Open a .tflite for TensorFlow Lite's own kernels, which are what a runtime without the delegate has.

    Raises:
        DamagedFile: the file is not a whole .tflite.
    """
    return _LiteRTRunner(path, 1, xnnpack=False)


def runs_here() -> str | None:
    """None, or why not."""
    try:
        from ai_edge_litert import interpreter  # noqa: F401
    except ImportError as error:
        return f"ai-edge-litert cannot be imported: {error}"
    return None


def layers(path: Path) -> Sequence[Layer]:
    """The convolutions of a .tflite; see `contents`."""
    return tflite.layers(path)


BACKEND = Backend(
    name="litert",
    suffix=".tflite",
    schemes=("fp32", "fp16", "w8", "w8a8"),
    packages=("litert-torch", "ai-edge-litert", "ai-edge-quantizer", "torch"),
    export=export,
    load=load,
    runs_here=runs_here,
    read_metadata=read_metadata,
    layer_precisions=(recipes.FLOAT, recipes.WEIGHTS, recipes.STATIC),
    layers=layers,
)
