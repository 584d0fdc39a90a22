"""XNNPACK's graphs made by hand, and what they compute, by NumPy."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

NOT_THERE = 2**32 - 1
FLOAT, INT8 = "xnn_datatype_fp32", "xnn_datatype_qint8"


class Maker:
    """Builds an `XNNGraph`, a node at a time; tensors are known by their numbers."""

    def __init__(self) -> None:
        from executorch.backends.xnnpack.serialization import xnnpack_graph_schema

        self.schema: Any = xnnpack_graph_schema
        self.nodes: list[Any] = []
        self.values: list[Any] = []
        self.inputs: list[int] = []
        self.constants: list[NDArray[Any]] = [np.zeros(0)]

    def value(
        self, dims: Sequence[int], scale: float | None = None, flags: int = 0, constant: int = 0
    ) -> int:
        """A tensor; int8 with zero point 0 where it has a scale."""
        index = len(self.values)
        kind = self.schema.XNNDatatype[FLOAT if scale is None else INT8]
        external = NOT_THERE if not flags else index
        tensor = self.schema.XNNTensorValue(kind, len(dims), list(dims), constant, external, flags, index)
        if scale is not None:
            quantized = self.schema.PerTensorQuant(scale, 0)
            tensor = self.schema.XNNQuantizedTensorValue(tensor, quantized)
        self.values.append(self.schema.XValue(tensor))
        return index

    def input(self, *dims: int) -> int:
        """What the caller gives."""
        self.inputs.append(self.value(dims, flags=1))
        return self.inputs[-1]

    def constant(self, array: NDArray[Any]) -> int:
        """Bytes of the file."""
        self.constants.append(array)
        return self.value(array.shape, constant=len(self.constants) - 1)

    def dims(self, index: int) -> list[int]:
        union = self.values[index].xvalue_union
        return list(getattr(union, "tensor_value", union).dims)

    def quantized_on_the_fly(self, source: int) -> int:
        """int8 with scales of each picture."""
        result = self.unary("Convert", source, scale=1.0)
        self.values[result].xvalue_union.quant_params = self.schema.PerTokenDynamicQuant(3)
        return result

    def node(self, name: str, dims: Sequence[int], limits: Any = None, **fields: Any) -> int:
        """A node that writes a new tensor of this shape; the tensor."""
        scale = fields.pop("scale", None)
        result = self.value(dims, scale)
        operator = getattr(self.schema, f"XNN{name}")(**fields, output_id=result, flags=0)
        limits = limits and self.schema.OutputMinMax(*limits)
        self.nodes.append(self.schema.XNode(operator, 0, limits))
        return result

    def transpose(self, source: int, *perm: int) -> int:
        dims = [self.dims(source)[axis] for axis in perm]
        return self.node("StaticTranspose", dims, num_dims=len(perm), perm=list(perm), input_id=source)

    def reshape(self, source: int, *shape: int) -> int:
        return self.node("StaticReshape", shape, num_dims=len(shape), new_shape=list(shape), input_id=source)

    def unary(self, name: str, source: int, **options: Any) -> int:
        return self.node(name, self.dims(source), input_id=source, **options)

    def binary(self, name: str, first: int, second: int, **options: Any) -> int:
        dims = np.broadcast_shapes(tuple(self.dims(first)), tuple(self.dims(second)))
        return self.node(name, dims, input1_id=first, input2_id=second, **options)

    def cut(self, source: int, axis: int, start: int, size: int, scale: float | None = None) -> int:
        dims = self.dims(source)
        offsets, sizes = [0] * len(dims), list(dims)
        offsets[axis], sizes[axis] = start, size
        options = {"num_dims": len(dims), "offsets": offsets, "sizes": sizes, "scale": scale}
        return self.node("StaticSlice", sizes, input_id=source, **options)

    def pad(self, source: int, axis: int, before: int, after: int) -> int:
        dims = self.dims(source)
        pre, post = [0] * len(dims), [0] * len(dims)
        pre[axis], post[axis] = before, after
        shape = [sum(sides) for sides in zip(pre, dims, post, strict=True)]
        pads = {"pre_paddings": pre, "post_paddings": post, "padding_value": 0.5}
        return self.node("StaticConstantPad", shape, input_id=source, **pads)

    def join(self, axis: int, *sources: int) -> int:
        dims = self.dims(sources[0])
        dims[axis] = sum(self.dims(source)[axis] for source in sources)
        inputs = dict.fromkeys([f"input{place}_id" for place in range(1, 6)], NOT_THERE)
        inputs |= {f"input{place}_id": source for place, source in enumerate(sources, 1)}
        return self.node(f"Concatenate{len(sources)}", dims, axis=axis, **inputs)

    def convolve(
        self, source: int, weights: NDArray[Any], bias: NDArray[Any] | None = None, **changes: Any
    ) -> int:
        """Of single pixels; weights (outputs, inputs)."""
        stored = self.constant(weights[:, None, None, :])
        added = NOT_THERE if bias is None else self.constant(bias)
        schema_fields = self.schema.XNNConv2d.__dataclass_fields__
        fields: dict[str, Any] = {name: 1 for name in schema_fields if "adjust" not in name}
        fields |= {name: 0 for name in schema_fields if "padding" in name or "adjust" in name}
        fields |= {"group_input_channels": weights.shape[1], "group_output_channels": weights.shape[0]}
        fields |= {"input1_id": source, "filter_id": stored, "bias_id": added} | changes
        del fields["output_id"], fields["flags"]
        return self.node("Conv2d", [*self.dims(source)[:-1], weights.shape[0]], **fields)

    def resize(self, source: int, factor: int, scale: float | None = None) -> int:
        batch, height, width, channels = self.dims(source)
        new = {"new_height": factor * height, "new_width": factor * width}
        dims = [batch, factor * height, factor * width, channels]
        return self.node("StaticResizeBilinear2D", dims, input_id=source, scale=scale, **new)

    def graph(self, *outputs: int) -> Any:
        """What was built, with these tensors for the caller."""
        for index in outputs:
            union = self.values[index].xvalue_union
            tensor = getattr(union, "tensor_value", union)
            tensor.flags, tensor.external_id = 2, index
        count = len(self.inputs) + len(outputs)
        return self.schema.XNNGraph(
            "0", [*self.nodes], [*self.values], count, [*self.inputs], list(outputs), []
        )


def kinds(graph: Any) -> list[str]:
    """Names of a graph's operators, in order."""
    return [type(node.xnode_union).__name__.removeprefix("XNN") for node in graph.xnodes]


def computed(graph: Any, constants: Sequence[NDArray[Any]], inputs: Sequence[NDArray[Any]]) -> list[Any]:
    """Outputs of a graph, every shape held to what the graph says."""
    known: dict[int, NDArray[Any]] = dict(zip(graph.input_ids, inputs, strict=True))
    tensors: dict[int, Any] = {}
    scales: dict[int, float] = {}
    for value in graph.xvalues:
        union = value.xvalue_union
        tensor = getattr(union, "tensor_value", union)
        tensors[tensor.id_out] = tensor
        assert tensor.num_dims == len(tensor.dims)
        if tensor is not union:
            scales[tensor.id_out] = union.quant_params.scale
        if tensor.constant_buffer_idx:
            known[tensor.id_out] = constants[tensor.constant_buffer_idx].reshape(tensor.dims)
    for node in graph.xnodes:
        operator = node.xnode_union
        result = _run(operator, known, scales)
        if node.output_min_max is not None:
            result = np.clip(result, node.output_min_max.output_min, node.output_min_max.output_max)
        assert list(result.shape) == list(tensors[operator.output_id].dims)
        assert operator.output_id not in known, "a tensor is written twice"
        known[operator.output_id] = result
    return [known[index] for index in graph.output_ids]


def _run(operator: Any, known: dict[int, NDArray[Any]], scales: dict[int, float]) -> NDArray[Any]:
    name = type(operator).__name__.removeprefix("XNN")
    if name.startswith("Concatenate"):
        ids = [getattr(operator, f"input{place}_id") for place in range(1, 1 + int(name[-1]))]
        return np.concatenate([known[index] for index in ids], operator.axis)
    if name in ("Add", "Subtract", "Multiply"):
        return getattr(np, name.lower())(known[operator.input1_id], known[operator.input2_id])
    if name in ("Conv2d", "FullyConnected"):
        weights = known[operator.filter_id].reshape(known[operator.filter_id].shape[0], -1)
        bias = known[operator.bias_id] if operator.bias_id != NOT_THERE else 0.0
        return known[operator.input1_id] @ weights.T + bias
    x = known[operator.input_id]
    if name == "Convert":
        widened = x * scales.get(operator.input_id, 1.0)
        scale = scales.get(operator.output_id)
        return widened if scale is None else np.clip(np.rint(widened / scale), -128, 127)
    if name == "StaticResizeBilinear2D":
        resized = _resized(x, operator.new_height, operator.new_width)
        return np.rint(resized) if operator.output_id in scales else resized
    pads = {"StaticConstantPad": ("pre_paddings", "post_paddings")}.get(name, ())
    return {
        "StaticTranspose": lambda: x.transpose(operator.perm),
        "StaticReshape": lambda: x.reshape(operator.new_shape),
        "StaticSlice": lambda: x[
            tuple(slice(o, o + s) for o, s in zip(operator.offsets, operator.sizes, strict=True))
        ],
        "StaticConstantPad": lambda: np.pad(
            x,
            list(zip(*(getattr(operator, field) for field in pads), strict=True)),
            constant_values=operator.padding_value,
        ),
        "Clamp": lambda: x,
        "Tanh": lambda: np.tanh(x),
        "Sigmoid": lambda: 1.0 / (1.0 + np.exp(-x)),
    }[name]()


def _resized(x: NDArray[Any], height: int, width: int) -> NDArray[Any]:
    import torch

    tensor = torch.from_numpy(x.astype(np.float64)).permute(0, 3, 1, 2)
    return (
        torch.nn.functional.interpolate(tensor, (height, width), mode="bilinear").permute(0, 2, 3, 1).numpy()
    )
